"""Drops what a journal no longer has to hold, in a thread: no tick waits for it."""

import asyncio

import structlog

from homeostat.base.ports import Pruning
from homeostat.base.units import HOUR, TimeNs

log = structlog.get_logger()

KINDS = ("frame", "event", "state")  # commands and notes stay for ever


async def drop_old(journal: Pruning, before: TimeNs, now: TimeNs) -> None:
    """Drop the frames, events and snapshots written before a time.

    Args:
        journal: The record.
        before: What is older goes.
        now: The time, for the entry that says so.

    Raises:
        StoreError: The journal cannot be written.
    """
    dropped = await asyncio.to_thread(journal.prune, before=before, now=now, kinds=KINDS)
    if dropped:
        log.info("pruned", entries=dropped, older_than_h=(now - before) // HOUR)
