"""The anchor: digests kept outside the database, so that a cut or rewritten chain shows.

A plain text file beside the journal: the newest durable entry in the first line, written in place,
then one line for every thousandth. Whoever can write both files can still lie; copy the newest line
to another machine (docs/explanation/journal.md). Written only after a durable commit, so it is
never ahead of the journal, and never waited for.
"""

import os
import re
from pathlib import Path
from typing import Final

from homeostat.adapters.stores.chain import GENESIS
from homeostat.base.errors import CorruptStoreError, StoreError

_EVERY: Final = 1000
_LINE: Final = re.compile(r"([0-9]{20}) ([0-9a-f]{64})")
_WIDTH: Final = 20 + 1 + 64 + 1


def read_anchors(path: Path) -> dict[int, str] | None:
    """Return the anchored digests by entry, None if there is no such file.

    Raises:
        CorruptStoreError: A line is damaged.
        StoreError: The file cannot be read.
    """
    try:
        text = path.read_text("ascii")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"the anchor {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CorruptStoreError(0, f"the anchor {path} is damaged") from error
    anchors: dict[int, str] = {}
    if not text:
        raise CorruptStoreError(0, f"the anchor {path} is empty")
    whole, _, _torn = text.rpartition("\n")  # a line without its end was cut by a crash
    for number, line in enumerate(whole.split("\n") if whole else (), start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise CorruptStoreError(0, f"line {number} of the anchor {path} is damaged")
        seq, digest = int(found[1]), found[2]
        if seq and anchors.setdefault(seq, digest) != digest:
            raise CorruptStoreError(seq, f"the anchor {path} knows two digests for it")
    return anchors


class AnchorWriter:
    """Keeps the anchor file of one journal."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the anchor {path} cannot be written: {error.strerror}") from error
        self._last_line = 0
        if os.fstat(self._file).st_size == 0:  # an empty anchor would be a damaged one
            os.pwrite(self._file, f"{0:020d} {GENESIS}\n".encode(), 0)

    def write(self, seq: int, digest: str) -> None:
        """Anchor an entry that is already durable; trouble is left to the next one.

        The entry is in the journal whatever happens here, and an anchor that lags is still true.
        """
        line = f"{seq:020d} {digest}\n".encode()
        try:
            os.pwrite(self._file, line, 0)
            if seq // _EVERY > self._last_line // _EVERY:
                end = os.lseek(self._file, 0, os.SEEK_END)
                os.pwrite(self._file, line, max(_WIDTH, end - end % _WIDTH))
        except OSError:
            return
        self._last_line = seq

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
