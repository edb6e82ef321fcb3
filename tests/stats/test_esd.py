"""ESD against Rosner's published example, R's steps, and the definition applied step by step."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.stats.esd import MAD_SIGMA, Direction, critical_values, esd

ORACLES = Path(__file__).parents[3] / "shared" / "oracles"
# NIST/SEMATECH e-Handbook 1.3.5.17.3: Rosner's 54 values, ten steps, three outliers.
ROSNER = Path(__file__).parents[1] / "oracles" / "control_charts.json"


def test_rosners_example_agrees_in_all_of_the_handbooks_ten_steps() -> None:
    oracle = json.loads(ROSNER.read_text())["rosner_nist"]
    assert set(oracle) == {"data", "alpha", "r", "steps_i_R_lambda_value"}  # nothing is left out
    values = np.array(oracle["data"])
    step, deviation, critical, removed = zip(*oracle["steps_i_R_lambda_value"], strict=True)
    test = esd(values, oracle["r"], oracle["alpha"], hybrid=False)
    assert step == tuple(range(1, oracle["r"] + 1))
    assert values[test.removed].tolist() == list(removed)
    assert test.deviation == pytest.approx(deviation, abs=5.1e-4)  # as printed, to three places
    assert test.critical == pytest.approx(critical, abs=5.1e-4)
    assert test.outliers == 3
    assert values[test.found].tolist() == list(removed[:3])


def test_the_hybrids_steps_are_those_of_twitters_program() -> None:
    steps = ORACLES / "shesd_twitter_R_lambda_steps.csv"
    if not steps.exists():
        pytest.skip(f"needs R's steps at {steps}")
    values = read("twitter_raw_data.csv", "count")
    season = read("stl_R_twitter_periodic_robust.csv", "seasonal")
    test = esd(values - season - np.median(values), 287, 0.05)
    assert (test.removed + 1).tolist() == read(steps.name, "index1").astype(int).tolist()
    assert test.deviation == pytest.approx(read(steps.name, "R"), rel=1e-10)
    assert test.critical == pytest.approx(read(steps.name, "lambda"), rel=1e-10)
    assert test.outliers == 131


def read(name: str, column: str) -> Any:
    with (ORACLES / name).open() as file:
        return np.array([float(row[column]) for row in csv.DictReader(file)])


def step_by_step(values: list[float], most: int, direction: Direction, *, hybrid: bool) -> Any:
    """Return removed places and deviations, from the definition."""
    places, out = list(range(len(values))), []
    for _ in range(most):
        left = np.array([values[place] for place in places])
        centre = np.median(left) if hybrid else left.mean()
        scale = MAD_SIGMA * np.median(np.abs(left - centre)) if hybrid else left.std(ddof=1)
        if not scale > 0.0:
            break
        off = left - centre
        size = {Direction.BOTH: np.abs(off), Direction.POS: off, Direction.NEG: -off}[direction]
        share = size / scale
        first = int(np.argmax(share))
        out.append((places.pop(first), float(share[first])))
    return out


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(-30, 30), min_size=4, max_size=40),
    st.sampled_from(Direction),
)
def test_the_quick_way_takes_the_values_that_the_definition_takes(
    values: list[int], direction: Direction
) -> None:
    numbers = [float(value) for value in values]
    most = len(numbers) // 2 - 1
    test = esd(np.array(numbers), most, direction=direction)
    wanted = step_by_step(numbers, most, direction, hybrid=True)
    assert test.removed.tolist() == [place for place, _ in wanted]
    assert test.deviation == pytest.approx([size for _, size in wanted])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 60), st.sampled_from(Direction))
def test_the_textbook_form_takes_them_too(seed: int, n: int, direction: Direction) -> None:
    values = 1e6 + np.random.default_rng(seed).standard_t(3, n)
    most = n // 3
    test = esd(values, most, direction=direction, hybrid=False)
    wanted = step_by_step(values.tolist(), most, direction, hybrid=False)
    assert test.removed.tolist() == [place for place, _ in wanted]
    assert test.deviation == pytest.approx([size for _, size in wanted], rel=1e-5)


def test_outliers_cannot_hide_each_other() -> None:
    values = np.random.default_rng(3).standard_normal(200)
    values[:20] = 50.0  # a deviation's scale that they spoil themselves
    assert set(esd(values, 40).found.tolist()) >= set(range(20))
    assert esd(values, 40, hybrid=False).deviation[0] < 4.0  # what hides them in the first step


@pytest.mark.slow
def test_noise_has_outliers_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(4)
    runs = 2_000
    found = sum(
        esd(rng.standard_normal(60), 6, 0.05, hybrid=False).outliers > 0 for _ in range(runs)
    )
    assert abs(found / runs - 0.05) < 3.0 * np.sqrt(0.05 * 0.95 / runs)


def test_one_side_is_tested_at_twice_the_level() -> None:
    two = critical_values(100, 5, 0.05, two_sided=True)
    assert critical_values(100, 5, 0.025, two_sided=False) == pytest.approx(two)


def test_values_without_spread_end_the_test() -> None:
    test = esd(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 9.0]), 2)
    assert (test.outliers, len(test.removed)) == (0, 0)


def test_the_unknown_and_the_impossible_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        esd(np.array([1.0, np.nan, 2.0]), 1)
    with pytest.raises(ValueError, match="2 of 3"):
        esd(np.array([1.0, 2.0, 3.0]), 2)
    with pytest.raises(ValueError, match=r"at 1\.5"):
        esd(np.arange(9.0), 2, 1.5)
