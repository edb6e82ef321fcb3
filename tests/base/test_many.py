"""Values built column by column are what their own constructor would have made."""

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
