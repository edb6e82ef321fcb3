"""Who leads: waits as a standby until the journal may be led, and keeps the lead while it lasts.

Liveness only. Nothing here keeps a deposed controller from writing: the epoch does, in the journal
and at the target. A journal that knows no leases is simply claimed.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from homeostat.base.errors import (
    BusyStoreError,
    CorruptStoreError,
    HomeostatError,
    StoreError,
    SupersededError,
)
from homeostat.base.ports import Journal, Leasing, Standing
from homeostat.base.units import SECOND, TimeNs

log = structlog.get_logger()

RENEWALS: Final = 3  # in one lease: two may fail before it runs out
LOOK_NS: Final = SECOND  # how often a standby looks, at most
SAY_EVERY: Final = 60  # looks between two lines that say nothing new


class Lead:
    """Takes and keeps the lead of a journal.

    Args:
        journal: The record.
        owner: Our name, unique to this process.
        now: Our time.
        lease_ns: How long nobody else may lead without hearing from us.
    """

    def __init__(
        self, journal: Journal, owner: str, now: Callable[[], TimeNs], lease_ns: int
    ) -> None:
        self._journal, self._owner, self._now = journal, owner, now
        self._lease_ns = lease_ns
        self.leader = ""
        """Who leads as far as is known, empty before the first look."""

    async def take(self, *, wait: bool = True) -> int:
        """Wait until nobody else leads, and return our epoch.

        A store that cannot be reached is waited for as well: a standby has nothing to lose.

        Args:
            wait: Wait at all.

        Raises:
            StoreError: The first look failed for another reason than a lock, so that it is the
                settings that are wrong; or somebody else leads and nothing is waited for.
        """
        found = await self._look_first(wait=wait)
        looks, said = 0, ""
        while True:
            if found is not None and found.epoch:
                return found.epoch
            if found is not None and not wait:
                raise StoreError(f"{found.holder} leads; nothing is read, decided or done here")
            if found is not None and (found.holder != said or looks % SAY_EVERY == 0):
                said = found.holder
                _say_waiting(found)
            left_ns = LOOK_NS if found is None or found.left_ns is None else found.left_ns
            await asyncio.sleep(min(LOOK_NS, left_ns) / SECOND)
            looks += 1
            found = await self._look_again()

    async def keep(self, lost: Callable[[HomeostatError], None]) -> None:
        """Renew until cancelled; a store that does not answer is asked again.

        Args:
            lost: Told once when somebody else has taken the lead; then this returns.
        """
        journal = self._journal
        if not isinstance(journal, Leasing):
            return
        while True:
            await asyncio.sleep(self._lease_ns / RENEWALS / SECOND)
            try:
                await asyncio.to_thread(journal.renew, self._lease_ns)
            except SupersededError as error:
                lost(error)
                return
            except StoreError as error:
                log.warning("lease", effect="it runs on as it was", problem=str(error))

    async def leave(self) -> None:
        """Let a standby lead at once; failing that, the lease runs out by itself."""
        if not isinstance(self._journal, Leasing):
            return
        try:
            await asyncio.to_thread(self._journal.release)
        except StoreError as error:
            log.warning("lease", effect="it runs out by itself", problem=str(error))

    async def _look_first(self, *, wait: bool) -> Standing | None:
        try:
            return await asyncio.to_thread(self._look)
        except BusyStoreError as error:  # a leader that was stopped holds it for some seconds
            if not wait:
                raise
            log.warning("standby", problem=str(error))
            return None

    async def _look_again(self) -> Standing | None:
        try:
            return await asyncio.to_thread(self._look)
        except CorruptStoreError:
            raise
        except StoreError as error:
            log.warning("standby", problem=str(error))
            return None

    def _look(self) -> Standing:
        journal, now = self._journal, self._now()
        if isinstance(journal, Leasing):
            found = journal.acquire(self._owner, now, self._lease_ns)
        else:
            found = Standing(epoch=journal.claim_epoch(self._owner, now), holder=self._owner)
        self.leader = found.holder
        return found


def _say_waiting(found: Standing) -> None:
    left = None if found.left_ns is None else round(found.left_ns / SECOND, 1)
    effect = "nothing is read, decided or done here while it leads"
    log.info("standby", leads=found.holder, lease_left_s=left, effect=effect)
