// The panels of a deployment's page: values in, elements out.

import { el } from "./dom.js";
import { actionName, bytes, clock, familyName, labelName, number, partName, quantity, shown, signalName, span, subjectName, unitOf, words } from "./format.js";

const EFFECT = { helped: ["✓", "ok", "Helped"], harmed: ["✕", "bad", "Harmed"], no_change: ["≈", "warn", "No change"], unknown: ["?", "unknown", "Effect not known"] };
const VERDICT = { healthy: "✓ as expected", anomalous: "▲ anomalous", unknown: "? not known" };

/** The big numbers. */
export function numbers(row) {
  const limits = { latency_p95_ms: ["at most", row.objective?.latency_p95_ms], error_ratio: ["at most", row.objective?.error_ratio], accuracy: ["at least", row.objective?.accuracy] };
  return row.numbers.filter((n) => n.signal !== "prediction_shift").map((n) => {
    const [word, limit] = limits[n.signal] ?? ["", null];
    const unit = unitOf(n.signal);
    const expected = n.low === null ? null : `expected ${number(shown(n.signal, n.low))} to ${number(shown(n.signal, n.high))}`;
    const promised = limit === null || limit === undefined ? null : `objective: ${word} ${quantity(n.signal, limit)}`;
    return el("div", { class: "number" },
      el("dt", {}, signalName(n.signal)),
      el("dd", { class: "value" }, number(shown(n.signal, n.value)), n.value === null || !unit ? null : el("small", {}, unit)),
      el("dd", { class: "verdict", "data-verdict": n.verdict }, VERDICT[n.verdict] + (n.verdict === "unknown" && n.quality !== "good" ? `: ${words(n.quality)}` : "")),
      el("dd", { class: "notes" }, [promised, expected].filter(Boolean).map((line) => el("p", {}, line))));
  });
}

/** One sentence that says what is going on. */
export function because(detail) {
  const flight = detail.actions.find((a) => a.id === detail.in_flight);
  if (flight) return `${actionName(flight.action)}: ${words(flight.state)}. ${flight.reason}`;
  const open = detail.incidents.find((i) => i.open);
  if (open) return `${familyName(open.family)} (${subjectName(open.subject)}): ${open.because.join("; ")}`;
  const suspect = detail.suspicions?.[0];
  if (suspect) return `${familyName(suspect.family)} (${subjectName(suspect.subject)}), not confirmed yet`;
  if (detail.health === "unknown") return "Nothing is judged, and nothing is changed, until data comes back.";
  if (detail.health === "learning") return "Baselines are being learnt; nothing is changed meanwhile.";
  return "Every objective is met and nothing is open.";
}

/** Small facts under the title. */
export function facts(row, dataAge) {
  const replicas = row.replicas_total === null ? "replicas not known" : `${row.replicas_ready} of ${row.replicas_total} replicas ready`;
  return [`mode ${row.mode ?? "not known"}`, row.frozen ? "frozen by policy" : null, replicas,
    dataAge === null ? "no data yet" : `data ${span(dataAge)} old`, row.slo_met === null ? "objective not known" : row.slo_met ? "objective met" : "objective missed"]
    .filter(Boolean).map((fact) => el("li", {}, fact));
}

/** What takes away from the health score, worst first; never silent about what is not known. */
export function parts(detail) {
  const score = detail.health_score;
  if (!score) return el("li", {}, "Nothing was looked at yet.");
  const found = score.parts.map((one) => el("li", {}, el("b", {}, `−${Math.round(100 * one.loss)} %`), ` ${partName(one)}`));
  return found.length ? found : el("li", {}, "Nothing takes anything away.");
}

export function levers(change) {
  return Object.entries(change).map(([name, value]) => `${name} = ${value}`).join(", ");
}

export function cost(action) {
  const value = action.cost_usd_per_hour;
  return !value ? "no extra cost" : `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(2)} USD/h`;
}

/** An open question. */
export function question(decision, now, readOnly, answer) {
  const error = el("p", { class: "error", role: "alert" });
  const button = (label, kind, verb) => {
    const node = el("button", { type: "button", class: kind, "data-key": `${verb}-${decision.id}`, "aria-label": `${label}: ${actionName(decision.action)}, ${decision.id}` }, label);
    node.addEventListener("click", () => answer(decision, verb, node, error));
    return node;
  };
  return el("article", { class: "question", "data-id": decision.id },
    el("div", {},
      el("h3", {}, `${actionName(decision.action)}?`),
      el("p", { class: "because" }, `${decision.because.join("; ")}.`),
      el("ul", { class: "facts" },
        [levers(decision.action.change), cost(decision.action), `undo: ${decision.action.undo}`, `touches ${decision.action.replicas_touched} replica(s)`, decision.id].map((fact) => el("li", {}, fact)),
        el("li", { class: "expiry" }, expiry(decision, now)))),
    el("div", { class: "answer" }, readOnly ? el("p", {}, "read-only") : [button("Reject", "quiet", "reject"), button("Approve", "", "approve")]),
    error);
}

export function expiry(decision, now) {
  return `expires in ${span(decision.expires_at - now)}, then nothing happens`;
}

