"""Recorded load: forms that are read, rows that are refused, and what a replay keeps."""

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.lab.draw import draw
from homeostat.lab.scenario import Load, Peaks, Profile, fixed
from homeostat.lab.scenario_errors import DrawError, TraceError
from homeostat.lab.traces import Recorded, read, replay
from homeostat.testing.catalogue import scenario
from homeostat.twin.shapes import LOAD_KNOTS

DATA = Path(__file__).parents[3] / "shared/data/traces"


def shared(name: str) -> Recorded:
    file = DATA / name
    if not file.exists():
        pytest.skip(f"no recorded loads beside this checkout (../shared/data/traces/{name})")
    return read(file.read_bytes(), name, name)


def refused(text: str) -> TraceError:
    with pytest.raises(TraceError) as caught:
        read(text.encode(), "my.csv", "mine")
    return caught.value


def own(text: str) -> Recorded:
    return read(text.encode(), "my.csv", "mine")


def test_a_rate_holds_until_the_next_row() -> None:
    found = own("timestamp,value\n0,10\n60,30\n120,0\n")
    assert (found.step_s, list(found.rps)) == (60.0, [10.0, 30.0, 0.0])


def test_a_count_is_of_the_time_since_the_row_before() -> None:
    found = own("timestamp,requests\n0,999\n60,600\n120,1200\n")
    assert (found.step_s, list(found.rps)) == (60.0, [10.0, 20.0])


def test_uneven_rows_keep_every_request() -> None:
    found = own("timestamp,requests\n0,0\n10,100\n40,60\n")
    assert found.step_s == 10.0
    assert list(found.rps) == [10.0, 2.0, 2.0, 2.0]
    assert float(found.rps.sum() * found.step_s) == 160.0


def test_dates_and_seconds_are_both_times() -> None:
    dated = own("timestamp,value\n1998-04-30 23:59:00,1\n1998-05-01T00:00:00Z,2\n")
    plain = own("timestamp,value\n0,1\n60,2\n")
    assert np.array_equal(dated.rps, plain.rps)
    assert dated.step_s == plain.step_s


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001  # hypothesis wants naive bounds
def test_a_date_is_the_seconds_that_the_calendar_says(when: datetime) -> None:
    when = when.replace(microsecond=0)
    later = when.replace(tzinfo=UTC).timestamp() + 7
    found = own(f"timestamp,value\n{when:%Y-%m-%d %H:%M:%S},1\n{later:.0f},2\n")
    assert found.step_s == 7.0


