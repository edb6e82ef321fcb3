"""One deployment to be trained in: the twin, the detectors' small form, the mask and the reward.

Pure functions of arrays, so that acting compiles into one program with the twin (`learn.ppo`). A
step is a scrape. An episode is one of `World`'s, drawn anew at each reset, and is cut off at its
length: the deployment goes on. See `environment_gym` for the same as others know it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.lab import environment_actions as actions
from homeostat.lab import environment_facts as facts
from homeostat.lab.environment_actions import NAMES, Scene
from homeostat.lab.environment_draw import Drawn, stacked
from homeostat.lab.environment_facts import Past
from homeostat.lab.environment_mask import Rules, mask
from homeostat.lab.environment_reward import COSTS, Reward, Served, counted, paid, served
from homeostat.lab.environment_seen import OBSERVATIONS, Watch, no_watch, observation, watched
from homeostat.lab.types import Episode
from homeostat.learn.ppo_world import Result, Seen
from homeostat.twin import kernel, tables
from homeostat.twin.levers import begin as no_orders
from homeostat.twin.levers import quiet
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S
from homeostat.twin.state import State as Twin

_HOURS: Final = SCRAPE_S / 3600.0


class World(NamedTuple):
    """What every episode reads.

    Attributes:
        drawn: The episodes [E, ...].
        curves: The twin's queue tables.
        scrapes: After which an episode is cut off.
    """

    drawn: Drawn
    curves: tables.Tables
    scrapes: Any


class State(NamedTuple):
    """An episode under way.

    Attributes:
        episode: Which of the world's.
        twin: The twin's state.
        orders: In force, without impulses.
        scrape: The latest.
        past: What is remembered of actions and probes.
        watch: What the detectors remember.
        before: The service over the last scrape.
    """

    episode: Array
    twin: Twin
    orders: Orders
    scrape: Scrape
    past: Past
    watch: Watch
    before: Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The environment; see the module.

    Attributes:
        world: The episodes, and the twin's tables; see `world_of`.
        reward: What is paid.
        rules: The guards' numbers.
    """

    world: World
    reward: Reward = field(default_factory=Reward)
    rules: Rules = field(default_factory=Rules)

    @property
    def observations(self) -> tuple[str, ...]:
        """Return what each number of an observation is."""
        return OBSERVATIONS

    @property
    def actions(self) -> tuple[str, ...]:
        """Return the menu."""
        return NAMES

    @property
    def costs(self) -> tuple[str, ...]:
        """Return what is counted."""
        return COSTS

    def reset(self, world: World, key: Array) -> tuple[State, Seen]:
        """Return the beginning of an episode: nothing has been scraped, so nothing is known."""
        of_episode, of_twin = jax.random.split(key)
        count = jnp.shape(world.drawn.params.replicas)[0]
        episode = jax.random.randint(of_episode, (), 0, count)
        params, faults = self._of(world, episode)
        slots = faults.slots.shape[1]
        unknown = jnp.float32(jnp.nan)
        state = State(
            episode=episode,
            twin=kernel.init(params, faults, of_twin, world.curves),
            orders=_strong(no_orders(params, slots)),
            scrape=facts.blank(slots),
            past=facts.no_past(slots),
            watch=no_watch(),
            before=Served(*(unknown for _ in Served._fields)),
        )
        state = _strong(state)
        return state, self._seen(world, state)

    def mask(self, world: World, state: State) -> Array:
        """Return what is allowed in a state, bool [action]."""
        return mask(self._scene(world, state), self.rules)

    def step(self, world: World, state: State, action: Array, key: Array) -> tuple[State, Result]:
        """Return the state after an action and one scrape; chance is the episode's own."""
        del key
        params, faults = self._of(world, state.episode)
        scene = self._scene(world, state)
        orders = actions.ordered(scene, action)
        acted, told = actions.changes(action), action == actions.ESCALATE
        twin, truth, scrape = kernel.advance(params, faults, state.twin, orders, world.curves)
        past = facts.remembered(params, state.past, scrape, acted, action)
        now = served(params, truth)
        after = State(
            episode=state.episode,
            twin=twin,
            orders=quiet(orders),
            scrape=scrape,
            past=past._replace(pages=past.pages + told),
            watch=watched(state.watch, scrape),
            before=now,
        )
        return after, Result(
            seen=self._seen(world, after),
            reward=paid(self.reward, params, state.before, now, told, _HOURS),
            costs=counted(params, truth, told, acted),
            ended=jnp.asarray(a=False),
            cut=past.step >= world.scrapes,
        )

    def _of(self, world: World, episode: Array) -> Drawn:
        found: Drawn = jax.tree.map(lambda leaf: jnp.asarray(leaf)[episode], world.drawn)
        return found

    def _scene(self, world: World, state: State) -> Scene:
        params, _ = self._of(world, state.episode)
        return Scene(params, state.scrape, state.orders, state.past)

    def _seen(self, world: World, state: State) -> Seen:
        scene = self._scene(world, state)
        return Seen(observation(scene, state.watch, self.rules), mask(scene, self.rules))


def world_of(episodes: Sequence[Episode]) -> World:
    """Return the world of some episodes of one length.

    Raises:
        ValueError: There are none, or their lengths differ.
    """
    lengths = sorted({one.length_s for one in episodes})
    if len(lengths) != 1:
        raise ValueError(f"train: episodes of one length are needed, got {lengths} seconds")
    return World(stacked(episodes), tables.load(), np.float32(lengths[0] // SCRAPE_S))


def _strong(tree: Any) -> Any:
    """Return arrays that keep their type whatever they meet: one program serves all of them."""
    leaves = jax.tree.map(jnp.asarray, tree)
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), leaves)
