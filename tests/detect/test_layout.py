"""What is known of the rows of a frame, and what is taken over from the frame before."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.evidence import SeriesKey
from homeostat.detect.layout import CHARTED, Layout, layout

REPLICA = names.replica("a-1")


def key(deployment: str, signal: str, subject: str = REPLICA) -> SeriesKey:
    return SeriesKey(deployment=deployment, subject=subject, signal=signal)


ONE = tuple(key("m1", s) for s in (names.BATCH_SIZE, names.DEVICE_TIME, names.MEMORY_SHARE))
TWO = tuple(key("m2", s) for s in (names.BATCH_SIZE, names.MEMORY_SHARE, names.PROCESS_UP))
MORE = (key("m1", names.ARRIVAL_RATE, names.GATEWAY), *ONE)


def test_rows_are_counted_over_all_deployments_and_places_within_one() -> None:
    rows = layout((*ONE, *TWO))
    assert rows.first == {"m1": 0, "m2": 3}
    assert rows.parts["m2"].places[REPLICA, names.PROCESS_UP] == 2
    assert rows.remembered.tolist() == [2, 4]
    assert rows.owner.tolist() == [0, 0, 0, 1, 1, 1]
    assert rows.charted.tolist() == [True, True, False, True, False, False]
    assert (rows.parts["m1"].sizes.tolist(), rows.parts["m1"].times.tolist()) == ([0], [1])
    assert rows.parts["m2"].sizes.tolist() == []  # no device time to pair with


def test_what_did_not_change_is_taken_over_at_its_new_place() -> None:
    before = layout((*ONE, *TWO))
    after = layout((*MORE, *TWO), before)
    assert after.parts["m2"] is before.parts["m2"]
    assert after.parts["m1"] is not before.parts["m1"]
    column = np.arange(10, 16)
    assert after.taken_over(before, column).tolist() == [-1, -1, -1, -1, 13, 14, 15]
    fresh = layout((*MORE, *TWO))
    for name in ("owner", "charted", "rule", "up", "down", "least", "share", "remembered"):
        np.testing.assert_array_equal(getattr(after, name), getattr(fresh, name))
    assert (after.keys, after.first) == (fresh.keys, fresh.first)
    assert (after.subjects, after.signals) == (fresh.subjects, fresh.signals)


def test_series_of_a_deployment_that_stand_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="m1 stand apart"):
        layout((*ONE, *TWO, *MORE))


def grouped(keys: tuple[SeriesKey, ...]) -> list[tuple[SeriesKey, ...]]:
    """The deployments' series, key by key."""
    return [tuple(own) for _, own in groupby(keys, key=lambda k: k.deployment)]


some = st.lists(
    st.sets(
        st.tuples(st.sampled_from(["m1", "m2", "m3"]), st.sampled_from(sorted(CHARTED))),
        max_size=12,
    ),
    min_size=1,
    max_size=6,
)


@given(some)
def test_parts_are_those_found_key_by_key(frames: list[set[tuple[str, str]]]) -> None:
    before: Layout | None = None
    for frame in frames:
        keys = tuple(key(*one) for one in sorted(frame))
        rows = layout(keys, before)
        assert [part.keys for part in rows.parts.values()] == grouped(keys)
        for name, part in rows.parts.items():
            known = None if before is None else before.parts.get(name)
            assert (known is not None and known.keys == part.keys) == (known is part)
        before = rows
