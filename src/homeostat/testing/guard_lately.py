"""What was seen lately, to test guards with: a setting that was replaced, a replica that is slower.

Both change a state of `guard_scene`, whose scrape is one second and whose settings are a largest
batch of 8 and a hundred requests per second for three replicas.
"""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.evidence import Verdict
from homeostat.base.guard import GuardState, Setting, Slower
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.guard_scene import NEW, NOW, reading, told

RATE_MILLI = 33_334
"""Requests per second and replica of the scene, in thousandths, rounded up."""


def replaced(
    state: GuardState,
    before: float,
    *,
    seconds: float = 60.0,
    rate_milli: int = RATE_MILLI,
    lever: str = names.BATCH_MAX,
) -> GuardState:
    """Return the state in which a setting served until its live value replaced it.

    Args:
        state: The state.
        before: The value that served.
        seconds: For how long it has been replaced.
        rate_milli: The most it served.
        lever: The setting.
    """
    live = None if state.world is None else state.world.lever(lever)
    if live is None:
        return state
    since = TimeNs(NOW - round(seconds * SECOND))
    last = TimeNs(since - SECOND)
    served = Setting(
        lever=lever,
        value=before,
        version=NEW,
        since=TimeNs(0),
        until=last,
        ticks=100,
        served=True,
        rate_milli=rate_milli,
    )
    present = Setting(lever=lever, value=live, version=NEW, since=since, until=NOW)
    return replace(state, settings=(*state.settings, served, present))


def slower(
    state: GuardState, name: str = "a-1", *, seconds: float = 4.0, odd: bool = True
) -> GuardState:
    """Return the state with one replica that has been slower than each of its peers for so long.

    Args:
        state: The state.
        name: The replica.
        seconds: For how long.
        odd: Whether its device time is also anomalous beside its own past.
    """
    since = TimeNs(NOW - round(seconds * SECOND))
    one = Slower(replica=name, incarnation=1, since=since, until=NOW)
    verdict = Verdict.ANOMALOUS if odd else Verdict.HEALTHY
    time = reading(names.replica(name), names.DEVICE_TIME, 60.0, verdict)
    return replace(told(state, time), slower=(one,))
