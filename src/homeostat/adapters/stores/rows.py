"""Rows on their way into the journal: checked, linked to the chain, packed. No I/O."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from homeostat.adapters.stores import chain
from homeostat.adapters.stores.chain import Head
from homeostat.base.errors import StoreError
from homeostat.base.ports import Entry
from homeostat.base.units import TimeNs

Rows = Sequence[tuple[TimeNs, str, str, bytes]]

_RESERVED: Final = (chain.CLAIMED, chain.DROPPED, chain.FULL)


def check(entries: Rows) -> None:
    """Refuse rows that could not be read back as they are.

    Raises:
        StoreError: A row is malformed.
    """
    for at, deployment, kind, body in entries:
        if kind not in chain.KINDS:
            raise StoreError(f"entry kind {kind!r} is none of {', '.join(sorted(chain.KINDS))}")
        if len(body) > chain.BODY_MAX:
            raise StoreError(f"a {kind}'s body has {len(body)} bytes, at most {chain.BODY_MAX} fit")
        if not -(2**63) <= at < 2**63 or not deployment.isprintable():
            raise StoreError(
                f"a {kind} has time {at} and deployment {deployment!r}; one is no such"
            )
        if kind == "note" and any(chain.read_note(body, fact) is not None for fact in _RESERVED):
            raise StoreError("notes called journal.* belong to the journal itself")


def linked(
    head: Head, entries: Rows, *, compress_above: int
) -> tuple[tuple[Entry, ...], list[dict[str, Any]], Head]:
    """Return the entries behind a head, their rows as stored, and the head after them."""
    seq, digest = head.seq, head.digest
    written, rows = [], []
    for at, deployment, kind, body in entries:
        seq += 1
        digest = chain.link(digest, seq, at, deployment, kind, body)
        packed, data = chain.pack(body, chain.BODY_MAX if kind == "command" else compress_above)
        rows.append({
            "seq": seq, "at": at, "deployment": deployment, "kind": kind,
            "packed": int(packed), "body": data, "digest": digest,
        })  # fmt: skip
        written.append(
            Entry(seq=seq, at=at, deployment=deployment, kind=kind, body=body, digest=digest)
        )
    return tuple(written), rows, replace(head, seq=seq, digest=digest)
