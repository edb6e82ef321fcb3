"""Durations, spans, shares and money as people write them, as pydantic types.

`250ms`, `5m`; a span is a duration or a number of scrapes (`20 scrapes`), because guard times are
multiples of the scrape interval; a share is `25%` or `0.25`; money is `2.10 USD`.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from homeostat.base.units import HOUR, MILLISECOND, MINUTE, SECOND

_UNITS: Final = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": 24 * HOUR}
_DURATION_PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d)$"
_SCRAPES_PATTERN: Final = r"^[0-9]{1,6}(\.[0-9]{1,3})? scrapes?$"
_SHARE_PATTERN: Final = r"^[0-9]{1,5}(\.[0-9]{1,6})?%$"
_MONEY_PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,4})? USD$"
_MAX_NS: Final = 3650 * 24 * HOUR  # ten years


@dataclass(frozen=True, slots=True)
class SpanOf:
    """A guard time: a number of nanoseconds or of scrapes.

    Attributes:
        ns: The duration, None when it was given in scrapes.
        scrapes: The number of scrapes, None when it was given as a duration.
    """

    ns: int | None
    scrapes: float | None

    def in_scrapes(self, scrape_ns: int) -> float:
        """Return it as a number of scrapes of the given interval."""
        if self.scrapes is not None:
            return self.scrapes
        return (self.ns or 0) / scrape_ns


def duration_ns(value: Any) -> int:
    """Return a duration in nanoseconds.

    Raises:
        ValueError: It is no duration, zero or absurdly long.

    >>> duration_ns("250ms")
    250000000
    """
    if not isinstance(value, str) or not re.match(_DURATION_PATTERN, value):
        raise ValueError(
            f"{value!r} is no duration; write a number and ms, s, m, h or d: 250ms, 5m"
        )
    unit = next(unit for unit in ("ms", "s", "m", "h", "d") if value.endswith(unit))
    result = round(float(value.removesuffix(unit)) * _UNITS[unit])
    if not 0 < result <= _MAX_NS:
        raise ValueError(f"{value!r} must be longer than nothing and shorter than ten years")
    return result


def span(value: Any) -> SpanOf:
    """Return a guard time.

    Raises:
        ValueError: It is neither a duration nor a number of scrapes.

    >>> span("20 scrapes").in_scrapes(10**9)
    20.0
    """
    if isinstance(value, SpanOf):
        return value
    if isinstance(value, str) and re.match(_SCRAPES_PATTERN, value):
        scrapes = float(value.split()[0])
        if scrapes <= 0.0:
            raise ValueError(f"{value!r} must be more than none")
        return SpanOf(None, scrapes)
    try:
        return SpanOf(duration_ns(value), None)
    except ValueError:
        raise ValueError(
            f"{value!r} is no duration; write 250ms, 5m, or a number of scrapes: '20 scrapes'"
        ) from None


def share(value: Any) -> float:
    """Return a share of one.

    Raises:
        ValueError: It is no share.

    >>> share("25%"), share(0.25)
    (0.25, 0.25)
    """
    if isinstance(value, str) and re.match(_SHARE_PATTERN, value):
        return float(value[:-1]) / 100.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{value!r} is no share; write a percentage ('25%') or a number (0.25)")


def money(value: Any) -> float:
    """Return an amount in US dollars.

    Raises:
        ValueError: It is no amount with its currency.

    >>> money("2.10 USD")
    2.1
    """
    if isinstance(value, str) and re.match(_MONEY_PATTERN, value):
        return float(value.split()[0])
    raise ValueError(f"{value!r} is no amount; write a number and USD: '2.10 USD'")


_SHARE_SCHEMA: Final = {
    "anyOf": [{"type": "string", "pattern": _SHARE_PATTERN}, {"type": "number", "minimum": 0}]
}
Duration = Annotated[
    int,
    BeforeValidator(duration_ns),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN, "examples": ["250ms", "5m"]}),
]
Span = Annotated[
    SpanOf,
    BeforeValidator(span),
    WithJsonSchema({
        "type": "string",
        "pattern": f"{_DURATION_PATTERN}|{_SCRAPES_PATTERN}",
        "examples": ["5m", "20 scrapes"],
    }),
]
Share = Annotated[float, BeforeValidator(share), WithJsonSchema(_SHARE_SCHEMA)]
Money = Annotated[
    float,
    BeforeValidator(money),
    WithJsonSchema({"type": "string", "pattern": _MONEY_PATTERN, "examples": ["2.10 USD"]}),
]
