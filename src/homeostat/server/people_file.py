"""Where people and the hashes of their tokens are kept: one JSON file of mode 0600.

Written whole under another name and then renamed, under a lock, so that a reader sees the old file
or the new one. `People` reads it anew when it changes, so that a token that was taken back opens
nothing from the next request on. What cannot be read opens nothing either.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import structlog

from homeostat.base.errors import ConfigError
from homeostat.base.units import TimeNs
from homeostat.server.people import Credential, Principal, Role, Roster, find, named

log = structlog.get_logger()

FORMAT: Final = 1
_HEX_DIGEST: Final = 64
_BIGGEST: Final = 4 * 1024 * 1024


def read(file: Path) -> Roster:
    """Return who is in a file; nobody if it is not there.

    Raises:
        ConfigError: It cannot be read, others may write to it, or it holds something else.
    """
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if mode & 0o022:
                raise ConfigError(
                    f"people file {file}: others can write to it, so it proves nothing; chmod 600"
                )
            raw = stream.read(_BIGGEST + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"people file {file}: {error.strerror}") from error
    try:
        return _roster(json.loads(raw))
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"people file {file}: {error}; put a copy back, or remove it and add everybody anew"
        ) from error


def _roster(plain: Any) -> Roster:
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ValueError(f"holds no list of people of format {FORMAT}")
    return tuple(_credential(entry) for entry in plain["people"])


def _credential(plain: dict[str, Any]) -> Credential:
    known = {field.name for field in fields(Credential)}
    if set(plain) != known:
        raise ValueError(f"an entry has {sorted(set(plain) ^ known)} too many or too few")
    texts = (plain["name"], plain["key"], plain["digest"], plain["created_by"])
    times = (plain["created_at"], plain["expires_at"], plain["revoked_at"] or 0)
    if not all(isinstance(one, str) for one in texts) or not all(type(one) is int for one in times):
        raise ValueError(f"the entry of {plain['name']!r} holds the wrong kinds of values")
    if len(bytes.fromhex(plain["digest"])) * 2 != _HEX_DIGEST:
        raise ValueError(f"the entry of {plain['name']!r} holds no SHA-256")
    return Credential(**(plain | {"role": Role[plain["role"].upper()]}))


def _plain(one: Credential) -> dict[str, Any]:
    said = {field.name: getattr(one, field.name) for field in fields(Credential)}
    return said | {"role": one.role.word}


@contextmanager
def editing(file: Path) -> Iterator[Callable[[Roster], None]]:
    """Hold the file's lock; yields what writes a new roster.

    Raises:
        ConfigError: The folder cannot be used.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"people file {file}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda roster: _write(file, roster)
    finally:
        os.close(lock)


def _write(file: Path, roster: Roster) -> None:
    text = json.dumps({"format": FORMAT, "people": [_plain(one) for one in roster]}, indent=1)
    made = file.with_name(f"{file.name}.{secrets.token_hex(8)}.new")
    try:
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchmod(handle, 0o600)
            stream.write(text + "\n")
            stream.flush()
            os.fsync(handle)
        made.replace(file)
    except OSError as error:
        raise ConfigError(f"people file {file}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            made.unlink(missing_ok=True)


class People:
    """The people of a running controller: who a token belongs to now.

    Args:
        file: Where they are kept; None for nobody but the holder of the shared token.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._roster: Roster = ()
        self._closed = False
        self._look()

    @property
    def configured(self) -> bool:
        """True from the first person on: then reading needs a token too, for as long as it runs."""
        self._look()
        return self._closed

    def whose(self, token: str, now: TimeNs) -> Principal | None:
        """Return whose token this is, None if it is nobody's or no longer good."""
        self._look()
        return find(self._roster, token, now)

    def named(self, name: str, now: TimeNs) -> Principal | None:
        """Return somebody by name, None if they have no token that is good."""
        self._look()
        return named(self._roster, name, now)

    def _look(self) -> None:
        """Read the file anew if it changed; what cannot be read holds nobody and opens nothing."""
        if self._file is None:
            return
        try:
            stat = self._file.stat()
            seen = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)  # ctime: a new mode counts
        except OSError as error:
            self._roster = ()
            self._seen = None
            self._closed = self._closed or not isinstance(error, FileNotFoundError)
            return
        if seen == self._seen:
            return
        try:
            self._roster = read(self._file)
        except ConfigError as error:
            log.critical("people", problem=str(error), effect="nobody's token opens anything")
            self._roster = ()
            self._closed = True
        self._seen = seen
        self._closed = self._closed or bool(self._roster)
