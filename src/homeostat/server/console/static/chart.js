// One chart: values with their expected bands, anomalies, gaps, decisions; always also in words.

import { el, svg, swap, text } from "./dom.js";
import { clock, minute, number, quantity, shown, signalName, subjectName, unitOf } from "./format.js";

const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const sync = window.uPlot.sync("signals");

function withAlpha(color, alpha) {
  const hex = Math.round(alpha * 255).toString(16).padStart(2, "0");
  return color.startsWith("#") && color.length === 7 ? `${color}${hex}` : color;
}

/** A chart of one signal for one or several subjects. */
export class Chart {
  /** @param {{signal: string, subject: (s: string) => boolean, wide: boolean, limit: () => number|null}} spec */
  constructor(spec, store) {
    this.spec = spec;
    this.store = store;
    this.range = 300;
    this.marks = [];
    this.keys = [];
    this.plotNode = el("div", { class: "plot", role: "img" });
    this.nowNode = el("p", { class: "now" });
    this.namesNode = el("p", { class: "names" });
    this.captionNode = el("figcaption", { id: `cap-${spec.signal}` });
    this.tableNode = el("div", { class: "numbers-table", role: "region", tabindex: "0", "aria-label": `${signalName(spec.signal)}, numbers` });
    this.details = el("details", {}, el("summary", {}, "Numbers"), this.tableNode);
    this.plotNode.setAttribute("aria-labelledby", this.captionNode.id);
    this.details.addEventListener("toggle", () => this.table());
    this.node = el("figure", { class: spec.wide ? "chart wide" : "chart" },
      el("header", {}, el("h3", {}, title(spec.signal)), this.nowNode),
      this.namesNode, this.plotNode, this.captionNode, this.details);
    this.plot = null;
    new ResizeObserver(() => this.resize()).observe(this.plotNode);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.plotNode;
    if (this.plot && width > 0 && (width !== this.plot.width || height !== this.plot.height)) this.plot.setSize({ width, height });
  }

  /** Show the store's data; `now` is the right edge. */
  update(now, marks) {
    const keys = this.store.keys((subject, signal) => signal === this.spec.signal && this.spec.subject(subject)).slice(0, 6);
    this.marks = marks;
    this.now = now;
    this.node.hidden = keys.length === 0;
    if (!keys.length) return;
    if (!this.plot || keys.join() !== this.keys.join()) {
      this.keys = keys;
      this.build();
    }
    this.plot.setData(this.data());
    this.words(null);
    if (this.details.open) this.table();
  }

  restyle() {
    if (this.plot) {
      this.build();
      this.plot.setData(this.data());
    }
  }

  data() {
    const columns = [this.store.at];
    for (const key of this.keys) {
      const series = this.store.series.get(key);
      const scale = (list) => (unitOf(this.spec.signal) === "%" ? list.map((v) => shown(this.spec.signal, v)) : list);
      columns.push(scale(series.value), scale(series.low), scale(series.high));
    }
    return columns;
  }

