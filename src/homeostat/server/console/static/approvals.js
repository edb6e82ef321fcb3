// The approvals page: every open question with all that a person needs to say yes or no.

import { read } from "./api.js";
import { byId, el, swap, text } from "./dom.js";
import { prospectOf, ranges, trust, undoPlan } from "./foreseen.js";
import { actionName, clock, labelName, span } from "./format.js";
import { ServerClock, follow } from "./live.js";
import { cost, levers, refusal } from "./panels.js";
import { READ_ONLY, act, enter, say, showKill, showLink, start } from "./shell.js";

const time = new ServerClock(Date.now() / 1000);
const cards = new Map(); // "deployment id" -> {decision, node, body}
const objectives = new Map(); // deployment -> promised p95

const key = (d) => `${d.deployment} ${d.id}`;
const block = (title, ...body) => el("div", {}, el("h4", {}, title), ...body);

function effect(d) {
  const prospect = prospectOf(d);
  if (!prospect) return el("p", { class: "soft" }, "Not rehearsed: this deployment has no twin, or its answer did not come.");
  return [ranges(prospect, objectives.get(d.deployment)), el("p", { class: "soft" }, trust(d.rehearsal))];
}

function others(d) {
  const own = `${d.action.kind} ${d.action.subject}`;
  return d.considered.filter((c) => c.action !== own).map((c) => el("li", {}, labelName(c.action)));
}

/** What is asked, and what it rests on. */
function body(d) {
  const q = d.question;
  const seen = q ? el("dl", { class: "seen" }, q.seen.map((one) => el("div", {}, el("dt", {}, one.name), el("dd", {}, one.words)))) : el("p", { class: "soft" }, "The loop is not at hand.");
  const agreed = q?.agreed.length ? `${q.agreed.join(", ")} agreed; ${q.needed - q.agreed.length} more must.` : q?.needed > 1 ? "Two people must agree: it cannot be taken back." : null;
  return [
    el("div", { class: "head" }, el("h2", {}, `${actionName(d.action)}?`), el("a", { href: `/d/${encodeURIComponent(d.deployment)}/${d.id}` }, `${d.deployment}, ${d.id}`), el("span", { class: "due" })),
    q?.changed.length ? el("p", { class: "changed" }, `Not so any more: ${q.changed.join("; ")}. A yes to this is refused, and it is asked again if it is still wanted.`) : null,
    el("div", { class: "grid" },
      block("Why", el("ul", { class: "why" }, d.because.map((line) => el("li", {}, line)))),
      block("What it changes", el("p", {}, levers(d.action.change)), el("p", { class: "soft" }, `${cost(d.action)}; touches ${d.action.replicas_touched} replica(s)`)),
      block("Undo", el("p", {}, undoPlan(d.action)))),
    el("div", { class: "grid" },
      block("Expected effect", effect(d)),
      block("Passed over", others(d).length ? el("ul", { class: "why" }, others(d)) : el("p", { class: "soft" }, "Nothing else was considered.")),
      block(`Refused (${d.refused.length})`, d.refused.length ? el("details", {}, el("summary", {}, "Each with its reasons"), el("ul", { class: "refused" }, d.refused.map(refusal))) : el("p", { class: "soft" }, "Nothing was refused."))),
    block("What the question rests on", seen),
    q ? el("p", { class: "hash" }, `A yes is bound to action ${q.action_hash.slice(0, 12)} and evidence ${q.evidence_hash.slice(0, 12)}${q.requested_by ? `; ${q.requested_by} asked for it, so somebody else must approve` : ""}`) : null,
    agreed ? el("p", { class: "changed" }, agreed) : null,
  ];
}

