"""The command line as a whole: help, version, schema, lists, journals, the kill file."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat import __version__
from homeostat.adapters.stores.chain import GENESIS
from homeostat.base import codec
from homeostat.base.policy import Mode
from homeostat.base.units import SECOND, TimeNs
from homeostat.cli.exits import Exit
from homeostat.cli.main import main
from homeostat.demo.faults import FAULTS
from homeostat.plugins import part
from homeostat.testing.story import managed, story

START = TimeNs(1_700_000_000 * SECOND)


def test_the_version_is_the_packages(bare: Any) -> None:
    result = bare("--version")
    assert (result.exit_code, result.stdout.strip()) == (Exit.OK, f"homeostat {__version__}")


def test_help_names_every_command_of_the_page(bare: Any) -> None:
    said = bare("--help").stdout
    page = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    named = {word for row in rows for word in commands_in(row.split("|")[1])}
    assert named >= {"demo", "run", "get", "explain", "approve", "reject", "undo", "freeze"}
    assert all(name in said for name in named)


def commands_in(cell: str) -> list[str]:
    """Return the commands that a cell of the page names: each begins a code span or follows one."""
    spans = [span for span in cell.split("`")[1::2] if not span.startswith("-")]
    return [span.removeprefix("homeostat ").split()[0] for span in spans]


def test_help_starts_at_once_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from homeostat.cli.main import app; "
        "heavy = {'numpy', 'fastapi', 'sqlalchemy', 'httpx2', 'rich.table', 'yaml', 'pydantic'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_schema_is_json_for_every_kind(bare: Any) -> None:
    schema = json.loads(bare("schema").stdout)
    text = json.dumps(schema)
    for kind in ("ManagedModel", "GuardrailPolicy", "Controller", "Freeze"):
        assert kind in text


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_the_faults_are_listed_in_every_format(bare: Any, form: str) -> None:
    result = bare("demo", "--list", "--output", form)
    assert result.exit_code == Exit.OK
    assert all(name in result.stdout for name in FAULTS)
    if form != "table":
        rows = yaml.safe_load(result.stdout)  # JSON is YAML
        assert [row["fault"] for row in rows] == list(FAULTS)


def test_the_parts_are_listed_without_a_controller(bare: Any) -> None:
    rows = json.loads(bare("get", "parts", "-o", "json").stdout)
    assert {"kind": "store", "name": "sqlite"}.items() <= rows[-1].items()
    assert json.loads(bare("get", "parts", "ewma", "-o", "json").stdout)[0]["kind"] == "detector"


def test_an_unknown_command_is_a_usage_error_that_says_what_was_meant(bare: Any) -> None:
    result = bare("exlain", "d-0001")
    assert result.exit_code == Exit.USAGE
    assert "Did you mean 'explain'" in result.stderr


def test_an_unknown_fault_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["homeostat", "demo", "--headless", "--fault", "kiled_replica"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == Exit.USAGE
    assert "did you mean 'killed_replica'" in said
    assert len(said.splitlines()) == 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a journal of a shadow controller that was started, and nothing happened."""
    file = tmp_path_factory.mktemp("journal") / "whole.db"
    store = part("store", "sqlite")
    journal = store.build(store.config(path=file))
    journal.claim_epoch("test", START)
    events = [item for beat in story(START, ticks=3) for item in beat.items]
    rows = [(e.at, "credit", "event", codec.encode(e)) for e in events if hasattr(e, "at")]
    journal.append(rows, durable=True)
    journal.close()
    assert managed("credit").mode is Mode.AUTO
    return file


@pytest.fixture
def journal(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole.parent, tmp_path / "copy")) / whole.name


def test_audit_verify_says_that_a_journal_is_whole(bare: Any, journal: Path) -> None:
    result = bare("audit", "verify", str(journal), "-o", "json")
    data = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (Exit.OK, "")
    assert data["chain"] == "whole"
    assert data["kinds"]["event"] == 3
    assert (data["tail"], data["anchored"]) == ("anchored", data["entries"])


@pytest.mark.parametrize("anchor", ["gone", "knows nothing"])
def test_audit_verify_says_that_without_an_anchor_a_cut_tail_cannot_be_ruled_out(
    bare: Any, journal: Path, anchor: str
) -> None:
    """What is left of a journal after its last two entries were cut is as whole as before."""
    with sqlite3.connect(journal) as database:
        database.execute("DELETE FROM entry WHERE seq > 2")
        database.execute(
            "UPDATE head SET seq = 2, digest = (SELECT digest FROM entry WHERE seq = 2)"
        )
    database.close()
    beside = journal.with_name(journal.name + ".anchor")
    beside.unlink()
    if anchor == "knows nothing":
        beside.write_text(f"{0:020d} {GENESIS}\n", encoding="ascii")
    result = bare("audit", "verify", str(journal), "-o", "json")
    data = json.loads(result.stdout)
    assert result.exit_code == Exit.NO_DATA
    assert (data["chain"], data["entries"]) == ("whole", 2)
    assert (data["tail"], data["anchored"]) == ("unknown", None)
    assert "last entries were cut off cannot be ruled out" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_copied_first_line_of_the_anchor_shows_a_cut_tail(
    bare: Any, journal: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = journal.with_name(journal.name + ".anchor")
    beside.write_text(beside.read_text(encoding="ascii").splitlines()[0] + "\n", encoding="ascii")
    assert bare("audit", "verify", str(journal)).exit_code == Exit.OK
    with sqlite3.connect(journal) as database:
        database.execute("DELETE FROM entry WHERE seq > 2")
        database.execute(
            "UPDATE head SET seq = 2, digest = (SELECT digest FROM entry WHERE seq = 2)"
        )
    database.close()
    monkeypatch.setattr("sys.argv", ["homeostat", "audit", "verify", str(journal)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.FAILED
    assert "cut off" in capsys.readouterr().err


def test_audit_verify_fails_on_a_journal_that_was_touched(
    journal: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(journal) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        name = next(name for (name,) in tables if name.startswith("entr"))
        changed = database.execute(f"UPDATE {name} SET at = at + 1 WHERE seq = 2").rowcount
    database.close()
    assert changed == 1
    monkeypatch.setattr("sys.argv", ["homeostat", "audit", "verify", str(journal)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == Exit.FAILED
    assert "journal entry" in said.err
    assert said.out == ""


def test_replay_takes_every_decision_again(bare: Any, journal: Path) -> None:
    result = bare("replay", str(journal), "-o", "json")
    (row,) = json.loads(result.stdout)
    assert (row["deployment"], row["events"]) == ("credit", 3)


def test_replay_of_a_deployment_that_is_not_there_is_no_data(bare: Any, journal: Path) -> None:
    assert bare("replay", str(journal), "-d", "fraud").exit_code == Exit.NO_DATA
