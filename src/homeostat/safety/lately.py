"""What was seen lately of settings and of replicas beside their peers, as facts.

A way back to the setting that was live before the present one, and that served the objectives, is
no step into the unknown. A replica that has been slower than each of its peers for as long as any
suspicion must last is slow, whatever the trouble as a whole is taken for.
"""

from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action
from homeostat.base.units import MILLISECOND
from homeostat.base.world import ReplicaState, Scalar
from homeostat.safety.change import Change
from homeostat.safety.one_first import keeps_own
from homeostat.safety.sight import Sight, milli, scrapes_ms
from homeostat.safety.tree import Value

# A setting that was changed longer ago is not what went wrong: half an hour of 15 s scrapes, as the
# scenario of a wrong batch size has it ("config changed within 30 min").
_LATELY_SCRAPES: Final = 120.0


def lately(action: Action, change: Change, sight: Sight) -> dict[str, Value]:
    """Return the facts about settings that served and replicas that are slower.

    Args:
        action: What would be done.
        change: Its levers against the live ones.
        sight: What can be seen.
    """
    served = [
        _served(lever, wanted, live, sight)
        for (lever, wanted), live in zip(change.writes, change.live, strict=True)
    ]
    return {
        # With a replica's own value ended that somebody gave it, it is no way back to what was.
        "to_served": bool(served)
        and None not in served
        and keeps_own(action.change, sight.world) is True,
        "rate_milli": sight.once(_rate),
        "rate_served_milli": min((rate for rate in served if rate is not None), default=0),
        "beside_ms": _beside_ms(action, sight),
        "persist_ms": scrapes_ms(sight.state.managed, sight.state.managed.guard.persist_scrapes),
        "odd_device": sight.anomalous(action.subject, names.DEVICE_TIME),
    }


def _served(lever: str, wanted: Scalar, live: Scalar | None, sight: Sight) -> int | None:
    """Return the most requests served by the setting that is gone back to; None if it is none.

    It served, it was well on the last tick on which it was seen, what replaced it was seen at once
    and lately, and that has not served since.
    """
    known = [one for one in sight.state.settings if one.lever == lever]
    if len(known) != 2 or sight.fresh_ms is None:  # noqa: PLR2004 - the one before, and the live one
        return None
    before, present = known
    gap_ms = (present.since - before.until) // MILLISECOND
    age_ms = (sight.now - present.since) // MILLISECOND
    lately_ms = scrapes_ms(sight.state.managed, _LATELY_SCRAPES)
    same = milli(before.value) == milli(wanted) and milli(present.value) == milli(live)
    well = before.served and before.ticks > 0 and not present.served
    seen = 0 <= gap_ms <= sight.fresh_ms and lately_ms is not None and 0 <= age_ms <= lately_ms
    known_values = milli(wanted) is not None and milli(live) is not None
    return before.rate_milli if same and well and seen and known_values else None


def _rate(sight: Sight) -> int | None:
    """Return requests per second and replica of the stable pool in rotation, in thousandths."""
    rate = milli(sight.value(names.GATEWAY, names.ARRIVAL_RATE))
    pool = sight.state.managed.stable_pool
    ready = sum(slot.state is ReplicaState.READY for slot in sight.replicas(pool))
    return None if rate is None or ready == 0 else -(-rate // ready)


def _beside_ms(action: Action, sight: Sight) -> int:
    """Return for how long the subject is known to be slower than each of its peers; 0 if it is not.

    A comparison that is older than the evidence may be counts for nothing.
    """
    if sight.fresh_ms is None:
        return 0
    live = {(slot.name, slot.incarnation) for slot in sight.replicas()}
    for one in sight.state.slower:
        fresh = 0 <= sight.now - one.until <= sight.fresh_ms * MILLISECOND
        mine = names.replica(one.replica) == action.subject
        if mine and fresh and (one.replica, one.incarnation) in live:
            return max(0, (sight.now - one.since) // MILLISECOND)
    return 0
