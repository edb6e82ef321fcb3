"""The page of a training run shows every seed's curve, with gaps where nothing is known."""

import math
import re
from xml.etree import ElementTree as ET

from homeostat.report.train_page import curve, page

NAN = math.nan


def drawn(rows: list[list[float]]) -> ET.Element:
    return ET.fromstring(curve(rows, "reward of a step", "Higher is better.", 128))


def paths(rows: list[list[float]]) -> list[str]:
    return [one.attrib["d"] for one in drawn(rows).iter("path") if one.attrib["class"] == "line"]


def test_a_reward_that_rises_is_drawn_upwards_and_to_the_right() -> None:
    corners = re.findall(r"([\d.]+) ([\d.]+)", paths([[-3.0, -2.0, -1.0]])[0])
    across, down = zip(*((float(x), float(y)) for x, y in corners), strict=True)
    assert list(across) == sorted(across)
    assert list(down) == sorted(down, reverse=True)
    assert len(set(across)) == len(set(down)) == 3


def test_a_gap_is_not_bridged_and_a_value_between_two_gaps_is_a_dot() -> None:
    rows = [[1.0, 2.0, NAN, 3.0, NAN, 4.0, 5.0]]
    assert paths(rows)[0].count("M") == 2
    assert paths(rows)[0].count("L") == 2
    assert len([one for one in drawn(rows).iter("circle") if one.attrib["class"] == "dot"]) == 1


def test_each_seed_has_its_own_line_and_nothing_known_draws_none() -> None:
    assert len(paths([[1.0, 2.0], [2.0, 1.0], [NAN, NAN]])) == 2
    assert paths([[]]) == []


def test_the_page_says_what_it_shows_and_escapes_what_it_is_given() -> None:
    said = {"seeds": [0, 1], "steps_an_update": 512, "config": {"rate": 3e-4, "odd": "<b>"}}
    text = page(said, {"reward": [[-1.0, -0.5], [-1.0, -0.7]], "entropy": [[2.0], [2.0]]}, "1.0")
    assert "2 updates of 512 steps for each of 2 seeds." in text
    assert "Reward of a step" in text
    assert "Entropy, nats" in text
    assert "Learning rate" not in text  # no such curve was given
    assert "&lt;b&gt;" in text
    assert "<script" not in text
