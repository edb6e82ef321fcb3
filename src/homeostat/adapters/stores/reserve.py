"""The reserve: disk space kept aside, so that a full disk can still be written down."""

import os
from pathlib import Path


class Reserve:
    """A file of a fixed size that is given back when the disk is full.

    Args:
        path: Where it lies; on the journal's own disk.
        size: Bytes; 0 keeps none.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size

    def keep(self) -> bool:
        """Allocate the space if it is not held; return whether it is held now."""
        if self._size == 0:
            return False
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            if os.fstat(file).st_size < self._size:
                os.posix_fallocate(file, 0, self._size)
        except OSError:
            self.release()  # half a reserve would only deepen the shortage
            return False
        finally:
            os.close(file)
        return True

    def release(self) -> bool:
        """Give the space back; return whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
