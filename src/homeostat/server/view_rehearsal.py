"""A rehearsal as people and scripts see it: what was foreseen of each candidate, and the trust."""

from collections.abc import Collection
from typing import Any

from homeostat.base.actions import HOLD
from homeostat.base.rehearsal import Foreseen, Prospect, Quantiles, Rehearsal, ranked
from homeostat.base.units import SECOND
from homeostat.govern.decide import label
from homeostat.server.view_series import plain_number

Plain = dict[str, Any]


def rehearsal(found: Rehearsal, allowed: Collection[str]) -> Plain:
    """Return a rehearsal; intervals hold nine of ten draws.

    Args:
        found: The rehearsal.
        allowed: What the guards permitted, as records name actions: only that is ranked, and only
            by a twin that is trusted.
    """
    may = [one for one in found.prospects if one.action == HOLD or label(one.action) in allowed]
    order = [one.action for one in ranked(may)] if found.trust.is_given else []
    ranks = {action: rank for rank, action in enumerate(order, start=1)}
    return {
        "id": found.id,
        "horizon_s": found.horizon_ns / SECOND,
        "draws": found.draws,
        "trusted": found.trust.is_given,
        "distrust": list(found.trust.reasons),
        "notes": list(found.notes),
        "prospects": [_prospect(one, ranks.get(one.action)) for one in found.prospects],
    }


def _prospect(one: Prospect, rank: int | None) -> Plain:
    return {
        "action": f"{one.action.kind} {one.action.subject}",
        "rank": rank,
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
