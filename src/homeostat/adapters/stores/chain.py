"""The hash chain: what makes an edit, a deletion, a swap or a cut visible.

Pure functions over values; knows nothing of databases. Each entry's digest is SHA-256 over the
digest before it and all of the entry. Dropped entries (retention) leave a gap: a record of the last
digest inside it, which a later entry of the chain vouches for.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from homeostat.base.errors import CorruptStoreError
from homeostat.base.ports import Entry
from homeostat.base.units import TimeNs

GENESIS: Final = hashlib.sha256(b"homeostat journal 1").hexdigest()
"""The digest before the first entry."""

KINDS: Final = frozenset({"event", "command", "frame", "state", "note"})
BODY_MAX: Final = 32 * 1024 * 1024
"""Largest body in bytes; a frame of 100,000 series is about 6 MB."""

CLAIMED: Final = "journal.claimed"
DROPPED: Final = "journal.dropped"
FULL: Final = "journal.disk_full"
"""Facts that only the store itself may note."""

_LEVEL: Final = 3  # zlib: on recorded frames 2 % larger than level 6, in a third of the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the chain ends.

    Attributes:
        seq: The last entry, 0 for none.
        digest: Its digest.
        epoch: The highest epoch ever claimed, 0 for none.
        owner: Who claimed it.
    """

    seq: int
    digest: str
    epoch: int
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Entries that retention dropped.

    Attributes:
        first: First dropped entry.
        last: Last dropped entry; everything between is dropped too.
        digest: The digest of `last`, where the chain goes on.
        note: The entry that vouches for this gap.
    """

    first: int
    last: int
    digest: str
    note: int


def link(previous: str, seq: int, at: int, deployment: str, kind: str, body: bytes) -> str:
    """Return an entry's digest.

    >>> link(GENESIS, 1, 5, "m", "note", b"{}") == link(GENESIS, 1, 5, "m", "note", b"{ }")
    False
    """
    inner = hashlib.sha256(body).hexdigest()
    head = json.dumps([previous, seq, at, deployment, kind, inner], separators=(",", ":"))
    return hashlib.sha256(head.encode()).hexdigest()


def pack(body: bytes, above: int) -> tuple[bool, bytes]:
    """Return whether the body was compressed, and the bytes to store."""
    if len(body) <= above:
        return False, body
    packed = zlib.compress(body, _LEVEL)
    return (True, packed) if len(packed) < len(body) else (False, body)


def unpack(packed: object, data: object) -> bytes:
    """Return the body, however damaged the row is.

    Raises:
        ValueError: The row does not hold a body of this store.
    """
    if not isinstance(data, bytes):
        raise ValueError(f"the body is {type(data).__name__}, not bytes")  # noqa: TRY004 - as said
    if packed == 0:
        return data
    if packed != 1:
        raise ValueError(f"packed is {packed!r}")
    try:
        unpacker = zlib.decompressobj()
        body = unpacker.decompress(data, BODY_MAX)
    except zlib.error as error:
        raise ValueError(f"the body does not decompress: {error}") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("the compressed body is cut, too long, or has a tail")
    return body


def note(fact: str, **data: Any) -> bytes:
    """Return the body of a note of the store itself, canonical JSON.

    >>> note(CLAIMED, epoch=2, owner="x")
    b'{"journal.claimed":{"epoch":2,"owner":"x"}}'
    """
    return json.dumps({fact: data}, sort_keys=True, separators=(",", ":")).encode()


def read_note(body: bytes, fact: str) -> Mapping[str, Any] | None:
    """Return a note's data, None if the body is no note of this fact."""
    try:
        said = json.loads(body)
    except ValueError:
        return None
    data = said.get(fact) if isinstance(said, dict) else None
    return data if isinstance(data, dict) else None


def gaps_digest(gaps: Iterable[Gap]) -> str:
    """Return the digest by which a note vouches for its gaps."""
    rows = sorted([gap.first, gap.last, gap.digest] for gap in gaps)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


