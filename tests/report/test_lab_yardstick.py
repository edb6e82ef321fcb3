"""What is said of the clairvoyant: who beat it, by more than chance, and what doubling found."""

from dataclasses import replace

import pytest

from homeostat.report.lab_oracle import (
    Beaten,
    Doubled,
    Measured,
    Oracle,
    from_json,
    markdown,
    shown,
    to_json,
)
from homeostat.report.lab_results import Figure, Machine, ResultsError

NONE = Figure(value=None, n=0)
MORE = Beaten(scenario="S08", more=0.5, low=-0.1)


def found(*beaten: Beaten, doubled: dict[str, Doubled] | None = None) -> Oracle:
    share = Figure(value=0.5, low=0.4, high=0.6, n=43)
    return Oracle(
        version="0.1.0", made_at="2026-11-22T00:00:00Z", commit="c" * 40,
        command="homeostat lab oracle", wall_s=60.0,
        machine=Machine(cpu="a", cores=2, python="3.11", jax="0.10"), catalogue="catalogue",
        catalogue_digest="d" * 64, seed_first=0, seeds=2, scenarios=43, shown=("hold", "hpa"),
        policies={"hpa": Measured(share=share, mttr_ratio=NONE, beaten=()),
                  "runbook": Measured(share=share, mttr_ratio=NONE, beaten=beaten)},
        doubled=doubled or {},
    )  # fmt: skip


def test_it_goes_through_json_and_back() -> None:
    one = found(MORE, doubled={"S02": Doubled(hold=-2.0, usual=-1.0, twice=-0.995)})
    assert from_json(to_json(one)) == one
    with pytest.raises(ResultsError, match="oracle"):
        from_json("{}")


@pytest.mark.parametrize(
    ("beaten", "passes"),
    [
        ((), True),
        ((MORE,), True),
        ((replace(MORE, low=0.01),), False),
        ((replace(MORE, low=None),), False),
    ],
)
def test_it_is_beaten_where_the_interval_says_so(
    beaten: tuple[Beaten, ...], *, passes: bool
) -> None:
    assert found(*beaten).passes is passes


@pytest.mark.parametrize(
    ("twice", "gain", "passes"), [(-0.995, 0.005, True), (-0.99, 0.01, False), (-1.2, -0.2, True)]
)
def test_twice_the_effort_may_gain_less_than_a_hundredth(
    twice: float, gain: float, *, passes: bool
) -> None:
    one = Doubled(hold=-2.0, usual=-1.0, twice=twice)
    assert one.gain == pytest.approx(gain)
    assert found(doubled={"S02": one}).passes is passes


def test_a_search_that_gains_nothing_shows_nothing() -> None:
    one = Doubled(hold=-1.0, usual=-1.0, twice=-1.0)
    assert one.gain is None
    assert not found(doubled={"S02": one}).passes
    assert "nothing to gain" in markdown(found(doubled={"S02": one}))


def test_the_table_names_where_it_is_beaten() -> None:
    text = markdown(found(MORE, Beaten(scenario="S01", more=0.2, low=0.1)))
    assert "| runbook | 0.50 (0.40 to 0.60) | not measured | S01; 1 within the interval |" in text
    assert "hpa (shown)" in text
    rows = shown(found(), plain=False)
    assert [row["more"] for row in rows] == ["none", "none"]
    assert shown(found(), plain=True)["shown"] == ["hold", "hpa"]
