"""`homeostat people`: the token is printed once, and the controller's file holds its hash alone."""

import json
from pathlib import Path
from typing import Any

from homeostat.cli.exits import Exit
from homeostat.server.people_file import People


def test_a_person_comes_changes_token_and_goes(bare: Any, tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    at = ("--file", str(file))
    added = bare("people", "add", "ada", "--role", "approver", *at)
    assert added.exit_code == Exit.OK
    token = added.stdout.strip()
    known = People(file)
    now = _now()
    assert getattr(known.whose(token, now), "name", "") == "ada"
    (row,) = json.loads(bare("people", "list", *at, "-o", "json").stdout)
    assert (row["name"], row["role"], row["token"]) == ("ada", "approver", "good")
    assert token not in bare("people", "list", *at).stdout
    fresh = bare("people", "rotate", "ada", *at).stdout.strip()
    assert known.whose(token, _now()) is None
    assert known.whose(fresh, _now()) is not None
    assert bare("people", "revoke", "ada", *at).exit_code == Exit.OK
    assert known.whose(fresh, _now()) is None


def _now() -> Any:
    import time  # noqa: PLC0415 - only this helper needs it

    return time.time_ns()
