"""Opening a journal: verified whole against its anchor before anything may be written behind it.

The same for every database; what differs is in its `Backend`.
"""

from pathlib import Path

from homeostat.adapters.stores.anchor import AnchorWriter, read_anchors
from homeostat.adapters.stores.backend import Backend
from homeostat.adapters.stores.journal import SqlJournal
from homeostat.base.errors import CorruptStoreError, StoreError


def opened(
    backend: Backend,
    *,
    anchor_path: Path | None,
    compress_above: int,
    read_only: bool,
    accept_missing_anchor: bool,
) -> SqlJournal:
    """Open a journal and verify it, whole.

    Args:
        backend: The database.
        anchor_path: The anchor's file, None where nothing is kept outside (reading only).
        compress_above: See `SqlJournal`.
        read_only: Refuse to write; the writer may be running.
        accept_missing_anchor: Open a journal whose anchor is gone, and start a new one.

    Raises:
        StoreError: It cannot be opened, or its anchor is gone.
        CorruptStoreError: It does not verify.
    """
    # Read first: the anchor may lag behind, never lead.
    anchors = None if anchor_path is None else read_anchors(anchor_path)
    if anchors and backend.is_bare():
        raise CorruptStoreError(1, f"{backend.where} is gone, but {anchor_path} knows its entries")
    journal = SqlJournal(
        backend,
        compress_above=compress_above,
        read_only=read_only,
        anchored=max(anchors) if anchors else None,
    )
    try:
        if anchors is None and not read_only and not accept_missing_anchor:
            _refuse_without_anchor(journal, f"the anchor {anchor_path} of {backend.where}")
        for _ in journal.walk(anchors=anchors):
            pass
        if not read_only and anchor_path is not None:
            journal.anchor_with(AnchorWriter(anchor_path))
    except StoreError:
        journal.close()
        raise
    return journal


def _refuse_without_anchor(journal: SqlJournal, anchor: str) -> None:
    """Refuse to write behind a journal whose anchor was taken away.

    Raises:
        StoreError: There are entries, and nothing outside knows of them.
    """
    if journal.head().seq:
        raise StoreError(
            f"{anchor} is gone; put it back, or set spec.store.acceptMissingAnchor for one start "
            "if you trust the journal"
        )
