"""Where the controllers that are killed keep their journal, and what it says from outside."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

LEASE = "1s"
_LAST_COMMANDS = "SELECT body FROM {} WHERE kind = 'command' ORDER BY seq DESC LIMIT 40"


def store(database: str) -> dict[str, Any]:
    """Return `spec.store` for a journal in a database, or in a file where there is none."""
    if not database:
        return {"path": "homeostat.db"}
    return {"postgres": {"url": database, "anchor": "homeostat.anchor"}, "lease": LEASE}


def recorded_in(journal: Path | str) -> Callable[[str], bool]:
    """Return what tells whether one of the journal's last commands is to write an intent.

    Args:
        journal: A file, or the URL of a database.
    """
    if isinstance(journal, Path):
        return partial(_in_file, journal)
    return partial(_in_database, journal)


def leader_of(database: str) -> int:
    """Return the process that claimed the journal in a database last, 0 for none."""
    with psycopg.connect(database) as known:
        row = known.execute("SELECT owner FROM homeostat.head").fetchone()
    assert row is not None
    return int(str(row[0]).rpartition(":")[2] or 0)


def _in_file(journal: Path, intent: str) -> bool:
    with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as known:
        return _writes(known.execute(_LAST_COMMANDS.format("entry")).fetchall(), intent)


def _in_database(url: str, intent: str) -> bool:
    with psycopg.connect(url) as known:
        rows = known.execute(_LAST_COMMANDS.format("homeostat.entry")).fetchall()
    return _writes(rows, intent)


def _writes(rows: Iterable[Sequence[Any]], intent: str) -> bool:
    wanted = f'"id":"{intent}"'.encode()
    return any(b'"$":"Write"' in bytes(row[0]) and wanted in bytes(row[0]) for row in rows)
