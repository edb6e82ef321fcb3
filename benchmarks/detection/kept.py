"""Figures of earlier runs, each with what it takes to believe it or to make it again.

`kept.json` beside this file is a journal: what takes hours is played whole now and then, and what
it came to is kept with commit, day, machine, seeds and command. A row of the table may show it,
marked as kept; how fast something is, is never kept. `python -m detection --keep` adds to it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from detection import gates
from detection.rows import Found

JOURNAL: Final = Path(__file__).with_name("kept.json")
_NEEDED: Final = ("key", "value", "how", "commit", "date", "machine", "seeds", "command")
_MAY: Final = ("low", "high", "of", "asked", "peers", "instead")
# A speed is of the machine and the minute: beside peers of the same run, or not at all.
NEVER: Final = frozenset({"speed", "shesd.seconds"})


class JournalError(ValueError):
    """The journal holds what cannot be shown; the message names the entry and the field."""


def load(path: Path = JOURNAL) -> list[dict[str, Any]]:
    """Return all entries, the oldest first.

    Raises:
        JournalError: It is no list of entries, or one lacks what makes it believable.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise JournalError(f"{path}: not JSON ({error})") from error
    if not isinstance(entries, list):
        raise JournalError(f"{path}: must be a list of entries")
    for number, entry in enumerate(entries):
        _check(path, number, entry)
    return entries


def latest(entries: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the last entry of each row."""
    return {str(entry["key"]): entry for entry in entries}


def found(entry: Mapping[str, Any]) -> Found:
    """Return an entry's figure."""
    rest = {name: entry[name] for name in _MAY if name in entry}
    return Found(value=float(entry["value"]), how=str(entry["how"]), **rest)


def said_of(entry: Mapping[str, Any]) -> str:
    """Return where an entry's figure is from, in words."""
    return (
        f"commit {str(entry['commit'])[:12]}, {entry['date']}, {entry['machine']}, "
        f"seeds {entry['seeds']}, `{entry['command']}`"
    )


def add(fresh: Sequence[Mapping[str, Any]], path: Path = JOURNAL) -> None:
    """Add entries to the journal.

    Raises:
        JournalError: One of them, or of those there, cannot be shown.
    """
    entries = [*load(path), *(dict(one) for one in fresh)]
    for number, entry in enumerate(entries):
        _check(path, number, entry)
    path.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def entry(key: str, one: Found, made: Mapping[str, str], *, seeds: str, command: str) -> Any:
    """Return an entry of a figure of this run.

    Args:
        key: Of its gate.
        one: The figure.
        made: `commit`, `date` and `machine` of the run.
        seeds: That it was drawn with.
        command: What makes it.
    """
    fields = {name: value for name, value in one._asdict().items() if name in {"value", "how"}}
    fields |= {name: getattr(one, name) for name in _MAY if getattr(one, name) not in (None, "")}
    return {"key": key} | fields | dict(made) | {"seeds": seeds, "command": command}


def _check(path: Path, number: int, entry: Any) -> None:
    where = f"{path}: entry {number}"
    if not isinstance(entry, dict):
        raise JournalError(f"{where} is no object")
    missing = [name for name in _NEEDED if entry.get(name) in (None, "")]
    unknown = sorted(set(entry) - {*_NEEDED, *_MAY})
    if missing or unknown:
        raise JournalError(f"{where} ({entry.get('key')}) lacks {missing}, has unknown {unknown}")
    key = str(entry["key"])
    if key not in {one.key for one in gates.GATES}:
        raise JournalError(f"{where}: there is no row {key!r}")
    if NEVER & {key, key.partition(".")[0]}:
        raise JournalError(f"{where}: {key} is a speed, which is measured and never kept")
    numbers = [entry[name] for name in ("value", "low", "high", "asked") if name in entry]
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in numbers) or (
        not np.isfinite(numbers).all()
    ):
        raise JournalError(f"{where}: {key} has a figure that is no number: {numbers}")
