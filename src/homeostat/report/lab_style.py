"""The style sheet of the lab's pages and pictures: the console's colours, light and dark."""

from typing import Final

COLOURS: Final = """
:root { color-scheme: light dark;
  --bg: #f3f4f1; --card: #fff; --ink: #171c1e; --soft: #535c61; --line: #d9dcd6; --hair: #e8eae5;
  --brand: #0b5f5a; --focus: #0a63c9; --ok: #17653d; --ok-bg: #e4f2e9; --bad: #a8201a;
  --bad-bg: #fce8e6; --warn: #7d4b00; --warn-bg: #fdf0d9; --unknown: #544d6b; --grid: #e3e6e0;
  --h1: #fdf3e1; --h2: #fbe0c2; --h3: #f8c8ae; --h4: #f2ab9a; --h0: #eaf4ee;
  --c0: #0b6e68; --c1: #171c1e; --c2: #66707a; --c3: #b4500a; --c4: #1a569c; --c5: #5647ad;
  --c6: #43700f; --c7: #a32368; --c8: #a8201a; --c9: #7a5512; --shade: #f9e9e6; --area: #dfe4e1; }
@media (prefers-color-scheme: dark) { :root {
  --bg: #0f1315; --card: #171c1f; --ink: #e8ecea; --soft: #a4aeb1; --line: #2d3539;
  --hair: #232a2d; --brand: #63c7be; --focus: #8fc0ff; --ok: #74d29c; --ok-bg: #12301f;
  --bad: #ff958b; --bad-bg: #3d1512; --warn: #f2bb62; --warn-bg: #352406; --unknown: #c0b6da;
  --grid: #252c30; --h1: #33290f; --h2: #46300f; --h3: #562c16; --h4: #6a241d; --h0: #12281c;
  --c0: #63c7be; --c1: #e8ecea; --c2: #98a3ab; --c3: #f0995a; --c4: #8dbcf5; --c5: #a99cf5;
  --c6: #a5cf6a; --c7: #f08fc0; --c8: #ff958b; --c9: #d5b276; --shade: #311d1d;
  --area: #2a3236; } }
"""

CHARTS: Final = (
    "\n".join(f".c{i} {{ --c: var(--c{i}); }}" for i in range(10))
    + """
.chart { display: block; width: 100%; height: auto; overflow: visible; }
.chart text { font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--soft); }
.chart .axis { fill: var(--ink); font-weight: 600; }
.chart .name { fill: var(--c); font-weight: 600; paint-order: stroke; stroke: var(--card);
  stroke-width: 4px; }
.grid { stroke: var(--grid); stroke-width: 1; }
.tick { stroke: var(--soft); stroke-width: 1; }
.line { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; }
.strong .line { stroke-width: 3.4; }
.dot { fill: var(--c); stroke: var(--card); stroke-width: 1; }
.whisker { stroke: var(--c); stroke-width: 1.5; opacity: .55; }
.is-demand { fill: var(--area); stroke: none; }
.is-good { fill: none; stroke: var(--c0); stroke-width: 1.8; }
.is-capacity { fill: none; stroke: var(--c3); stroke-width: 1.4; stroke-dasharray: 5 3; }
.is-latency, .is-quality, .is-spend { fill: none; stroke: var(--c5); stroke-width: 1.6; }
.is-ready { fill: none; stroke: var(--c0); stroke-width: 1.8; }
.is-held { fill: none; stroke: var(--c2); stroke-width: 1.4; stroke-dasharray: 5 3; }
.is-slice { fill: none; stroke: var(--c9); stroke-width: 1.4; stroke-dasharray: 2 3; }
.limit { stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 2 3; }
.fault { fill: var(--shade); }
.mark .when { stroke: var(--c); stroke-width: 1; opacity: .35; }
.mark.action { --c: var(--c4); } .mark.person { --c: var(--c7); } .mark.code { --c: var(--bad); }
"""
)

