"""Restore and replay on real journals: the same again, or exactly where it differs."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from runtime_harness import MemoryJournal, Row, Stage, plan, stage

from homeostat.base import codec
from homeostat.base.decisions import DecisionRecord
from homeostat.base.errors import StoreError
from homeostat.base.events import Record, Ticked
from homeostat.base.ports import Journal
from homeostat.base.units import TimeNs
from homeostat.cli import main as cli
from homeostat.server import runtime as runtime_module
from homeostat.server.code_version import code_version, version_of
from homeostat.server.plan import PartPlan
from homeostat.server.replaying import replay_file, verify_file
from homeostat.server.restore import restore, restore_all
from homeostat.server.wiring import build, loop_parts

Command = Callable[..., tuple[int, str, str]]


def opened(path: Path) -> Any:
    return build("store", PartPlan(part="sqlite", settings={"path": path, "reserve_bytes": 0}))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `homeostat WORDS` in this process and return its exit code and what it printed."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()  # what the life before it printed
        monkeypatch.setattr(sys, "argv", ["homeostat", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


async def lived(
    journal: Journal, *names: str, cycles: int = 30, faulty: Sequence[str] = ()
) -> Stage:
    """Let a fleet live through faults and journal it."""
    ready = stage(*names, journal=journal)
    await ready.runtime.start()
    await ready.runtime.settle()
    ready.faulty.update(faulty or names)
    await ready.cycles(cycles)
    return ready


async def recorded(*names: str, cycles: int = 30) -> list[Row]:
    """Return the rows of such a life, for tests that change some of them."""
    ready = await lived(MemoryJournal(), *names, cycles=cycles)
    return [(e.at, e.deployment, e.kind, e.body) for e in ready.journal.entries]


def written(path: Path, rows: Sequence[Row]) -> Path:
    journal = opened(path)
    journal.claim_epoch("a test", rows[0][0])
    journal.append(rows, durable=True)
    journal.close()
    return path


@pytest.mark.parametrize(
    "fleet", [1, 2, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 100))]
)
async def test_a_fleet_replays_without_a_difference(fleet: int, tmp_path: Path) -> None:
    names = tuple(f"m-{n:03d}" for n in range(fleet))
    journal = opened(tmp_path / "j.db")
    ready = await lived(journal, *names, cycles=30 if fleet < 100 else 4, faulty=names[::2])
    states = dict(ready.runtime.states)
    journal.close()
    rows = replay_file(tmp_path / "j.db")
    assert [row["deployment"] for row in rows] == list(names)
    assert all(row["mismatches"] == 0 and row["unrecorded"] == 0 for row in rows)
    assert all((row["decisions"] > 0) == (row["deployment"] in names[::2]) for row in rows)
    journal = opened(tmp_path / "j.db")
    again = restore_all(journal, loop_parts(), [plan(name) for name in names])
    journal.close()
    assert {name: one.state for name, one in again.items()} == states


async def test_a_deployments_decisions_do_not_depend_on_the_fleet_that_shares_its_journal(
    tmp_path: Path,
) -> None:
    """Its own events say all that it decides by; the others' are stepped over."""
    journal = opened(tmp_path / "j.db")
    await lived(journal, "m", "n", "o")
    alone = list(journal.read(deployment="n"))
    journal.close()
    written(tmp_path / "n.db", [(e.at, e.deployment, e.kind, e.body) for e in alone])
    (row,) = replay_file(tmp_path / "n.db")
    assert row["mismatches"] == 0
    assert row == replay_file(tmp_path / "j.db", "n")[0]


async def test_a_decision_that_was_changed_is_found_and_named(
    tmp_path: Path, command: Command
) -> None:
    rows = await recorded("m")
    where = next(
        n
        for n, (_, _, kind, body) in enumerate(rows)
        if kind == "command"
        and isinstance(value := codec.decode(body), Record)
        and isinstance(value.fact, DecisionRecord)
    )
    at, name, kind, body = rows[where]
    assert b"restart_replica" in body
    rows[where] = (at, name, kind, body.replace(b"restart_replica", b"drain_replica"))
    path = written(tmp_path / "j.db", rows)
    verify_file(path)  # the chain is whole: who wrote this journal lied, nobody changed it since
    (row,) = replay_file(path)
    assert row["mismatches"] == 1
    event = next(n for n in range(where, -1, -1) if rows[n][2] == "event")
    assert row["first"] == event + 2  # numbered from 1, behind the claim
    code, out, _ = command("replay", str(path), "-o", "json")
    assert code == 1
    assert '"mismatches": 1' in out


