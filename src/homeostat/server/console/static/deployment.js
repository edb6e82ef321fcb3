// The page of one deployment: reads everything once, then follows the stream.

import { read } from "./api.js";
import { budgets, burning } from "./budgets.js";
import { Chart } from "./chart.js";
import { byId, swap, text } from "./dom.js";
import { HEALTH, actionName, familyName, scored, subjectName } from "./format.js";
import { ServerClock, follow } from "./live.js";
import * as panels from "./panels.js";
import { tested } from "./promised.js";
import { READ_ONLY, act, enter, say, showKill, showLink, start } from "./shell.js";
import { Store } from "./store.js";

const NAME = document.body.dataset.name;
const BASE = `/v1/deployments/${encodeURIComponent(NAME)}`;
const BOOKS_MS = 15000; // burn rates are worked out every few scrapes
const store = new Store();
const time = new ServerClock(Date.now() / 1000);
const spoken = new Map(); // incident id to what was said of it in this tab
let detail = null;
let chosen = null; // the decision on show; null follows the latest
let range = 300;

const gateway = (subject) => subject === "gateway";
const model = (subject) => subject === "model";
const replica = (subject) => subject.startsWith("replica:");
const objective = (name) => () => detail?.objective?.[name] ?? null;
const none = () => null;
const charts = [
  { signal: "latency_p95_ms", subject: gateway, wide: true, limit: objective("latency_p95_ms") },
  { signal: "arrival_rate", subject: gateway, limit: none },
  { signal: "probe_latency_ms", subject: replica, limit: none },
  { signal: "queue_length", subject: replica, limit: none },
  { signal: "memory_share", subject: replica, limit: none },
  { signal: "error_ratio", subject: gateway, limit: objective("error_ratio") },
  { signal: "prediction_shift", subject: model, limit: none },
  { signal: "accuracy", subject: model, limit: objective("accuracy"), zero: false },
].map((spec) => new Chart(spec, store));

function draw() {
  const now = store.at.length ? store.at[store.at.length - 1] : time.now();
  const marks = detail.decisions.filter((d) => d.choice !== "hold").map((d) => ({ id: d.id, at: d.at }));
  for (const chart of charts) {
    chart.range = range;
    chart.update(now, marks);
  }
}

function hero() {
  byId("tile").dataset.health = detail.health;
  text(byId("word"), HEALTH[detail.health]);
  text(byId("because"), panels.because(detail));
  swap(byId("numbers"), panels.numbers(detail));
  text(byId("score"), scored(detail.health_score));
  swap(byId("parts"), panels.parts(detail));
  age();
}

function age() {
  const seconds = detail.believed_at === null ? null : Math.max(0, time.now() - detail.believed_at);
  swap(byId("facts"), panels.facts(detail, seconds));
}

function questions() {
  const open = detail.decisions.filter((d) => d.pending && d.expires_at > time.now());
  byId("questions").hidden = open.length === 0;
  const list = byId("question-list");
  const ids = open.map((d) => d.id).join();
  if (list.dataset.ids !== ids) {
    list.dataset.ids = ids;
    list.replaceChildren(...open.map((d) => panels.question(d, time.now(), READ_ONLY, answer)));
  }
  for (const d of open) {
    const node = list.querySelector(`[data-id="${CSS.escape(d.id)}"] .expiry`);
    if (node) text(node, panels.expiry(d, time.now()));
  }
}

function history() {
  swap(byId("timeline"), panels.timeline(detail, shownDecision()?.id, choose, READ_ONLY ? null : confirmed, spoken));
  const d = shownDecision();
  const node = byId("decision");
  const action = detail.actions.find((a) => a.id === d?.id);
  const stamp = JSON.stringify([d, action]);
  if (d && node.dataset.stamp !== stamp) {
    node.dataset.stamp = stamp;
    swap(node, panels.decision(d, action, READ_ONLY, undo));
  }
}

function shownDecision() {
  return detail.decisions.find((d) => d.id === chosen) ?? detail.decisions[0];
}

function choose(id) {
  chosen = id === detail.decisions[0]?.id ? null : id;
  history();
}

function world() {
  swap(byId("replicas"), panels.replicas(detail));
  text(byId("levers"), panels.leverLine(detail.world, detail.world_failed_at));
}

function books() {
  byId("budgets").hidden = detail.budgets === null;
  if (detail.budgets === null) return;
  text(byId("burning"), burning(detail.budgets));
  swap(byId("budget-list"), budgets(detail.budgets));
}

function objectives() {
  byId("tested").hidden = !detail.promises.length;
  swap(byId("tested-list"), tested(detail.promises));
}

/** Books and tests move slowly and are no part of the stream: they are read anew now and then. */
async function reread() {
  try {
    const { budgets: found, promises } = await read(BASE);
    Object.assign(detail, { budgets: found, promises });
    books();
    objectives();
  } catch {
    // The link says that the server is away; the next reading finds it back.
  }
}

async function send(path, body, button, error, done) {
  text(error, "");
  button.disabled = true;
  try {
    await act(path, body);
    say(done);
  } catch (problem) {
    text(error, problem.message);
  } finally {
    button.disabled = false;
  }
}

