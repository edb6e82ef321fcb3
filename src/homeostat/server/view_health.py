"""The health score, what is ahead and what tests say, as JSON-ready dicts.

The contracts are `server.api.ahead` and `server.api.then`.
"""

from typing import Any, Final

from homeostat.base.fleetwide import Fleetwide
from homeostat.base.promise import PromiseTest
from homeostat.base.types import Forecast, Health, HealthPart
from homeostat.base.units import SECOND
from homeostat.server.view_series import plain_number

_WORST: Final = 3
"""Parts that go with every tick of every deployment; its own answer has them all."""


def health(value: Health | None) -> dict[str, Any] | None:
    """Return the score with its worst parts, None where nobody asked for one."""
    if value is None:
        return None
    return {
        "score": plain_number(value.score),
        "low": plain_number(value.low),
        "high": plain_number(value.high),
        "verdict": value.verdict.value,
        "parts": [part(one) for one in value.parts[:_WORST]],
    }


def part(value: HealthPart) -> dict[str, Any]:
    """Return what one concern takes away, and why."""
    return {
        "concern": value.concern,
        "subject": value.subject,
        "signal": value.signal,
        "verdict": value.verdict.value,
        "loss": plain_number(value.loss),
        "because": value.because,
    }


def forecast(value: Forecast) -> dict[str, Any]:
    """Return what one series is about to do."""
    return {
        "subject": value.subject,
        "signal": value.signal,
        "limit": plain_number(value.limit),
        "time_to_limit_s": _seconds(value.time_to_limit_ns),
        "likely_s": _seconds(value.likely_ns),
        "horizons_s": [_seconds(one) for one in value.horizons_ns],
        "chances": [None if one is None else plain_number(one) for one in value.chances],
        "quantiles": [[plain_number(one) for one in moment] for moment in value.quantiles],
        "left_s": [_seconds(one) for one in value.left_ns],
    }


def promise(value: PromiseTest) -> dict[str, Any]:
    """Return what speaks against an objective, since when, and where the share that is bad lies."""
    return {
        "subject": value.subject,
        "signal": value.signal,
        "limit": plain_number(value.limit),
        "broken": value.broken,
        "log10_e": plain_number(value.log10_e),
        "since": None if value.since is None else round(value.since / SECOND, 6),
        "tests": value.tests,
        "share_low": plain_number(value.share_low),
        "share_high": plain_number(value.share_high),
        "share_tests": value.share_tests,
    }


def fleetwide(value: Fleetwide | None) -> dict[str, Any] | None:
    """Return what the tests of the whole fleet say of a deployment, None where nobody asked."""
    if value is None:
        return None
    return {
        "told": value.told,
        "neg_log10_p": plain_number(value.neg_log10_p),
        "since": None if value.since is None else round(value.since / SECOND, 6),
        "series": [{"subject": subject, "signal": signal} for subject, signal in value.series],
        "tested": value.tested,
        "share": value.share,
        "false_incidents": value.false_incidents,
        "alone": value.alone,
    }


def _seconds(value: int | None) -> float | None:
    return None if value is None else round(value / SECOND, 3)
