from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base.evidence import SeriesKey
from homeostat.detect.slots import Slots, assign, carried, no_slots


class Nested(NamedTuple):
    row: np.ndarray
    both: np.ndarray
    shared: float


def key(n: int) -> SeriesKey:
    return SeriesKey(deployment="d", subject=f"replica:{n}", signal="s")


def fresh_state(size: int) -> Nested:
    return Nested(np.zeros(size), np.zeros((2, size)), 3.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sets(st.integers(0, 300), max_size=60), min_size=1, max_size=20))
def test_a_series_keeps_its_own_numbers_through_growth_and_recycling(
    ticks: list[set[int]],
) -> None:
    slots, state, forget = no_slots(4), fresh_state(4), 3
    last_seen: dict[int, int] = {}
    for tick, present in enumerate(ticks):
        keys = [key(n) for n in sorted(present)]
        before = len(slots.keys)
        slots, where, fresh = assign(slots, keys, tick, forget)
        if fresh.any():
            state = carried(state, fresh_state(len(slots.keys)), fresh, before)
        assert len(set(where.tolist())) == len(keys)
        assert len(slots.keys) & (len(slots.keys) - 1) == 0
        for n, slot in zip(sorted(present), where, strict=True):
            remembered = n in last_seen and last_seen[n] >= tick - forget
            if remembered:
                assert state.row[slot] == n + 1.0
                assert state.both[:, slot].tolist() == [n + 1.0, n + 1.0]
            else:
                assert state.row[slot] in {0.0, n + 1.0}
            last_seen[n] = tick
        row, both = state.row.copy(), state.both.copy()
        row[where] = both[:, where] = [n + 1.0 for n in sorted(present)]
        state = Nested(row, both, state.shared)
    assert state.shared == 3.0


def test_churn_is_recycled_and_does_not_grow_the_slots() -> None:
    slots, sizes = no_slots(16), []
    for tick in range(500):
        slots, _, _ = assign(slots, [key(10 * tick + n) for n in range(8)], tick, 5)
        sizes.append(len(slots.keys))
    assert max(sizes) <= 64


def assigned_one_by_one(
    slots: Slots, keys: Sequence[SeriesKey], tick: int, forget: int
) -> tuple[tuple[SeriesKey | None, ...], list[int], list[bool]]:
    """Keys by slot, where each series is and what starts afresh, every slot looked at."""
    seen = slots.seen.tolist()
    for wanted in keys:
        if wanted in slots.index:
            seen[slots.index[wanted]] = tick
    missing = sorted((k for k in keys if k not in slots.index), key=lambda k: k.subject)
    held = list(slots.keys)
    if missing:
        held = [None if seen[n] < tick - forget else k for n, k in enumerate(held)]
        while held.count(None) < len(missing):
            held += [None] * len(held)
    fresh = [False] * len(held)
    for new in missing:
        place = held.index(None)
        held[place], fresh[place] = new, True
    return tuple(held), [held.index(k) for k in keys], fresh


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.sets(st.integers(0, 30), max_size=12)),
        min_size=1,
        max_size=30,
    )
)
def test_slots_are_those_of_looking_at_every_one(ticks: list[tuple[int, set[int]]]) -> None:
    slots, tick, forget = no_slots(4), -1, 5
    for passed, present in ticks:
        tick += passed
        keys = [key(n) for n in sorted(present, key=str)]
        wanted = assigned_one_by_one(slots, keys, tick, forget)
        slots, where, fresh = assign(slots, keys, tick, forget)
        assert (slots.keys, where.tolist(), fresh.tolist()) == wanted
        assert slots.index == {k: n for n, k in enumerate(slots.keys) if k is not None}
        assert {n for n, at in enumerate(slots.seen.tolist()) if at >= 0} == set(
            slots.index.values()
        )