function answer(d, verb, button, error) {
  const done = `${verb === "approve" ? "Approved" : "Rejected"}: ${actionName(d.action)}`;
  return send(`/v1/decisions/${encodeURIComponent(d.id)}/${verb}`, { deployment: NAME }, button, error, done);
}

/** Say what an incident was: detection learns from it, nothing else does. */
async function confirmed(i, real) {
  spoken.set(i.id, "Sending");
  history();
  try {
    await act(`${BASE}/confirm`, { incident: i.id, real });
    spoken.set(i.id, real ? "You said: it was real" : "You said: it was nothing");
    say(`${i.id}: heard`);
  } catch (problem) {
    spoken.set(i.id, problem.message);
    setTimeout(() => spoken.delete(i.id), 10000); // then it is asked again
  }
  history();
}

function undo(d, button, error) {
  return send(`/v1/decisions/${encodeURIComponent(d.id)}/undo`, { deployment: NAME }, button, error, `Undo of ${d.id} was asked for`);
}

/** Put a fact into a list by id, newest first. */
function upsert(list, fact, id = "id") {
  const at = list.findIndex((other) => other[id] === fact[id]);
  if (at >= 0) list[at] = fact;
  else list.unshift(fact);
  if (list.length > 200) list.pop();
  return at < 0;
}

const handlers = {
  link: showLink,
  reset: () => load().catch(() => {}),
  beat: (beat) => time.set(beat.at),
  kill: ({ level }) => showKill(level),
  tick(row) {
    Object.assign(detail, row);
    hero();
    questions();
  },
  points(points) {
    store.push(points);
    const last = new Map(points.points.map((p) => [`${p[0]}\n${p[1]}`, p]));
    for (const r of detail.readings) {
      const point = last.get(`${r.subject}\n${r.signal}`);
      if (point) Object.assign(r, { value: point[2], low: point[3], high: point[4], verdict: { h: "healthy", a: "anomalous", u: "unknown" }[point[5]] });
    }
    draw();
    world();
  },
  decision(d) {
    const fresh = upsert(detail.decisions, d);
    history();
    questions();
    if (fresh) {
      say(`Decision ${d.id}: ${d.choice === "ask" ? "may I " : ""}${actionName(d.action)}${d.choice === "ask" ? "?" : ""}`);
      flash(byId("decision-section").querySelector(".card"));
    }
  },
  action(a) {
    upsert(detail.actions, a);
    const d = detail.decisions.find((one) => one.id === a.id);
    if (d) {
      Object.assign(d, { state: a.state, undoable: a.undoable, outcome: a.outcome ?? d.outcome });
      d.pending = d.pending && ["proposed", "awaiting_approval"].includes(a.state);
    }
    detail.in_flight = a.terminal || ["proposed", "awaiting_approval"].includes(a.state) ? (detail.in_flight === a.id ? null : detail.in_flight) : a.id;
    text(byId("because"), panels.because(detail));
    history();
    questions();
  },
  outcome(o) {
    for (const list of [detail.decisions, detail.actions]) for (const one of list) if (one.id === o.action_id) one.outcome = o;
    say(`${o.action_id}: ${o.effect.replaceAll("_", " ")}`);
    history();
  },
  incident(i) {
    if (upsert(detail.incidents, i)) say(`Incident ${i.id}: ${familyName(i.family)}, ${subjectName(i.subject)}`);
    text(byId("because"), panels.because(detail));
    history();
  },
  notice(n) {
    upsert(detail.notices, n, "key");
    history();
  },
  config({ mode, frozen }) {
    Object.assign(detail, { mode, frozen });
    age();
  },
  world(w) {
    Object.assign(detail, { world: w.world, world_failed_at: w.world_failed_at });
    world();
  },
};

function flash(node) {
  node?.classList.remove("flash");
  void node?.offsetWidth;
  node?.classList.add("flash");
}

async function load() {
  const [body, series] = await Promise.all([read(BASE), read(`${BASE}/series?since_s=900`)]);
  detail = body;
  time.set(body.now);
  store.load(series);
  showKill(body.kill);
  hero();
  questions();
  history();
  world();
  books();
  objectives();
  draw();
  return body.cursor;
}

function setRange(seconds) {
  range = seconds;
  for (const button of document.querySelectorAll("[data-range]")) button.setAttribute("aria-pressed", String(Number(button.dataset.range) === seconds));
  if (detail) draw();
}

start({
  a: () => byId("question-list").querySelector("button")?.focus(),
  d: () => byId("decision-section").focus(),
  1: () => setRange(60),
  2: () => setRange(300),
  3: () => setRange(900),
});
for (const button of document.querySelectorAll("[data-range]")) button.addEventListener("click", () => setRange(Number(button.dataset.range)));
byId("charts").append(...charts.map((chart) => chart.node));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.restyle()));

async function begin() {
  try {
    const cursor = await load();
    follow(`deployment=${encodeURIComponent(NAME)}`, cursor, handlers);
    setInterval(age, 1000);
    setInterval(reread, BOOKS_MS);
  } catch (problem) {
    showLink("lost", 0);
    setTimeout(begin, (await enter(problem)) ? 0 : 2000);
  }
}
begin();
