// One decision, explained: what was known, what was possible, what was refused and why, what came of it.

import { read } from "./api.js";
import { byId, el, swap } from "./dom.js";
import { prospectOf, prospects, ranges, trust, undoPlan } from "./foreseen.js";
import { actionName, clock, familyName, number, partName, quantity, scored, signalName, span, subjectName } from "./format.js";
import { learning } from "./learning.js";
import { decision as card } from "./panels.js";
import { tested } from "./promised.js";
import { READ_ONLY, act, enter, say, showKill, showLink, start } from "./shell.js";

const NAME = document.body.dataset.name;
const ID = byId("explanation").dataset.decision;
const block = (title, ...body) => el("div", {}, el("h4", {}, title), ...body);
const VERDICT = { healthy: "as expected", anomalous: "▲ anomalous", unknown: "? not known" };

function numbers(then) {
  return el("ul", { class: "why" }, then.numbers.map((n) => el("li", {}, `${signalName(n.signal)} ${quantity(n.signal, n.value)}, ${VERDICT[n.verdict]}${n.low === null ? "" : `, expected ${quantity(n.signal, n.low)} to ${quantity(n.signal, n.high)}`}`)));
}

function ahead(one) {
  const chances = one.chances.map((chance, i) => `${chance === null ? "not known" : `${Math.round(chance * 100)} %`} within ${span(one.horizons_s[i])}`);
  return `${signalName(one.signal)} (${subjectName(one.subject)})${one.limit === null ? "" : ` beyond ${quantity(one.signal, one.limit)}`}: ${chances.join(", ")}`;
}

function known(then) {
  if (!then) return el("section", { class: "card" }, el("h3", {}, "What was known"), el("p", { class: "soft" }, "No longer at hand: it is kept of the newest decisions. The journal has it: homeostat replay."));
  const outlook = then.forecasts.filter((f) => f.chances.length);
  return el("section", { class: "card", "aria-label": "What was known" },
    el("div", { class: "head" }, el("h3", {}, "What was known"), el("span", { class: "badge" }, `at ${clock(then.at)}`)),
    el("div", { class: "grid" },
      block("Health score then", el("p", {}, scored(then.health_score)), el("ul", { class: "why" }, then.health_parts.map((one) => el("li", {}, partName(one))))),
      block("Signals", then.numbers.length ? numbers(then) : el("p", { class: "soft" }, "None.")),
      block("Suspected", then.suspicions.length ? el("ul", { class: "why" }, then.suspicions.map((s) => el("li", {}, `${familyName(s.family)} (${subjectName(s.subject)}), ${number(s.confidence)}: ${s.because.join("; ")}`))) : el("p", { class: "soft" }, "Nothing.")),
      block("Objectives tested", tested(then.promises)),
      block("Ahead, if nobody acted", outlook.length ? el("ul", { class: "why" }, outlook.map((one) => el("li", {}, ahead(one)))) : el("p", { class: "soft" }, "Nothing was forecast."))));
}

function rehearsed(d, limit) {
  if (!d.rehearsal) return el("section", { class: "card" }, el("h3", {}, "Rehearsed"), el("p", { class: "soft" }, "It was not rehearsed: this deployment has no twin, or its answer did not come."));
  const prospect = prospectOf(d);
  return el("section", { class: "card", "aria-label": "Rehearsed" }, el("h3", {}, "Rehearsed"),
    el("p", { class: "soft" }, `${span(d.rehearsal.horizon_s)} ahead in ${d.rehearsal.draws} draws. ${trust(d.rehearsal)}`),
    prospect ? ranges(prospect, limit) : null, prospects(d.rehearsal));
}

function bindings(d) {
  if (!d.action && d.choice !== "ask") return null;
  const said = d.answer ? `${d.answer.approved ? "Approved" : "Rejected"} by ${d.answer.by}${d.answer.why ? `: ${d.answer.why}` : ""}, ${clock(d.answer.at)}` : d.choice === "ask" ? "Nobody has answered." : "Nobody was asked: the kind runs unasked.";
  return el("section", { class: "card", "aria-label": "Who and how back" }, el("h3", {}, "Who said so, and the way back"),
    el("p", {}, said), el("p", { class: "soft" }, `Undo: ${undoPlan(d.action)}.`), el("p", { class: "hash" }, `Policy ${d.policy_digest}`));
}

async function undo(d, button, error) {
  button.disabled = true;
  try {
    await act(`/v1/decisions/${encodeURIComponent(d.id)}/undo`, { deployment: NAME });
    say(`Undo of ${d.id} was asked for`);
  } catch (problem) {
    error.textContent = problem.message;
  } finally {
    button.disabled = false;
  }
}

async function load() {
  const [d, all] = await Promise.all([read(`/v1/decisions/${encodeURIComponent(ID)}?deployment=${encodeURIComponent(NAME)}`), read(`/v1/deployments/${encodeURIComponent(NAME)}?recent=500`)]);
  showKill(all.kill);
  showLink("live", 0);
  const action = all.actions.find((a) => a.id === d.id);
  swap(byId("explanation"), el("h1", {}, `${d.id}: ${d.choice === "hold" ? "hold" : actionName(d.action)}`),
    d.pending ? el("p", {}, el("a", { href: "/approvals" }, "It waits for an answer.")) : null,
    known(d.then), card(d, action, READ_ONLY, undo), rehearsed(d, all.objective?.latency_p95_ms ?? null), learning(d), bindings(d));
}

start();

async function begin() {
  try {
    await load();
  } catch (problem) {
    if (problem.status === 404) {
      swap(byId("explanation"), el("h1", {}, `${ID} of ${NAME}`), el("p", { class: "error" }, problem.message));
      showLink("live", 0);
      return;
    }
    showLink("lost", 0);
    setTimeout(begin, (await enter(problem)) ? 0 : 2000);
  }
}
begin();
