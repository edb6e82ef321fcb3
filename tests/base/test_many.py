"""Values built column by column are what their own constructor would have made."""

import pickle
from dataclasses import FrozenInstanceError, replace
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.evidence import Anomaly, SeriesKey, Verdict
from homeostat.base.many import many
from homeostat.signals.fleet import Config

ENTRY = st.tuples(st.text(max_size=3), st.none() | st.floats(0.0, 9.0))


@given(rows=st.lists(ENTRY, max_size=5))
def test_they_are_what_the_constructor_makes(rows: list[tuple[str, float | None]]) -> None:
    made = many(
        Anomaly,
        len(rows),
        detector=repeat("d"),
        subject=[subject for subject, _ in rows],
        signal=repeat("memory"),
        verdict=repeat(Verdict.UNKNOWN),
        neg_log10_p=(left for _, left in rows),
    )
    assert made == [
        Anomaly(
            detector="d", subject=subject, signal="memory", verdict=Verdict.UNKNOWN, neg_log10_p=p
        )
        for subject, p in rows
    ]


def test_a_field_that_is_missing_or_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match="signal, until"):
        many(SeriesKey, 1, deployment="a", subject="b", until=[1])
    with pytest.raises(ValueError, match="__post_init__"):
        many(Config, 0, windows=[], forget_ticks=[], most_series=[])


@pytest.mark.parametrize("count", [0, 2])
def test_a_column_of_another_length_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="signal: 1 entries"):
        many(SeriesKey, count, deployment=repeat("a"), subject=repeat("b"), signal=["c"])


def test_a_column_that_ends_early_is_refused() -> None:
    with pytest.raises(ValueError, match="ends after 1 of 2"):
        many(SeriesKey, 2, deployment=repeat("a"), subject=repeat("b"), signal=(n for n in ["c"]))


def test_they_are_frozen_and_of_their_own_class() -> None:
    (made,) = many(SeriesKey, 1, deployment=["a"], subject=["b"], signal=["c"])
    alike = SeriesKey(deployment="a", subject="b", signal="c")
    assert type(made) is SeriesKey
    assert (repr(made), hash(made), {made: 1}[alike]) == (repr(alike), hash(alike), 1)
    assert replace(made, signal="d") == replace(alike, signal="d")
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(FrozenInstanceError):
        made.signal = "d"  # type: ignore[misc]  # that is what is tested
