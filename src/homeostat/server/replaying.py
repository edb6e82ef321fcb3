"""Replaying and verifying a journal file, for people: what `replay` and `audit verify` print."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeostat.base.decisions import DecisionRecord
from homeostat.base.errors import StoreError
from homeostat.base.events import Record, Started
from homeostat.base.policy import Managed
from homeostat.base.ports import Anchored, Entry, Journal
from homeostat.base.state import LoopState
from homeostat.server import snapshots
from homeostat.server.code_version import code_version
from homeostat.server.plan import PartPlan
from homeostat.server.restore import decoded, replay
from homeostat.server.wiring import build, loop_parts

# Journals from before it was recorded, and those whose start was dropped by age.
UNRECORDED: Final = "code that is not recorded"
_STARTED: Final = b'{"$":"Started"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where a journal lies, as a person says it.

    Attributes:
        place: A file, or postgresql://USER@HOST:PORT/DATABASE.
        anchor: The file that anchors it; beside a file it is found by itself.
        password_file: Holds the database's password, None where libpq finds it by itself.
        schema: The database's schema.
    """

    place: str
    anchor: Path | None = None
    password_file: Path | None = None
    schema: str = "homeostat"


def open_read_only(where: Path | Kept) -> Journal:
    """Open a journal for reading, also while a controller writes it.

    Raises:
        ConfigError: A database's URL cannot be used.
        StoreError: There is no journal there, or it is none.
    """
    kept = where if isinstance(where, Kept) else Kept(place=str(where))
    settings: dict[str, Any] = {"read_only": True, "anchor": kept.anchor}
    if kept.place.startswith("postgresql:"):
        database = {"url": kept.place, "schema_name": kept.schema}
        settings |= database | {"password_file": kept.password_file}
        entry = PartPlan(part="postgres", settings=settings)
    else:
        path = Path(kept.place)
        if not path.is_file():
            raise StoreError(f"there is no journal at {path}")
        entry = PartPlan(part="sqlite", settings=settings | {"path": path})
    journal: Journal = build("store", entry)
    return journal


def replay_file(where: Path | Kept, only: str | None = None) -> list[dict[str, Any]]:
    """Replay every deployment of a journal.

    Args:
        where: Where it lies.
        only: Only the deployment of this name.

    Returns:
        One row per deployment: events, commands and decisions replayed, events whose commands
        were never recorded (the controller was killed in between), mismatches, the first one, and
        the versions of other code that wrote any of it (`written_by`; None where all of it is
        this code's): under other code a difference is no sign of a changed journal.

    Raises:
        StoreError: The journal cannot be read or does not verify.
    """
    journal = open_read_only(where)
    try:
        found = deployments(journal)
        snapshots.recall(beside(where))
        snapshots.require(one for name, one in found.items() if only is None or name == only)
        return [
            _replayed(journal, managed)
            for name, managed in sorted(found.items())
            if only is None or name == only
        ]
    finally:
        journal.close()


def beside(where: Path | Kept) -> Path:
    """Return the folder that a journal lies in; of a database's, where its anchor does."""
    if isinstance(where, Path):
        return where.parent
    at_home = not where.place.startswith("postgresql:")
    return Path(where.place).parent if at_home else (where.anchor or Path()).parent


def verify_file(where: Path | Kept) -> dict[str, Any]:
    """Walk the whole chain.

    Args:
        where: Where the journal lies.

    Returns:
        The number of entries, the last digest, counts by kind, the last entry that is known from
        outside the file (`anchored`), and `tail`: `anchored`, or `unknown` where nothing is known
        from outside. A chain whose last entries were cut off, head and all, is whole as well:
        without an anchor nobody can tell.

    Raises:
        StoreError: The journal cannot be read or does not verify.
    """
    journal = open_read_only(where)
    try:
        counts: dict[str, int] = {}
        last = ""
        for entry in journal.read():
            counts[entry.kind] = counts.get(entry.kind, 0) + 1
            last = entry.digest
        anchored = journal.anchored if isinstance(journal, Anchored) else None
        return {
            "entries": sum(counts.values()),
            "head": last,
            "kinds": counts,
            "chain": "whole",
            "anchored": anchored,
            "tail": "unknown" if anchored is None else "anchored",
        }
    finally:
        journal.close()


def deployments(journal: Journal) -> dict[str, Managed]:
    """Return every deployment in the journal, as it first was (old entries may be gone)."""
    found: dict[str, Managed] = {}
    for entry in journal.read(kinds=("event", "state")):
        if entry.deployment in found:
            continue
        value = decoded(entry)
        if isinstance(value, Started | LoopState):
            found[entry.deployment] = value.managed
    return found


def _replayed(journal: Journal, managed: Managed) -> dict[str, Any]:
    row: dict[str, Any] = {
        "deployment": managed.name,
        "events": 0,
        "commands": 0,
        "decisions": 0,
        "unrecorded": 0,
        "mismatches": 0,
        "first": None,
        "written_by": None,
    }
    others: list[str] = []
    for entry, commands, recorded, mismatch in replay(journal, loop_parts(), managed):
        row["events"] += entry.kind == "event"
        if entry.kind == "event":
            others.extend(_code(entry, first=row["events"] == 1))
        row["commands"] += len(commands)
        row["decisions"] += sum(
            isinstance(command, Record) and isinstance(command.fact, DecisionRecord)
            for command in commands
        )
        row["unrecorded"] += bool(commands) and not recorded
        if mismatch is not None:
            row["mismatches"] += 1
            row["first"] = row["first"] or mismatch.seq
    others = [code for code in dict.fromkeys(others) if code != code_version()]
    row["written_by"] = ", ".join(others) or None
    return row


def _code(entry: Entry, *, first: bool) -> list[str]:
    """Return which code decides from an event on, if it says so or nothing before it did."""
    started = decoded(entry) if entry.body.startswith(_STARTED) else None
    if isinstance(started, Started):
        return [started.code or UNRECORDED]
    return [UNRECORDED] if first else []
