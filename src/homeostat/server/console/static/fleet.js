// The fleet page: one row a deployment, updated in place.

import { read } from "./api.js";
import { byId, el, svg, swap, text } from "./dom.js";
import { HEALTH, actionName, partName, quantity, scored, span, words } from "./format.js";
import { ServerClock, follow } from "./live.js";
import { enter, say, showKill, showLink, start } from "./shell.js";

const URGENCY = ["asking", "breach", "healing", "incident", "unknown", "learning", "ok"];
const KINDS = "tick,config,decision,kill,reset";
const rows = new Map(); // name -> {data, node, old}; old: what is drawn is not what is known
const time = new ServerClock(Date.now() / 1000);
const SCREENFUL = 40; // rows drawn at once; the others follow
let sorted = null;

function ribbon(shares) {
  const known = shares.filter((s) => s !== null);
  const worst = known.length ? Math.max(...known) : 0;
  const words_ = !known.length ? "no data" : worst === 0 ? "none" : `at worst ${Math.round(worst * 100)} % of signals`;
  const rect = (i, height) => `M${i * 4} ${22 - height}h3v${height}h-3z`;
  const hot = shares.map((s, i) => (s ? rect(i, Math.max(3, Math.round(Math.sqrt(s) * 22))) : "")).join("");
  const blind = shares.map((s, i) => (s === null ? rect(i, 4) : "")).join("");
  return svg("svg", { class: "ribbon", viewBox: `0 0 ${shares.length * 4} 24`, preserveAspectRatio: "none", role: "img", "aria-label": `Anomalies: ${words_}` },
    svg("path", { class: "base", d: `M0 23h${shares.length * 4}` }), blind ? svg("path", { class: "blind", d: blind }) : null, hot ? svg("path", { class: "hot", d: hot }) : null);
}

function cells(row) {
  const found = new Map(row.numbers.map((n) => [n.signal, n]));
  const num = (label, signal) => {
    const n = found.get(signal);
    const mark = n?.verdict === "anomalous" ? "▲ " : n?.verdict === "unknown" ? "? " : "";
    return el("td", { role: "cell", class: "num", "data-label": label }, el("span", { class: "verdict", "data-verdict": mark ? n.verdict : null }, n ? mark + quantity(signal, n.value) : "–"));
  };
  const last = row.last_decision;
  const replicas = row.replicas_total === null ? "–" : `${row.replicas_ready} of ${row.replicas_total}`;
  return [
    el("th", { role: "rowheader", scope: "row", "data-label": "Deployment" }, el("a", { href: `/d/${encodeURIComponent(row.deployment)}` }, row.deployment)),
    el("td", { role: "cell", "data-label": "State" }, el("span", { class: "pill", "data-health": row.health }, el("span", { class: "mark", "aria-hidden": "true" }), HEALTH[row.health])),
    el("td", { role: "cell", class: "num wraps", "data-label": "Health", title: row.health_score?.parts.map(partName).join("\n") }, el("span", {}, row.health_score?.verdict === "unknown" ? "? " : "", scored(row.health_score))),
    num("p95", "latency_p95_ms"), num("Errors", "error_ratio"), num("Requests", "arrival_rate"),
    el("td", { role: "cell", class: "num", "data-label": "Replicas" }, el("span", {}, replicas)),
    el("td", { role: "cell", "data-label": "Anomalies" }, ribbon(row.ribbon ?? [])),
    el("td", { role: "cell", "data-label": "Decision" }, el("span", {}, last ? `${last.choice === "ask" ? "Asked: " : ""}${actionName(last)}` : "–", last ? el("span", { class: "sub" }, ` ${last.state ? words(last.state) : ""} ${span(time.now() - last.at)} ago`) : null)),
    el("td", { role: "cell", "data-label": "Mode" }, el("span", {}, row.frozen ? "frozen" : row.mode ?? "–")),
  ];
}