@pytest.mark.parametrize(("said", "named"), [(b"0.0.9+abc", "0.0.9+abc"), (b"", "not recorded")])
async def test_a_difference_in_a_journal_of_other_code_is_said_to_prove_nothing(
    said: bytes, named: str, tmp_path: Path, command: Command
) -> None:
    rows = await recorded("m", cycles=12)
    mine = code_version().encode()
    other = [(at, name, kind, body.replace(mine, said)) for at, name, kind, body in rows]
    path = written(tmp_path / "same.db", other)
    (row,) = replay_file(path)
    assert (row["mismatches"], named in row["written_by"]) == (0, True)
    assert "another version" not in command("replay", str(path))[2]  # it decides the same
    where = max(n for n, row in enumerate(other) if row[2] == "command")
    at, name, kind, body = other[where]
    other[where] = (at, name, kind, body + b" ")
    code, _, err = command("replay", str(written(tmp_path / "other.db", other)))
    assert code == 1
    assert "another version" in err
    assert named in err
    assert code_version() in err


async def test_the_journal_says_which_code_decides_and_a_replay_by_it_needs_no_excuse(
    tmp_path: Path, command: Command
) -> None:
    rows = await recorded("m", cycles=12)
    assert any(code_version().encode() in body for _, _, kind, body in rows if kind == "event")
    where = max(n for n, row in enumerate(rows) if row[2] == "command")
    at, name, kind, body = rows[where]
    rows[where] = (at, name, kind, body + b" ")
    path = written(tmp_path / "j.db", rows)
    assert replay_file(path)[0]["written_by"] is None
    code, _, err = command("replay", str(path))
    assert (code, "another version" in err) == (1, False)


def test_other_code_is_another_version_and_a_changed_page_is_not(tmp_path: Path) -> None:
    (tmp_path / "loop").mkdir()
    (tmp_path / "cli").mkdir()
    (tmp_path / "loop" / "step.py").write_text("A = 1")
    first = version_of(tmp_path)
    (tmp_path / "cli" / "page.py").write_text("B = 1")
    assert version_of(tmp_path) == first
    (tmp_path / "loop" / "step.py").write_text("A = 2")
    assert version_of(tmp_path) != first


async def test_a_snapshot_that_does_not_hold_the_state_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "SNAPSHOT_TICKS", 10)
    rows = await recorded("m")
    where = next(n for n, row in enumerate(rows) if row[2] == "state")
    at, name, kind, body = rows[where]
    rows[where] = (at, name, kind, body.replace(b'"decisions":', b'"decisions":7'))
    (row,) = replay_file(written(tmp_path / "j.db", rows))
    assert (row["mismatches"], row["first"]) == (1, where + 2)


async def test_a_command_left_out_is_a_difference_and_an_unrecorded_tail_is_none(
    tmp_path: Path,
) -> None:
    rows = await recorded("m")
    groups = [n for n, row in enumerate(rows) if row[2] == "event"]
    busy = next(n for n in groups if [r[2] for r in rows[n + 1 : n + 3]] == ["command"] * 2)
    (row,) = replay_file(written(tmp_path / "gap.db", rows[: busy + 1] + rows[busy + 2 :]))
    assert row["mismatches"] == 1
    (row,) = replay_file(written(tmp_path / "tail.db", rows[: busy + 1]))
    assert (row["mismatches"], row["unrecorded"]) == (0, 1)


async def test_a_life_goes_on_after_a_tail_that_was_never_recorded(tmp_path: Path) -> None:
    """Versions that wrote event and commands apart could leave one; it must still be lived with."""
    rows = await recorded("m")
    busy = next(n for n, r in enumerate(rows) if r[2] == "command" and b'"$":"Write"' in r[3])
    event = next(n for n in range(busy, -1, -1) if rows[n][2] == "event")
    path = written(tmp_path / "j.db", rows[: event + 1])
    journal = opened(path)
    ready = stage("m", journal=journal)
    await ready.runtime.start()
    await ready.runtime.settle()
    await ready.cycles(60)
    assert ready.runtime.states["m"].record is None  # the write that never was is not waited for
    journal.close()
    (row,) = replay_file(path)
    assert row["mismatches"] == 0


async def test_what_was_dropped_by_age_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "SNAPSHOT_TICKS", 10)
    path = tmp_path / "j.db"
    journal = opened(path)
    ready = await lived(journal, "m", "n", cycles=45)
    whole = replay_file(path)
    later = TimeNs(ready.clock.now() + 1)
    dropped = journal.prune(before=later, now=later, kinds=("frame", "event", "state"))
    assert dropped > 50
    restored = restore_all(journal, loop_parts(), [plan("m"), plan("n")])
    assert {name: one.state for name, one in restored.items()} == ready.runtime.states
    journal.close()
    verify_file(path)
    rows = replay_file(path)
    assert [row["deployment"] for row in rows] == ["m", "n"]
    assert all(row["mismatches"] == 0 for row in rows)
    assert all(0 < now["events"] < then["events"] for now, then in zip(rows, whole, strict=True))


