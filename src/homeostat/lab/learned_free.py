"""Learners without guards, for comparison: nothing stands between them and the levers.

`ppo_hash` is HASH's learner as its paper has it: its six actions, its reward, its learning rate
(bounded). `ppo_quality` is paid by the level reward instead, which charges quality;
`ppo_lagrangian` has costs priced besides. What one likes best is ordered at every scrape. No
configuration of the product can run them.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Final

import jax
import numpy as np

from homeostat.lab import environment_actions as actions
from homeostat.lab.baselines.levers import move, quiet, standing
from homeostat.lab.controller_runtime import DESTRUCTIVE
from homeostat.lab.environment_actions import MENU, Scene
from homeostat.lab.environment_mask import Rules, mask
from homeostat.lab.learned import RULES, Network, Onlooker
from homeostat.lab.types import Episode, Move
from homeostat.learn import ppo_masked
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape

_DESTROYS: Final = np.array([choice.kind in DESTRUCTIVE for choice in MENU.values()])


class Free:
    """Does what a network likes best of what its mask allows.

    Args:
        name: As the report calls it.
        network: Which.
        rules: What its mask allows; as the policy of that name was trained, if None.
    """

    def __init__(self, name: str, network: Network, rules: Rules | None = None) -> None:
        self.name = name
        self._network = network
        self._rules = RULES[name] if rules is None else rules

    def start(self, episodes: Sequence[Episode]) -> None:
        """Forget everything and look at these episodes."""
        self._eyes = Onlooker(episodes, self._rules)
        self._orders = standing(episodes)
        self._last = np.full(len(episodes), actions.HOLD)

    def act(self, now_s: float, scrape: Scrape) -> Move:  # noqa: ARG002  # the past has its clock
        """Return the orders of what it likes best.

        Raises:
            MaskedActionError: The mask at execution forbids an action: a bug.
        """
        standing_orders = quiet(self._orders)
        acted = changes(self._last)
        told = self._eyes.see(scrape, standing_orders, acted, self._last)
        chosen = best(self._network, told.numbers, told.mask)
        scene = self._eyes.scene(scrape, standing_orders)
        orders, refused = _ordering(self._rules)(scene, chosen)
        if refused.any():
            raise ppo_masked.MaskedActionError(f"{int(refused.sum())} actions of {self.name} are")
        self._orders, self._last = plain(orders), chosen
        return move(
            self._orders, intervened=changes(chosen), destructive=_DESTROYS[chosen],
            paged=chosen == actions.ESCALATE,
        )  # fmt: skip


def best(network: Network, numbers: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return the likeliest allowed action of each row, int32 `[N]`."""
    likely = np.where(allowed, network.logits(numbers), -np.inf)
    return np.asarray(np.argmax(likely, axis=-1), np.int32)


def changes(chosen: np.ndarray) -> np.ndarray:
    """Return which actions change something `[N]`."""
    return np.asarray((chosen != actions.HOLD) & (chosen != actions.ESCALATE))


def plain(orders: Orders) -> Orders:
    """Return orders as NumPy's arrays."""
    values: dict[str, Any] = {
        one.name: np.asarray(getattr(orders, one.name)) for one in fields(orders)
    }
    return Orders(**values)


@cache
def _ordering(rules: Rules) -> Callable[..., Any]:
    """Return what orders an action under the mask of now, compiled; and which it refuses."""

    def one(scene: Scene, chosen: Any) -> tuple[Orders, Any]:
        action, refused = ppo_masked.executed(chosen, mask(scene, rules))
        return actions.ordered(scene, action), refused

    return jax.jit(jax.vmap(one))