/** Ask what an incident was; what was said in this tab stands in place of the question. */
function whatItWas(i, confirm, spoken) {
  if (!i.confirmed_at || !confirm) return null;
  const said = spoken.get(i.id);
  if (said) return el("p", { role: "status" }, said);
  const button = (real, label) => {
    const node = el("button", { type: "button", class: "quiet", "data-key": `said-${i.id}-${real}`, "aria-label": `${i.id}: ${label}` }, label);
    node.addEventListener("click", () => confirm(i, real));
    return node;
  };
  return el("p", { class: "buttons" }, "What was it?", button(true, "It was real"), button(false, "It was nothing"));
}

/** What happened, newest first. */
export function timeline(detail, chosen, choose, confirm = null, spoken = new Map()) {
  const entries = [];
  for (const i of detail.incidents) {
    entries.push({ at: i.opened_at, order: 0, glyph: "▲", tone: i.open ? "bad" : "", title: `${i.id} ${familyName(i.family)}: ${subjectName(i.subject)}`, lines: [i.because.join("; "), i.confirmed_at ? `confirmed after ${span(i.confirmed_at - i.opened_at)}` : "not confirmed", i.escalated ? "a person was told" : null], extra: whatItWas(i, confirm, spoken) });
    if (!i.open) entries.push({ at: i.closed_at, order: 1, glyph: "✓", tone: "ok", title: `${i.id} ${i.confirmed_at ? "closed" : "went away by itself"}`, lines: [`after ${span(i.closed_at - i.opened_at)}`] });
  }
  for (const d of detail.decisions) entries.push(decisionEntry(d, detail.actions.find((a) => a.id === d.id), chosen, choose));
  const decided = new Set(detail.decisions.map((d) => d.id));
  for (const n of detail.notices) {
    if (decided.has(n.key)) continue; // said in the decision itself
    entries.push({ at: n.at, order: 3, glyph: "✉", tone: n.urgency === "page" ? "bad" : "info", title: n.title, lines: n.lines });
  }
  entries.sort((a, b) => b.at - a.at || b.order - a.order);
  return entries.slice(0, 40).map((e) => el("li", { class: `${e.tone ? `tone-${e.tone}` : ""}${e.chosen ? " chosen" : ""}` },
    el("time", { datetime: new Date(e.at * 1000).toISOString() }, clock(e.at)),
    el("span", { class: "glyph", "aria-hidden": "true" }, e.glyph),
    el("div", {}, e.button ?? el("b", {}, e.title), e.lines.filter(Boolean).map((line) => el("p", {}, line)), e.extra)));
}

function decisionEntry(d, action, chosen, choose) {
  const button = el("button", { type: "button", "data-key": `t-${d.id}`, "aria-current": d.id === chosen ? "true" : null }, `${d.id} ${headline(d)}`);
  button.addEventListener("click", () => choose(d.id));
  const effect = d.outcome ? EFFECT[d.outcome.effect] : null;
  const line = effect ? `${effect[0]} ${effect[2]}${measured(d.outcome)}` : action ? `${words(action.state)}${action.reason ? `: ${action.reason}` : ""}` : d.because.join("; ");
  return { at: d.at, order: 2, glyph: "◆", tone: "brand", chosen: d.id === chosen, button, lines: [line] };
}

function headline(d) {
  const name = actionName(d.action);
  if (d.choice === "hold") return "Hold";
  if (d.mode === "shadow") return `Would: ${name}`;
  return d.choice === "ask" ? `Asked: ${name}` : name;
}

export function measured(outcome) {
  const pairs = Object.entries(outcome.before).filter(([name]) => name in outcome.after);
  return pairs.length ? `: ${pairs.map(([name, value]) => `${signalName(name)} ${quantity(name, value)} → ${quantity(name, outcome.after[name])}`).join(", ")}` : "";
}

function badge(d) {
  if (d.outcome) {
    const [glyph, tone, word] = EFFECT[d.outcome.effect];
    return el("span", { class: `badge tone-${tone}` }, `${glyph} ${word}`);
  }
  if (d.pending) return el("span", { class: "badge tone-warn" }, "◆ Waiting for you");
  if (d.answer) return el("span", { class: `badge tone-${d.answer.approved ? "ok" : "bad"}` }, `${d.answer.approved ? "✓ Approved" : "✕ Rejected"} by ${d.answer.by}`);
  return d.state ? el("span", { class: "badge tone-info" }, words(d.state)) : el("span", { class: "badge" }, d.choice);
}

export function refusal(r) {
  return el("li", {}, el("b", {}, labelName(r.action)), r.reasons.map((reason) => {
    const [, rule, rest] = /^(G\d{1,2})\b[:\s]*(.*)$/s.exec(reason) ?? [null, null, reason];
    return el("p", {}, rule ? el("span", { class: "rule" }, rule) : null, rest);
  }));
}