PAGE: Final = """
*, *::before, *::after { box-sizing: border-box; }
html { font: 100%/1.5 "Inter", "Segoe UI", system-ui, -apple-system, "DejaVu Sans", sans-serif;
  -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--bg); color: var(--ink); font-size: .9375rem;
  font-variant-numeric: tabular-nums; }
h1, h2, h3, p, ul, dl, dd, figure { margin: 0; padding: 0; }
ul { list-style: none; }
h1 { font-size: clamp(1.6rem, 4vw, 2.25rem); line-height: 1.15; letter-spacing: -.03em; }
h2 { font-size: 1.25rem; letter-spacing: -.02em; }
h3 { font-size: 1rem; color: var(--ink); }
a { color: var(--brand); text-underline-offset: .2em; }
code { font-family: ui-monospace, "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace;
  font-size: .875em; overflow-wrap: anywhere; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
.top, main { max-width: 84rem; margin: 0 auto; padding: 0 clamp(.9rem, 3vw, 2rem); }
.top { padding-top: clamp(1.25rem, 4vw, 2.5rem); display: grid; gap: .9rem; }
.lead { color: var(--soft); max-width: 70ch; }
.facts { display: flex; flex-wrap: wrap; gap: .35rem; }
.facts li { border: 1px solid var(--line); border-radius: 99px; background: var(--card);
  padding: .1rem .65rem; font-size: .8125rem; overflow-wrap: anywhere; }
.facts b { font-weight: 600; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .875rem; }
main { display: grid; grid-template-columns: minmax(0, 1fr);
  gap: clamp(2rem, 4vw, 3rem); padding-block: clamp(1.5rem, 3vw, 2.5rem) 4rem; }
main > section { display: grid; grid-template-columns: minmax(0, 1fr); gap: .9rem;
  scroll-margin-top: 1rem; }
section > p, figcaption, .note { color: var(--soft); max-width: 78ch; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 1rem 1.1rem; min-width: 0; }
.two { display: grid; gap: 1.25rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; }
caption { text-align: left; padding: .8rem .9rem .3rem; font-weight: 650; position: sticky;
  left: 0; }
caption small { display: block; font-weight: 400; color: var(--soft);
  max-width: min(62ch, calc(100vw - 4rem)); }
th, td { padding: .45rem .9rem; text-align: left; border-top: 1px solid var(--hair);
  vertical-align: top; }
thead th { color: var(--soft); font-weight: 500; font-size: .8125rem; vertical-align: bottom;
  border-top: 0; }
thead th small { display: block; white-space: nowrap; }
tbody th { font-weight: 650; position: sticky; left: 0; background: var(--card); z-index: 1; }
.heat tbody th { max-width: 20rem; }
tbody th small { display: block; font-weight: 400; color: var(--soft); font-size: .8125rem; }
td small { display: block; color: var(--soft); font-size: .8125rem; white-space: nowrap; }
.num { white-space: nowrap; }
.num b { font-weight: 700; }
.clear b { color: var(--ok); }
.clear b::after { content: " \\2713"; }
.of { white-space: nowrap; display: inline-flex;
  align-items: center; gap: .45rem; color: var(--c); }
.swatch { width: 1.75rem; height: .875rem; flex: none; }
.swatch .dot { stroke: none; }
.interval { display: block; width: 6.25rem; height: .625rem; margin-top: .2rem; }
.interval .span { stroke: var(--c); stroke-width: 2.5; opacity: .6; }
.interval .at { fill: var(--c); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .875rem; }
.wide { display: block; } .small { display: none; }
.verdicts { display: grid; gap: .9rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
.verdicts .card { display: grid; gap: .5rem; align-content: start; }
.verdicts h3 { display: flex; flex-wrap: wrap; gap: .3rem .75rem; align-items: center;
  justify-content: space-between; }
.badge { padding: .05rem .6rem; border-radius: 99px; border: 1px solid; font-size: .8125rem;
  font-weight: 650; }
.yes { color: var(--ok); background: var(--ok-bg); }
.no { color: var(--bad); background: var(--bad-bg); }
.open { color: var(--warn); background: var(--warn-bg); }
.checks { display: grid; gap: .3rem; font-size: .875rem; }
.checks li { display: grid; grid-template-columns: 1.3rem minmax(0, 1fr); gap: .2rem; }
.checks small { display: block; color: var(--soft); font-size: .8125rem; overflow-wrap: anywhere; }
.checks .sign { font-weight: 800; }
.sign.pass { color: var(--ok); } .sign.fail { color: var(--bad); }
.sign.unknown { color: var(--warn); }
.bounds { display: grid; gap: .6rem; max-width: 84ch; }
.bounds li { padding-left: .9rem; border-left: 3px solid var(--c); }
.heat td { border-left: 1px solid var(--hair); min-width: 5.6rem; }
.heat td b { font-weight: 600; }
.heat td small { color: var(--ink); }
.h0 { background: var(--h0); } .h1 { background: var(--h1); } .h2 { background: var(--h2); }
.h3 { background: var(--h3); } .h4 { background: var(--h4); }
.none { color: var(--soft); }
.scale { display: flex; flex-wrap: wrap; gap: .3rem; font-size: .8125rem; }
.scale li { padding: .05rem .6rem; border-radius: 6px; border: 1px solid var(--line); }
details { background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
summary { cursor: pointer; padding: .7rem 1.1rem; display: flex; flex-wrap: wrap; gap: .2rem .9rem;
  align-items: baseline; }
summary::before { content: "\\25b8"; color: var(--soft); }
details[open] > summary::before { content: "\\25be"; }
summary b { font-weight: 650; }
.film { overflow-x: auto; padding: 0 1.1rem 1rem; }
.film .strip { min-width: 42rem; }
.stack { display: grid; grid-template-columns: minmax(0, 1fr); gap: .9rem; }
.keys { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .8125rem;
  color: var(--soft); }
.keys li { display: inline-flex; align-items: center; gap: .4rem; }
.keys svg { width: 1.5rem; height: .875rem; flex: none; }
dl.words { display: grid; gap: .6rem 1.5rem;
  grid-template-columns: minmax(9rem, 15rem) minmax(0, 1fr); }
dl.words dt { font-weight: 650; } dl.words dd { color: var(--soft); max-width: 78ch; }
pre { margin: 0; padding: .8rem 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  .wide { display: none; } .small { display: block; }
  th, td { padding: .4rem .6rem; }
  tbody th .swatch { display: none; }
  tbody th { max-width: 8rem; overflow-wrap: anywhere; }
  dl.words { grid-template-columns: minmax(0, 1fr); gap: .1rem; }
  dl.words dd { margin-bottom: .6rem; }
}
@media print { body { background: #fff; } .scroll, .film { overflow: visible; } }
"""
