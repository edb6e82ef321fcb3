"""The papers' evaluation: policies over the same episodes, in pairs, with what chance may do.

For each measure the interquartile mean of every policy with a stratified interval (other seeds of
these scenarios), and each policy's paired difference to one reference: its mean, interval and a
p-value by flips of whole scenarios, all of them corrected together (see `stats.compare`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.lab.metrics_score import Scores
from homeostat.report.lab_evaluation import Evaluation, Line, Pair
from homeostat.stats.compare import holm, mean_estimate, middle_estimate, sign_flip
from homeostat.stats.exact import clopper_pearson

HOLD: Final = "hold"
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A number of each episode.

    Attributes:
        of: From a policy's scores and HOLD's of the same episodes `[N]`.
        middle: Whether its interquartile mean says anything; of what is rare only the mean does.
    """

    of: Callable[[Scores, Scores], np.ndarray]
    middle: bool = True


def _per_hour(total: np.ndarray, scores: Scores) -> np.ndarray:
    return np.asarray(total / (scores.service.watched_s / _HOUR))


MEASURES: Final[Mapping[str, Measure]] = {
    "gain": Measure(of=lambda s, hold: _per_hour(s.value - hold.value, s)),
    "violation": Measure(of=lambda s, _: _per_hour(s.service.violation_s / 60.0, s)),
    "failed": Measure(of=lambda s, _: s.service.failed / np.maximum(s.service.offered, 1e-9)),
    "spend": Measure(of=lambda s, hold: s.service.usd / np.maximum(hold.service.usd, 1e-9)),
    "minutes": Measure(of=lambda s, _: _per_hour(s.people.minutes, s)),
    "caused": Measure(
        of=lambda s, _: np.asarray(s.judgement.catastrophic, np.float64), middle=False
    ),
}
"""By name; `report.lab_evaluation.WORDS` says what each one is."""


def evaluate(scores: Mapping[str, Scores], reference: str) -> Evaluation:
    """Return the comparison of policies over the episodes that all of them played.

    Args:
        scores: By policy, HOLD's among them.
        reference: The policy that the others are set against.

    Raises:
        ValueError: HOLD or the reference is missing, or policies played different episodes, or
            scenarios have different seeds.
    """
    for needed in (HOLD, reference):
        if needed not in scores:
            raise ValueError(f"evaluation: {needed} was not played; add it to the policies")
    order, scenarios, seeds = _grid(scores[HOLD])
    tables: dict[tuple[str, str], np.ndarray] = {}
    for policy, found in scores.items():
        if _keys(found) != _keys(scores[HOLD]):
            raise ValueError(f"evaluation: {policy} played other episodes than {HOLD} did")
        for name, measure in MEASURES.items():
            values = np.asarray(measure.of(found, scores[HOLD]), np.float64)
            tables[policy, name] = values[order]
    lines = tuple(
        Line(policy=policy, measure=name, middle=_middle(table, name), mean=_mean(table, name))
        for (policy, name), table in tables.items()
    )
    return Evaluation(
        scenarios=len(scenarios), seeds=seeds, reference=reference, policies=tuple(scores),
        measures=tuple(MEASURES), lines=lines, pairs=_pairs(tables, tuple(scores), reference),
    )  # fmt: skip


def _middle(table: np.ndarray, name: str) -> tuple[float, float, float] | None:
    return middle_estimate(table) if MEASURES[name].middle else None


def _mean(table: np.ndarray, name: str) -> tuple[float, float, float]:
    """Return a mean; of what is rare with the hull of its interval and the exact one of a share."""
    found = mean_estimate(table)
    if MEASURES[name].middle:
        return found
    exact = clopper_pearson(int(table.sum()), table.size)
    return found.value, float(np.fmin(found.low, exact[0])), float(np.fmax(found.high, exact[1]))


def _pairs(
    tables: Mapping[tuple[str, str], np.ndarray], policies: Sequence[str], reference: str
) -> tuple[Pair, ...]:
    """Return every difference to the reference, their p-values corrected together."""
    asked = [
        (policy, name) for policy in policies if policy != reference for name in MEASURES
    ]  # fmt: skip
    apart = [tables[policy, name] - tables[reference, name] for policy, name in asked]
    raw = [sign_flip(one.mean(axis=1)) for one in apart]
    return tuple(
        Pair(policy=policy, measure=name, difference=mean_estimate(one), p=p, corrected=q)
        for (policy, name), one, p, q in zip(asked, apart, raw, holm(raw), strict=True)
    )


def _keys(scores: Scores) -> list[tuple[str, int]]:
    return list(zip(scores.scenario, scores.seed, strict=True))


def _grid(scores: Scores) -> tuple[np.ndarray, list[str], int]:
    """Return the places of the episodes `[scenario, seed]`, the scenarios, and seeds of each.

    Raises:
        ValueError: Scenarios have different numbers of seeds.
    """
    scenarios = list(dict.fromkeys(scores.scenario))
    places: dict[str, list[int]] = {name: [] for name in scenarios}
    for at, name in enumerate(scores.scenario):
        places[name].append(at)
    counts = {len(found) for found in places.values()}
    if len(counts) != 1:
        raise ValueError(f"evaluation: scenarios have {sorted(counts)} seeds; give each as many")
    return np.array([places[name] for name in scenarios]), scenarios, counts.pop()
