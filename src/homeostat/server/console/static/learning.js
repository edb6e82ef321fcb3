// What learning said on a decision: every arm in bounds, who refused it, why one was played, and what came of it.

import { el } from "./dom.js";
import { interval } from "./foreseen.js";
import { labelName, number } from "./format.js";

const MODES = { shadow: "It was heard in shadow: it is written down, and the runbook decided.", on: "It chose, among what the guards permit.", off: "It was switched off." };
const HELD = { true: "held it", false: "missed it" };

const share = (value) => (value === null ? "not known" : `${number(value * 100)} %`);

function row(one, played) {
  const costs = Object.entries(one.extra).map(([cost, ends]) => el("li", {}, `${cost} ${interval(ends, "")}`));
  return el("tr", {}, el("th", { scope: "row" }, one.arm === played ? `${one.arm}, played` : one.arm),
    el("td", {}, `${labelName(one.action)}${one.fraction === null || one.fraction >= 1 ? "" : `, ${share(one.fraction)} of it`}`),
    el("td", {}, interval(one.gain, "")), el("td", {}, el("ul", { class: "why" }, costs)),
    el("td", {}, one.refused.length ? `refused: ${one.refused.join("; ")}` : share(one.chance)));
}

function came(said) {
  if (!said.came) return el("p", { class: "soft" }, "What came of it is not known yet.");
  const { intervals, held, because } = said.came;
  return el("p", {}, `${because}. The twin's interval ${HELD[held] ?? "could not be judged"}; it held ${intervals.held} of the last ${intervals.of} effects${intervals.drop ? ", too few: where learning is on, all but ways back ask a person" : ""}.`);
}

/** A card, null where nobody was heard. */
export function learning(decision) {
  const said = decision.learning;
  if (!said) return null;
  return el("section", { class: "card", "aria-label": "Learning" }, el("h3", {}, "Learning"),
    el("p", { class: "soft" }, MODES[said.mode] ?? said.mode),
    el("ul", { class: "why" }, said.because.map((line) => el("li", {}, line))),
    said.arms.length ? el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Arms" }, el("table", { class: "prospects" },
      el("thead", {}, el("tr", {}, ["Arm", "Would do", "Gain on the runbook's", "Might add to", "Chance"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, said.arms.map((one) => row(one, said.played))))) : null,
    came(said));
}