/** Take news of one deployment; off the screen only a change of its state is drawn at once. */
function show(row) {
  const known = rows.get(row.deployment);
  const entry = { data: known ? { ...known.data, ...row } : row, node: known?.node ?? newNode(row.deployment), old: true };
  rows.set(row.deployment, entry);
  if (known && (known.data.health !== entry.data.health || onScreen(entry.node))) draw(entry);
}

function draw(entry) {
  entry.old = false;
  swap(entry.node, cells(entry.data));
}

const idle = window.requestIdleCallback ?? ((work) => setTimeout(() => work({ timeRemaining: () => 0 }), 20));
let filling = false;

/** Draw the rest while nothing else is to be done: for whoever searches, scrolls or listens. */
function fill() {
  if (filling) return;
  filling = true;
  idle(function some(left) {
    const old = [...rows.values()].filter((entry) => entry.old);
    do {
      for (const entry of old.splice(0, 10)) draw(entry);
    } while (old.length && left.timeRemaining() > 4);
    filling = old.length > 0;
    if (filling) idle(some, { timeout: 200 });
  }, { timeout: 200 });
}

function newNode(name) {
  const node = el("tr", { role: "row" });
  node.addEventListener("contentvisibilityautostatechange", (event) => {
    const entry = rows.get(name);
    if (!event.skipped && entry.old) draw(entry);
  });
  return node;
}

/** Whether the browser lays out what is in a row; one that cannot tell draws them all. */
const onScreen = (node) => node.firstElementChild?.checkVisibility?.({ contentVisibilityAuto: true }) ?? true;

/** Order by urgency, then name; rows move only when some state changed. */
function order() {
  const list = [...rows.values()].sort((a, b) => URGENCY.indexOf(a.data.health) - URGENCY.indexOf(b.data.health) || a.data.deployment.localeCompare(b.data.deployment));
  const wanted = byId("filter").value.trim().toLowerCase();
  const visible = list.filter(({ data }) => data.deployment.includes(wanted) || HEALTH[data.health].toLowerCase().includes(wanted));
  const key = visible.map(({ data }) => data.deployment).join();
  if (key !== sorted) {
    sorted = key;
    for (const entry of visible.slice(0, SCREENFUL)) if (entry.old) draw(entry);
    byId("rows").replaceChildren(...visible.map(({ node }) => node));
    fill();
  }
  const counts = new Map();
  for (const { data } of list) counts.set(data.health, (counts.get(data.health) ?? 0) + 1);
  swap(byId("tally"), URGENCY.filter((h) => counts.has(h)).map((h) => el("li", { class: "chip pill", "data-health": h }, el("span", { class: "mark", "aria-hidden": "true" }), `${counts.get(h)} ${HEALTH[h].toLowerCase()}`)));
  byId("empty").hidden = rows.size > 0;
}

async function load() {
  const body = await read("/v1/deployments");
  time.set(body.now);
  showKill(body.kill);
  for (const row of body.deployments) show(row);
  order();
  fill();
  return body.cursor;
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    order();
  }, 200);
}

start({ "/": () => byId("filter").focus() });
byId("filter").addEventListener("input", () => order());

async function begin() {
  try {
    const cursor = await load();
    follow(`kinds=${KINDS}`, cursor, {
      link: showLink,
      reset: () => load().catch(() => {}),
      beat: (beat) => time.set(beat.at),
      kill: ({ level }) => showKill(level),
      tick(row) {
        show(row);
        soon();
      },
      config: ({ deployment, mode, frozen }) => rows.has(deployment) && show({ deployment, mode, frozen }),
      decision(d) {
        if (d.choice !== "hold") say(`${d.deployment}: ${d.choice === "ask" ? "may I " : ""}${actionName(d.action)}`);
      },
    });
    setInterval(() => load().catch(() => {}), 15000); // the ribbons
  } catch (problem) {
    showLink("lost", 0);
    setTimeout(begin, (await enter(problem)) ? 0 : 2000);
  }
}
begin();
