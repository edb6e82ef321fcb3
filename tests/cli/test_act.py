"""A person's word: it reaches the controller with the token, or a clear line says why not."""

from pathlib import Path
from typing import Any

import pytest

from homeostat.base.events import Approval, CanaryRequested, Reconfigured, UndoRequested
from homeostat.base.types import KillLevel, Mode
from homeostat.cli.exits import Exit
from homeostat.server.kill import KillSwitch

CHANGES = (
    ("approve", "d-0002"),
    ("reject", "d-0002", "--why", "no"),
    ("undo", "d-0001"),
    ("mode", "credit", "shadow"),
    ("canary", "credit"),
    ("freeze", "nothing"),
)


def test_approve_and_reject_answer_the_open_question(shell: Any, controller: Any) -> None:
    assert shell("approve", "d-0002", "--by", "ada").exit_code == Exit.OK
    result = shell("reject", "d-0002", "--why", "not on Friday", "--by", "bob")
    assert (result.exit_code, result.stdout) == (Exit.OK, "")
    yes, no = controller.submitted
    assert isinstance(yes, Approval)
    assert isinstance(no, Approval)
    assert (yes.approved, yes.by, yes.decision_id) == (True, "ada", "d-0002")
    assert (no.approved, no.by, no.why) == (False, "bob", "not on Friday")


def test_a_rejection_needs_a_reason(shell: Any, controller: Any) -> None:
    assert shell("reject", "d-0002").exit_code == Exit.USAGE
    assert controller.submitted == []


def test_undo_takes_a_finished_action_back(shell: Any, controller: Any) -> None:
    assert shell("undo", "d-0001").exit_code == Exit.OK
    (event,) = controller.submitted
    assert isinstance(event, UndoRequested)
    assert (event.decision_id, event.by) == ("d-0001", "operator")


def test_mode_changes_how_much_a_deployment_trusts(shell: Any, controller: Any) -> None:
    assert shell("mode", "credit", "shadow").exit_code == Exit.OK
    (event,) = controller.submitted
    assert isinstance(event, Reconfigured)
    assert event.managed.mode is Mode.SHADOW


def test_a_canary_is_asked_for_with_its_reason(shell: Any, controller: Any) -> None:
    assert shell("canary", "credit", "--why", "v3", "--by", "ada").exit_code == Exit.OK
    (event,) = controller.submitted
    assert isinstance(event, CanaryRequested)
    assert (event.deployment, event.by, event.why) == ("credit", "ada", "v3")


@pytest.mark.parametrize("level", list(KillLevel))
def test_freeze_throws_the_switch_of_a_running_controller(
    shell: Any, controller: Any, level: KillLevel
) -> None:
    result = shell("freeze", level.value, "--by", "ada")
    assert (result.exit_code, controller.thrown) == (Exit.OK, [(level, "ada")])
    assert level.value in result.stderr


def test_freeze_without_a_word_stops_new_actions(shell: Any, controller: Any) -> None:
    assert shell("freeze").exit_code == Exit.OK
    assert controller.thrown == [(KillLevel.NO_NEW, "operator")]


def test_freeze_by_file_needs_no_controller_and_no_token(bare: Any, tmp_path: Path) -> None:
    file = tmp_path / "kill"
    assert bare("freeze", "nothing", "--file", str(file)).exit_code == Exit.OK
    assert KillSwitch(file, {}).level() is KillLevel.NOTHING
    assert bare("freeze", "off", "--file", str(file)).exit_code == Exit.OK
    assert KillSwitch(file, {}).level() is KillLevel.OFF


@pytest.mark.parametrize("arguments", CHANGES)
def test_every_change_needs_a_token_and_says_where_it_is(
    bare: Any, controller: Any, arguments: tuple[str, ...]
) -> None:
    result = bare(*arguments, "--url", controller.url)
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert "--token-file" in result.stderr
    assert "HOMEOSTAT_TOKEN" in result.stderr
    assert (controller.submitted, controller.thrown) == ([], [])


@pytest.mark.parametrize("arguments", CHANGES)
def test_a_wrong_token_is_refused_and_never_shown(
    shell: Any, controller: Any, arguments: tuple[str, ...]
) -> None:
    wrong = "w" * 43
    result = shell(*arguments, HOMEOSTAT_TOKEN=wrong)
    assert result.exit_code == Exit.REFUSED
    assert wrong not in result.stderr + result.stdout
    assert (controller.submitted, controller.thrown) == ([], [])


@pytest.mark.parametrize("arguments", CHANGES)
def test_the_token_file_opens_every_change(
    bare: Any, controller: Any, token_file: Path, arguments: tuple[str, ...]
) -> None:
    result = bare(*arguments, "--url", controller.url, "--token-file", str(token_file))
    assert result.exit_code == Exit.OK, result.stderr


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"two words", "t\u00f6ken".encode()])
def test_a_token_file_without_a_token_is_a_usage_error_that_names_it(
    shell: Any, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "empty"
    if content is not None:
        file.write_bytes(content)
    result = shell("undo", "d-0001", "--token-file", str(file), HOMEOSTAT_TOKEN="")
    assert result.exit_code == Exit.USAGE
    assert len(result.stderr.splitlines()) == 1


def test_what_the_controller_refuses_is_told_in_its_words(shell: Any, controller: Any) -> None:
    controller.refusal = "the record is closed"
    result = shell("approve", "d-0002")
    assert result.exit_code == Exit.REFUSED
    assert "the record is closed" in result.stderr


def test_an_answer_to_no_open_question_is_refused(shell: Any, controller: Any) -> None:
    result = shell("approve", "d-0001")
    assert result.exit_code == Exit.REFUSED
    assert "not an open question" in result.stderr
    assert controller.submitted == []


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("approve", "d-0003"), "did you mean 'd-0002'"),
        (("undo", "d-0003"), "did you mean 'd-0002'"),
        (("mode", "credti", "auto"), "did you mean 'credit'"),
    ],
)
def test_an_unknown_name_says_what_was_meant(
    shell: Any, arguments: tuple[str, ...], meant: str
) -> None:
    result = shell(*arguments)
    assert result.exit_code == Exit.NO_DATA
    assert meant in result.stderr


@pytest.mark.parametrize("arguments", [("mode", "credit", "yolo"), ("freeze", "all")])
def test_an_unknown_word_is_a_usage_error(shell: Any, arguments: tuple[str, ...]) -> None:
    assert shell(*arguments).exit_code == Exit.USAGE
