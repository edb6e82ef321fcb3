// The record: who did what, when, from where and why; and whether its hash chain is whole.

import { read } from "./api.js";
import { byId, el, swap, text } from "./dom.js";
import { enter, showKill, showLink, start } from "./shell.js";

const PAGE = 100;
let oldest = 0;
let shown = [];

const stamp = (at) => new Date(at * 1000).toLocaleString("en-GB");

function row(e) {
  const cell = (label, ...body) => el("td", { role: "cell", "data-label": label }, el("span", {}, ...body));
  return el("tr", { role: "row", "data-kind": e.kind },
    el("th", { role: "rowheader", scope: "row", class: "num", "data-label": "Entry", title: e.digest }, String(e.seq)),
    cell("When", stamp(e.at)), cell("Deployment", e.deployment || "–"),
    el("td", { role: "cell", class: "who", "data-label": "Who" }, el("span", {}, e.who, e.origin ? el("span", { class: "sub" }, ` from ${e.origin}`) : null)),
    cell("What", e.what), cell("Why", e.why || "–"));
}

function chain({ state, entries, head, problem }) {
  const words = { whole: `✓ The chain is whole: ${entries} entries, head ${head.slice(0, 12)}`, broken: `✕ The chain is broken: ${problem}`, unknown: `? ${problem}` };
  byId("chain").dataset.state = state;
  text(byId("chain"), words[state]);
}

async function load(before = 0) {
  const form = new FormData(byId("filters"));
  const query = new URLSearchParams({ limit: PAGE, before });
  for (const name of ["deployment", "kind", "words"]) if (form.get(name)) query.set(name, String(form.get(name)).trim());
  const body = await read(`/v1/audit?${query}`);
  chain(body.chain);
  shown = before ? [...shown, ...body.entries] : body.entries;
  oldest = shown.length ? shown[shown.length - 1].seq : 0;
  swap(byId("entries"), shown.length ? shown.map(row) : el("tr", { role: "row" }, el("td", { role: "cell", colspan: 6 }, "Nothing fits.")));
  byId("more").hidden = body.entries.length < PAGE;
}

start({ "/": () => byId("filters").elements.words.focus() });
let timer = null;
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => load().catch((problem) => text(byId("chain"), problem.message)), 250);
});
byId("more").addEventListener("click", () => load(oldest).catch((problem) => text(byId("chain"), problem.message)));

async function begin() {
  try {
    showKill((await read("/v1/health")).kill);
    await load();
    showLink("live", 0);
  } catch (problem) {
    showLink("lost", 0);
    setTimeout(begin, (await enter(problem)) ? 0 : 2000);
  }
}
begin();
