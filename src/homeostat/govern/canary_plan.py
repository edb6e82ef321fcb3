"""How long will a canary take? Asked before it starts, answered by playing it many times.

"At your traffic this needs 47 minutes": by then nine in ten made-up canaries with these rates are
found harmful (or are certified). Simulated rather than computed: bursts, shocks and ramps have no
closed form. The interval is that of the simulation, not of what is not known about the traffic.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from homeostat.govern.canary_margin import Pods, measure
from homeostat.stats.exact import clopper_pearson
from homeostat.stats.share_bet import Floats
from homeostat.stats.share_bet_runs import Law, evidence, first, play

SURE: Final = 0.9
"""Of the runs must have ended by the time that is named."""
BLIND_BELOW: Final = 50.0
"""Requests a minute to the canary: at half a percent bad, fewer make one error in four minutes."""
_SHARES: Final = (0.01, 0.05, 0.1, 0.25, 0.5)  # the default ramp
_CONFIDENCE: Final = 0.95  # of the interval of a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is planned.

    Attributes:
        law: The traffic as it is expected; its ratio is what is to be found.
        alpha: Chance of a false alarm, or of a false certificate.
        margin: A ratio up to this is no harm.
        promote_ratio: What the certificate is to say; None for no certificate.
        minutes: As long as anybody would wait.
    """

    law: Law
    alpha: float = 0.05
    margin: float = 1.2
    promote_ratio: float | None = 2.0
    minutes: int = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How long something takes.

    Attributes:
        minutes: By then it has come in nine runs of ten; None: not within the time.
        low: The interval of that time.
        high: None: not within the time.
        share: Of the runs in which it came within the time.
        share_low: The exact 95 % interval of that share.
        share_high: Its upper end.
    """

    minutes: float | None
    low: float | None
    high: float | None
    share: float
    share_low: float
    share_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to expect.

    Attributes:
        question: What was asked.
        find: Time until harm of the law's ratio is found.
        certify: Time until a canary as good as stable is certified; None where not asked for.
        runs: Played for each.
    """

    question: Question
    find: Span
    certify: Span | None
    runs: int


def plan(question: Question, rng: np.random.Generator, *, runs: int = 400) -> Plan:
    """Return how long a canary takes.

    Args:
        question: What is planned.
        rng: Chance.
        runs: To play; 400 give the time to within about a tenth.
    """
    need = math.log(1.0 / question.alpha)
    worse = play(question.law, minutes=question.minutes, runs=runs, rng=rng)
    find = span(first(evidence(worse, question.margin) >= need))
    certify = None
    if question.promote_ratio is not None:
        as_good = replace(question.law, ratio=1.0)
        same = play(as_good, minutes=question.minutes, runs=runs, rng=rng)
        certify = span(first(evidence(same, question.promote_ratio, safe=True) >= need))
    return Plan(question=question, find=find, certify=certify, runs=runs)


def by_share(
    question: Question,
    rng: np.random.Generator,
    *,
    shares: Sequence[float] = _SHARES,
    runs: int = 400,
) -> tuple[Plan, ...]:
    """Return plans for other shares of traffic, to choose from."""
    return tuple(
        plan(replace(question, law=replace(question.law, ramp=(share,))), rng, runs=runs)
        for share in shares
    )


def by_pods(
    question: Question,
    windows: Sequence[Pods],
    rng: np.random.Generator,
    *,
    pods: Sequence[int] = (1, 2, 5, 10),
    runs: int = 400,
) -> tuple[tuple[int, Plan], ...]:
    """Return plans for other numbers of canary pods, each with the margin that they need.

    Numbers for which the earlier pods do not suffice are left out. What pods differ by is in the
    margin and the promise; the runs that are played have none of it.

    Args:
        question: What is planned; its margin and promise are the least.
        windows: Earlier stable pods.
        rng: Chance.
        pods: To choose from.
        runs: To play for each.
    """
    out = []
    for count in pods:
        found = measure(windows, count, rng)
        if found.ratio is None or found.lucky is None:
            continue
        goal = question.promote_ratio and question.promote_ratio * found.lucky
        margin = max(question.margin, found.ratio)
        asked = replace(
            question, margin=margin, promote_ratio=goal if goal and goal > 1.0 else None
        )
        out.append((count, plan(asked, rng, runs=runs)))
    return tuple(out)


def span(times: Floats) -> Span:
    """Return what the times of many runs say; inf is never.

    Source: the interval of a quantile by order statistics, the number of runs below it being
    binomial; Conover, Practical Nonparametric Statistics (1999), 3.2.
    """
    runs = len(times)
    ordered = np.sort(times)
    below = _binomial_below(runs, SURE)
    side = 0.5 * (1.0 - _CONFIDENCE)
    low = int(np.searchsorted(below, side, side="right"))
    high = int(np.searchsorted(below, 1.0 - side, side="left"))
    came = int(np.isfinite(times).sum())
    share_low, share_high = clopper_pearson(came, runs)
    return Span(
        minutes=_finite(ordered[math.ceil(SURE * runs) - 1]),
        low=_finite(ordered[max(0, low - 1)]),
        high=_finite(ordered[high]) if high < runs else None,
        share=came / runs,
        share_low=share_low,
        share_high=share_high,
    )


def words(found: Plan) -> tuple[str, ...]:
    """Return the plan in sentences."""
    law = found.question.law
    shares = " then ".join(f"{100 * share:g} %" for share in law.ramp)
    burst = f", in bursts of {law.burst:g}" if law.burst > 1.0 else ""
    traffic = f"at {law.requests:,.0f} requests a minute, {100 * law.bad:g} % bad{burst}"
    out = [
        f"{traffic}, canary {shares}:",
        f"{law.ratio:g} times the errors: {_span(found.find, found.question.minutes)}",
    ]
    if found.certify is not None:
        out.append(
            f"certificate below {found.question.promote_ratio:g}: "
            f"{_span(found.certify, found.question.minutes)}"
        )
    if law.ratio <= found.question.margin:
        out.append(f"a ratio up to the margin, {found.question.margin:g}, is no harm by definition")
    least = min(law.ramp) * law.requests
    if least < BLIND_BELOW:
        out.append(
            f"only {least:.0f} requests a minute reach the canary: below {BLIND_BELOW:.0f} every "
            "method is nearly blind; give it a larger share"
        )
    return tuple(out)


def _span(found: Span, minutes: int) -> str:
    share = (
        f"{100 * found.share:.0f} % of runs within {minutes} minutes "
        f"({100 * found.share_low:.0f} to {100 * found.share_high:.0f})"
    )
    if found.minutes is None:
        return f"not in nine of ten runs; {share}"
    low = "0" if found.low is None else f"{found.low:.0f}"
    high = f"more than {minutes}" if found.high is None else f"{found.high:.0f}"
    return f"needs {found.minutes:.0f} minutes in nine of ten runs ({low} to {high}); {share}"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _binomial_below(trials: int, chance: float) -> Floats:
    """Return P(at most 0, 1, ..., trials events)."""
    k = np.arange(trials + 1)
    ln_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    ln_choose = ln_factorial[-1] - ln_factorial - ln_factorial[::-1]
    out: Floats = np.cumsum(
        np.exp(ln_choose + k * math.log(chance) + (trials - k) * math.log(1 - chance))
    )
    return out
