"""A journal goes back to an older version's shape and forth again, and keeps every entry."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from postgres_server import Server
from typer.testing import CliRunner

from homeostat.adapters.stores import postgres, sqlite
from homeostat.adapters.stores.journal import SqlJournal
from homeostat.base.errors import ConfigError, StoreError
from homeostat.base.ports import Entry
from homeostat.base.units import MINUTE, TimeNs
from homeostat.cli.main import app
from homeostat.server.downgrading import OWNER, downgrade_file
from homeostat.server.replaying import Kept, verify_file

ROWS = [(TimeNs(1), "m", kind, body) for kind, body in (("event", b"{}"), ("command", b'{"a":1}'))]


def opened(path: Path) -> SqlJournal:
    return sqlite.build(sqlite.SqliteSettings(path=path, reserve_bytes=0))


def written(journal: SqlJournal) -> tuple[Entry, ...]:
    """Lead, write, hand over, and return what is there."""
    assert journal.acquire("o", TimeNs(1), MINUTE).epoch == 1
    journal.append(ROWS, durable=True)
    journal.release()
    found = tuple(journal.read())
    journal.close()
    return found


def shape_of(path: Path) -> tuple[str, set[str]]:
    raw = sqlite3.connect(path)
    try:
        (shape,) = raw.execute("select version_num from alembic_version").fetchone()
        tables = raw.execute("select name from sqlite_master where type = 'table'").fetchall()
    finally:
        raw.close()
    return shape, {name for (name,) in tables}


def goes_on(kept: Kept, before: tuple[Entry, ...], again: Callable[[], SqlJournal]) -> None:
    """Check that nothing was lost on the way back, and that it is upgraded by being opened."""
    there = verify_file(kept)
    assert (there["entries"], there["tail"]) == (len(before) + 1, "anchored")
    journal = again()
    entries = tuple(journal.read())
    assert entries[:-1] == before
    assert OWNER.encode() in entries[-1].body, "who brought it back is on record"
    assert journal.acquire("p", TimeNs(3), MINUTE).epoch == 3
    assert len(journal.append(ROWS, durable=True)) == len(ROWS)
    journal.close()


def test_a_file_goes_back_and_forth_with_every_entry(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    before = written(opened(path))
    said = downgrade_file(Kept(place=str(path)), "0001", TimeNs(2))
    assert said == {"journal": str(path), "shape": "0001", "entries": len(before) + 1}
    shape, tables = shape_of(path)
    assert shape == "0001"
    assert tables == {"entry", "gap", "head", "alembic_version"}
    goes_on(Kept(place=str(path)), before, lambda: opened(path))
    assert shape_of(path)[0] == "0002"


@pytest.mark.parametrize("to", ["0002", "0003", "base", "", "-1", "0001; drop table entry"])
def test_what_is_no_older_shape_is_refused_and_nothing_is_written(tmp_path: Path, to: str) -> None:
    path = tmp_path / "j.db"
    before = written(opened(path))
    with pytest.raises(StoreError, match="no older shape"):
        downgrade_file(Kept(place=str(path)), to, TimeNs(2))
    journal = opened(path)
    assert tuple(journal.read()) == before
    journal.close()


def test_while_a_controller_leads_it_is_refused_and_that_one_goes_on(tmp_path: Path) -> None:
    leader = opened(tmp_path / "j.db")
    leader.acquire("host-a:1", TimeNs(1), MINUTE)
    with pytest.raises(StoreError, match="host-a:1 leads; stop every controller"):
        downgrade_file(Kept(place=str(tmp_path / "j.db")), "0001", TimeNs(2))
    assert len(leader.append(ROWS, durable=True)) == len(ROWS)
    leader.close()


def test_nothing_is_made_where_there_is_no_journal_and_a_damaged_one_is_left(
    tmp_path: Path,
) -> None:
    path = tmp_path / "j.db"
    with pytest.raises(StoreError, match="there is no journal"):
        downgrade_file(Kept(place=str(path)), "0001", TimeNs(2))
    assert list(tmp_path.iterdir()) == []
    written(opened(path))
    raw = sqlite3.connect(path)
    raw.execute("update entry set body = x'00' where seq = 2")
    raw.commit()
    raw.close()
    with pytest.raises(StoreError):
        downgrade_file(Kept(place=str(path)), "0001", TimeNs(2))
    assert shape_of(path)[0] == "0002"


def test_the_command_says_what_it_did_and_why_not(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    written(opened(path))
    words = ["audit", "downgrade", str(path), "-o", "json", "--to"]
    assert CliRunner().invoke(app, [*words, "0007"]).exit_code != 0
    assert shape_of(path)[0] == "0002"
    done = CliRunner().invoke(app, [*words, "0001"])
    assert done.exit_code == 0, done.output
    assert '"shape": "0001"' in done.stdout


@pytest.mark.live
def test_a_database_goes_back_and_forth_with_every_entry(
    tmp_path: Path, postgres_server: Server
) -> None:
    url, anchor = postgres_server.database(), tmp_path / "anchor"
    kept = Kept(place=url, anchor=anchor)

    def again() -> SqlJournal:
        return postgres.build(postgres.PostgresSettings(url=url, anchor=anchor, reserve_bytes=0))

    before = written(again())
    with pytest.raises(ConfigError, match="--anchor"):
        downgrade_file(Kept(place=url), "0001", TimeNs(2))
    leader = again()
    leader.acquire("host-b:2", TimeNs(2), MINUTE)
    with pytest.raises(StoreError, match="host-b:2 leads"):
        downgrade_file(kept, "0001", TimeNs(2))
    leader.release()
    leader.close()
    found = verify_file(kept)["entries"]
    assert downgrade_file(kept, "0001", TimeNs(3))["entries"] == found + 1
    name = urlsplit(url).path.lstrip("/")
    tables = postgres_server.sql(
        name, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'homeostat'"
    ).split()
    assert "lease" not in tables
    assert "entry" in tables
    journal = again()
    assert tuple(journal.read())[: len(before)] == before
    assert journal.acquire("p", TimeNs(4), MINUTE).epoch == 4
    journal.close()
