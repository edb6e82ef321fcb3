"""Figures: what is rare gets the bounds that resampling cannot give."""

import numpy as np
import pytest

from homeostat.lab.intervals import NOTHING, Draws, bounds, figure, rate
from homeostat.stats.bootstrap import ratio
from homeostat.stats.exact import clopper_pearson

NAMES = [f"S{number:02d}" for number in range(1, 44) for _ in range(100)]
NONE = np.zeros(len(NAMES), bool)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.asarray(Draws().of(NAMES)[:301])


def test_nothing_in_the_whole_catalogue_is_bounded_by_its_scenarios(rows: np.ndarray) -> None:
    got = rate(NONE, NAMES, rows, 0.95)
    assert (got.value, got.low, got.n) == (0.0, 0.0, 4300)
    assert f"{got.high:.1%}" == "6.7%"
    episodes, scenarios = bounds(NONE, NAMES, 0.95)
    assert (f"{episodes.upper:.2%}", episodes.events, episodes.n) == ("0.07%", 0, 4300)
    assert (f"{scenarios.upper:.1%}", scenarios.events, scenarios.n) == ("6.7%", 0, 43)


def test_everything_mirrors_nothing(rows: np.ndarray) -> None:
    got = rate(~NONE, NAMES, rows, 0.95)
    assert (got.value, got.high) == (1.0, 1.0)
    assert got.low is not None
    assert f"{got.low:.1%}" == "93.3%"


def test_a_rate_that_clusters_is_less_certain_than_its_episodes(rows: np.ndarray) -> None:
    hits = NONE.copy()
    hits[:200] = True  # two scenarios, always
    got = rate(hits, NAMES, rows, 0.95)
    exact = clopper_pearson(200, 4300)
    assert got.low is not None
    assert got.high is not None
    assert got.low <= exact[0]
    assert got.high > 2 * exact[1]  # two of 43 could have been six
    # And never more certain than them: one a scenario leaves little between scenarios.
    spread = NONE.copy()
    spread[::100] = True
    even = rate(spread, NAMES, rows, 0.95)
    low, high = clopper_pearson(43, 4300)
    assert even.low is not None
    assert even.high is not None
    assert even.low <= low
    assert even.high >= high


def test_one_scenario_alone_is_bounded_by_its_episodes() -> None:
    names = ["S07"] * 100
    got = rate(np.zeros(100, bool), names, Draws().of(names), 0.95)
    assert got.high == pytest.approx(1.0 - 0.05 ** (1 / 100))
    assert rate(np.zeros(0, bool), [], np.zeros((1, 0)), 0.95) == NOTHING


def test_draws_are_kept_and_begin_with_the_plain_sample() -> None:
    draws = Draws()
    assert draws.of(["a", "a", "b"]) is draws.of(("a", "a", "b"))
    assert draws.of(["a", "a", "b"])[0].tolist() == [1, 1, 1]


def test_a_figure_without_a_value_is_not_measured() -> None:
    many = Draws().of(["a", "b"])
    assert figure(lambda r: ratio(r, [1, 1], [0, 0]), many, 2, 0.95) == NOTHING
    assert figure(lambda r: ratio(r, [1, 1], [1, 1]), many, 0, 0.95) == NOTHING
    got = figure(lambda r: ratio(r, [1, 3], [1, 1]), many, 2, 0.95)
    assert (got.value, got.low, got.high, got.n) == (2.0, 1.0, 3.0, 2)
