"""A deployment's configuration as history is replayed under: a shadow, at the history's own pace.

Settings that are counted in scrapes mean a length of time, and keep it: a cooldown of 20 scrapes
of 15 s is five minutes, one step of five minutes. What must be seen to last is seen on two steps at
least, because one number may be wrong.
"""

from dataclasses import replace
from typing import Final

from homeostat.base.policy import GuardPolicy, Managed, Mode

SEEN_TWICE: Final = 2
# Lengths of time that are written in scrapes.
_LENGTHS: Final = (
    "cooldown_scrapes",
    "scale_in_scrapes",
    "watch_scrapes",
    "correlated_scrapes",
    "approval_ttl_scrapes",
    "verify_scrapes",
    "blind_scrapes",
)


def shadow(managed: Managed, step_ns: int) -> Managed:
    """Return a deployment as a shadow that looks once a step.

    Args:
        managed: As configured.
        step_ns: Between two looks; at least its scrape interval.
    """
    return replace(
        managed,
        mode=Mode.SHADOW,
        scrape_ns=step_ns,
        guard=_at_pace(managed.guard, managed.scrape_ns / step_ns),
        # Nothing is rehearsed, tried or learnt where nothing is done.
        twin=None,
        canary=None,
        feedback=None,
        adaptive=None,
    )


def _at_pace(guard: GuardPolicy, share: float) -> GuardPolicy:
    """Return a guard policy whose scrapes are longer.

    Args:
        guard: As configured.
        share: A scrape's length over a step's.
    """
    lengths = {name: max(getattr(guard, name) * share, 1.0) for name in _LENGTHS}
    lasting = max(-int(-guard.persist_scrapes * share // 1), SEEN_TWICE)
    return replace(guard, persist_scrapes=lasting, unproved="", **lengths)
