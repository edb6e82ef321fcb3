// The policies in force: who granted what, how each kind stands, limits, settings and every rule.

import { read } from "./api.js";
import { byId, el, swap } from "./dom.js";
import { clock, number, words } from "./format.js";
import { enter, showKill, showLink, start } from "./shell.js";

const kindName = (kind) => words(kind);

function ladder(rows, several) {
  if (!rows.length) return el("p", { class: "soft" }, "Nothing may run unasked: every action asks.");
  const heads = [several ? "Deployment" : null, "Action", "Now", "Helped", "Harm below", "Why"].filter(Boolean);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "How each kind stands" }, el("table", { class: "prospects" },
    el("thead", {}, el("tr", {}, heads.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, several ? el("td", {}, row.deployment) : null, el("td", {}, kindName(row.kind)), el("td", {}, row.unasked ? "● runs unasked" : "◆ asks"),
      el("td", {}, `${row.harmless} of ${row.needed}`), el("td", {}, `${number(row.harm_bound * 100)} %`), el("td", {}, row.because, row.harm_at ? ` (harm ${clock(row.harm_at)})` : ""))))));
}

function rule(one) {
  const kinds = one.kinds.length && one.kinds.length < 13 ? one.kinds.map(kindName).join(", ") : "every action";
  return el("details", {}, el("summary", {}, el("span", { class: "rule" }, one.id), el("b", {}, one.name), one.words ? `: ${one.words} ` : " ",
    el("span", { class: one.otherwise === "ask" ? "ask-word" : "deny-word" }, one.otherwise === "ask" ? "otherwise asks" : "otherwise refused")),
  el("p", { class: "soft" }, `Speaks for ${kinds}. ${one.exempt.length ? `Lifted for: ${one.exempt.join(", ")}.` : "Never lifted."}`), el("code", {}, one.require));
}

function settings(list) {
  return el("dl", { class: "pairs" }, list.map((one) => el("div", {}, el("dt", {}, words(one.name)), el("dd", { class: one.default ? null : "own" }, one.value === null ? "none" : String(one.value), one.default ? "" : " (own)"))));
}

const VERDICT = { proved: "✓ proved", refuted: "✕ refuted", unknown: "? not decided" };

function broken(one) {
  if (one.verdict !== "refuted") return null;
  return el("div", { class: "broken" }, el("h4", {}, `${one.name}: what breaks it${one.replayed ? ", confirmed by the real guards" : ""}`),
    one.picture ? el("img", { src: `data:image/svg+xml,${encodeURIComponent(one.picture)}`, alt: `${one.name}: replicas in rotation over time; the same in the steps below`, width: 640, height: 220 }) : null,
    one.steps.length ? el("ol", { class: "why" }, one.steps.map((step) => el("li", {}, step))) : null,
    one.outage ? el("p", { class: "soft" }, `The outage it allows: ${one.outage}`) : null);
}

/** What the policy promises in every state, and the picture of what breaks a promise. */
function proof(found) {
  if (!found) return el("p", { class: "soft" }, "Nobody proves policies here.");
  const sum = found.why ? `Not proved: ${found.why}. ${found.accepted_by ? `${found.accepted_by} answers for acting all the same.` : "Until it is, the deployment is a shadow, whatever its mode."}` : `Proved: ${found.promises.length} promises hold in every state of the guards.`;
  return [el("p", { class: found.why ? "changed" : "proved" }, sum),
    found.promises.filter((one) => one.verdict !== "proved").map((one) => [el("p", {}, `${VERDICT[one.verdict]}: ${one.name}. ${one.promise}${one.why ? ` (${one.why})` : ""}`), broken(one)]),
    found.promises.length ? el("details", {}, el("summary", {}, `Every promise (${found.promises.length})`), el("ul", { class: "promises" }, found.promises.map((one) => el("li", { "data-verdict": one.verdict }, el("b", {}, `${VERDICT[one.verdict]} ${one.name}`), one.promise ? ` ${one.promise}` : "")))) : null];
}

/** Deployments under one policy and one mode, as one section. */
function policy(group, stands) {
  const [p] = group;
  const names = group.map((one) => one.deployment);
  const limits = p.limits.map((l) => el("div", {}, el("dt", {}, l.lever), el("dd", {}, `${number(l.low)} to ${number(l.high)}, at most +${number(l.step_up * 100)} % or −${number(l.step_down * 100)} % at once`)));
  const own = p.settings.filter((one) => !one.default);
  return el("section", { class: "policy", "aria-label": `Policy of ${names.join(", ")}` },
    el("div", { class: "head" }, el("h2", {}, names.join(", ")), el("p", { class: "soft" }, `mode ${p.mode}; policy `, el("span", { class: "hash" }, p.digest.slice(0, 16)))),
    el("div", {}, el("h3", {}, `What runs without asking${p.granted_by ? `, granted by ${p.granted_by}` : ""}`), ladder(stands.filter((row) => names.includes(row.deployment)), names.length > 1)),
    el("div", {}, el("h3", {}, "What it promises"), proof(p.proof)),
    el("div", { class: "grid" }, el("div", {}, el("h3", {}, "Limits"), limits.length ? el("dl", { class: "pairs" }, limits) : el("p", { class: "soft" }, "None declared: no lever may be moved.")),
      el("div", {}, el("h3", {}, "Settings that differ from the defaults"), own.length ? settings(own) : el("p", { class: "soft" }, "None."))),
    el("details", {}, el("summary", {}, `Every setting (${p.settings.length})`), settings(p.settings)),
    p.rules.length ? el("div", { class: "rules" }, el("h3", {}, `Rules of its own (${p.rules.length})`), p.rules.map(rule)) : el("p", { class: "soft" }, "No rules of its own."));
}

function grouped(policies) {
  const groups = new Map();
  for (const p of policies) {
    const key = `${p.digest} ${p.mode}`;
    groups.set(key, [...(groups.get(key) ?? []), p]);
  }
  return [...groups.values()];
}

async function load() {
  const [all, stands, health] = await Promise.all([read("/v1/policies"), read("/v1/autonomy"), read("/v1/health")]);
  showKill(health.kill);
  showLink("live", 0);
  const always = el("section", { class: "policy", "aria-label": "Rules under every policy" },
    el("div", { class: "head" }, el("h2", {}, `Under every policy (${all.built_in.length} rules)`), el("p", { class: "soft" }, "What these promise in every state, and the steps that break a promise, is found with ", el("code", {}, "homeostat policy verify FILE --report page.html"), ".")),
    el("div", { class: "rules" }, all.built_in.map(rule)));
  swap(byId("policies"), all.policies.length ? grouped(all.policies).map((group) => policy(group, stands.autonomy)) : el("p", { class: "empty" }, "No deployment has a policy yet."), always);
}

start();

async function begin() {
  try {
    await load();
  } catch (problem) {
    showLink("lost", 0);
    setTimeout(begin, (await enter(problem)) ? 0 : 2000);
  }
}
begin();
