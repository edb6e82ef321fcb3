// Error budgets, how fast they burn, and money: the API's `budgets` in, elements out. What is not known is said so.

import { el } from "./dom.js";
import { number, signalName, span } from "./format.js";

/** 0.999 -> "99.9 %": a target keeps all of its digits. */
const exact = (share) => `${Number((100 * share).toFixed(4))} %`;
const percent = (share) => (share === null ? "not known" : `${number(100 * share)} %`);
// A ten-thousandth less than nothing is nothing: no "-0.00".
const amount = (value, currency) => (value === null ? "not known" : `${value.toFixed(2).replace(/^-(0\.00)$/, "$1")} ${currency}`);

/** A window without its zeros: 3600 -> "1 h", 300 -> "5 min", 21600 -> "6 h". */
const long = (seconds) => (seconds % 86400 === 0 ? `${seconds / 86400} d` : seconds % 3600 === 0 ? `${seconds / 3600} h` : seconds % 60 === 0 ? `${seconds / 60} min` : span(seconds));

const STATE = { true: ["▲", "bad", "on"], false: ["✓", "ok", "off"], null: ["?", "unknown", "not known"] };

function left(one) {
  if (one.left === null) return "not known: nothing was seen";
  const rest = one.left < 0 ? `overspent by ${percent(-one.left)}` : `${percent(one.left)} left`;
  const sure = one.left_low === null || one.left_high === null || one.left_high - one.left_low < 0.005;
  return sure ? rest : `${rest} (${percent(one.left_low)} to ${percent(one.left_high)} left, by what was not seen)`;
}

function rate(one) {
  const [glyph, tone, word] = STATE[one.on];
  const pair = `${long(one.long_s)} and ${long(one.short_s)}`;
  const seen = [one.long, one.short].map((value) => (value === null ? "not known" : `${number(value)}×`)).join(" and ");
  return el("li", {}, el("span", { class: `badge tone-${tone}` }, `${glyph} ${number(one.factor)}× ${word}`), ` over ${pair}: ${seen}${one.page ? "; calls a person" : ""}`);
}

function promise(one) {
  const rest = Math.min(1, Math.max(0, one.left ?? 0));
  return el("article", { class: "card", "data-promise": one.name },
    el("div", { class: "head" }, el("h3", {}, one.name), el("span", { class: "left" }, left(one))),
    one.left === null ? null : el("progress", { class: "budget", max: 1, value: rest, "aria-label": `Error budget of ${one.name} that is left` }),
    el("ul", { class: "facts" },
      [`${signalName(one.signal)}: ${exact(one.target)} good over ${long(one.window_s)}`, `${number(one.good)} good, ${number(one.bad)} bad`,
        `counted for ${span(one.watched_s)}, ${percent(one.seen)} of it seen`, one.method === "timeslices" ? "slices of time, not requests" : null].filter(Boolean).map((fact) => el("li", {}, fact))),
    el("ul", { class: "burn", "aria-label": `How fast the budget of ${one.name} burns` }, one.rates.map(rate)));
}

function tile(name, value, notes) {
  return el("div", { class: "number" }, el("dt", {}, name), el("dd", { class: "value" }, value), el("dd", { class: "notes" }, notes.filter(Boolean).map((line) => el("p", {}, line))));
}

function money(m) {
  const of = (budget) => (budget === null ? "no budget" : `budget: ${amount(budget, m.currency)}`);
  const ahead = (value) => `by its end, if what runs goes on: ${amount(value, m.currency)}`;
  const guess = (value) => (value > 0 ? `of it assumed, from before counting began: ${amount(value, m.currency)}` : null);
  const s = m.savings;
  return el("dl", { class: "numbers", "data-money": m.currency },
    tile("An hour, as it runs now", amount(m.per_hour, m.currency), []),
    tile("Today so far (UTC)", amount(m.day, m.currency), [guess(m.day_assumed), ahead(m.day_projected), of(m.day_budget)]),
    tile("This month so far (UTC)", amount(m.month, m.currency), [guess(m.month_assumed), ahead(m.month_projected), of(m.month_budget)]),
    s === null ? null : tile(`Saved in ${s.days} day${s.days === 1 ? "" : "s"}`, amount(s.saved, m.currency), [`${amount(s.spent, m.currency)} spent, ${amount(s.reference, m.currency)} for comparison`, s.assumption, s.assumed_s > 0 ? `${span(s.assumed_s)} were not seen and are charged as before` : null]));
}

/** One sentence: is anything burning? */
export function burning(found) {
  if (!found.promises.length) return "No promise is declared.";
  if (found.burning === null) return "Whether a budget burns is not known yet: too little was seen.";
  if (found.burning) return "A budget burns so fast that a person is called. Nothing shrinks, and no new version gets traffic.";
  return found.firing.length ? `A budget burns faster than it may: ${found.firing.join(", ")}.` : "No budget burns faster than it may.";
}

/** All of it. */
export function budgets(found) {
  return [found.promises.length ? el("div", { class: "cards" }, found.promises.map(promise)) : null, found.money ? money(found.money) : null];
}
