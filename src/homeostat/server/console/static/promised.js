// Tests of objectives that may be looked at at any time: what speaks against each, since when, and where its level lies.

import { el } from "./dom.js";
import { clock, number, quantity, signalName, subjectName } from "./format.js";

const SAID = { true: ["▲", "bad", "broken"], false: ["✓", "ok", "not shown to be broken"], null: ["?", "unknown", "not counted now"] };
const percent = (share) => `${number(100 * share)} %`;
/** Ten to this, in words: "40", or "10^6.2" where nobody counts noughts. */
const evidence = (log10) => (log10 < 3 ? number(10 ** log10) : `10^${log10.toFixed(1)}`);

function line(one) {
  const [glyph, tone, word] = SAID[one.broken];
  const against = one.since === null ? "nothing speaks against it" : `evidence against it ${evidence(one.log10_e)} to 1, since ${clock(one.since)}`;
  const level = one.share_tests ? `; of a tick ${percent(one.share_low)} to ${percent(one.share_high)} break it (95 %, over ${one.share_tests} ticks)` : "";
  return el("li", { "data-objective": one.signal }, el("span", { class: `badge tone-${tone}` }, `${glyph} ${word}`),
    ` ${signalName(one.signal)} (${subjectName(one.subject)}), ${quantity(one.signal, one.limit)} promised: ${against}${level}`);
}

/** One line for each objective, or why there is none. */
export function tested(promises) {
  if (!promises.length) return el("p", { class: "soft" }, "Nothing is counted: no error budget is declared.");
  return el("ul", { class: "why" }, promises.map(line));
}