/** Everything about one decision. */
export function decision(d, action, readOnly, undo) {
  const block = (title, ...body) => el("div", {}, el("h4", {}, title), ...body);
  const error = el("p", { class: "error", role: "alert" });
  const undoButton = el("button", { type: "button", class: "quiet", "data-key": `undo-${d.id}` }, "Undo");
  undoButton.addEventListener("click", () => undo(d, undoButton, error));
  const pre = action?.intent?.pre ?? {};
  return el("article", { class: "card" },
    el("div", { class: "head" }, el("h3", {}, headline(d)), badge(d)),
    el("ul", { class: "facts" }, [`${d.id}, ${clock(d.at)}`, d.incident_id ? `answers ${d.incident_id}` : null, `mode ${d.mode}`].filter(Boolean).map((fact) => el("li", {}, fact))),
    action ? el("ol", { class: "steps", "aria-label": "Progress" }, action.steps.map((s) => el("li", {}, words(s.state), el("small", {}, ` +${span(s.at - action.proposed_at)}`)))) : null,
    el("div", { class: "grid" },
      block("Why", el("ul", { class: "why" }, d.because.map((line) => el("li", {}, line)))),
      d.action ? block("What it changes", el("ul", { class: "moved" },
        Object.entries(d.action.change).map(([name, value]) => el("li", {}, el("code", {}, `${name}: ${name in pre ? `${pre[name]} → ` : ""}${value}`))),
        el("li", {}, `undo: ${d.action.undo}; touches ${d.action.replicas_touched} replica(s); ${cost(d.action)}`))) : null,
      d.outcome ? block("What it did", el("p", {}, `${EFFECT[d.outcome.effect][2]}${measured(d.outcome)}`)) : null,
      block("Considered, best first", d.considered.length ? el("ol", { class: "ranked" }, d.considered.map((c) => el("li", {}, el("span", { class: d.action && c.action === `${d.action.kind} ${d.action.subject}` ? "picked" : null }, labelName(c.action)), el("span", { class: "score" }, number(c.score))))) : el("p", {}, "Nothing else."))),
    el("div", { class: "grid" },
      block(`Permitted (${d.allowed.length})`, el("ul", { class: "allowed" }, d.allowed.map((a) => el("li", {}, labelName(a))))),
      block(`Refused (${d.refused.length})`, d.refused.length ? el("ul", { class: "refused" }, d.refused.map(refusal)) : el("p", {}, "Nothing was refused."))),
    error,
    el("p", { class: "buttons" }, location.pathname.endsWith(`/${d.id}`) ? null : el("a", { href: `/d/${encodeURIComponent(d.deployment)}/${encodeURIComponent(d.id)}` }, "Explained"), document.body.dataset.closed === "yes" ? null : el("a", { href: `/v1/decisions/${encodeURIComponent(d.id)}?deployment=${encodeURIComponent(d.deployment)}` }, "As JSON"), d.undoable && !readOnly ? undoButton : null));
}

/** The replicas' rows. */
export function replicas(detail) {
  const readings = new Map(detail.readings.map((r) => [`${r.subject}\n${r.signal}`, r]));
  if (!detail.world) return [el("tr", { role: "row" }, el("td", { role: "cell", colspan: 7 }, "The deployment has not been read back yet."))];
  const value = (name, signal) => {
    const r = readings.get(`replica:${name}\n${signal}`);
    if (!r) return "–";
    const mark = r.verdict === "anomalous" ? "▲ " : r.verdict === "unknown" ? "? " : "";
    return el("span", { class: "verdict", "data-verdict": r.verdict === "healthy" ? null : r.verdict }, mark + quantity(signal, r.value));
  };
  const cell = (label, ...body) => el("td", { role: "cell", "data-label": label }, el("span", {}, ...body));
  const numeric = (label, ...body) => el("td", { role: "cell", class: "num", "data-label": label }, el("span", {}, ...body));
  return detail.world.replicas.map((r) => el("tr", { role: "row" },
    el("th", { role: "rowheader", scope: "row", "data-label": "Slot" }, el("span", {}, r.name)),
    cell("State", `${{ ready: "● ready", starting: "◌ starting", draining: "◐ draining", gone: "✕ gone" }[r.state]}`, r.incarnation > 1 ? el("span", { class: "sub" }, ` process ${r.incarnation}`) : null),
    cell("Version", r.version ?? "not known"),
    cell("Memory", r.memory_bytes !== null && r.memory_limit_bytes ? el("span", { class: "meter" }, el("progress", { max: r.memory_limit_bytes, value: r.memory_bytes, "aria-label": `Memory of ${r.name}` }), el("span", {}, `${bytes(r.memory_bytes)} of ${bytes(r.memory_limit_bytes)}`)) : bytes(r.memory_bytes)),
    numeric("Probe", value(r.name, "probe_latency_ms")),
    numeric("Device time", value(r.name, "device_time_ms")),
    numeric("Queue", value(r.name, "queue_length"))));
}

/** The levers in one line. */
export function leverLine(world, failedAt) {
  if (!world) return "";
  return `${levers(world.levers)}; ${world.spares} spare${world.spares === 1 ? "" : "s"}${world.changing ? "; changing now" : ""}${failedAt ? `; could not be read at ${clock(failedAt)}` : ""}`;
}


