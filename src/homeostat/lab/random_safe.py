"""Policy `random_safe`: uniform over the real safe set at each decision, HOLD included.

What the guards alone are worth, with no thought behind them. Everything that can be named
(`safe_set_actions.every`) and HOLD are put to the kernel in a random order; the first that it
allows without asking is done. That is uniform over all that it allows, and the rest need not be
asked about. The draws are the episode's own, so an episode's actions do not depend on its
neighbours. Nobody is ever told.
"""

import hashlib
from typing import Final

import numpy as np

from homeostat.base.actions import HOLD, Action, SafeSet
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs, ns
from homeostat.lab.controller import Controller, Mind
from homeostat.lab.controller_direct import Direct
from homeostat.lab.controller_names import time_ns
from homeostat.lab.controller_platform import Platform
from homeostat.lab.safe_set_actions import every
from homeostat.lab.types import Episode
from homeostat.loop import memory
from homeostat.safety.permit import permit

DECISION_S: Final = 30.0  # the catalogue's default; also what `random` uses


def random_safe() -> Controller:
    """Return the policy that draws from the real safe set."""
    return Controller("random_safe", think=_think, person=False, health=False)


class Lottery:
    """Draws one episode's actions.

    Args:
        episode: Its scenario and seed choose the draws.
    """

    def __init__(self, episode: Episode) -> None:
        text = f"random_safe/{episode.scenario}/{episode.seed}"
        word = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        self._rng = np.random.default_rng(word)

    def choose(self, state: LoopState, now: TimeNs) -> tuple[Action, SafeSet]:
        """Return a member of the safe set, and the set of what was asked about; else HOLD."""
        due = (now - time_ns(0.0)) % ns(DECISION_S) == 0
        evidence, world = state.evidence, state.world
        seen = memory.guard_state(state)
        if not due or evidence is None or world is None:
            return HOLD, permit((), seen, now)
        options = list(dict.fromkeys([HOLD, *every(world, evidence, state.managed)]))
        order = [options[k] for k in self._rng.permutation(len(options)).tolist()]
        before = order[: order.index(HOLD)]  # HOLD is always allowed: nobody comes after it
        safe_set = permit(before, seen, now, first=True)
        return safe_set.allowed[-1], safe_set


def _think(episode: Episode, managed: Managed, platform: Platform) -> Mind:
    return Direct(managed, platform, Lottery(episode).choose)
