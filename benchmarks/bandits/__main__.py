"""Measures the adaptive layer's parts and writes their page of figures.

`make bench-adaptive` runs all of it (minutes); `PARTS="--parts promotion --runs 10"` a part.
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import Final

import figures_page
from bandits import measured

PARTS: Final = MappingProxyType({
    "canary": ("Within limits: regret and cost", measured.canary),
    "plain": ("Without limits: linear, drifting, bent", measured.plain),
    "full": ("Hedge, when every policy is scored", measured.full),
    "promotion": ("Promotion, asked after every round", measured.promotion),
    "latency": ("Processor time", measured.latency),
})


def main() -> None:
    asked = _asked()
    began, parts = time.process_time(), []
    for name in asked.parts.split(","):
        title, part = PARTS[name]
        print(f"{name} ...", file=sys.stderr)
        parts.append(f"## {title}\n\n{NOTES[name]}\n\n{part(asked.runs, asked.seed)}".rstrip())
    took = time.process_time() - began
    command = f'make bench-adaptive PARTS="--runs {asked.runs} --seed {asked.seed}"'
    text = "\n\n".join([f"Made by `{command}`: {took:.0f} s of one core.", *parts])
    print(text)
    if asked.page:
        figures_page.write(asked.page, text)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bandits", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--runs", type=_runs, default=10, help="runs a cell; 40 each of a gate")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--page", type=Path, help="write the figures into this page")
    asked = parser.parse_args()
    unknown = set(asked.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"unknown parts {sorted(unknown)}; of {', '.join(PARTS)}")
    return asked


def _runs(text: str) -> int:
    runs = int(text)
    if runs < 2:
        raise argparse.ArgumentTypeError(f"at least 2 runs, got {runs}")
    return runs


# The seam for a peer: a player like `play.ridge`, in the modes of `measured.plain`.
_PEER: Final = (
    "Vowpal Wabbit is installed but not driven yet."
    if importlib.util.find_spec("vowpalwabbit")
    else "Vowpal Wabbit was not there to be compared with."
)

NOTES: Final[MappingProxyType[str, str]] = MappingProxyType({
    "canary": (
        "8 features, 6 unknown arms, limit 0.5, the incumbent costs 0.2, 8,000 rounds, noise 0.1 "
        "(known). `canary`: contexts on the unit sphere, parameters of length 1. `crowded`: most "
        "arms cost too much in full, whatever the context. A round is over the limit by its "
        "expected cost. Rounds of a run depend on each other, so runs are counted; in brackets the "
        "one-sided 95 % bound. Regret is against the best arm at the best fraction; ± is 95 %."
    ),
    "plain": (
        "6 arms, 5,000 rounds, noise 0.1, no costs; 32 features in `linear`, else 8. `drifting` is "
        "drawn anew three times, `turning` turns by a right angle, `bent` is not linear. Settings "
        "are stated, not searched for: alpha 0.1 was added after 0.5 and suits this noise. " + _PEER
    ),
    "full": "Losses are fair coins: nobody is better, all regret is chance. Expected regret.",
    "promotion": (
        "Six arms, binary rewards around a half, a fifth of the rounds explored, 10,000 rounds; "
        "what is foreseen is off by up to 0.05. The gate is the shipped default, asked after every "
        "round; a gain of 0 or less makes every promotion false. In brackets 95 % "
        "(Clopper-Pearson). The last two columns ask as often, from the same lead-in on."
    ),
    "latency": (
        "One core, processor time, two constraints. The view is drawn already; features are made."
    ),
})


if __name__ == "__main__":
    main()
