"""Measures what the safety promises say: their figures, and the canary judge at length.

`make bench-safety` runs all of it in the short form, `PARTS="--parts proof,kills"` some parts,
`PARTS="--parts mutants --long --keep"` one at the length that is asked for, kept for the page of
figures with what it takes to repeat it. It ends with 1 where a figure is missed.
"""

import argparse
import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import Final

import figures_page
from safety import figures, measured
from safety.asked import ASKED, DRAWN
from safety.running import Form

PARTS: Final = MappingProxyType({
    "detection": ("Found within an hour, and how often in vain", measured.detection),
    "coverage": ("False verdicts at the promise itself", measured.coverage),
    "certificates": ("Certified within an hour", measured.certificates),
    "pods": ("Pods that differ", measured.pods),
    "limits": ("What is not allowed for", measured.limits),
    "latency": ("Slower answers", measured.latency),
    "engine": ("The whole judge", measured.whole),
    "fleet": ("Many at once", lambda _, seed: measured.fleet(seed)),
})


def main() -> int:
    asked = _asked()
    chosen = asked.parts.split(",")
    missed = _figures([name for name in chosen if name in ASKED], asked)
    judge = [name for name in chosen if name in PARTS]
    if judge:
        _judge(judge, asked)
    return 1 if missed else 0


def _figures(names: list[str], asked: argparse.Namespace) -> bool:
    """Run the parts that figures are asked of; return whether one is missed."""
    form = Form(long=asked.long, seed=asked.seed, sample=asked.sample, jobs=asked.jobs)
    rows = []
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        title, part = ASKED[name]
        began = time.perf_counter()
        found = part(form)
        rows += found
        if asked.keep:
            made_at, commit, machine = figures.stamp()
            long, drawn = " --long" * asked.long, name in DRAWN
            seed = f" --seed {asked.seed}" * drawn
            seed += f" --sample {asked.sample}" if name == "mutants" and asked.sample else ""
            kept = figures.Kept(
                part=name, title=title, long=asked.long, seed=asked.seed if drawn else None,
                command=f'make bench-safety PARTS="--parts {name}{long}{seed} --keep"',
                made_at=made_at, commit=commit, machine=machine,
                wall_s=round(time.perf_counter() - began, 1), figures=tuple(found),
            )  # fmt: skip
            print(figures.publish(kept), file=sys.stderr)
    if rows:
        print(figures.table(rows))
    return any(one.met is False for one in rows)


def _judge(names: list[str], asked: argparse.Namespace) -> None:
    """Play the canary judge at length, and write its page."""
    began, parts = time.process_time(), []
    for name in names:
        title, part = PARTS[name]
        print(f"{name} ...", file=sys.stderr)
        parts.append(f"## {title}\n\n{_with_note(name)}{part(asked.runs, asked.seed)}")
    took = time.process_time() - began
    command = f'make bench-safety PARTS="--runs {asked.runs} --seed {asked.seed}"'
    head = f"Made by `{command}`: {asked.runs:,} runs a cell, {took:.0f} s of one core."
    text = "\n\n".join([head, *parts])
    print(text)
    if asked.page:
        figures_page.write(asked.page, text)


def _with_note(name: str) -> str:
    return f"{NOTES[name]}\n\n" if name in NOTES else ""


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m safety", description=__doc__)
    every = (*ASKED, *PARTS)
    parser.add_argument("--parts", default=",".join(every), help=f"of {', '.join(every)}")
    parser.add_argument(
        "--long", action="store_true", help="as much as is asked, where that is more"
    )
    parser.add_argument("--sample", type=_at_least_one, help="so many mutants, drawn")
    parser.add_argument("--jobs", type=_at_least_one, default=1, help="mutants at a time")
    parser.add_argument("--keep", action="store_true", help="keep what was found, for the page")
    parser.add_argument("--runs", type=_runs, default=2000, help="made-up canaries a cell")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--page", type=Path, help="write the judge's figures into this page")
    asked = parser.parse_args()
    unknown = set(asked.parts.split(",")) - set(every)
    if unknown:
        parser.error(f"unknown parts {sorted(unknown)}; of {', '.join(every)}")
    return asked


def _at_least_one(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"at least 1, got {number}")
    return number


def _runs(text: str) -> int:
    runs = int(text)
    if runs < 50:
        raise argparse.ArgumentTypeError(f"at least 50 runs, got {runs}")
    return runs


NOTES: Final[MappingProxyType[str, str]] = MappingProxyType({
    "detection": (
        "Percent of runs in which the judge says harm / the median minute over all runs, found or "
        "not (a dash: not found in half of them). x1 is no harm: what is found there is false. "
        "alpha is 0.05. Mann-Whitney on the first 400 of the runs; Flagger sets its own weights on "
        "the same law."
    ),
    "coverage": (
        "The canary is exactly at the margin (1.2), or exactly at what the certificate denies (2): "
        "every verdict here is false. In brackets the one-sided 95 % bound (Clopper-Pearson)."
    ),
    "engine": (
        "As it ships: errors (margin 1.2, or the one learnt from pods) and latency together, the "
        "rule of a canary without one good response, and the certificate, whichever says so first. "
        "Beside it the bets on errors alone on the same runs. Latency is alike in both arms."
    ),
    "certificates": "A canary as good as stable; percent of runs / median minute. alpha is 0.05.",
    "pods": (
        "Pods of one version differ for the whole hour; 10,000 requests a minute, 10 % to the "
        "canary, margin from 20 earlier pods (median shown). Promised: alpha + 5 points, 10 %."
    ),
    "limits": (
        "The canary is no worse, and nobody calibrated a margin: false alarms at alpha 0.05. Where "
        "stable itself jumps about, dividing by it makes the canary's share too large."
    ),
    "latency": "Lognormal latencies (sd 0.5), default bounds, 10 % to the canary. As above.",
})


if __name__ == "__main__":
    raise SystemExit(main())
