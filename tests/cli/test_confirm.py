"""`homeostat confirm` and `get feedback`: a person's word about an incident, and what it moved."""

import time
from typing import Any

import pytest

from homeostat.base.events import Confirmed, FeedbackReset
from homeostat.base.evidence import Family
from homeostat.base.units import SECOND
from homeostat.cli.exits import Exit


def test_an_incident_is_called_real_or_nothing(shell: Any, controller: Any) -> None:
    said = shell("confirm", "credit", "i-0001", "--real", "--family", "network", "--by", "ann")
    assert (said.exit_code, said.stdout) == (Exit.OK, "")
    assert shell("confirm", "credit", "i-0001", "--nothing", "--why", "a test").exit_code == Exit.OK
    real, nothing = controller.submitted
    assert isinstance(real, Confirmed)
    assert (real.real, real.family, real.by) == (True, Family.NETWORK, "ann")
    assert (nothing.real, nothing.incident_id, nothing.why) == (False, "i-0001", "a test")


def test_what_was_missed_is_said_of_a_time_ago(
    shell: Any, controller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = controller.now / SECOND
    monkeypatch.setattr(time, "time", lambda: seconds)
    assert shell("confirm", "credit", "--missed", "20m").exit_code == Exit.OK
    (event,) = controller.submitted
    assert event.real
    assert abs(controller.now - event.about - 20 * 60 * SECOND) < SECOND


@pytest.mark.parametrize(("flag", "everything"), [("--forget", True), ("--resume", False)])
def test_it_forgets_or_goes_on(shell: Any, controller: Any, flag: str, everything: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert shell("confirm", "credit", flag).exit_code == Exit.OK
    (event,) = controller.submitted
    assert isinstance(event, FeedbackReset)
    assert event.everything is everything


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("i-0001",),
        ("i-0001", "--real", "--nothing"),
        ("i-0001", "--real", "--missed", "5m"),
        ("--real",),
        ("--forget", "--resume"),
        ("--missed", "soon"),
        ("i-0001", "--normal"),  # why?
        ("i-0001", "--normal", "--nothing", "--why", "so"),
        ("i-0001", "--normal", "--family", "load", "--why", "so"),
        ("--normal", "--why", "so"),
        ("--normal", "--missed", "5m", "--why", "so"),
    ],
)
def test_what_says_nothing_or_two_things_is_refused_here(
    shell: Any, controller: Any, words: tuple[str, ...]
) -> None:
    result = shell("confirm", "credit", *words)
    assert result.exit_code == Exit.USAGE
    assert "homeostat:" in result.stderr
    assert controller.submitted == []


def test_what_was_learnt_is_shown_of_one_deployment(shell: Any) -> None:
    shown = shell("get", "feedback", "credit")
    assert shown.exit_code == Exit.OK
    assert "held back now" in shown.stdout
    assert shell("get", "feedback").exit_code == Exit.USAGE
