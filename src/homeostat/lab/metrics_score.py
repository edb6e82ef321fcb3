"""One row of numbers per episode: all that the metrics need, once the trace is thrown away.

A trace of 4,300 episodes would fill the memory; its scores are a few hundred numbers each. They
are plain arrays in the order of the episodes, so that shards of a run can be saved and joined.
The value J: minus (violated hours at so many hourly budgets each + the catastrophes caused, by the
weights of the risk, an hour of violation each + the spend), in hourly budgets of the deployment,
so that a large deployment counts no more than a small one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np

from homeostat.lab.judge import CODES, Judgement, judge, sensitivity
from homeostat.lab.judge_view import Floats, Mask, View, view
from homeostat.lab.metrics_people import People, people
from homeostat.lab.metrics_service import Service, service
from homeostat.lab.thresholds import FROZEN, Thresholds
from homeostat.lab.types import Trace
from homeostat.twin.orders import Orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Per-episode numbers of one policy.

    Attributes:
        scenario: Ids [N].
        seed: Seeds [N].
        family: Of the fault [N].
        benign: Whether there is no fault [N].
        recoverable: Whether a controller can remove the fault [N].
        judgement: The judge's.
        service: What users and the bill saw.
        people: What it asked of people, and what was noticed.
        value: J [N].
        sensitivity: Whether anything catastrophic is caused under other thresholds, a column for
            each row of the sensitivity table [N, R]; no columns = nobody asked.
    """

    scenario: tuple[str, ...]
    seed: tuple[int, ...]
    family: tuple[str, ...]
    benign: tuple[bool, ...]
    recoverable: tuple[bool, ...]
    judgement: Judgement
    service: Service
    people: People
    value: Floats
    sensitivity: Mask


def score(
    trace: Trace,
    hold: Trace,
    *,
    orders: Orders | None = None,
    thresholds: Thresholds = FROZEN,
    person_scale: float = 1.0,
    rows: Mapping[str, Thresholds] | None = None,
) -> Scores:
    """Return the scores of a batch of episodes; arguments as in `judge.judge`.

    Args:
        trace: The policy's.
        hold: HOLD's over the same episodes; score HOLD against itself.
        orders: The policy's, in force during each scrape [N, D, ...].
        thresholds: The frozen ones, or a variant of the sensitivity table.
        person_scale: Of the human model's delays: 0.5 or 2 in the sensitivity table.
        rows: Of the sensitivity table, as `thresholds.variants` returns them; none by default,
            because each row is judged anew.

    Raises:
        ValueError: The two traces are not of the same episodes.
    """
    judgement = judge(trace, hold, orders=orders, thresholds=thresholds, person_scale=person_scale)
    seen = view(trace)
    served = service(seen, thresholds)
    episodes = trace.episodes
    return Scores(
        scenario=tuple(e.scenario for e in episodes),
        seed=tuple(e.seed for e in episodes),
        family=tuple(e.family for e in episodes),
        benign=tuple(e.benign for e in episodes),
        recoverable=tuple(e.recoverable for e in episodes),
        judgement=judgement,
        service=served,
        people=people(trace, seen, view(hold), thresholds, scale=person_scale),
        value=_value(seen, served, judgement, thresholds),
        sensitivity=_sensitivity(trace, hold, rows or {}, orders),
    )


def _sensitivity(
    trace: Trace, hold: Trace, rows: Mapping[str, Thresholds], orders: Orders | None
) -> Mask:
    hits = sensitivity(trace, hold, rows, orders=orders)
    columns = [codes.any(axis=1) for codes in hits.values()]
    return np.stack(columns, axis=1) if columns else np.zeros((len(trace.episodes), 0), bool)


def joined(parts: Sequence[Scores]) -> Scores:
    """Return the scores of several batches as one, in their order.

    Raises:
        ValueError: There are none.
    """
    if not parts:
        raise ValueError("need the scores of at least one batch")
    return cast("Scores", _join(list(parts)))


def chosen(scores: Scores, rows: np.ndarray) -> Scores:
    """Return the scores of some episodes, by their indices."""
    return cast("Scores", _pick(scores, rows))


def weights(thresholds: Thresholds) -> Floats:
    """Return the risk weight of each code [7]."""
    return np.array([getattr(thresholds, f"risk_{code.lower()}") for code in CODES])


def _value(seen: View, served: Service, judgement: Judgement, thresholds: Thresholds) -> Floats:
    hours = served.violation_s / 60.0 / thresholds.risk_minutes
    harm = judgement.caused @ weights(thresholds)
    spend = served.usd / seen.budget_usd_per_hour[:, 0]
    return np.asarray(-(thresholds.value_budgets * (hours + harm) + spend))


def _join(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(values)
    if isinstance(first, tuple):
        return tuple(item for one in values for item in one)
    names = [one.name for one in fields(first)]
    return type(first)(**{name: _join([getattr(one, name) for one in values]) for name in names})


def _pick(value: Any, rows: np.ndarray) -> Any:
    if isinstance(value, np.ndarray):
        return value[rows]
    if isinstance(value, tuple):
        return tuple(value[row] for row in rows.tolist())
    names = [one.name for one in fields(value)]
    return type(value)(**{name: _pick(getattr(value, name), rows) for name in names})
