"""Policy `ppo`: a trained policy that ranks what the product's guards permit, and nothing more.

The senses, the guards and the platform are the product's (`controller`), without the loop around
them (`controller_direct`): no incident, no verification, no undo. At each scrape the network says
what it likes best of what its mask allows, and `safety.permit` is asked of it; what is refused is
passed over for the next in rank. Holding still is always permitted, so it ends there at the latest.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from typing_extensions import override

from homeostat.base.actions import HOLD, Action, SafeSet
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.lab import environment_actions as actions
from homeostat.lab.baselines.levers import quiet
from homeostat.lab.controller import Controller, Mind
from homeostat.lab.controller_direct import Direct
from homeostat.lab.controller_platform import Platform
from homeostat.lab.environment_actions import NAMES
from homeostat.lab.learned import RULES, Network, Onlooker, network
from homeostat.lab.learned_actions import Target, named
from homeostat.lab.learned_free import Free
from homeostat.lab.types import Episode, Move, Policy
from homeostat.learn import ppo_masked
from homeostat.loop import memory
from homeostat.safety.permit import permit
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Variant

_NOBODY: Final = np.zeros(len(NAMES), bool)


class Wish:
    """What a network would do in one episode; asked at every tick by `Direct`.

    Args:
        usual_b: Percent of the traffic that pool B has in ordinary times.
    """

    def __init__(self, usual_b: float) -> None:
        self.chosen = actions.HOLD
        self.refused = 0
        self._liked: Sequence[int] = (actions.HOLD,)
        self._mask = _NOBODY
        self._target = Target(slot=0, rung_b=0.0, usual_b=usual_b)

    def set(self, liked: np.ndarray, mask: np.ndarray, slot: int, rung_b: float) -> None:
        """Take what the network likes after a scrape.

        Args:
            liked: Every action, the likeliest first `[action]`.
            mask: What was allowed in training in such a place `[action]`.
            slot: The replica's slot that an action on one is about.
            rung_b: Percent that pool B has after the next step towards it.
        """
        self._liked = [number for number in liked.tolist() if mask[number]]
        self._mask = mask
        self._target = Target(slot=slot, rung_b=rung_b, usual_b=self._target.usual_b)
        self.chosen = actions.HOLD

    def choose(self, state: LoopState, now: TimeNs) -> tuple[Action, SafeSet]:
        """Return the best in rank that the guards permit, with the safe set that holds it.

        Raises:
            MaskedActionError: The mask forbids it: a bug, never a wish.
        """
        seen = memory.guard_state(state)
        for number in self._liked:
            action = named(NAMES[number], state, self._target)
            if action is None:
                continue
            safe_set = permit((action,), seen, now)
            if number == actions.ESCALATE or action in safe_set.allowed:
                self.chosen = ppo_masked.checked(number, self._mask)
                return action, safe_set
            self.refused += 1
        return HOLD, permit((), seen, now)


class Guarded(Controller):
    """A network's choice behind the guards.

    Args:
        name: As the report calls it.
        trained: Which network.
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.
    """

    def __init__(
        self, name: str, trained: Network, *, person: bool = True, scale: float = 1.0
    ) -> None:
        super().__init__(name, think=self._mind, person=person, scale=scale)
        self._network = trained

    @override
    def start(self, episodes: Sequence[Episode]) -> None:
        """Forget everything and look at these episodes."""
        self._wishes: list[Wish] = []
        self._eyes = Onlooker(episodes, RULES[self.name])
        self._acted = np.zeros(len(episodes), bool)
        super().start(episodes)

    @property
    def refused(self) -> int:
        """How often the guards refused what the mask had allowed, since the start."""
        return sum(wish.refused for wish in self._wishes)

    @override
    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Look, let the network rank, then do what the guards permit."""
        last = np.array([wish.chosen for wish in self._wishes])
        told = self._eyes.see(scrape, quiet(self._desk.orders), self._acted, last)
        liked = self._network.liked(told.numbers)
        for number, wish in enumerate(self._wishes):
            percent = 100.0 * float(told.share_b[number])
            wish.set(liked[number], told.mask[number], int(told.slot[number]), percent)
        found = super().act(now_s, scrape)
        self._acted = np.array([bool(mind.done.writes) for mind in self.minds])
        return found

    def _mind(self, episode: Episode, entry: Managed, platform: Platform) -> Mind:
        wish = Wish(100.0 * float(episode.params.weights[Variant.B]))
        self._wishes.append(wish)
        return Direct(entry, platform, wish.choose)


def ppo(trained: Mapping[str, bytes], *, scale: float = 1.0) -> Policy:
    """Return the trained policy behind the guards.

    Args:
        trained: Files of policies by name.
        scale: Multiplies every delay of the human model.

    Raises:
        UntrainedError: It is not among them.
    """
    return Guarded("ppo", network("ppo", trained), scale=scale)


def unguarded(name: str, trained: Mapping[str, bytes]) -> Policy:
    """Return a learner that was trained without guards, and plays without any.

    Args:
        name: As in `learned.RECIPES`.
        trained: Files of policies by name.

    Raises:
        UntrainedError: It is not among them.
    """
    return Free(name, network(name, trained))