class Walker:
    """Checks entries in order, from a known place to the head.

    Args:
        after: The walk starts behind this entry.
        digest: Its digest.
        anchors: Digests known from outside, by entry.
    """

    def __init__(self, after: int, digest: str, anchors: Mapping[int, str] | None = None) -> None:
        self.seq, self.digest = after, digest
        self.epoch = 0
        self._anchors = anchors or {}
        self._unvouched: dict[int, list[Gap]] = {}

    def skip(self, gap: Gap) -> None:
        """Step over a gap; a later note must vouch for it.

        Raises:
            CorruptStoreError: The gap does not begin where the chain stands.
        """
        if not gap.first <= self.seq + 1 <= gap.last < gap.note:
            raise CorruptStoreError(self.seq + 1, f"gap {gap.first}..{gap.last} does not fit here")
        self._unvouched.setdefault(gap.note, []).append(gap)
        self._arrive(gap.last, gap.digest)

    def step(self, row: Sequence[Any], vouched: Iterable[Gap] = ()) -> Entry:
        """Check one row (seq, at, deployment, kind, packed, body, digest) and return its entry.

        Args:
            row: As stored.
            vouched: All gaps that name this entry as their note.

        Raises:
            CorruptStoreError: The row is not the one the chain expects.
        """
        expected = self.seq + 1
        seq, at, deployment, kind, packed, data, digest = row
        if seq != expected:
            raise CorruptStoreError(expected, f"missing; the next entry there is {seq!r:.40}")
        try:
            body = unpack(packed, data)
            found = link(self.digest, seq, at, deployment, kind, body)
        except (ValueError, TypeError) as error:
            raise CorruptStoreError(expected, str(error)) from error
        if found != digest:
            raise CorruptStoreError(expected, "its digest does not match its content")
        self._arrive(seq, found)
        if kind == "note":
            self._read_note(seq, body, list(vouched))
        return Entry(
            seq=seq, at=TimeNs(at), deployment=deployment, kind=kind, body=body, digest=found
        )

    def finish(self, head: Head, *, whole: bool) -> None:
        """Check that the chain ends where the head says.

        Args:
            head: Read together with the last rows.
            whole: The walk began at the beginning, so that epochs can be checked too.

        Raises:
            CorruptStoreError: The tail is missing, or the head was changed.
        """
        if (self.seq, self.digest) != (head.seq, head.digest):
            raise CorruptStoreError(
                self.seq + 1, f"the journal ends here but its head says {head.seq}"
            )
        if self._unvouched:
            first = min(gap.first for gaps in self._unvouched.values() for gap in gaps)
            raise CorruptStoreError(first, "missing, and nothing says that it was dropped")
        if whole and self.epoch != head.epoch:
            raise CorruptStoreError(
                self.seq,
                f"epoch {self.epoch} was claimed last but the head says {head.epoch!r:.40}",
            )
        cut = [seq for seq in self._anchors if seq > self.seq]
        if cut:
            raise CorruptStoreError(self.seq + 1, f"cut off; entry {max(cut)} was once anchored")

    def _arrive(self, seq: int, digest: str) -> None:
        anchored = self._anchors.get(seq, digest)
        if anchored != digest:
            raise CorruptStoreError(seq, "rewritten; its digest differs from the one anchored")
        self.seq, self.digest = seq, digest

    def _read_note(self, seq: int, body: bytes, vouched: list[Gap]) -> None:
        claimed = read_note(body, CLAIMED)
        if claimed is not None:
            self.epoch = claimed.get("epoch", 0)
        gaps = self._unvouched.pop(seq, [])
        dropped = read_note(body, DROPPED)
        if gaps and (dropped is None or dropped.get("gaps") != gaps_digest(vouched)):
            raise CorruptStoreError(gaps[0].first, "missing; the note on it names other entries")
