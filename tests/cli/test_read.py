"""Reading from a controller: tables that say something, JSON and YAML that parse, clear errors."""

import asyncio
import json
import socket
from dataclasses import replace
from typing import Any

import pytest
import yaml

from homeostat.base.events import Record
from homeostat.base.types import DecisionRecord, Incident
from homeostat.cli.exits import Exit
from homeostat.testing.hostile import always, hostile_server, response

LISTS = ("deployments", "incidents", "decisions", "actions")
ONES = (
    ("deployments", "credit"),
    ("incidents", "i-0001"),
    ("decisions", "d-0001"),
    ("actions", "d-0001"),
)


@pytest.mark.parametrize("what", LISTS)
def test_json_and_yaml_say_the_same_and_nothing_else_is_on_stdout(shell: Any, what: str) -> None:
    as_json, as_yaml = shell("get", what, "-o", "json"), shell("get", what, "-o", "yaml")
    assert (as_json.exit_code, as_yaml.exit_code) == (Exit.OK, Exit.OK)
    rows = json.loads(as_json.stdout)
    assert yaml.safe_load(as_yaml.stdout) == rows
    assert rows
    assert all(row["deployment"] == "credit" for row in rows)


@pytest.mark.parametrize(("what", "name"), ONES)
def test_one_of_them_is_found_by_its_name_or_id(shell: Any, what: str, name: str) -> None:
    row = json.loads(shell("get", what, name, "--output", "json").stdout)
    assert name in {row.get("id"), row["deployment"]}
    table = shell("get", what, name)
    assert table.exit_code == Exit.OK
    assert name in table.stdout


@pytest.mark.parametrize("what", LISTS)
def test_a_table_has_one_line_a_row_and_fits_a_script(shell: Any, what: str) -> None:
    rows = json.loads(shell("get", what, "-o", "json").stdout)
    lines = shell("get", what).stdout.splitlines()
    assert len(lines) == 1 + len(rows)
    assert all("{" not in line and "[" not in line for line in lines)


def test_the_fleet_table_answers_the_first_questions(shell: Any) -> None:
    head, line = shell("get").stdout.splitlines()
    for name in ("health", "slo", "p95", "errors", "replicas", "incidents", "last decision"):
        assert name in head
    for fact in ("credit", "auto", "asking", "met", "ms", "4/4", "d-0002 ask scale_up pool:a"):
        assert fact in line


def test_explain_names_every_refused_action_with_every_reason(shell: Any) -> None:
    result = shell("explain", "d-0001")
    data = json.loads(shell("explain", "d-0001", "-o", "json").stdout)
    assert result.exit_code == Exit.OK
    for refusal in data["refused"]:
        for reason in refusal["reasons"]:
            assert f"{refusal['action']}: {reason}" in result.stdout
    for text in (*data["because"], *data["allowed"], "helped", "can be undone now"):
        assert text in result.stdout


@pytest.mark.parametrize("command", [("explain", "d-0001"), ("get", "deployments", "credit")])
def test_the_health_score_is_said_with_its_parts_and_what_is_ahead(
    shell: Any, command: tuple[str, ...]
) -> None:
    said = shell(*command).stdout
    now = json.loads(shell(*command, "-o", "json").stdout)
    now = now["then"] if command[0] == "explain" else now  # a decision's health is not that of now
    assert f"{now['health_score']['score']:.0f}" in said
    assert now["health_parts"]
    for part in now["health_parts"]:
        assert f"-{part['loss']:.0%} {part['concern']} {part['subject']}" in said
    for ahead in now["forecasts"]:
        assert f"{ahead['subject']} {ahead['signal']}" in said
        assert f"{ahead['chances'][0]:.0%} in 5 min" in said


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("get", "deployments", "credti"), "did you mean 'credit'"),
        (("get", "incidents", "i-0004"), "did you mean 'i-0002'"),
        (("get", "actions", "d-0003"), "did you mean 'd-0002'"),
        (("get", "decisions", "d-0003"), "did you mean 'd-0002'"),
        (("explain", "d-00011"), "did you mean 'd-0001'"),
        (("get", "parts", "ewam"), "did you mean 'ewma'"),
    ],
)
def test_an_unknown_name_is_missing_data_and_says_what_was_meant(
    shell: Any, arguments: tuple[str, ...], meant: str
) -> None:
    result = shell(*arguments)
    assert (result.exit_code, result.stdout) == (Exit.NO_DATA, "")
    assert meant in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["../freeze", "d-1?x=y", "d 1", "%2e%2e/health", "d-1#", "ü"])
