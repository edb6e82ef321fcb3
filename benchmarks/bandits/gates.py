"""Promotion gates on made-up logs: how often a gate that is asked after every round says yes.

Six arms, two kinds of context, binary rewards around a half. The incumbent plays arm 0; the
candidate plays arm 1, in every context or only in every second one. What is foreseen is off by up
to 0.05. A fifth of the rounds is explored: evenly over six arms, or on the candidate's arm alone.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.learn.off_policy import Logged, scored
from homeostat.learn.promotion import Gate, ever
from homeostat.stats.exact import clopper_pearson

Floats = npt.NDArray[np.float64]

ROUNDS: Final = 10_000
ARMS: Final = 6
EXPLORED: Final = 0.2
GATE: Final = Gate()


class Case(NamedTuple):
    """How a log is made."""

    name: str
    aimed: bool
    every: int


CASES: Final = (
    Case("evenly over 6 arms", aimed=False, every=1),
    Case("on the candidate", aimed=True, every=1),
    Case("on the candidate, who differs in half of the contexts", aimed=True, every=2),
)


def logged(case: Case, gain: float, seed: int) -> Logged:
    """Return a log in which the candidate's policy is worth `gain` more."""
    rng = np.random.default_rng(seed)
    differs = np.arange(ROUNDS) % case.every == 0
    true = np.full((ROUNDS, ARMS), 0.5)
    true[differs, 1] += gain * case.every
    logging = np.full((ROUNDS, ARMS), 0.0 if case.aimed else EXPLORED / ARMS)
    logging[:, 0] += 1.0 - EXPLORED
    logging[:, 1] += EXPLORED if case.aimed else 0.0
    ends = np.cumsum(logging, axis=1)
    arm = np.minimum((rng.random((ROUNDS, 1)) >= ends).sum(axis=1), ARMS - 1)
    reward = (rng.random(ROUNDS) < true[np.arange(ROUNDS), arm]).astype(np.float64)
    none = np.empty((ROUNDS, 0))
    foreseen = true + rng.uniform(-0.05, 0.05, (1, ARMS))
    return Logged(
        arm=arm, logging=logging, reward=reward, costs=none, foreseen=foreseen,
        foreseen_costs=np.empty((ROUNDS, 0, ARMS)),
    )  # fmt: skip


def differences(case: Case, gain: float, seed: int, *, blind: bool = False) -> Floats:
    """Return what every round says `[round]`; `blind` weighs alone, with nothing foreseen."""
    log = logged(case, gain, seed)
    if blind:
        log = Logged(
            arm=log.arm, logging=log.logging, reward=log.reward, costs=log.costs,
            foreseen=0.0 * log.foreseen, foreseen_costs=log.foreseen_costs,
        )  # fmt: skip
    incumbent, candidate = np.zeros((2, ROUNDS, ARMS))
    incumbent[:, 0] = 1.0
    differs = np.arange(ROUNDS) % case.every == 0
    candidate[differs, 1] = candidate[~differs, 0] = 1.0
    return scored(log, candidate, incumbent).difference


def table(runs: int, seed: int) -> str:
    out = (
        "| explored | gain | promoted by 5,000 | by 10,000 | median round | point estimate | "
        "t bound, every round |\n|---|---|---|---|---|---|---|\n"
    )
    for number, case in enumerate(CASES):
        for gain in (-0.03, 0.0, 0.1, 0.2):
            rows = np.stack([
                differences(case, gain, seed + 1000 * number + run) for run in range(runs)
            ])
            out += _row(case, gain, rows)
    left = [
        float(
            differences(CASES[1], 0.1, seed + run).var()
            / differences(CASES[1], 0.1, seed + run, blind=True).var()
        )
        for run in range(20)
    ]
    return f"{out}\nVariance left by what is foreseen, of weighing alone: {np.mean(left):.0%}.\n"


def _row(case: Case, gain: float, rows: Floats) -> str:
    first = ever(GATE, rows)
    n = np.arange(1.0, ROUNDS + 1.0)
    mean = np.cumsum(rows, axis=1) / n
    error = np.sqrt(np.maximum(np.cumsum(rows**2, axis=1) / n - mean**2, 0.0) / n)
    late = n >= GATE.lead_in
    point = ((mean > 0.0) & late).any(axis=1).mean()
    t_bound = ((mean - 1.645 * error > 0.0) & late).any(axis=1).mean()
    yes = first[first > 0]
    cells = [_share(int(((first > 0) & (first <= by)).sum()), len(rows)) for by in (5000, ROUNDS)]
    median = f"{np.median(yes):,.0f}" if len(yes) else "-"
    return (
        f"| {case.name} | {gain:+.2f} | {cells[0]} | {cells[1]} | {median} | {point:.1%} | "
        f"{t_bound:.1%} |\n"
    )


def _share(hits: int, runs: int) -> str:
    low, high = clopper_pearson(hits, runs)
    return f"{hits / runs:.1%} ({low:.1%}-{high:.1%})"
