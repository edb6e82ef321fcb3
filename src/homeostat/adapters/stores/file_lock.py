"""The lock of a journal in a file: one process leads, and the kernel notices when it is gone.

`flock` belongs to the open file: it ends with the process, however that ends, and with no other.
A process that is stopped (SIGSTOP) still holds it, and no network file system is to be trusted with
it: for more than one machine there is PostgreSQL.
"""

import fcntl
import os
from pathlib import Path

from homeostat.base.errors import StoreError

_LONGEST = 200  # bytes of an owner's name


class FileLock:
    """An exclusive lock on one file, which names its holder.

    Args:
        path: The file; made when the lock is first taken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self, owner: str) -> str | None:
        """Take the lock without waiting; return who has it, None if we have it now.

        Raises:
            StoreError: The file cannot be made.
        """
        if self._file is not None:
            return None
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the lock {self._path} cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, _LONGEST, 0).decode("utf-8", "replace").strip()
            os.close(file)
            return holder or "another process"
        except OSError as error:
            os.close(file)
            raise StoreError(f"{self._path} cannot be locked: {error.strerror}") from error
        os.ftruncate(file, 0)
        os.pwrite(file, f"{owner}\n".encode()[:_LONGEST], 0)
        self._file = file
        return None

    def give_back(self) -> None:
        """Unlock; a second call does nothing."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
