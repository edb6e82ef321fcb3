"""Handing back, and giving by name: what is left is said, and nothing is left in flight unsaid."""

import json
from typing import Any

from homeostat.base.actions import ActionKind
from homeostat.base.events import Granted, Reconfigured
from homeostat.base.types import Mode
from homeostat.cli.exits import Exit


def test_release_puts_everything_in_shadow_and_says_how_it_is_left(
    shell: Any, controller: Any
) -> None:
    done = shell("release", "--why", "we take over", "--by", "ada", "-o", "json")
    (event,) = controller.submitted
    assert isinstance(event, Reconfigured)
    assert (event.managed.mode, event.by) == (Mode.SHADOW, "ada")
    assert event.why == "released: we take over"
    (row,) = json.loads(done.stdout)
    assert row["deployment"] == "credit"
    assert row["levers"]["replicas.a"] >= 1
    assert done.exit_code == (Exit.UNHEALTHY if row["in_flight"] else Exit.OK)


def test_release_of_an_unknown_deployment_changes_nothing(shell: Any, controller: Any) -> None:
    assert shell("release", "credti", "--why", "x").exit_code == Exit.NO_DATA
    assert controller.submitted == []


def test_a_grant_names_the_kind_the_person_and_the_reason(shell: Any, controller: Any) -> None:
    words = ("--why", "seen enough", "--by", "ada")
    assert shell("grant", "credit", "restart_replica", *words).exit_code == Exit.OK
    assert shell("grant", "credit", "restart_replica", "--take-back", *words).exit_code == Exit.OK
    given, back = controller.submitted
    assert isinstance(given, Granted)
    assert isinstance(back, Granted)
    assert [event.grant.given for event in (given, back)] == [True, False]
    assert (given.grant.kind, given.grant.by) == (ActionKind.RESTART_REPLICA, "ada")
    refused = shell("grant", "credit", "scale_down", *words)
    assert refused.exit_code == Exit.REFUSED
    assert "policy names" in refused.stderr


def test_get_autonomy_is_a_list(shell: Any, controller: Any) -> None:
    assert json.loads(shell("get", "autonomy", "-o", "json").stdout) == []