  build() {
    this.plot?.destroy();
    const axis = { stroke: css("--soft"), font: `12px ${css("--sans")}`, ticks: { show: false }, grid: { stroke: css("--grid"), width: 1 } };
    const series = [{}];
    const bands = [];
    this.keys.forEach((key, index) => {
      const color = css(`--s${(index % 4) + 1}`);
      const base = 1 + 3 * index;
      series.push({ stroke: color, width: 1.75, dash: DASHES[index % 4], points: { show: false } });
      series.push({ width: 0, points: { show: false } }, { width: 0, points: { show: false } });
      bands.push({ series: [base + 2, base + 1], fill: withAlpha(color, Number(css("--band")) / (this.keys.length > 1 ? 1.6 : 1)) });
    });
    const left = () => this.now - this.range;
    this.plot = new window.uPlot({
      width: this.plotNode.clientWidth || 300,
      height: this.plotNode.clientHeight || 160,
      padding: [12, 16, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: sync.key }, drag: { x: false, y: false }, points: { show: false }, y: false },
      scales: { x: { time: true, range: () => [left(), this.now] }, y: { range: (_, low, high) => this.span(low, high) } },
      axes: [
        { ...axis, space: 64, size: 26, values: (_, ticks) => ticks.map(this.range > 60 ? minute : clock), incrs: () => (this.range > 60 ? [60, 120, 300] : [10, 20, 30, 60]), grid: { show: false } },
        { ...axis, space: 36, size: 46, values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "0" : number(tick))) },
      ],
      series,
      bands,
      hooks: {
        drawClear: [(u) => this.drawGaps(u)],
        draw: [(u) => this.drawOver(u)],
        setCursor: [(u) => this.words(u.cursor.idx)],
      },
    }, [[]], this.plotNode);
  }

  span(low, high) {
    const limit = shown(this.spec.signal, this.spec.limit());
    const top = Math.max(high ?? 0, limit !== null && high > limit * 0.45 ? limit : 0);
    const floor = Math.min(low ?? 0, top);
    const room = (top - floor || Math.abs(top) || 1) * 0.12;
    return this.spec.zero === false ? [floor - room, top + room] : [0, top + room || 1];
  }

  drawGaps(u) {
    const { ctx, bbox } = u;
    const series = this.store.series.get(this.keys[0]);
    const x = (at) => u.valToPos(at, "x", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [from, to] of runs(series.verdict, "u")) {
      const start = x(this.store.at[from] - 0.5);
      const end = x(this.store.at[to] + 0.5);
      ctx.fillStyle = withAlpha(css("--unknown"), 0.1);
      ctx.fillRect(start, bbox.top, end - start, bbox.height);
      ctx.save();
      ctx.beginPath();
      ctx.rect(start, bbox.top, end - start, bbox.height);
      ctx.clip();
      ctx.strokeStyle = withAlpha(css("--unknown"), 0.35);
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      for (let at = start - bbox.height; at < end; at += 7 * devicePixelRatio) {
        ctx.moveTo(at, bbox.top + bbox.height);
        ctx.lineTo(at + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }
    ctx.restore();
  }

  drawOver(u) {
    const { ctx, bbox } = u;
    const dot = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 12 * dot, bbox.width, bbox.height + 12 * dot);
    ctx.clip();
    this.drawLimit(u);
    ctx.fillStyle = css("--bad");
    this.keys.forEach((key) => {
      const series = this.store.series.get(key);
      for (let i = 0; i < this.store.at.length; i += 1) {
        const value = shown(this.spec.signal, series.value[i]);
        if (series.verdict[i] !== "a" || value === null || this.store.at[i] < this.now - this.range) continue;
        ctx.beginPath();
        ctx.arc(u.valToPos(this.store.at[i], "x", true), u.valToPos(value, "y", true), 2.4 * dot, 0, 2 * Math.PI);
        ctx.fill();
      }
    });
    this.drawDecisions(u);
    ctx.restore();
  }

  drawLimit(u) {
    const limit = shown(this.spec.signal, this.spec.limit());
    if (limit === null || limit > u.scales.y.max) return;
    const { ctx, bbox } = u;
    const y = u.valToPos(limit, "y", true);
    ctx.strokeStyle = css("--ink");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.fillStyle = css("--ink");
    ctx.font = `${11 * devicePixelRatio}px ${css("--sans")}`;
    ctx.textAlign = "right";
    ctx.fillText("objective", bbox.left + bbox.width - 4 * devicePixelRatio, y - 4 * devicePixelRatio);
  }

  drawDecisions(u) {
    const { ctx, bbox } = u;
    const size = 4.5 * devicePixelRatio;
    for (const mark of this.marks) {
      const x = u.valToPos(mark.at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = withAlpha(css("--ink"), 0.45);
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.fillStyle = css("--ink");
      ctx.beginPath();
      ctx.moveTo(x, bbox.top - size);
      ctx.lineTo(x + size, bbox.top);
      ctx.lineTo(x, bbox.top + size);
      ctx.lineTo(x - size, bbox.top);
      ctx.fill();
      if (!this.spec.wide || u.width < 480) continue;
      const right = x > bbox.left + bbox.width - 70 * devicePixelRatio;
      ctx.font = `600 ${11 * devicePixelRatio}px ${css("--sans")}`;
      ctx.textAlign = right ? "right" : "left";
      ctx.fillText(mark.id, x + (right ? -8 : 8) * devicePixelRatio, bbox.top + 4 * devicePixelRatio);
    }
  }

  /** The same in words, for the tick under the cursor or the newest. */
  words(index) {
    const signal = this.spec.signal;
    const last = this.store.at.length - 1;
    const at = index ?? last;
    const many = this.keys.length > 1;
    const parts = this.keys.map((key) => {
      const series = this.store.series.get(key);
      return { subject: this.store.parts(key)[0], value: series.value[at], low: series.low[at], high: series.high[at], verdict: series.verdict[at] };
    });
    text(this.nowNode, many ? (index === null ? "" : clock(this.store.at[at])) : `${quantity(signal, parts[0].value)}${index === null ? "" : ` at ${clock(this.store.at[at])}`}`);
    swap(this.namesNode, many ? parts.map((part, i) => el("span", {}, swatch(i), `${subjectName(part.subject)} ${quantity(signal, part.value)}`)) : "");
    if (index !== null) return;
    text(this.captionNode, summary(signal, parts, many) || this.calm(parts));
  }

  calm(parts) {
    const lows = parts.map((part) => part.low).filter((v) => v !== null);
    const highs = parts.map((part) => part.high).filter((v) => v !== null);
    return lows.length ? `As expected: ${band(this.spec.signal, Math.min(...lows), Math.max(...highs))}.` : "Nothing is expected yet.";
  }

  table() {
    const { at } = this.store;
    const from = Math.max(0, at.length - this.range);
    const step = Math.max(1, Math.ceil((at.length - from) / 20));
    const rows = [];
    for (let i = at.length - 1; i >= from && rows.length < 20; i -= step) {
      rows.push(el("tr", {}, el("th", { scope: "row" }, clock(at[i])), this.keys.map((key) => {
        const series = this.store.series.get(key);
        const note = series.verdict[i] === "a" ? " anomalous" : series.verdict[i] === "u" ? " not known" : "";
        return el("td", {}, `${quantity(this.spec.signal, series.value[i])}${note}`);
      })));
    }
    const heads = this.keys.map((key) => el("th", { scope: "col" }, subjectName(this.store.parts(key)[0])));
    swap(this.tableNode, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Time"), heads)), el("tbody", {}, rows)));
  }
}

function title(signal) {
  const unit = unitOf(signal);
  return unit ? `${signalName(signal)}, ${unit === "/s" ? "per second" : unit}` : signalName(signal);
}

function band(signal, low, high) {
  const unit = unitOf(signal);
  return `${number(shown(signal, low))} to ${number(shown(signal, high))}${unit === "/s" ? "/s" : unit ? ` ${unit}` : ""}`;
}

function sentence(signal, part, many) {
  const who = many ? `${subjectName(part.subject)}: ` : "";
  if (part.verdict === "u") return `${who}not known${part.value === null || part.value === undefined ? "" : ` (${quantity(signal, part.value)})`}.`;
  if (part.verdict !== "a") return "";
  const expected = part.low === null ? "" : `, expected ${band(signal, part.low, part.high)}`;
  return `${who}anomalous, ${quantity(signal, part.value)}${expected}.`;
}

function summary(signal, parts, many) {
  const bad = parts.filter((part) => part.verdict === "a");
  if (bad.length < 3) return parts.map((part) => sentence(signal, part, many)).filter(Boolean).join(" ");
  const of = (name) => bad.map((part) => part[name]).filter((v) => v !== null);
  return `${bad.map((part) => subjectName(part.subject)).join(", ")}: anomalous, ${band(signal, Math.min(...of("value")), Math.max(...of("value")))}, expected ${band(signal, Math.min(...of("low")), Math.max(...of("high")))}.`;
}

function swatch(index) {
  const line = svg("line", { x1: 0, y1: 5, x2: 22, y2: 5, stroke: `var(--s${(index % 4) + 1})`, "stroke-width": 2.5, "stroke-dasharray": DASHES[index % 4].join(" ") || null });
  return svg("svg", { width: 22, height: 10, "aria-hidden": "true", focusable: "false" }, line);
}

function runs(list, wanted) {
  const found = [];
  let start = -1;
  for (let i = 0; i <= list.length; i += 1) {
    if (i < list.length && list[i] === wanted) {
      if (start < 0) start = i;
    } else if (start >= 0) {
      found.push([start, i - 1]);
      start = -1;
    }
  }
  return found;
}
