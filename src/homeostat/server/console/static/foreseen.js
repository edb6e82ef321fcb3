// What the twin foresees of candidates: words, and a picture of an interval. Nothing is drawn of what is not known.

import { el, svg } from "./dom.js";
import { labelName, number } from "./format.js";

const UNDO = { exact: "exact: what was there before is written back", compensating: "a replacement comes first; there is nothing to take back", none: "none: it cannot be taken back, so two people must agree" };

export const undoPlan = (action) => UNDO[action.undo] ?? action.undo;

/** "63 ms (58 to 71)" */
export function interval(ends, unit) {
  const [low, mid, high] = ends;
  return mid === null ? "not known" : `${number(mid)}${unit} (${number(low)} to ${number(high)})`;
}

const percent = (ends) => ends.map((end) => (end === null ? null : end * 100));

/** Two intervals over one axis: with the action, and holding. */
export function ranges(prospect, limit) {
  const rows = [["with it", prospect.foreseen.latency_ms], ["against holding", null]].filter(([, ends]) => ends && ends[1] !== null);
  if (!rows.length) return null;
  const [low, mid, high] = rows[0][1];
  const top = 1.1 * Math.max(high, limit ?? 0) || 1;
  const x = (value) => 4 + (292 * value) / top;
  return el("figure", { class: "range" },
    svg("svg", { viewBox: "0 0 300 24", role: "img", "aria-label": `p95 foreseen ${interval([low, mid, high], " ms")}${limit ? `, promised at most ${number(limit)} ms` : ""}` },
      svg("path", { class: "axis", d: "M4 20H296" }),
      svg("path", { class: "span", d: `M${x(low)} 10H${x(high)}` }),
      svg("circle", { class: "mid", cx: x(mid), cy: 10, r: 4 }),
      limit ? svg("path", { class: "limit", d: `M${x(limit)} 2V20` }) : null),
    el("figcaption", { class: "soft" }, `p95 ${interval([low, mid, high], " ms")}${limit ? `; dashed: promised ${number(limit)} ms` : ""}`));
}

/** The prospect of one action, null where it was not rehearsed. */
export function prospectOf(decision) {
  if (!decision.rehearsal || !decision.action) return null;
  const start = `${decision.action.kind} ${decision.action.subject}`;
  return decision.rehearsal.prospects.find((one) => one.action.startsWith(start)) ?? null;
}

/** Every candidate that was rehearsed, as a table. */
export function prospects(rehearsal) {
  const row = (one) => el("tr", {}, el("td", {}, one.rank ? `${one.rank}. ` : "", labelName(one.action)),
    el("td", {}, interval(one.foreseen.latency_ms, " ms")), el("td", {}, interval(percent(one.foreseen.error_ratio), " %")),
    el("td", {}, interval(percent(one.foreseen.breach), " %")), el("td", {}, interval(one.foreseen.usd_per_hour, "")));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rehearsed" }, el("table", { class: "prospects" },
    el("thead", {}, el("tr", {}, ["Candidate", "p95", "Errors", "Objectives missed", "USD an hour"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rehearsal.prospects.map(row))));
}

/** Whether a rehearsal may be believed, in words. */
export const trust = (rehearsal) => (rehearsal.trusted ? "The twin is trusted." : `The twin is not trusted: ${rehearsal.distrust.join("; ")}.`);
