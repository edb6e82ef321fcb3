"""Canaries that others push counters of: what is known of each, between two calls.

In memory alone: after a restart a name is unknown, and asking for it is an error, never a good
verdict. Whoever pushes begins anew then.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from homeostat.base.canary import CanaryConfig, CanaryJudgement, CanaryState, Counts
from homeostat.base.units import SECOND
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
    """

    config: CanaryConfig
    state: CanaryState
    last: Reading
    judged: CanaryJudgement | None


class OtherConfigError(ValueError):
    """A canary goes on under another configuration than it began with."""


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
    return Kept(config=kept.config, state=state, last=last, judged=judged), len(new)


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
        *,
        anew: bool,
        said: bool,
    ) -> tuple[Kept, int]:
        """Add readings and return what is known, and how many were new.

        Args:
            name: The canary.
            readings: Ascending, at least one.
            config: What is promised; of a canary that goes on it must be the same, if it was said.
            anew: Forget what came before.
            said: Whoever pushes said the configuration.

        Raises:
            OtherConfigError: It goes on, under another configuration.
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
                kept, added = _go_on(old, readings)
            self._kept[name] = kept
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
            return kept, added
