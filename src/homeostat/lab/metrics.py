"""From scores to results: every metric of every policy, overall, by family and by scenario.

The definitions are in `metrics_table`, the intervals in `intervals`, the joint gate in `gate`; here
they are put together into what the report shows. Policies are compared over the episodes that both
played, seed by seed; which policy is a reference is a matter of its name.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from homeostat.lab import gate
from homeostat.lab.intervals import Draws, bounds, figure, rate
from homeostat.lab.judge import CODES
from homeostat.lab.metrics_score import Scores, chosen, weights
from homeostat.lab.metrics_table import METRICS, RATES, Arms, faulty, repair
from homeostat.lab.thresholds import FROZEN, Thresholds, variants
from homeostat.report.lab_results import Curve, Figure, Group, PolicyResults, Worst
from homeostat.stats import survival

REFERENCES: Final = ("hold", "hpa", "hpa_tuned", "oracle", "static", "threshold")
CURVE_POINTS: Final = 200  # more than a figure in a report can show
WORST: Final = 10


def summarise(
    scores: Mapping[str, Scores], *, thresholds: Thresholds = FROZEN, seed: int = 0
) -> dict[str, PolicyResults]:
    """Return the results of every policy.

    Args:
        scores: By policy; a reference that is missing leaves what is compared with it unmeasured.
        thresholds: The frozen ones, or a variant of the sensitivity table.
        seed: Of the resampling.

    Raises:
        ValueError: A policy has no scores, or one of its episodes twice.
    """
    draws = Draws(thresholds, seed=seed)
    return {name: _results(arms(name, scores, thresholds), draws) for name in scores}


def arms(name: str, scores: Mapping[str, Scores], thresholds: Thresholds = FROZEN) -> Arms:
    """Return a policy with its references over the episodes that they share.

    Raises:
        ValueError: A policy has no scores, or one of its episodes twice.
    """
    place = _places(name, scores[name])
    references = {}
    for reference in REFERENCES:
        if reference not in scores:
            continue
        other = _places(reference, scores[reference])
        shared = [key for key in place if key in other]
        if shared:
            rows = np.array([place[key] for key in shared])
            theirs = np.array([other[key] for key in shared])
            references[reference] = (rows, chosen(scores[reference], theirs))
    return Arms(scores=scores[name], references=references, thresholds=thresholds)


def part(whole: Arms, rows: np.ndarray) -> Arms:
    """Return the arms over some of the policy's episodes, by their indices."""
    new = np.full(len(whole.scores.seed), -1)
    new[rows] = np.arange(len(rows))
    references = {}
    for name, (covered, theirs) in whole.references.items():
        kept = np.flatnonzero(new[covered] >= 0)
        if kept.size:
            references[name] = (new[covered[kept]], chosen(theirs, kept))
    return Arms(
        scores=chosen(whole.scores, rows), references=references, thresholds=whole.thresholds
    )


def measured(some: Arms, draws: Draws) -> dict[str, Figure]:
    """Return every metric over the episodes of some arms."""
    names = some.scores.scenario
    rows = draws.of(names)
    out = {
        name: rate(hits(some.scores), names, rows, draws.confidence) for name, hits in RATES.items()
    }
    for name, metric in METRICS.items():
        statistic, n = metric(some)
        out[name] = figure(statistic, rows, n, draws.confidence)
    return out


def _results(whole: Arms, draws: Draws) -> PolicyResults:
    scores = whole.scores
    hits = scores.judgement.catastrophic
    episodes, scenarios = bounds(hits, scores.scenario, draws.confidence)
    return PolicyResults(
        metrics=measured(whole, draws),
        codes=_codes(scores, scores.judgement.caused, draws),
        codes_any=_codes(scores, scores.judgement.any, draws),
        families=_groups(whole, scores.family, draws),
        scenarios=_groups(whole, scores.scenario, draws),
        over_episodes=episodes,
        over_scenarios=scenarios,
        gate=gate.checks(whole),
        recovery=_recovery(scores),
        worst=_worst(scores, whole.thresholds),
        sensitivity=_sensitivity(scores, draws),
    )


def _groups(whole: Arms, labels: Sequence[str], draws: Draws) -> dict[str, Group]:
    out = {}
    for label in dict.fromkeys(labels):
        some = part(whole, np.flatnonzero([one == label for one in labels]))
        out[label] = Group(
            metrics=measured(some, draws),
            codes=_codes(some.scores, some.scores.judgement.caused, draws),
        )
    return out


def _codes(scores: Scores, hits: np.ndarray, draws: Draws) -> dict[str, Figure]:
    rows = draws.of(scores.scenario)
    return {
        code: rate(hits[:, index], scores.scenario, rows, draws.confidence)
        for index, code in enumerate(CODES)
    }


def _sensitivity(scores: Scores, draws: Draws) -> dict[str, Figure]:
    hits, rows = scores.sensitivity, draws.of(scores.scenario)
    if hits.shape[1] == 0:
        return {}
    return {
        name: rate(hits[:, index], scores.scenario, rows, draws.confidence)
        for index, name in enumerate(variants())
    }


def _recovery(scores: Scores) -> Curve | None:
    which = faulty(scores) & np.array(scores.recoverable, dtype=bool)
    if not which.any():
        return None
    times, events = repair(scores)
    at, waiting = survival.curve(times[which], events[which])
    every = max(1, -(-len(at) // CURVE_POINTS))
    kept = np.unique([*range(0, len(at), every), len(at) - 1])
    return Curve(
        t_s=tuple(at[kept].tolist()),
        share=tuple((1.0 - waiting[0, kept]).tolist()),
        n=int(which.sum()),
    )


def _worst(scores: Scores, thresholds: Thresholds) -> tuple[Worst, ...]:
    harm = scores.judgement.caused @ weights(thresholds)
    order = np.lexsort((-scores.service.violation_s, -harm))[:WORST]
    return tuple(
        Worst(
            scenario=scores.scenario[row],
            seed=scores.seed[row],
            codes=scores.judgement.codes(row),
            violation_s=float(scores.service.violation_s[row]),
        )
        for row in order.tolist()
    )


def _places(name: str, scores: Scores) -> dict[tuple[str, int], int]:
    keys = list(zip(scores.scenario, scores.seed, strict=True))
    places = {key: row for row, key in enumerate(keys)}
    if not keys or len(places) < len(keys):
        raise ValueError(
            f"{name} has {len(keys)} episodes of {len(places)} kinds; score each episode once"
        )
    return places
