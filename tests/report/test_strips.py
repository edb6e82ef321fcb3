"""A picture of an episode keeps its extremes, its gaps, and who did what when."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.report.lab_html import standalone
from homeostat.report.strips import Strip, strip, thin, told


def lines(picture: ET.Element, style: str) -> str:
    return next(e.attrib["d"] for e in picture.iter("path") if e.attrib["class"] == style)


def drawn(episode: Strip) -> ET.Element:
    return ET.fromstring(strip(episode))


def test_a_spike_of_one_second_is_seen_in_a_picture_of_four_hours() -> None:
    values = np.full(14_400, 0.1)
    values[7_777] = 9.0
    assert thin(values, 360, "max").max() == 9.0
    assert thin(-values, 360, "min").min() == -9.0


@given(
    values=st.lists(st.floats(0.0, 1e6) | st.just(float("nan")), min_size=1, max_size=700),
    count=st.integers(1, 360),
)
def test_thinning_stays_within_what_was_and_keeps_the_unknown_unknown(
    values: list[float], count: int
) -> None:
    array = np.array(values)
    low, mean, high = (thin(array, count, how) for how in ("min", "mean", "max"))
    assert len(mean) <= count
    known = ~np.isnan(mean)
    assert known.any() == (~np.isnan(array)).any()
    assert (low[known] <= mean[known] * (1 + 1e-9) + 1e-9).all()
    assert (mean[known] <= high[known] * (1 + 1e-9) + 1e-9).all()


def test_a_gap_in_a_signal_is_a_gap_in_its_line(happened: Strip) -> None:
    assert lines(drawn(happened), "is-latency").count("M") == 2
    whole = dict(happened.lines)
    whole["p99_s"] = np.nan_to_num(whole["p99_s"], nan=0.1)
    assert lines(drawn(replace(happened, lines=whole)), "is-latency").count("M") == 1


def test_every_mark_names_its_time_and_deed(happened: Strip) -> None:
    titles = [e.text for e in drawn(happened).iter("title")][1:]
    assert titles == ["15 min: a person is told", "20 min: K1", "25 min: replicas"]


def test_a_fault_is_shaded_for_as_long_as_it_lasts(happened: Strip) -> None:
    shades = [e.attrib for e in drawn(happened).iter("rect") if e.attrib["class"] == "fault"]
    assert len(shades) == 1
    # Half an hour of an hour, on the width between the margins.
    assert abs(float(shades[0]["width"]) - (1080 - 52 - 12) / 2) < 1.0


def test_capacity_far_above_demand_does_not_flatten_the_demand(happened: Strip) -> None:
    spare = dict(happened.lines)
    spare["capacity"] = spare["capacity"] * 1000
    plain, roomy = (
        lines(drawn(replace(happened, lines=values)), "is-good")
        for values in (happened.lines, spare)
    )
    assert plain == roomy


def test_an_episode_without_a_request_or_a_limit_is_drawn_all_the_same() -> None:
    nothing = np.full(60, np.nan)
    names = (
        "demand", "good", "capacity", "p99_s", "quality", "slice_quality", "ready", "held",
        "usd_per_hour",
    )  # fmt: skip
    empty = Strip(title="nothing", lines=dict.fromkeys(names, nothing))
    assert "no good answers" in told(empty)
    assert not re.search(r"nan|inf", strip(empty).replace("nothing", ""))


def test_a_picture_file_carries_its_own_colours(happened: Strip) -> None:
    picture = ET.fromstring(standalone(strip(happened)))
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    style = next(picture.iter("{http://www.w3.org/2000/svg}style")).text or ""
    assert "prefers-color-scheme: dark" in style
    assert ".is-good" in style


def test_the_sentence_counts_what_was_done(happened: Strip) -> None:
    said = told(happened)
    assert "fault from 10 min to 40 min" in said
    assert "1 interventions, a person told 1 times" in said


def test_a_slice_that_suffers_is_seen_beside_an_average_that_does_not(happened: Strip) -> None:
    picture = drawn(happened)
    levels = {
        style: [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", lines(picture, style))]
        for style in ("is-slice", "is-quality")
    }
    assert max(levels["is-slice"]) > max(levels["is-quality"])  # SVG counts downwards
    assert min(levels["is-slice"]) == min(levels["is-quality"])
