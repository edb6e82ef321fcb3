"""The joint gate: a good controller passes, and neither idleness nor alarm does."""

import pytest
from policies_by_hand import STYLES, Style, everyone, scored

from homeostat.lab.gate import checks, passed
from homeostat.lab.metrics import arms
from homeostat.lab.metrics_score import Scores


def sides(name: str, scores: dict[str, Scores] | None = None) -> dict[str, set[bool | None]]:
    """What each side of the gate says of a policy."""
    out: dict[str, set[bool | None]] = {}
    for one in checks(arms(name, scores or everyone())):
        out.setdefault(one.name.partition(":")[0], set()).add(one.passed)
    return out


@pytest.mark.parametrize("name", ["ours", "oracle"])
def test_a_policy_that_repairs_and_tells_in_time_passes(name: str) -> None:
    conditions = checks(arms(name, everyone()))
    assert [one.because for one in conditions if one.passed is not True] == []
    assert passed(conditions)


def test_always_hold_fails_safety_repair_and_quality() -> None:
    got = sides("hold")
    assert not passed(checks(arms("hold", everyone())))
    assert False in got["safety"]  # K7 by standing by
    assert got["repair"] == {False}
    assert False in got["quality"]
    assert got["intervention"] == {True}  # the only thing it is good at


def test_always_escalate_fails_repair_and_intervention() -> None:
    got = sides("escalate")
    assert not passed(checks(arms("escalate", everyone())))
    assert got["safety"] == {True}
    assert got["repair"] == {False}
    assert got["intervention"] == {False}


def test_threshold_alerts_and_hpa_fail_as_well() -> None:
    assert False in sides("threshold")["repair"]
    assert False in sides("hpa")["safety"]


@pytest.mark.parametrize(
    ("style", "side"),
    [
        (Style(repair_s=80.0, page_s=60.0, pages=("S23",), names=True), "repair"),  # 80 > 75
        (Style(repair_s=70.0, page_s=135.0, pages=("S23",), names=True), "repair"),  # > 120
        (Style(repair_s=70.0, page_s=60.0, pages=("S23",), names=False), "repair"),
        (Style(repair_s=70.0), "safety"),
        (Style(repair_s=70.0, page_s=60.0, pages=("S23", "S43"), names=True), "intervention"),
    ],
)
def test_falling_short_on_one_side_is_enough_to_fail(style: Style, side: str) -> None:
    scores = everyone() | {"ours": scored(style)}
    assert False in sides("ours", scores)[side]
    assert not passed(checks(arms("ours", scores)))


def test_a_repair_that_takes_hours_is_said_in_hours() -> None:
    scores = everyone() | {"ours": scored(Style(repair_s=5400.0))}
    said = {one.name: one.because for one in checks(arms("ours", scores))}
    assert "5400 s (1.5 h)" in said["repair: p95 within its limit where a controller can repair"]


def test_what_cannot_be_judged_is_not_passed() -> None:
    alone = checks(arms("ours", {"ours": scored(STYLES["ours"])}))
    assert {one.passed for one in alone} == {True, None}
    assert not passed(alone)
    assert "no oracle in this run" in {one.because for one in alone}
    assert not passed(())
