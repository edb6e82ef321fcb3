"""Canaries that others push counters of: what is known of each, between two calls.

In memory alone: after a restart a name is unknown, and asking for it is an error, never a good
verdict. Whoever pushes begins anew then.

What is known has an age. Whoever pushes may die, and what was true then is no evidence of now: a
verdict older than the silence that the judge itself endures is NO_EVIDENCE, whatever it was, but
for HARM, which stays.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from homeostat.base.canary import (
    CanaryConfig,
    CanaryJudgement,
    CanaryState,
    CanaryVerdict,
    Counts,
)
from homeostat.base.units import SECOND, TimeNs
from homeostat.govern import canary
from homeostat.govern.canary_counters import Reading, counts

KEPT_MAX: Final = 1000
"""Canaries at a time; the one that was asked about longest ago makes room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One canary.

    Attributes:
        config: As it began.
        state: What the judge remembers.
        last: The newest reading.
        judged: What is known; None before two readings.
        came_at: When the newest reading came, by the controller's clock; None where nobody keeps.
    """

    config: CanaryConfig
    state: CanaryState
    last: Reading
    judged: CanaryJudgement | None
    came_at: TimeNs | None = None


class OtherConfigError(ValueError):
    """A canary goes on under another configuration than it began with."""


class SilenceError(ValueError):
    """A canary goes on after a silence: nobody knows whether it still is the same one."""


def endured_ns(config: CanaryConfig) -> int:
    """Return how old the newest reading may be: the silence after which nothing is known."""
    return max(1, config.missing_buckets) * config.bucket_ns


def age_ns(kept: Kept, now: TimeNs) -> int | None:
    """Return how old what is known is, None for samples that were judged and are forgotten.

    The older of when the newest reading came and of the moment that it speaks of: a log that is
    pushed hours later says nothing of now, and no clock but the controller's makes it younger.
    """
    if kept.came_at is None:
        return None
    return max(0, now - kept.came_at, now - kept.last.at)


def aged(kept: Kept, now: TimeNs) -> CanaryJudgement | None:
    """Return what is known now; a verdict that is too old is none.

    Args:
        kept: The canary.
        now: The controller's time.
    """
    judged, age = kept.judged, age_ns(kept, now)
    if judged is None or age is None or age <= endured_ns(kept.config):
        return judged
    if judged.verdict is CanaryVerdict.HARM:
        return judged
    most_s = endured_ns(kept.config) / SECOND
    why = (
        f"the newest sample is {age / SECOND:.0f} s old, more than {most_s:g} s: what it said then "
        f"({judged.verdict.value}) says nothing of now"
    )
    return replace(judged, verdict=CanaryVerdict.NO_EVIDENCE, because=(why, *judged.because[1:]))


def begin(config: CanaryConfig, readings: Sequence[Reading]) -> tuple[Kept, int]:
    """Return a canary from its first readings, and how many there were.

    Args:
        config: What is promised.
        readings: Ascending in time, at least one.

    Raises:
        ValueError: They are not ascending.
    """
    _ascend(readings)
    first = Kept(config=config, state=canary.init(config), last=readings[0], judged=None)
    kept, added = _go_on(first, readings[1:])
    return kept, added + 1


def _ascend(readings: Sequence[Reading]) -> None:
    for before, after in pairwise(readings):
        if after.at <= before.at:
            raise ValueError(
                f"samples must ascend in t, each moment once: {after.at / SECOND:.15g} s comes "
                f"after {before.at / SECOND:.15g} s"
            )


def _go_on(kept: Kept, readings: Sequence[Reading]) -> tuple[Kept, int]:
    new = [one for one in readings if one.at > kept.last.at]  # what was sent before is not counted
    state, judged = kept.state, kept.judged
    increments: list[Counts] = list(counts([kept.last, *new]))
    for one in increments:
        state, judged = canary.step(state, one, kept.config)
    last = new[-1] if new else kept.last
    return replace(kept, state=state, last=last, judged=judged), len(new)


def _unbroken(name: str, old: Kept, readings: Sequence[Reading]) -> None:
    """Refuse to go on after a silence: a new version may have taken the name meanwhile.

    What is pushed late but reaches back to what came before leaves none.

    Raises:
        SilenceError: Names the canary and how long nothing is known of it.
    """
    first = next((one for one in readings if one.at > old.last.at), None)
    silence = 0 if first is None else first.at - old.last.at
    if silence > endured_ns(old.config):
        raise SilenceError(
            f"nothing is known of {name!r} for {silence / SECOND:.0f} s, more than "
            f"{endured_ns(old.config) / SECOND:g} s: it may be another version since"
        )


class Desk:
    """All of them; may be used from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names there are, the one asked about longest ago first."""
        with self._lock:
            return list(self._kept)

    def ask(self, name: str) -> Kept | None:
        """Return what is known; None for a name that is not there."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def add(
        self,
        name: str,
        readings: Sequence[Reading],
        config: CanaryConfig,
        now: TimeNs,
        *,
        anew: bool,
        said: bool,
    ) -> tuple[Kept, int]:
        """Add readings and return what is known, and how many were new.

        Args:
            name: The canary.
            readings: Ascending, at least one.
            config: What is promised; of a canary that goes on it must be the same, if it was said.
            now: The controller's time.
            anew: Forget what came before.
            said: Whoever pushes said the configuration.

        Raises:
            OtherConfigError: It goes on, under another configuration.
            SilenceError: It goes on after a longer silence than it endures.
            ValueError: The readings are not ascending.
        """
        _ascend(readings)
        with self._lock:
            old = None if anew else self._kept.get(name)
            if old is None:
                kept, added = begin(config, readings)
            elif said and old.config != config:
                raise OtherConfigError(
                    f"{name!r} began under another configuration ({old.config}): what was bet "
                    "under one cannot go on under another"
                )
            else:
                _unbroken(name, old, readings)
                kept, added = _go_on(old, readings)
            if added:  # what was sent before makes nothing younger
                kept = replace(kept, came_at=now)
            self._kept[name] = kept
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
            return kept, added