/** The part that people type into: made once, so that no news takes their words away. */
function answers(d) {
  const error = el("p", { class: "error", role: "alert" });
  const note = el("p", { class: "soft", role: "status" });
  const why = el("textarea", { rows: "2", maxlength: "500", name: "why" });
  const button = (label, kind, verb) => {
    const node = el("button", { type: "button", class: kind, "data-key": `${verb}-${d.id}`, "aria-label": `${label}: ${actionName(d.action)} of ${d.deployment}, ${d.id}` }, label);
    node.addEventListener("click", () => send(verb, why.value.trim(), [node, error, note], d));
    return node;
  };
  if (READ_ONLY) return el("p", { class: "soft" }, "This server is read-only.");
  return el("div", { class: "ask" }, el("label", { class: "field" }, el("span", {}, "Why, for the record (needed to reject)"), why),
    el("div", { class: "buttons" }, button("Reject", "quiet", "reject"), button("Approve", "", "approve")), error, note);
}

async function send(verb, why, [button, error, note], d) {
  text(error, "");
  if (verb === "reject" && !why) {
    text(error, "Say why: whoever reads the record wants to know, and so does the runbook");
    return;
  }
  const q = cards.get(key(d))?.decision.question;
  const bound = verb === "approve" && q ? { action_hash: q.action_hash, evidence_hash: q.evidence_hash } : {};
  button.disabled = true;
  try {
    const done = await act(`/v1/decisions/${encodeURIComponent(d.id)}/${verb}`, { deployment: d.deployment, why, ...bound });
    text(note, done.note);
    say(`${verb === "approve" ? "Approved" : "Rejected"}: ${actionName(d.action)}`);
  } catch (problem) {
    text(error, problem.message);
  } finally {
    button.disabled = false;
    load().catch(() => {});
  }
}

function show(rows) {
  const open = new Set(rows.map(key));
  for (const [name, card] of cards) {
    if (open.has(name)) continue;
    card.node.remove();
    cards.delete(name);
  }
  for (const d of rows) {
    let card = cards.get(key(d));
    if (!card) {
      card = { body: el("div", { class: "card-body" }) };
      card.node = el("article", { class: "card", "data-id": d.id, "aria-label": `${actionName(d.action)} of ${d.deployment}?` }, card.body, answers(d));
      cards.set(key(d), card);
      byId("cards").append(card.node);
    }
    card.decision = d;
    swap(card.body, body(d));
  }
  text(byId("count"), rows.length === 0 ? "Nothing waits for an answer." : rows.length === 1 ? "One question waits for an answer." : `${rows.length} questions wait for an answer.`);
  age();
}

function age() {
  for (const { decision, node } of cards.values()) {
    const left = decision.expires_at === null ? null : decision.expires_at - time.now();
    const due = node.querySelector(".due");
    text(due, left === null ? "" : left > 0 ? `expires in ${span(left)}, then nothing happens` : "expired: nothing happens");
    due.dataset.soon = left !== null && left < 60 ? "yes" : "no";
  }
}

async function load() {
  const [open, fleet, past] = await Promise.all([read("/v1/decisions?pending=true"), read("/v1/deployments"), read("/v1/audit?kind=person&limit=8")]);
  time.set(fleet.now);
  showKill(fleet.kill);
  for (const row of fleet.deployments) objectives.set(row.deployment, row.objective?.latency_p95_ms ?? null);
  show(open.decisions.filter((d) => d.action));
  swap(byId("settled"), past.entries.length ? past.entries.map((e) => el("li", {}, el("b", {}, e.who), ` ${e.what} (${e.deployment}), ${clock(e.at)}${e.why ? `: ${e.why}` : ""}`)) : el("li", { class: "soft" }, "Nothing yet."));
  return fleet.cursor;
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    load().catch(() => {});
  }, 250);
}

start({ a: () => byId("cards").querySelector("textarea, button")?.focus() });

async function begin() {
  try {
    const cursor = await load();
    follow("kinds=decision,action,kill,reset", cursor, { link: showLink, reset: soon, decision: soon, action: soon, beat: (beat) => time.set(beat.at), kill: ({ level }) => showKill(level) });
    setInterval(age, 1000);
    setInterval(soon, 5000); // what a question rests on changes with the ticks
  } catch (problem) {
    showLink("lost", 0);
    setTimeout(begin, (await enter(problem)) ? 0 : 2000);
  }
}
begin();
