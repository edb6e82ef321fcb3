"""Trained policies in the lab: what they are told is what they were told in training.

A scrape becomes the same 64 numbers with their bits, the same mask and the same 19 actions as in
`environment`, by the same functions, for a batch of episodes side by side. Who carries an action
out is another matter: `learned_guarded` goes through the product's guards, `learned_free` orders
whatever the network likes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from homeostat.base.errors import HomeostatError
from homeostat.lab import devices
from homeostat.lab import environment_actions as actions
from homeostat.lab.environment_actions import NAMES, Scene
from homeostat.lab.environment_facts import Past, no_past, remembered
from homeostat.lab.environment_mask import LEARNT, UNGUARDED, Rules, mask
from homeostat.lab.environment_seen import OBSERVATIONS, Watch, no_watch, observation, watched
from homeostat.lab.types import Episode
from homeostat.lab.world import stack
from homeostat.learn import ppo_net, ppo_policy
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape

GUARDED: Final = Rules(granted=LEARNT)


class Recipe(NamedTuple):
    """How a policy of the lab is trained.

    Attributes:
        rules: What its mask allows.
        reward: What it is paid; empty = whatever.
        limited: Whether costs are priced (a Lagrangian); None = whatever.
        options: Of `homeostat train`.
    """

    rules: Rules
    reward: str
    limited: bool | None
    options: str


RECIPES: Final[Mapping[str, Recipe]] = {
    "ppo": Recipe(GUARDED, "", None, ""),
    "ppo_hash": Recipe(UNGUARDED, "hash", False, "--unguarded --reward hash --hash-rate "),
    "ppo_quality": Recipe(UNGUARDED, "level", False, "--unguarded "),
    "ppo_lagrangian": Recipe(
        UNGUARDED, "level", True, "--unguarded --limit violation=0.05 --limit lost=0.001 "
    ),
}
"""By policy. The three without guards are the comparison's: HASH's reward, the level reward, which
charges quality, and the same with costs priced until their means are within limits."""
RULES: Final[Mapping[str, Rules]] = {name: one.rules for name, one in RECIPES.items()}
"""By policy: what its mask allowed in training."""


class UntrainedError(HomeostatError):
    """A trained policy was asked for, and its weights are not there or are another one's."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"policy {name}: {why}; {how_to_make(name)}")


def how_to_make(name: str) -> str:
    """Return in words how the file of a policy is made, and where it belongs.

    >>> how_to_make("bandit")
    'make it with `homeostat lab learn bandit --out bandit.json`, and put it into learn/shipped'
    """
    where = "and put it into learn/shipped"
    if name not in RECIPES:
        return f"make it with `homeostat lab learn {name} --out {name}.json`, {where}"
    return (
        f"train it with `homeostat train {RECIPES[name].options}--out policy.safetensors`, keep "
        f"the best with `homeostat lab choose policy.safetensors --out {name}.safetensors`, {where}"
    )


class Network(NamedTuple):
    """One trained policy, served by NumPy.

    Attributes:
        weights: Of one seed.
        manifest: What it was trained in and how.
    """

    weights: ppo_net.Weights
    manifest: Mapping[str, Any]

    def logits(self, numbers: np.ndarray) -> np.ndarray:
        """Return the logits of every action, float32 `[N, action]`.

        Args:
            numbers: Observations `[N, number]`.
        """
        return np.asarray(ppo_net.logits(np, self.weights, np.asarray(numbers, np.float32)))

    def liked(self, numbers: np.ndarray) -> np.ndarray:
        """Return the actions of each row, the likeliest first; of equals the first `[N, action]`.

        Args:
            numbers: Observations `[N, number]`.
        """
        return np.argsort(-self.logits(numbers), axis=-1, kind="stable")


def several(data: bytes) -> tuple[Network, ...]:
    """Return every seed's policy of a file.

    Args:
        data: From `learn.ppo_policy.policy_bytes`.

    Raises:
        PpoFileError: The file is damaged, or for other observations or actions.
    """
    found = ppo_policy.policy(data, OBSERVATIONS, NAMES)
    return tuple(
        Network(
            jax.tree.map(lambda leaf, at=at: np.asarray(leaf[at]), found.weights), found.manifest
        )
        for at in range(len(found.manifest["seeds"]))
    )


def name_of(manifest: Mapping[str, Any]) -> str:
    """Return what the lab calls policies that were trained so.

    Raises:
        UntrainedError: So that no policy of the lab is.
    """
    for name in RECIPES:
        if not _strange(name, manifest):
            return name
    reward, limits = _paid(manifest)
    raise UntrainedError(
        "ppo", f"no policy has the rules {manifest.get('rules')} with reward {reward!r} and "
        f"{'limits' if limits else 'no limits'}"
    )  # fmt: skip


