"""Values built column by column are what their own constructor would have made."""

from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.evidence import Forecast
from homeostat.base.many import many
from homeostat.signals.fleet import Config

ENTRY = st.tuples(st.text(max_size=3), st.floats(allow_nan=False), st.none() | st.integers())


@given(rows=st.lists(ENTRY, max_size=5))
def test_they_are_what_the_constructor_makes(rows: list[tuple[str, float, int | None]]) -> None:
    made = many(
        Forecast,
        len(rows),
        subject=[subject for subject, _, _ in rows],
        signal=repeat("memory"),
        limit=[limit for _, limit, _ in rows],
        time_to_limit_ns=(left for _, _, left in rows),
    )
    assert made == [
        Forecast(subject=subject, signal="memory", limit=limit, time_to_limit_ns=left)
        for subject, limit, left in rows
    ]


def test_a_field_that_is_missing_or_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match="time_to_limit_ns, until"):
        many(Forecast, 1, subject="a", signal="b", limit=[1.0], until=[1])
    with pytest.raises(ValueError, match="__post_init__"):
        many(Config, 0, windows=[], forget_ticks=[], most_series=[])


@pytest.mark.parametrize("count", [0, 2])
def test_a_column_of_another_length_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="limit: 1 entries"):
        many(
            Forecast,
            count,
            subject=repeat("a"),
            signal=repeat("b"),
            limit=[1.0],
            time_to_limit_ns=repeat(None),
        )
