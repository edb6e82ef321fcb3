"""Where the journal lies, as people say it: a file or a database, and never a password."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.base.units import SECOND
from homeostat.server import wiring
from homeostat.server.config.stores import StoreSpec, place
from homeostat.server.plan import ControllerPlan, PostgresPlan

BASE, STATE = Path("/etc/homeostat"), Path("/var/lib/homeostat")
URL = "postgresql://homeostat@db:5432/homeostat?sslmode=verify-full"


def spec(**keys: Any) -> StoreSpec:
    return StoreSpec.model_validate(keys)


def test_without_a_word_the_journal_is_a_file_where_state_lies() -> None:
    assert place(None, BASE, STATE) == (STATE / "homeostat.db", None)
    assert place(spec(path="j.db"), BASE, STATE) == (BASE / "j.db", None)


def test_a_database_keeps_its_anchor_on_this_machine_and_its_password_in_a_file() -> None:
    bare = spec(postgres={"url": URL})
    assert place(bare, BASE, STATE) == (STATE / "homeostat.anchor", PostgresPlan(url=URL))
    assert bare.lease == 15 * SECOND
    said = {"url": URL, "passwordFile": "secret", "schema": "ours", "anchor": "a"}
    anchor, plan = place(spec(postgres=said, lease="2s"), BASE, STATE)
    assert plan == PostgresPlan(url=URL, password_file=BASE / "secret", schema="ours")
    whole = ControllerPlan(deployments=(), journal=anchor, kill_file=STATE / "kill", postgres=plan)
    stored = wiring.stored(whole)
    assert stored.part == "postgres"
    assert stored.settings == {
        "url": URL,
        "schema_name": "ours",
        "anchor": BASE / "a",
        "password_file": BASE / "secret",
        "accept_missing_anchor": False,
    }


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "either path: FILE or postgres"),
        ({"path": "j.db", "postgres": {"url": URL}}, "either path: FILE or postgres"),
        ({"postgres": {"url": "mysql://h/d"}}, "must be postgresql://"),
        ({"postgres": {"url": "postgresql://u:swordfish@h/d"}}, "name it in passwordFile"),
        ({"postgres": {"url": "postgresql://h/d?password=swordfish"}}, "name it in passwordFile"),
        ({"postgres": {"url": URL, "schema": "a b; drop"}}, "String should match pattern"),
        ({"postgres": {"url": URL}, "lease": "10ms"}, "must be 1s to 10m"),
        ({"path": "j.db", "retention": "5m"}, "at least 1h"),
    ],
)
def test_what_cannot_be_a_place_is_refused_with_the_fix(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(**keys)
