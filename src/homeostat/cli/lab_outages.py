"""Carries out `lab outages`: other people's outages against a naive rule and against us."""

from pathlib import Path
from typing import Any

from homeostat.testing.outages import Row, page, run
from homeostat.testing.outages_acting import ACTING
from homeostat.testing.outages_blind import BLIND
from homeostat.testing.outages_canary import CANARY
from homeostat.testing.outages_world import WORLD

OUTAGES = (*BLIND, *CANARY, *ACTING, *WORLD)
"""All of them, in the order of the page."""


def played() -> tuple[Row, ...]:
    """Run every outage."""
    return run(OUTAGES)


def plain(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """Return the rows as plain values."""
    return [
        {
            "outage": row.outage.key,
            "source": row.outage.source,
            "naive": row.naive.does,
            "naive_harm": row.naive.harm,
            "homeostat": row.ours.does,
            "homeostat_harm": row.ours.harm,
            "no_better_because": row.outage.no_better,
        }
        for row in rows
    ]


def renewed(path: Path, rows: tuple[Row, ...]) -> str:
    """Return a page's text with its table made anew.

    Raises:
        ValueError: The page has no place for it.
    """
    return page(path.read_text(encoding="utf-8"), rows)
