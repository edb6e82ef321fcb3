"""A rehearsal as people and scripts see it: what was foreseen of each candidate, and the trust."""

from typing import Any

from homeostat.base.rehearsal import Foreseen, Prospect, Quantiles, Rehearsal
from homeostat.base.units import SECOND
from homeostat.server.view_series import plain_number

Plain = dict[str, Any]


def rehearsal(found: Rehearsal) -> Plain:
    """Return a rehearsal; intervals hold nine of ten draws."""
    return {
        "id": found.id,
        "horizon_s": found.horizon_ns / SECOND,
        "draws": found.draws,
        "trusted": found.trust.is_given,
        "distrust": list(found.trust.reasons),
        "notes": list(found.notes),
        "prospects": [_prospect(one) for one in found.prospects],
    }


def _prospect(one: Prospect) -> Plain:
    return {
        "action": f"{one.action.kind} {one.action.subject}",
        "foreseen": _foreseen(one.foreseen),
        "against_hold": _foreseen(one.against_hold),
        "ends_well": plain_number(one.holds),
    }


def _foreseen(one: Foreseen) -> Plain:
    return {
        "latency_ms": _ends(one.latency_ms),
        "error_ratio": _ends(one.error_ratio),
        "availability": _ends(one.availability),
        "usd_per_hour": _ends(one.usd_per_hour),
        "breach": _ends(one.breach),
    }


def _ends(one: Quantiles) -> list[float | None]:
    return [plain_number(value) for value in (one.p5, one.p50, one.p95)]
