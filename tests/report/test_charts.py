"""Charts show what is there: places follow values, gaps stay gaps, names are escaped."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.report.charts import Axis, Look, Point, Series, interval, marker, points, steps
from homeostat.report.markup import Markup, join, tag
from homeostat.report.scales import Scale, apart, around, ticks, time_ticks

Y = Axis(label="share", text=lambda v: f"{v:g}")
NUMBERS = st.floats(-1e6, 1e6)


def drawn(share: list[float], name: str = "hpa") -> ET.Element:
    series = Series(
        name=name, x=[float(60 * i) for i in range(len(share))], y=share, look=Look(tone=4)
    )
    picture = steps([series], title="Curves", means="Higher is better.", y=Y, width=640.0)
    return ET.fromstring(picture)


def path_of(picture: ET.Element) -> str:
    return next(e.attrib["d"] for e in picture.iter("path") if e.attrib["class"] == "line")


def test_a_share_that_rises_is_drawn_upwards() -> None:
    levels = [float(v) for v in re.findall(r"V([\d.]+)", path_of(drawn([0.0, 0.5, 1.0])))]
    assert len(levels) == 2
    assert levels[0] > levels[1]  # SVG counts downwards


def test_a_share_stays_until_the_next_time_and_does_not_slope() -> None:
    path = path_of(drawn([0.0, 0.5, 0.5, 1.0]))
    assert "L" not in path
    assert re.fullmatch(r"M\S+ \S+H\S+V\S+H\S+H\S+V\S+", path)


def test_a_chart_says_in_words_what_it_shows() -> None:
    picture = drawn([0.0, 1.0])
    assert picture.attrib["role"] == "img"
    assert picture.attrib["aria-label"] == "Curves. Higher is better."


def test_names_from_outside_are_text_and_never_markup() -> None:
    picture = drawn([0.0, 1.0], name="<script>alert(1)</script>")
    assert [e.tag for e in picture.iter() if e.tag == "script"] == []
    assert any(e.text == "<script>alert(1)</script>" for e in picture.iter("text"))


def test_only_what_is_markup_stays_markup() -> None:
    made = tag("g", tag("b"), "<i>", None, title='a"b', class_=None)
    assert made == '<g title="a&quot;b"><b/>&lt;i&gt;</g>'
    assert isinstance(join(made, "<"), Markup)


def test_a_point_with_more_spend_stands_further_right_and_a_better_one_higher() -> None:
    found = [
        Point(name="hpa", x=(1.0, 2.0, 3.0), y=(0.90, 0.91, 0.92), look=Look(tone=4)),
        Point(name="keda", x=(5.0, 6.0, 7.0), y=(0.95, 0.96, 0.97), look=Look(tone=5)),
    ]
    picture = ET.fromstring(points(found, title="Cost", means="", x=Y, y=Y, width=640.0))
    whiskers = [e.attrib for e in picture.iter("line") if e.attrib["class"] == "whisker"]
    flat = [w for w in whiskers if w["y1"] == w["y2"]]
    assert float(flat[0]["x2"]) < float(flat[1]["x1"])
    assert float(flat[0]["y1"]) > float(flat[1]["y1"])


def test_names_of_points_that_are_close_do_not_cover_each_other() -> None:
    found = [
        Point(
            name=f"policy {i}", x=(2.0, 2.0, 2.0), y=(0.9, 0.9 + i / 1000, 0.95), look=Look(tone=i)
        )
        for i in range(6)
    ]
    picture = ET.fromstring(points(found, title="Cost", means="", x=Y, y=Y, width=640.0))
    names = [e.attrib for e in picture.iter("text") if e.attrib.get("class", "").startswith("name")]
    right = sorted(float(n["y"]) for n in names if float(n["x"]) > 301)
    left = sorted(float(n["y"]) for n in names if float(n["x"]) <= 301)
    assert len(names) == 6
    assert all(gap >= 12.0 for side in (left, right) for gap in np.diff(side))


def test_an_interval_bar_reaches_from_its_low_to_its_high_end() -> None:
    bar = ET.fromstring(interval(2.0, 4.0, 8.0, Scale(0.0, 10.0, 0.0, 100.0), Look(tone=3)))
    span = next(e.attrib for e in bar.iter("line") if e.attrib["class"] == "span")
    assert (span["x1"], span["x2"]) == ("20", "80")
    assert bar.attrib["aria-hidden"] == "true"


def test_tones_that_share_no_shape_are_told_apart_without_colour() -> None:
    assert len({marker(tone, 0.0, 0.0) for tone in range(6)}) == 6


@given(low=NUMBERS, span=st.floats(1e-6, 1e6), count=st.integers(1, 12))
def test_ticks_are_inside_even_and_about_as_many_as_asked(
    low: float, span: float, count: int
) -> None:
    found = ticks(low, low + span, count)
    assert all(low - 1e-3 * span <= v <= low + 1.001 * span for v in found)
    assert len(found) <= count + 1
    if len(found) > 2:
        assert np.ptp(np.diff(found)) <= 1e-6 * span + 1e-9 * abs(low)


@given(high=st.floats(1.0, 86400.0), count=st.integers(1, 12))
def test_times_along_an_axis_start_at_zero_and_stay_inside(high: float, count: int) -> None:
    found = time_ticks(high, count)
    assert found[0] == 0.0
    assert found[-1] <= high
    assert len(found) <= count + 1


@given(wanted=st.lists(st.floats(0.0, 300.0), min_size=1, max_size=16))
def test_labels_are_moved_apart_and_keep_their_order(wanted: list[float]) -> None:
    placed = apart(wanted, 15.0, 0.0, 300.0)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    gaps = np.diff([placed[i] for i in order])
    assert (gaps >= 15.0 - 1e-6).all()
    assert min(placed) >= -1e-6


def test_a_label_with_room_stays_where_it_is() -> None:
    assert apart([200.0, 50.0, 120.0], 15.0, 0.0, 300.0) == [200.0, 50.0, 120.0]


@given(values=st.lists(NUMBERS | st.just(float("nan")), max_size=9))
def test_a_range_holds_every_known_value_and_is_never_empty(values: list[float]) -> None:
    low, high = around(values)
    assert low < high
    assert all(low <= v <= high for v in values if not np.isnan(v))


@pytest.mark.parametrize("value", [-5.0, 15.0])
def test_what_lies_outside_a_scale_is_drawn_at_its_border(value: float) -> None:
    assert Scale(0.0, 10.0, 0.0, 100.0)(value) in {0.0, 100.0}
