"""What trainers share: a receipt for every outcome, and texts from outside cut to size."""

import time
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from homeostat.base.intent import Receipt, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs

DONE, NOT_APPLIED, UNKNOWN = ReceiptStatus.DONE, ReceiptStatus.NOT_APPLIED, ReceiptStatus.UNKNOWN
UNREADABLE: Final = (
    httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError, RecursionError,
)  # fmt: skip
_SAID_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request, why, and whether a newer state of things stood in its way."""

    status: ReceiptStatus
    detail: str
    conflict: bool = False


def receipt(about: str, outcome: Outcome, now: TimeNs, started_ns: int) -> Receipt:
    """Return an outcome as a receipt.

    Args:
        about: Id of what was asked.
        outcome: What became of it.
        now: The time when it was asked.
        started_ns: The monotonic clock's then.
    """
    took = time.monotonic_ns() - started_ns
    return Receipt(
        intent_id=about,
        status=outcome.status,
        at=TimeNs(now + took),
        detail=outcome.detail[:_SAID_MAX],
        conflict=outcome.conflict,
    )


def left_s(deadline: TimeNs, now: TimeNs) -> float:
    """Return how long there is until a deadline, in seconds."""
    return (deadline - now) / SECOND


def plain(error: Exception) -> str:
    """Return an error in one line for a person, without what cannot be printed."""
    return printable(str(error) or type(error).__name__)


def printable(text: Any) -> str:
    r"""Return a text from outside without control characters, cut to size.

    >>> printable("a\nb\x1b[2J")
    'a b [2J'
    """
    one = "".join(sign if sign.isprintable() else " " for sign in str(text)[: 4 * _SAID_MAX])
    return " ".join(one.split())[:_SAID_MAX]
