"""Twitter's answers on all fifteen golden sets; bad input is an answer with a reason."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.detect.shesd_exact import Options, Threshold, shesd
from homeostat.stats.esd import Direction

SHARED = Path(__file__).parents[3] / "shared"
GOLDEN = SHARED / "oracles" / "shesd_golden.json"
SETS = (
    "twitter_both_002",
    "twitter_pos_002",
    "twitter_neg_002",
    "twitter_both_lastperiod",
    "twitter_both_longterm",
    "twitter_both_longterm3d",
    "twitter_both_medmax",
    "twitter_both_p95",
    "twitter_both_a001",
    "nab_art_daily_jumpsup",
    "nab_ec2_cpu_utilization_24ae8d",
    "nab_ec2_cpu_utilization_825cc2",
    "nab_rds_cpu_utilization_cc0c53",
    "nab_elb_request_count_8c0756",
    "nab_ec2_network_in_257a54",
)


def golden() -> dict[str, Any]:
    if not GOLDEN.exists():
        pytest.skip(f"needs the answers of Twitter's program at {GOLDEN}")
    answers: dict[str, Any] = json.loads(GOLDEN.read_text())
    return answers


def series(name: str) -> Any:
    if name.startswith("twitter"):
        path, column = SHARED / "oracles" / "twitter_raw_data.csv", "count"
    else:
        wanted = name.removeprefix("nab_") + ".csv"
        paths = sorted((SHARED / "data" / "nab").rglob(wanted))
        if not paths:
            pytest.skip(f"needs NAB's {wanted} under {SHARED / 'data' / 'nab'}")
        path, column = paths[0], "value"
    with path.open() as file:
        return np.array([float(row[column]) for row in csv.DictReader(file)])


def options(args: dict[str, Any]) -> Options:
    return Options(
        period=args["period"],
        direction=Direction(args["direction"]),
        alpha=args.get("alpha", 0.05),
        max_anoms=args["max_anoms"],
        longterm_period=args.get("longterm_period"),
        only_last=args.get("only_last", False),
        threshold=Threshold(args["threshold"]) if "threshold" in args else None,
    )


@pytest.mark.parametrize("name", SETS)
def test_every_anomaly_is_the_one_that_twitters_program_finds(name: str) -> None:
    answer = golden()[name]
    values = series(name)
    assert len(values) == answer["n"]
    found = shesd(values, options(answer["args"]))
    order = np.argsort(answer["index1"])  # theirs is by piece, ours by time
    assert (found.index + 1).tolist() == np.atleast_1d(answer["index1"])[order].tolist()
    assert found.value == pytest.approx(np.atleast_1d(answer["value"])[order], rel=1e-12)
    if name != "twitter_both_longterm3d":  # where pieces overlap, theirs mixes up the expected
        # A whole number off where the values are millions; equal everywhere else.
        wanted = np.atleast_1d(answer["expected"])[order]
        assert found.expected == pytest.approx(wanted, rel=2e-5, abs=0.0)


def test_no_golden_set_is_left_out() -> None:
    assert sorted(golden()) == sorted(SETS)


def season(n: int, period: int, seed: int = 0) -> Any:
    """Return a season with uniform noise: no tails, so nothing in it is an outlier."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(-1.5, 1.5, n)
    return 100.0 + 10.0 * np.sin(2.0 * np.pi * np.arange(n) / period) + noise


def test_a_shift_and_a_scale_change_nothing() -> None:
    values = season(480, 48)
    values[[100, 333]] += [15.0, -15.0]
    plain = shesd(values, Options(period=48))
    moved = shesd(-3.0 * values + 1e4, Options(period=48))
    assert plain.index.tolist() == [100, 333]
    assert moved.index.tolist() == [100, 333]


def test_directions_split_what_both_find() -> None:
    values = season(480, 48)
    values[[100, 333]] += [15.0, -15.0]
    up = shesd(values, Options(period=48, direction=Direction.POS))
    down = shesd(values, Options(period=48, direction=Direction.NEG))
    assert (up.index.tolist(), down.index.tolist()) == ([100], [333])


def test_unknown_values_at_the_ends_only_move_the_places() -> None:
    values = season(480, 48)
    values[100] += 15.0
    padded = np.concatenate(([np.nan, np.inf], values, [np.nan]))
    assert shesd(padded, Options(period=48)).index.tolist() == [102]


def test_a_gap_inside_leaves_the_rest_judged() -> None:
    values = season(480, 48)
    values[[100, 400]] += 15.0
    values[200:290] = np.nan  # almost two periods
    assert shesd(values, Options(period=48)).index.tolist() == [100, 400]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "no value is known"),
        ([np.nan, np.inf], "no value is known"),
        ([1.0], "fewer than two periods"),
        ([1.0] * 95, "fewer than two periods"),
        ([7.0] * 480, "no spread"),
        (np.tile(np.arange(48.0), 10), "no spread"),
        ([1.0, *[np.nan] * 200, 2.0], "no spread"),
    ],
)
def test_what_cannot_be_judged_is_unknown_with_a_reason(values: Any, why: str) -> None:
    found = shesd(values, Options(period=48))
    assert why in found.unknown
    assert not len(found.index)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"period": 1}, "period must be at least 2, got 1"),
        ({"period": 9, "alpha": 0.0}, "alpha must be in"),
        ({"period": 9, "max_anoms": 0.5}, r"max_anoms must be in \(0, 0.49\], got 0.5"),
        ({"period": 9, "max_anoms": float("nan")}, "max_anoms must be in"),
        ({"period": 9, "longterm_period": 17}, r"at least two periods \(18\), got 17"),
    ],
)
def test_impossible_settings_name_themselves(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options(**wrong)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, 1.5, -2.0, 1e12]), max_size=60),
    st.integers(2, 12),
)
def test_nothing_that_is_fed_breaks_it(values: list[float], period: int) -> None:
    found = shesd(values, Options(period=period))
    assert np.isfinite(found.value).all()
    assert len(found.index) <= max(0.1 * len(values), 1)