@pytest.mark.parametrize(
    ("text", "line", "help_given"),
    [
        ("timestamp,value\n0,1\n60,\n", 3, "missing; a gap is not zero"),
        ("timestamp,value\n0,1\n60,-2\n", 3, "cannot be a load"),
        ("timestamp,value\n0,1\n60,nan\n", 3, "cannot be a load"),
        ("timestamp,value\n0,1\n60,inf\n", 3, "cannot be a load"),
        ("timestamp,value\n0,1\n60,many\n", 3, "is no number"),
        ("timestamp,value\n60,1\n0,2\n", 3, "sort by time"),
        ("timestamp,value\n0,1\n0,2\n", 3, "the same time twice"),
        ("timestamp,value\n0,1\n\n60,2\n", 3, "an empty row"),
        ("timestamp,value\n0,1\n60\n", 3, "1 cells, expected 2"),
        ("timestamp,value\n0,1\nnoon,2\n", 3, "is needed"),
        ("timestamp,value\n0,1\n1998-13-01 00:00:00,2\n", 3, "is needed"),
        ("timestamp,value\n0,1\n", 2, "at least 2"),
        ("time,load\n0,1\n", 1, "timestamp,value"),
        ("", 1, "empty"),
        ('{"timestamp": 0}\n{"timestamp": -1}\n', 2, "milliseconds from 0"),
        ('{"timestamp": 5}\n{"timestamp": 1}\n', 2, "sort by time"),
        ('{"timestamp": 0}\nnot json\n', 2, "no JSON object"),
        ('{"timestamp": 0}\n[1]\n', 2, "no JSON object"),
        ('{"timestamp": NaN}\n', 1, "milliseconds from 0"),
        ('{"timestamp": 0}\n', 1, "at least 2"),
        ('{"timestamp": 0}\n{"timestamp": 1' + 400 * "0" + "}\n", 2, "milliseconds from 0"),
        ('{"timestamp": 0}\n{"timestamp": 1' + 5000 * "0" + "}\n", 2, "no JSON object"),
        # What would fill the memory with time in which nothing was recorded.
        ('{"timestamp": 0}\n{"timestamp": 1e17}\n', 1, "seconds from the first request"),
        ("timestamp,value\n0,1\n1e-9,1\n1e9,2\n", 3, "1e+18 steps of 1e-09 s"),
        ("timestamp,requests\n0,1\n1e9,1\n1000000000.5,2\n", 4, "record it coarser"),
        ("period,count\n0,1\n60,1\n1800,1\n", 4, "28 minutes before this row are missing"),
        ("period,count\n0,1\n300,1\n", 3, "4 minutes before this row are missing"),
        ("period,count\n0,1\n1e15,2\n", 3, "minutes, at most 20000000 are read"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(
    text: str, line: int, help_given: str
) -> None:
    error = refused(text)
    assert error.line == line, str(error)
    assert help_given in error.problem, str(error)


def test_up_to_three_missing_minutes_lie_between_their_neighbours_and_are_not_zero() -> None:
    found = own("period,count\n0,60\n60,120\n300,600\n360,0\n420,60\n")
    assert list(found.rps) == [1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 0.0, 1.0]


def test_two_rows_of_one_minute_add_up() -> None:
    assert list(own("period,count\n0,60\n10,60\n60,60\n").rps) == [2.0, 1.0]


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(TraceError, match="not UTF-8"):
        read(b"timestamp,value\n\xff,1\n", "my.csv", "mine")


def test_a_replay_meets_the_mean_and_keeps_the_form() -> None:
    rates = np.repeat([1.0, 1.0, 5.0, 1.0], 300)
    knots = replay(
        Recorded(name="r", step_s=60.0, rps=rates),
        length_s=3600,
        mean_rps=100.0,
        compress=20.0,
        where=0.0,
    )
    assert knots.shape == (LOAD_KNOTS,)
    ends = np.asarray([0.5, *[1.0] * (LOAD_KNOTS - 2), 0.5])
    assert float(np.sum(knots * ends) / np.sum(ends)) == pytest.approx(100.0, rel=1e-5)
    assert knots.max() / knots.min() == pytest.approx(5.0, rel=0.01)


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(300, 900),
    where=st.floats(0.0, 1.0),
    compress=st.floats(0.5, 4.0),
)
def test_a_replay_loses_no_request_between_two_knots(
    seed: int, rows: int, where: float, compress: float
) -> None:
    rates = np.random.default_rng(seed).exponential(size=rows)
    recorded = Recorded(name="r", step_s=60.0, rps=rates)
    knots = replay(recorded, length_s=3600, mean_rps=7.0, compress=compress, where=where)
    assert np.isfinite(knots).all()
    assert (knots >= 0).all()
    ends = np.asarray([0.5, *[1.0] * (LOAD_KNOTS - 2), 0.5])
    assert float(np.sum(knots * ends) / np.sum(ends)) == pytest.approx(7.0, rel=1e-4)


def test_a_window_later_in_the_record_is_another_load() -> None:
    recorded = Recorded(
        name="r", step_s=60.0, rps=np.concatenate([np.ones(120), np.arange(1, 121.0)])
    )
    first = replay(recorded, length_s=3600, mean_rps=1.0, compress=1.0, where=0.0)
    last = replay(recorded, length_s=3600, mean_rps=1.0, compress=1.0, where=1.0)
    assert first.max() == pytest.approx(first.min())
    assert last[-1] / last[0] == pytest.approx(120 / 60, rel=0.05)


def test_a_record_that_is_too_short_or_silent_is_refused_with_the_fix() -> None:
    recorded = Recorded(name="short", step_s=60.0, rps=np.ones(30))
    with pytest.raises(DrawError, match=r"lower load\.compress to 0\.5"):
        replay(recorded, length_s=3600, mean_rps=1.0, compress=1.0, where=0.0)
    silent = Recorded(name="silent", step_s=60.0, rps=np.zeros(60))
    with pytest.raises(DrawError, match="no requests from 0 s to 3600 s"):
        replay(silent, length_s=3600, mean_rps=1.0, compress=1.0, where=0.0)


def test_a_scenario_replays_a_record_by_name_and_misses_it_loudly() -> None:
    from dataclasses import replace  # noqa: PLC0415  # `replay` is the word of this file

    load = Load(profile=Profile.TRACE, trace="mine", compress=fixed(2.0), peaks=Peaks.KEPT)
    found = replace(scenario("S01"), load=load)
    recorded = Recorded(name="mine", step_s=60.0, rps=np.arange(1, 241.0))
    episode = draw(found, 3, recorded={"mine": recorded})
    knots = np.asarray(episode.params.demand.knots_rps)
    assert knots[-1] > knots[0]
    assert knots.mean() == pytest.approx(episode.drawn["deployment.demand_rps"], rel=0.01)
    with pytest.raises(DrawError, match="did you mean 'mini'"):
        draw(found, 3, recorded={"mini": recorded})
    with pytest.raises(DrawError, match="none was given"):
        draw(found, 3)


def test_peaks_that_do_not_fit_are_scaled_down_with_all_the_load_unless_they_are_kept() -> None:
    from dataclasses import replace  # noqa: PLC0415  # `replay` is the word of this file

    quiet_and_rush = np.concatenate([np.ones(200), np.full(40, 50.0)])
    recorded = {"mine": Recorded(name="mine", step_s=60.0, rps=quiet_and_rush)}
    loads = {
        peaks: Load(profile=Profile.TRACE, trace="mine", compress=fixed(4.0), peaks=peaks)
        for peaks in Peaks
    }
    fit, kept = (
        draw(replace(scenario("S01"), load=loads[peaks]), 3, recorded=recorded)
        for peaks in (Peaks.FIT, Peaks.KEPT)
    )
    low, high = (np.asarray(one.params.demand.knots_rps) for one in (fit, kept))
    usual = kept.drawn["deployment.demand_rps"]
    assert high.mean() == pytest.approx(usual, rel=0.01)
    assert high.max() > 4 * usual  # a rush of nine times the mean and more
    assert low.max() < high.max()
    np.testing.assert_allclose(low / low.max(), high / high.max(), rtol=1e-4)
    capacity = usual / kept.drawn["deployment.base_rho"]
    assert usual <= low.max() < 0.95 * capacity < high.max()


def test_the_azure_trace_has_the_requests_and_the_length_it_is_known_for() -> None:
    found = shared("azure_llm_code.csv")
    assert float(found.rps.sum() * found.step_s) == 8819
    assert found.length_s / 60 == pytest.approx(57, abs=1)
    minutes = found.rps[: len(found.rps) // 60 * 60].reshape(-1, 60).mean(axis=1)
    assert minutes.max() / minutes.mean() == pytest.approx(4.2, abs=0.3)


def test_the_mooncake_trace_has_the_rate_it_is_known_for() -> None:
    found = shared("mooncake_synthetic.jsonl")
    assert float(found.rps.sum() * found.step_s) == 3993
    assert float(found.rps.mean()) == pytest.approx(3.91, rel=0.01)


@pytest.mark.slow
def test_the_world_cup_has_its_mean_and_its_peak() -> None:
    found = shared("worldcup98_per_minute_1.csv")
    per_minute = found.rps * 60
    assert per_minute.max() == pytest.approx(213235)
    assert np.median(per_minute[per_minute > 0]) > 0
    knots = replay(found, length_s=14400, mean_rps=50.0, compress=60.0, where=0.9)
    assert math.isfinite(float(knots.max()))
    assert knots.max() > 2 * knots.mean()
