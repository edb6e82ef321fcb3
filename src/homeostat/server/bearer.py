"""The API's bearer token: read from its file, or made there once, whole or not at all.

A fresh token is written under another name, in a file that never had any permission for others, and
only then linked to its own: a controller killed at any moment leaves no token file that is empty,
cut or readable, and of two that start at once both use the token of the one that came first.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import structlog

from homeostat.base.errors import ConfigError

log = structlog.get_logger()


def token_in(file: Path | None) -> str:
    """Return the token that a file holds; without the file one is made and kept there.

    Args:
        file: Holds the token; None for one that nobody else needs.

    Raises:
        ConfigError: The file cannot be read or made.
    """
    if file is None:
        return secrets.token_urlsafe(32)
    try:
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(file)
        if file.stat().st_mode & 0o077:
            log.warning("token", file=str(file), problem="others can read it: chmod 600 it")
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"token file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"token file {file}: holds no text; remove it and the controller makes a new one"
        ) from error


def _make(file: Path) -> None:
    """Put a fresh token there, unless somebody else just did.

    Raises:
        OSError: It cannot be made; nothing is left behind.
    """
    made = file.with_name(f"{file.name}.{secrets.token_hex(8)}.new")
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            os.fchmod(handle, 0o600)  # whatever the umask took away
            stream.write(secrets.token_urlsafe(32) + "\n")
            stream.flush()
            os.fsync(handle)
        with suppress(FileExistsError):  # another controller's is as good
            os.link(made, file)  # unlike a rename it never replaces
            log.info("token", made=str(file))
    finally:
        made.unlink()
    _sync(file.parent)


def _sync(folder: Path) -> None:
    """Bring the new name to the disk, where the file system can: the content is there already."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
