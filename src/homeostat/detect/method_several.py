"""Several methods side by side, as one: what each says, and what they say together.

Together there is an incident while any has one; the evidence is the strongest, paid for by how many
could judge (Bonferroni: no claim on how they depend). Each is said apart as well (`Said.each`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from homeostat.detect.method import Method, each_of, no_levels
from homeostat.detect.stack import Said, scale


class State(NamedTuple):
    """What is remembered.

    Attributes:
        parts: Of each method.
        active: Where an incident of any lasted on the last tick, bool `[entity]`.
    """

    parts: tuple[Any, ...]
    active: Any


class Several:
    """See the module.

    Args:
        methods: By name, in the order in which they are to be told.

    Raises:
        ValueError: There are fewer than two, or two know different columns alone.
    """

    def __init__(self, methods: Mapping[str, Method]) -> None:
        if len(methods) < 2:  # noqa: PLR2004 - several
            raise ValueError(f"several methods: need two or more, got {', '.join(methods)}")
        self._methods = dict(methods)
        bound = {one.columns for one in methods.values() if one.columns is not None}
        if len(bound) > 1:
            raise ValueError("several methods: their models are of different columns")
        self.columns = bound.pop() if bound else None
        self.config = tuple((name, one.config) for name, one in methods.items())
        self.least_columns = max(one.least_columns for one in methods.values())
        self.names = tuple(
            own
            for name, one in methods.items()
            for own in (name, *(f"{name}_{part}" for part in one.names))
        )

    def init(self, columns: int, *, entities: int = 1) -> State:
        """Return the state of entities that have seen nothing."""
        parts = (one.init(columns, entities=entities) for one in self._methods.values())
        return State(tuple(parts), np.zeros(entities, dtype=bool))

    def step(self, state: State, values: Any, learn: Any, start: Any = None) -> tuple[State, Said]:
        """Judge one tick by all, then learn from it; see `method_rows.Rows.step`."""
        no_levels(start, "several methods")
        after, said = [], []
        for one, own in zip(self._methods.values(), state.parts, strict=True):
            moved, heard = one.step(own, values, learn)
            after.append(moved)
            said.append(heard)
        whole = _together(said, state.active)
        return State(tuple(after), whole.active), whole


def _together(said: list[Said], before: Any) -> Said:
    """Return what methods say together; `before` is where an incident lasted."""
    each = np.stack([one.neg_log10_p for one in said])
    known = np.isfinite(each)
    count = known.sum(axis=0)
    most = np.where(known, each, 0.0).max(axis=0) - np.log10(np.maximum(count, 1))
    evidence = np.where(count > 0, np.maximum(most, 0.0), np.nan)
    active = np.any([one.active for one in said], axis=0)
    alarm = np.any([one.alarm for one in said], axis=0) & ~before
    weight = np.where(known, each, 0.0)[:, :, None]
    shares = (weight * np.nan_to_num([one.contributions for one in said])).sum(axis=0)
    total = shares.sum(axis=1, keepdims=True)
    low, high = _band(said)
    return Said(
        neg_log10_p=evidence,
        anomaly_score=scale(evidence, alarm, np.zeros_like(alarm)),
        alarm=alarm,
        active=active,
        unknown=np.isnan(evidence),
        contributions=np.where(total > 0.0, shares / np.where(total > 0.0, total, 1.0), np.nan),
        low=low,
        high=high,
        each=np.concatenate(
            [
                part
                for one in said
                for part in (each_of(one.neg_log10_p, one.alarm, one.active), one.each)
            ],
            axis=1,
        ),
        spoke=np.any([one.spoke for one in said], axis=0),
    )


def _band(said: list[Said]) -> tuple[Any, Any]:
    """Return the first band that is known of each column."""
    low, high = said[0].low, said[0].high
    for one in said[1:]:
        none = np.isnan(low) & np.isnan(high)
        low, high = np.where(none, one.low, low), np.where(none, one.high, high)
    return low, high
