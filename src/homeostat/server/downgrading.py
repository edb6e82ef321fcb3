"""Bringing a journal back to the shape of an older version, before that one is started again.

A newer version upgrades a journal when it opens it, and an older one refuses what it does not know.
Entries and their chain are the same in every shape. Whoever still runs cannot write any more: the
epoch that is claimed here is a later one.
"""

from typing import Any, Final, cast

from homeostat.adapters.stores import migrate
from homeostat.adapters.stores.journal import SqlJournal
from homeostat.base.errors import ConfigError, StoreError
from homeostat.base.units import MINUTE, TimeNs
from homeostat.server.plan import PartPlan
from homeostat.server.replaying import Kept, verify_file
from homeostat.server.wiring import build

OWNER: Final = "homeostat audit downgrade"


def downgrade_file(kept: Kept, to: str, now: TimeNs) -> dict[str, Any]:
    """Verify a journal whole and bring it back to an older shape.

    Args:
        kept: Where it lies; of a database with its anchor.
        to: The shape wanted, as the older version's error names it.
        now: For the claim that is written down.

    Returns:
        The journal, its shape and how many entries it has.

    Raises:
        ConfigError: A database's anchor or URL is not there or cannot be used.
        StoreError: There is no such shape or journal, it does not verify, or a controller leads.
    """
    migrate.check_older(to)
    verify_file(kept)  # also: nothing is made where nothing is
    journal = _opened(kept)
    try:
        standing = journal.acquire(OWNER, now, MINUTE)
        if not standing.epoch:
            raise StoreError(f"{standing.holder} leads; stop every controller, and try again")
        entries = journal.head().seq
        journal.downgrade(to)
    finally:
        journal.close()
    return {"journal": kept.place, "shape": to, "entries": entries}


def _opened(kept: Kept) -> SqlJournal:
    """Return the journal, opened to be written.

    Raises:
        ConfigError: A database's anchor was not named.
        StoreError: It cannot be opened.
    """
    settings: dict[str, Any] = {"anchor": kept.anchor}
    if kept.place.startswith("postgresql:"):
        if kept.anchor is None:
            raise ConfigError("name the file that anchors the database's journal: --anchor FILE")
        database = {"url": kept.place, "schema_name": kept.schema}
        settings |= database | {"password_file": kept.password_file}
        return cast("SqlJournal", build("store", PartPlan(part="postgres", settings=settings)))
    settings |= {"path": kept.place}
    return cast("SqlJournal", build("store", PartPlan(part="sqlite", settings=settings)))
