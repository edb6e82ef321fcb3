from pathlib import Path
from typing import Any

import pytest
from runtime_harness import stage
from typer.testing import CliRunner

from homeostat.cli.main import app
from homeostat.server.config.guardrails import Guardrails
from homeostat.server.plan import PartPlan
from homeostat.server.trying import Tried, tried
from homeostat.server.wiring import build

LIMITS: dict[str, Any] = {
    lever: {"min": 0, "max": 1000, "stepUp": "10000%", "stepDown": "100%"}
    for lever in ("replicas", "weight", "batchMax", "concurrencyMax", "gatewayLimit")
}
NEVER = {"name": "never", "require": "false"}


@pytest.fixture(name="journal")
async def recorded_life(tmp_path: Path) -> Path:
    """A deployment that lived through faults, journaled."""
    path = tmp_path / "j.db"
    journal = build("store", PartPlan(part="sqlite", settings={"path": path, "reserve_bytes": 0}))
    ready = stage("m", journal=journal)
    await ready.runtime.start()
    await ready.runtime.settle()
    ready.faulty.update({"m"})
    await ready.cycles(30)
    journal.close()
    return path


def under(journal: Path, *rules: dict[str, str]) -> list[Tried]:
    rails = Guardrails.model_validate({"limits": LIMITS, "rules": list(rules)})
    return list(tried(journal, rails))


def test_a_policy_that_forbids_everything_would_have_blocked_every_recorded_action(
    journal: Path,
) -> None:
    before = journal.read_bytes()
    bare, never = under(journal), under(journal, NEVER)
    assert bare
    assert [(one.id, one.action, one.was) for one in bare] == [
        (one.id, one.action, one.was) for one in never
    ]
    assert {one.would for one in never} == {"block"}
    assert all("policy never: demands false" in one.reasons for one in never)
    assert not any("policy never" in reason for one in bare for reason in one.reasons)
    assert journal.read_bytes() == before


def test_the_command_says_what_would_have_been_blocked(journal: Path, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(
        "apiVersion: homeostat.dev/v1alpha1\nkind: GuardrailPolicy\nmetadata: {name: p}\n"
        "spec: {rules: [{name: never, require: 'false'}]}\n",
        encoding="utf-8",
    )
    said = CliRunner().invoke(app, ["policy", "test", str(policy), str(journal)])
    assert said.exit_code == 1
    assert "policy never: demands false" in said.stdout
    count = len(under(journal, NEVER))
    assert f"of {count} recorded actions it would have blocked {count}" in said.stderr
    said = CliRunner().invoke(app, ["policy", "test", str(policy), str(journal), "-d", "nobody"])
    assert said.exit_code == 6