def _paid(manifest: Mapping[str, Any]) -> tuple[str, bool]:
    """Return which reward was paid, and whether costs were priced."""
    reward, config = manifest.get("reward", {}), manifest.get("config", {})
    return str(reward.get("kind", "")), bool(config.get("limits"))


def _strange(name: str, manifest: Mapping[str, Any]) -> str:
    """Return what of a policy's training is not as its recipe says; empty = nothing."""
    recipe, (reward, limits) = RECIPES[name], _paid(manifest)
    if manifest.get("rules") != recipe.rules.plain():
        return "it was trained with other rules"
    if recipe.reward and reward != recipe.reward:
        return f"it was trained with the reward {reward!r}, not {recipe.reward!r}"
    if recipe.limited is not None and limits != recipe.limited:
        return f"it was trained {'with' if limits else 'without'} limits of costs"
    return ""


def network(name: str, trained: Mapping[str, bytes]) -> Network:
    """Return a policy by the lab's name of it.

    Args:
        name: As in `RECIPES`.
        trained: Files of policies by name, each with one seed.

    Raises:
        UntrainedError: It is not there, was trained otherwise or has several seeds.
        PpoFileError: Its file is damaged, or for other observations or actions.
    """
    if name not in trained:
        raise UntrainedError(name, "no weights were given")
    found = several(trained[name])
    if len(found) != 1:
        raise UntrainedError(name, f"{len(found)} seeds, and none was chosen")
    if why := _strange(name, found[0].manifest):
        raise UntrainedError(name, why)
    return found[0]


class Memory(NamedTuple):
    """What is remembered of each episode between two scrapes `[N, ...]`."""

    past: Past
    watch: Watch


class Told(NamedTuple):
    """What a policy is told after a scrape, NumPy.

    Attributes:
        numbers: Observations `[N, number]`.
        mask: What was allowed in training in such a place `[N, action]`.
        slot: The replica's slot that an action on one is about `[N]`.
        share_b: Of the traffic, that pool B has after the next step towards it `[N]`.
    """

    numbers: np.ndarray
    mask: np.ndarray
    slot: np.ndarray
    share_b: np.ndarray


class Onlooker:
    """Sees a batch of episodes as training's environment shows them.

    Args:
        episodes: The batch.
        rules: The mask's.
    """

    def __init__(self, episodes: Sequence[Episode], rules: Rules) -> None:
        self._params = jax.device_put(stack([one.params for one in episodes]))
        self._step = _looking(rules)
        count, slots = len(episodes), episodes[0].slots
        self._memory: Memory = jax.tree.map(
            lambda leaf: jnp.broadcast_to(jnp.asarray(leaf), (count, *jnp.shape(leaf))),
            Memory(no_past(slots), no_watch()),
        )

    def see(self, scrape: Scrape, orders: Orders, acted: np.ndarray, last: np.ndarray) -> Told:
        """Take one scrape in.

        Args:
            scrape: Batched `[N, ...]`.
            orders: In force, without impulses `[N, ...]`.
            acted: Whether something was changed before it `[N]`.
            last: The action that was carried out before it `[N]`.
        """
        now = jnp.asarray(np.asarray(acted, bool)), jnp.asarray(np.asarray(last, np.int32))
        self._memory, told = self._step(
            self._params, self._memory, devices.plain(scrape), orders, *now
        )
        return Told(*(np.asarray(one) for one in told))

    def scene(self, scrape: Scrape, orders: Orders) -> Scene:
        """Return what actions start from, with what was seen last `[N, ...]`."""
        return Scene(self._params, devices.plain(scrape), orders, self._memory.past)


@cache
def _looking(rules: Rules) -> Callable[..., Any]:
    """Return the compiled look at one scrape of a batch; one for each set of rules."""

    def one(
        params: Any, memory: Memory, scrape: Scrape, orders: Orders, acted: Any, last: Any
    ) -> tuple[Memory, tuple[Any, ...]]:
        past = remembered(params, memory.past, scrape, acted, last)
        past = past._replace(pages=past.pages + (last == actions.ESCALATE))
        watch = watched(memory.watch, scrape)
        scene = Scene(params, scrape, orders, past)
        told = (
            observation(scene, watch, rules), mask(scene, rules),
            jnp.argmax(actions.worst(scene)), actions.next_rung(scene),
        )  # fmt: skip
        return Memory(past, watch), told

    return jax.jit(jax.vmap(one))
