"""Which message belongs to which matter, over a restart: one small JSON file of mode 0600.

It holds no text and no secret. One that cannot be read costs a second message, never a word.
"""

import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

log = structlog.get_logger()

KEPT: Final = 500
_FORMAT: Final = 1
_BIGGEST: Final = 1 << 20
_TS: Final = re.compile(r"[0-9]{1,16}\.[0-9]{1,10}")
_CHANNEL: Final = re.compile(r"[A-Z0-9]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message is: Slack's channel id and its `ts`; `at` is when it was begun, seconds."""

    channel: str
    ts: str
    at: float

    @property
    def is_good(self) -> bool:
        """Whether it is one that Slack could have given."""
        return bool(_CHANNEL.fullmatch(self.channel) and _TS.fullmatch(self.ts))


class Kept:
    """The messages of one channel.

    Args:
        file: Where they are kept; None to forget them with the process.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._places = _read(file) if file is not None else {}

    def find(self, matter: str) -> Place | None:
        """Return where the message of a matter is, None if it has none."""
        return self._places.get(matter)

    def put(self, matter: str, place: Place) -> None:
        """Keep where a message is; the oldest one makes room."""
        self._places.pop(matter, None)
        self._places[matter] = place
        while len(self._places) > KEPT:
            del self._places[next(iter(self._places))]
        if self._file is not None:
            _write(self._file, self._places)


def _read(file: Path) -> dict[str, Place]:
    try:
        with file.open("rb") as stream:
            said = json.loads(stream.read(_BIGGEST + 1))
        return _places(said)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        effect = "what is open gets a second message"
        log.warning("slack", file=str(file), problem=str(error)[:200], effect=effect)
        return {}


def _places(said: Any) -> dict[str, Place]:
    if said["format"] != _FORMAT:
        raise ValueError(f"format {said['format']!r}")
    return {str(matter): _place(one) for matter, one in said["messages"].items()}


def _place(plain: Any) -> Place:
    place = Place(channel=str(plain["channel"]), ts=str(plain["ts"]), at=float(plain["at"]))
    if not place.is_good:
        raise ValueError("a place that Slack did not give")
    return place


def _write(file: Path, places: dict[str, Place]) -> None:
    messages = {
        matter: {"channel": one.channel, "ts": one.ts, "at": one.at}
        for matter, one in places.items()
    }
    text = json.dumps({"format": _FORMAT, "messages": messages})
    made = file.with_name(f"{file.name}.{secrets.token_hex(8)}.new")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        made.replace(file)
    except OSError as error:
        effect = "after a restart what is open gets a second message"
        log.warning("slack", file=str(file), problem=str(error.strerror), effect=effect)
    finally:
        with suppress(OSError):
            made.unlink(missing_ok=True)
