"""The kill switch: off, no new actions, or nothing at all; the strictest voice wins.

Three voices: the environment (`HOMEOSTAT_KILL`), a file that anybody can write with `echo nothing >
FILE` while the controller is not even running, and what the API was told but could not store. The
API and the CLI speak through the file, so a restart forgets nothing. A voice that cannot be
understood counts as thrown (NO_NEW): only a clear `off`, or silence, is off.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from homeostat.base.errors import StoreError
from homeostat.base.intent import ActionRecord, Intent
from homeostat.base.policy import KillLevel

ENV: Final = "HOMEOSTAT_KILL"
_MAX_BYTES: Final = 4096  # a word and a name; more is not ours
_ORDER: Final = (KillLevel.OFF, KillLevel.NO_NEW, KillLevel.NOTHING)
_WORDS: Final = {
    "0": KillLevel.OFF,
    "1": KillLevel.NO_NEW,
    "2": KillLevel.NOTHING,
    **{level.value: level for level in KillLevel},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What one source says.

    Attributes:
        source: `file PATH`, `environment HOMEOSTAT_KILL` or `api`.
        level: What it amounts to.
        detail: Its words, or why they could not be understood.
    """

    source: str
    level: KillLevel
    detail: str


class KillSwitch:
    """The switch of one controller; see `server.api.deps.KillControl`."""

    def __init__(self, file: Path, environ: Mapping[str, str] = os.environ) -> None:
        """Keep where to look; nothing is cached, every question is answered afresh."""
        self._file = file
        self._environ = environ
        self._unstored: KillLevel | None = None

    def level(self) -> KillLevel:
        """Return the level in force. Never raises; unreadable counts as NO_NEW."""
        return strictest(*(voice.level for voice in self.voices()))

    def voices(self) -> tuple[Voice, ...]:
        """Return what each source says, for people. Never raises."""
        found = [_file_voice(self._file)]
        if ENV in self._environ:
            found.append(_spoken(f"environment {ENV}", self._environ[ENV]))
        if self._unstored is not None:
            found.append(
                Voice(source="api", level=self._unstored, detail="told, but could not be stored")
            )
        return tuple(found)

    def throw(self, level: KillLevel, by: str) -> None:
        """Set the file's level, durably. A stricter level is in force even if that fails.

        Raises:
            StoreError: The file could not be written.
        """
        try:
            throw_file(self._file, level, by)
        except StoreError:
            self._unstored = strictest(self._unstored or KillLevel.OFF, level)
            raise
        self._unstored = None


def forbids(level: KillLevel, intent: Intent, record: ActionRecord | None) -> bool:
    """Return whether the switch stops a write that is about to leave.

    Args:
        level: The level in force.
        intent: The write.
        record: The deployment's action in flight. Where a person takes a finished action back, its
            writes are a way back too, as they are for the guard (G11).
    """
    asked_back = record is not None and record.id == intent.action_id and record.undoes != ""
    match level:
        case KillLevel.OFF:
            return False
        case KillLevel.NO_NEW:
            return not (intent.undo or asked_back)
        case KillLevel.NOTHING:
            return True


def strictest(*levels: KillLevel) -> KillLevel:
    """Return the strictest of some levels; OFF for none.

    >>> strictest(KillLevel.NO_NEW, KillLevel.OFF)
    <KillLevel.NO_NEW: 'no_new'>
    """
    return max(levels, key=_ORDER.index, default=KillLevel.OFF)


def throw_file(file: Path, level: KillLevel, by: str) -> None:
    """Write the switch file atomically and durably.

    Args:
        file: The file; its folder must exist.
        level: The level it shall say.
        by: Who says so, kept in the file for people.

    Raises:
        StoreError: It could not be written; what it said before still stands.
    """
    who = " ".join(by.split())[:200] or "unknown"
    text = f"{level.value}\nby {who}\n"
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.chmod(0o644)  # everybody may see that it is thrown
        temporary.replace(file)
        _sync_folder(file.parent)
    except (OSError, ValueError) as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise StoreError(
            f"kill switch file {file}: {error}; create its folder, or write the word "
            f"{level.value!r} into it by hand"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _spoken(source: str, text: str) -> Voice:
    """Understand one voice: its first word; no word at all is silence for the environment."""
    words = text.split()
    if not words:
        return Voice(source=source, level=KillLevel.OFF, detail="silent")
    level = _WORDS.get(words[0].strip().lower())
    if level is None:
        detail = f"{words[0][:40]!r} is not one of {', '.join(_WORDS)}: counts as thrown"
        return Voice(source=source, level=KillLevel.NO_NEW, detail=detail)
    return Voice(source=source, level=level, detail=" ".join(words)[:200])


def _file_voice(file: Path) -> Voice:
    source = f"file {file}"
    try:
        text = _read(file)
    except (OSError, ValueError) as error:
        detail = f"cannot be read ({error}): counts as thrown"
        return Voice(source=source, level=KillLevel.NO_NEW, detail=detail)
    if text is None:
        return Voice(source=source, level=KillLevel.OFF, detail="not there")
    if not text.split():
        # `touch FILE` in a hurry means stop.
        return Voice(source=source, level=KillLevel.NO_NEW, detail="empty: counts as thrown")
    return _spoken(source, text)


def _read(file: Path) -> str | None:
    """Return the file's text, None if the folder is there and the file is not.

    Raises:
        FileNotFoundError: Its folder is not there, or it is a link to nowhere.
        OSError: It is there and cannot be read, or is no plain file.
        ValueError: It is no text, or too long for a switch.
    """
    try:
        # Without O_NONBLOCK a named pipe in its place would stop the controller.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if file.parent.is_dir() and not file.is_symlink():
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError("it is no plain file")
        data = os.read(handle, _MAX_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"it is longer than {_MAX_BYTES} bytes")
    return data.decode("utf-8")
