"""`homeostat confirm` and `get feedback`: a person's word about an incident, and what it moved."""

import time
from typing import Any

import pytest

from homeostat.base.events import Confirmed, FeedbackReset
from homeostat.base.evidence import Family
from homeostat.base.units import SECOND
from homeostat.cli import confirm
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
    ("words", "told"),
    [
        ((), "there is nothing said; give INCIDENT with --real"),
        (("i-0001",), "what was it? give --real, --nothing, or --normal --why"),
        (("i-0001", "--real", "--nothing"), "--real and --nothing exclude each other"),
        (("i-0001", "--real", "--missed", "5m"), "INCIDENT and --missed do not go together"),
        (("--real",), "--real of which INCIDENT?"),
        (("--forget", "--resume"), "--forget and --resume do not go together"),
        (("--forget", "--nothing"), "--nothing is said of an INCIDENT, and --forget is of none"),
        (("--missed", "soon"), "--missed: 'soon'"),
        (("i-0001", "--normal"), "--normal needs --why REASON"),
        (
            ("i-0001", "--normal", "--nothing", "--why", "so"),
            "--nothing and --normal exclude each other",
        ),
        (
            ("i-0001", "--normal", "--family", "load", "--why", "so"),
            "--family names a fault, and --normal says that there is none",
        ),
        (("--normal", "--why", "so"), "--normal of which INCIDENT?"),
        (("--normal", "--missed", "5m", "--why", "so"), "--normal is said of an INCIDENT, and"),
    ],
)
def test_what_says_nothing_or_two_things_is_refused_here_and_the_fault_is_named(
    shell: Any,
    controller: Any,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.setattr(confirm, "token_from", _no_token)
    result = shell("confirm", "credit", *words)
    assert result.exit_code == Exit.USAGE
    assert result.stderr.startswith(f"homeostat: {told}")
    assert controller.submitted == []


def _no_token(_: object) -> str:
    raise AssertionError("what was said is looked at before a token is asked for")


def test_what_was_learnt_is_shown_of_one_deployment(shell: Any) -> None:
    shown = shell("get", "feedback", "credit")
    assert shown.exit_code == Exit.OK
    assert "held back now" in shown.stdout
    assert shell("get", "feedback").exit_code == Exit.USAGE
