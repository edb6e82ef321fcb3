import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.detect.breach_any import any_breach

CHANCE = st.floats(0.0, 1.0)


@given(st.lists(st.tuples(CHANCE, CHANCE), min_size=1, max_size=6))
def test_the_point_lies_within_what_is_possible(pairs: list[tuple[float, float]]) -> None:
    said = any_breach({str(i): p for i, (p, _) in enumerate(pairs)})
    assert said.chance is not None
    assert said.low <= said.chance + 1e-12
    assert said.chance <= said.high + 1e-12


@given(st.lists(CHANCE, min_size=1, max_size=5), CHANCE)
def test_one_more_way_to_fail_is_never_better(chances: list[float], more: float) -> None:
    before = any_breach({str(i): p for i, p in enumerate(chances)})
    after = any_breach({**{str(i): p for i, p in enumerate(chances)}, "more": more})
    assert before.chance is not None
    assert after.chance is not None
    assert (after.low, after.high) >= (before.low, before.high)
    assert after.chance >= before.chance - 1e-12


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_an_unknown_signal_may_hold_anything(nothing: float | None) -> None:
    said = any_breach({"latency": 0.3, "errors": nothing})
    assert (said.low, said.high, said.chance) == (0.3, 1.0, None)
    assert (said.first, said.unknown) == ("latency", ("errors",))


def test_no_signals_are_unknown_and_not_safe() -> None:
    said = any_breach({})
    assert (said.low, said.high, said.chance, said.first) == (0.0, 1.0, None, None)


def test_of_equals_the_first_by_name_is_named() -> None:
    assert any_breach({"b": 0.5, "a": 0.5}).first == "a"


@pytest.mark.parametrize("wrong", [-0.1, 1.1])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="breach of errors"):
        any_breach({"errors": wrong})