def test_an_id_that_is_none_is_a_usage_error_and_asks_for_nothing_else(
    shell: Any, name: str
) -> None:
    result = shell("explain", name)
    assert result.exit_code in {Exit.USAGE, Exit.NO_DATA}
    assert result.stdout == ""
    assert result.stderr.startswith("homeostat: ")


def test_no_incident_is_good_news_and_no_deployment_is_no_data(shell: Any, controller: Any) -> None:
    controller.view.__init__()
    assert shell("get", "incidents", "-o", "json").exit_code == Exit.OK
    assert shell("get", "incidents").stdout == ""
    assert shell("get", "deployments").exit_code == Exit.NO_DATA


def test_without_a_controller_one_line_says_so(bare: Any) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        result = bare("get", "deployments", "--url", url)
    assert (result.exit_code, result.stdout) == (Exit.NO_DATA, "")
    assert result.stderr.startswith(f"homeostat: no controller answers at {url}")
    assert "is it running?" in result.stderr


@pytest.mark.parametrize("url", ["localhost:7373", "ftp://127.0.0.1", "http://[::1", ""])
def test_what_is_no_address_is_a_usage_error(bare: Any, url: str) -> None:
    result = bare("get", "deployments", "--url", url)
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert "is not an address" in result.stderr


@pytest.mark.parametrize(
    "answer",
    [
        response(b"<html>It works!</html>", content_type="text/html"),
        response(b'{"deployments": 7}', content_type="application/json"),
        response(b"[]", content_type="application/json"),
        response(b"\xff\xfe", content_type="application/json"),
        b"not http at all\r\n\r\n",
    ],
)
async def test_another_program_at_the_address_is_told_apart(bare: Any, answer: bytes) -> None:
    async with hostile_server(always(answer)) as server:
        result = await asyncio.to_thread(bare, "get", "deployments", "--url", server.url())
    assert (result.exit_code, result.stdout) == (Exit.NO_DATA, "")
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr


async def test_a_server_that_fails_is_a_failure_with_its_words(bare: Any) -> None:
    async with hostile_server(always(response(b"oh \x1b[31mno", status=500))) as server:
        result = await asyncio.to_thread(bare, "get", "deployments", "--url", server.url())
    assert result.exit_code == Exit.FAILED
    assert "500" in result.stderr
    assert "\x1b" not in result.stderr


HOSTILE = "[bold red]x[/] \x1b[31m\x9b2J\nevil \u202e:smile:"


def poison(controller: Any) -> None:
    """Let a hostile name and reason into the newest incident and decision."""
    (state,) = controller.view.deployments()
    incident: Incident = next(iter(state.incidents.newest(1))).incident
    record: DecisionRecord = next(iter(state.decisions.newest(1)))
    fact = replace(incident, subject=HOSTILE, because=(HOSTILE,))
    controller.view.command(Record(fact=fact))
    decision = replace(record.decision, because=(HOSTILE,))
    refused = ((HOSTILE, (HOSTILE,)),)
    controller.view.command(Record(fact=replace(record, decision=decision, refused=refused)))


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "incidents"),
        ("get", "decisions"),
        ("get", "incidents", "i-0002"),
        ("explain", "d-0002"),
        ("get", "incidents", "-o", "json"),
        ("get", "incidents", "-o", "yaml"),
        ("explain", "d-0002", "-o", "json"),
    ],
)
def test_hostile_names_are_text_not_markup_and_command_no_terminal(
    shell: Any, controller: Any, arguments: tuple[str, ...]
) -> None:
    poison(controller)
    result = shell(*arguments)
    assert result.exit_code == Exit.OK
    assert "[bold red]x[/]" in result.stdout
    assert not {"\x1b", "\x9b"} & set(result.stdout)


def test_json_keeps_what_a_hostile_name_really_was(shell: Any, controller: Any) -> None:
    poison(controller)
    data = json.loads(shell("get", "incidents", "i-0002", "-o", "json").stdout)
    assert data["subject"] == HOSTILE


def test_two_deployments_with_one_id_must_be_told_apart(shell: Any, controller: Any) -> None:
    controller.tell("fraud")
    result = shell("explain", "d-0001")
    assert result.exit_code == Exit.REFUSED
    assert "credit, fraud" in result.stderr
    data = json.loads(shell("explain", "d-0001", "-d", "fraud", "-o", "json").stdout)
    assert data["deployment"] == "fraud"
    rows = json.loads(shell("get", "decisions", "-d", "fraud", "-o", "json").stdout)
    assert {row["deployment"] for row in rows} == {"fraud"}
