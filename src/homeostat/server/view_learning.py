"""What learning said on a decision, and what came of it, as plain values.

Every arm that was weighed, with what it would bring in bounds, its chance, and why it could not be
played where it could not: by a guard's word or by what it might cost.
"""

import math
from typing import Any

from homeostat.base.learning import Arm, Covering, Lesson, Seating, Span
from homeostat.base.units import SECOND, TimeNs
from homeostat.policy.seat_effect import COSTS
from homeostat.server.view_series import plain_number

Plain = dict[str, Any]


def learning(said: Seating | None, came: Lesson | None) -> Plain | None:
    """Return what was said on a decision, None where nobody was heard.

    Args:
        said: What learning said.
        came: What came of it, None while that is not known.
    """
    if said is None:
        return None
    return {
        "mode": said.mode,
        "wanted": said.wanted,
        "played": said.played,
        "chance": plain_number(said.pick.propensity),
        "draw": plain_number(said.roll),
        "key": said.key,
        "because": list(said.because),
        "arms": [_arm(one) for one in said.arms],
        "trained": said.trained,
        "came": None if came is None else _came(came),
    }


def covering(found: Covering) -> Plain:
    """Return how well the twin's intervals held the last effects."""
    seen = len(found.hits)
    return {
        "held": sum(found.hits),
        "of": seen,
        "share": plain_number(sum(found.hits) / seen if seen else math.nan),
        "unknown": found.unknown,
        "drop": found.drop,
        "because": found.because,
    }


def _arm(one: Arm) -> Plain:
    costs = {name: _ends(span) for name, span in zip(COSTS, one.extra, strict=False)}
    return {
        "arm": one.name,
        "action": one.action,
        "fraction": plain_number(one.fraction),
        "chance": plain_number(one.chance),
        "gain": _ends(one.gain),
        "extra": costs,
        "refused": list(one.refused),
    }


def _came(one: Lesson) -> Plain:
    payoff = one.payoff
    return {
        "at": _when(one.at),
        "reward": plain_number(payoff.reward),
        "foreseen_of_runbook": plain_number(payoff.base_reward),
        "costs": {
            name: plain_number(cost) for name, cost in zip(COSTS, payoff.costs, strict=False)
        },
        "held": one.held,
        "because": one.because,
        "intervals": covering(one.covering),
        "standing": {
            "answer": one.standing.answer,
            "scored": one.standing.rounds,
            "unknown": one.standing.unknown,
            "because": list(one.standing.because),
        },
    }


def _ends(span: Span) -> list[float | None]:
    return [plain_number(value) for value in (span.low, span.mid, span.high)]


def _when(at: TimeNs) -> float:
    return round(at / SECOND, 6)