async def test_time_does_not_go_back_behind_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "SNAPSHOT_TICKS", 10)
    journal = opened(tmp_path / "j.db")
    ready = await lived(journal, "m", cycles=9)
    ready.faulty.clear()
    await ready.cycles(1)
    (snapshot,) = journal.read(kinds=("state",))
    assert restore(journal, loop_parts(), plan("m")).last_at >= snapshot.at
    journal.close()


def _under(seed: str, script: str, path: Path) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    words = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.slow
async def test_the_same_commands_come_out_under_any_hash_seed(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    await lived(journal, "m", "n")
    journal.close()
    script = """
import hashlib, sys
from pathlib import Path
from homeostat.base import codec
from homeostat.server.replaying import deployments, open_read_only
from homeostat.server.restore import replay
from homeostat.server.wiring import loop_parts
journal = open_read_only(Path(sys.argv[1]))
said = hashlib.sha256()
for _, managed in sorted(deployments(journal).items()):
    for _, commands, _, mismatch in replay(journal, loop_parts(), managed):
        assert mismatch is None
        for command in commands:
            said.update(codec.encode(command))
print(said.hexdigest(), hash("homeostat"))
journal.close()
"""
    outputs = [_under(seed, script, tmp_path / "j.db") for seed in ("0", "1", "4242")]
    assert len({digest for digest, _ in outputs}) == 1
    assert len({seed for _, seed in outputs}) == 3  # the seeds did differ


def _flip(path: Path) -> None:
    with sqlite3.connect(path) as database:
        (body,) = database.execute("SELECT body FROM entry WHERE seq = 9").fetchone()
        damaged = bytes([body[0] ^ 1]) + bytes(body[1:])
        database.execute("UPDATE entry SET body = ? WHERE seq = 9", (damaged,))
    database.close()


def _drop(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM entry WHERE seq = 9")
    database.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all, only some words that are long enough" * 99)


def _stranger(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE accounts (id INTEGER)")
    database.close()


def _gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_flip, "entry 9"),
        (_drop, "entry 9"),
        (_garbage, "damaged"),
        (_stranger, "not a journal"),
        (_gone, "no journal at"),
    ],
    ids=["a flipped bit", "an entry gone", "no database", "another's database", "no file"],
)
@pytest.mark.parametrize("words", [("replay",), ("audit", "verify")], ids=" ".join)
async def test_a_journal_that_cannot_be_trusted_is_refused_in_one_line(
    tmp_path: Path,
    command: Command,
    words: tuple[str, ...],
    damage: Callable[[Path], None],
    says: str,
) -> None:
    journal = opened(tmp_path / "j.db")
    await lived(journal, "m", cycles=8)
    journal.close()
    (tmp_path / "j.db.anchor").unlink()
    damage(tmp_path / "j.db")
    code, out, err = command(*words, str(tmp_path / "j.db"))
    assert code == 1
    assert out == ""
    assert err.startswith("homeostat: ")
    assert says in err
    assert err.count("\n") == 1, err


async def test_a_damaged_journal_stops_a_controller_before_it_does_anything(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    await lived(journal, "m", cycles=8)
    journal.close()
    _flip(tmp_path / "j.db")
    with pytest.raises(StoreError, match="entry 9"):
        opened(tmp_path / "j.db")


async def test_an_entry_of_a_newer_version_is_an_error_that_names_it(
    tmp_path: Path, command: Command
) -> None:
    rows = await recorded("m", cycles=3)
    where = next(n for n, row in enumerate(rows) if b'"$":"Ticked"' in row[3])
    at, name, kind, body = rows[where]
    rows[where] = (at, name, kind, body.replace(b'"$":"Ticked"', b'"$":"Tocked"'))
    path = written(tmp_path / "j.db", rows)
    code, _, err = command("replay", str(path))
    assert code == 1
    assert f"entry {where + 2}" in err
    assert "newer version" in err
    journal = opened(path)
    with pytest.raises(StoreError, match="newer version"):
        restore(journal, loop_parts(), plan("m"))
    journal.close()


async def test_a_deployment_that_the_journal_does_not_know_is_no_data(
    tmp_path: Path, command: Command
) -> None:
    rows = await recorded("m", cycles=3)
    path = written(tmp_path / "j.db", rows)
    code, _, err = command("replay", str(path), "-d", "nobody")
    assert code == 6
    assert "no deployment of that name" in err


async def test_a_good_journal_is_praised_with_numbers(tmp_path: Path, command: Command) -> None:
    rows = await recorded("m", cycles=3)
    path = written(tmp_path / "j.db", rows)
    code, out, _ = command("audit", "verify", str(path), "-o", "json")
    assert code == 0
    assert '"chain": "whole"' in out
    assert f'"entries": {len(rows) + 1}' in out
    assert sum(isinstance(codec.decode(r[3]), Ticked) for r in rows if r[2] == "event") == 3
