"""The simulated world: runs a policy over drawn episodes and keeps what happened.

Episodes run side by side in batches of one fixed width, so that one compiled program serves all of
them; a short batch is filled up with copies of its last episode, which are thrown away. Who decides
sees the scrapes and nothing else. This module judges nothing (see `judge`) and draws nothing
(see `draw`).
"""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, cast

import jax
import jax.numpy as jnp
import numpy as np

from homeostat.lab import devices
from homeostat.lab.baselines.levers import standing
from homeostat.lab.types import Episode, Move, Policy, Trace
from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape, Truth
from homeostat.twin.params import Params
from homeostat.twin.program import Program
from homeostat.twin.shapes import SCRAPE_S, TICK_S

WIDTH = 32  # episodes side by side; see benchmarks/test_lab_speed.py for how it was chosen
MOVE_FIELDS = tuple(f.name for f in fields(Move) if f.name != "orders")


class Steps(Protocol):
    """A compiled twin of one size; `State` is whatever it hands out."""

    slots: int
    tick_s: float

    def init(self, params: Params, faults: Faults, keys: Any) -> Any:
        """Return the state of a batch at the beginning."""

    def advance(
        self, params: Params, faults: Faults, state: Any, orders: Orders
    ) -> tuple[Any, Truth, Scrape]:
        """Return the state after one scrape, its ticks [N, SCRAPE_S, ...] and the scrape."""


@functools.cache
def compiled(slots: int, tick_s: float = TICK_S) -> Program:
    """Return the twin of one size; what it compiles stays for the process."""
    return Program(slots, tick_s=tick_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One policy's run over one batch.

    Attributes:
        trace: For the judge.
        orders: Those in force during each scrape, fields [N, D, ...]; a replay needs them.
    """

    trace: Trace
    orders: Orders


def key_of(episode: Episode) -> jax.Array:
    """Return the PRNG key that belongs to an episode.

    It depends on the scenario's id and the seed alone, so that every policy, every batch and
    every process meets the same chance.
    """
    digest = hashlib.sha256(episode.scenario.encode()).digest()
    return jax.random.fold_in(
        jax.random.PRNGKey(episode.seed), int.from_bytes(digest[:4], "little")
    )


def stack(trees: Sequence[Any]) -> Any:
    """Return pytrees of equal structure as one, with a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *trees)


def batches(episodes: Sequence[Episode], width: int = WIDTH) -> Iterator[tuple[Episode, ...]]:
    """Yield the episodes in groups of one size and one length, at most `width` in each.

    Args:
        episodes: In any order; within a group they keep it.
        width: Most episodes in a group.

    Yields:
        Groups by slots, then by length.
    """
    kinds = sorted({(e.slots, e.length_s) for e in episodes})
    for kind in kinds:
        same = [e for e in episodes if (e.slots, e.length_s) == kind]
        for first in range(0, len(same), width):
            yield tuple(same[first : first + width])


def fill(episodes: Sequence[Episode], width: int) -> tuple[Episode, ...]:
    """Return the episodes with the last one repeated up to `width`.

    Raises:
        ValueError: There are none, or more than `width`, or they differ in size or length.
    """
    if not 0 < len(episodes) <= width:
        raise ValueError(
            f"a batch has 1 to {width} episodes, got {len(episodes)}; split them with `batches`"
        )
    if len({(e.slots, e.length_s) for e in episodes}) > 1:
        raise ValueError(
            "episodes of one batch need the same slots and length; group them with `batches`"
        )
    return (*episodes, *[episodes[-1]] * (width - len(episodes)))


class Batch:
    """A batch of episodes in the twin: its arrays, its state, and its time.

    The oracle uses it to look ahead from the present state; `World` to play.
    """

    def __init__(self, steps: Steps, episodes: Sequence[Episode], width: int) -> None:
        full = fill(episodes, width)
        if full[0].slots != steps.slots:
            raise ValueError(f"the program has {steps.slots} slots, the episodes {full[0].slots}")
        self.steps = steps
        self.episodes = tuple(episodes)
        self.width = width
        self.params: Params = jax.device_put(stack([e.params for e in full]))
        self.faults: Faults = jax.device_put(stack([e.faults for e in full]))
        keys = jnp.stack([key_of(e) for e in full])
        # Weakly typed leaves would make the second scrape another program than the first.
        begin = steps.init(self.params, self.faults, keys)
        self.state = jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), begin)
        self._like = standing(full)

    def advance(self, orders: Orders) -> tuple[Truth, Scrape]:
        """Run one scrape under orders [n, ...]; the truth and the scrape keep the filled width."""
        self.state, truth, scrape = self.steps.advance(
            self.params, self.faults, self.state, self.filled(orders)
        )
        return truth, scrape

    def filled(self, orders: Orders) -> Orders:
        """Return orders [n, ...] at full width and in the types the program was compiled for."""

        def one(value: Any, like: np.ndarray) -> np.ndarray:
            array = np.asarray(value, dtype=like.dtype)
            missing = self.width - len(array)
            return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])

        return jax.tree.map(one, orders, self._like)  # type: ignore[no-any-return]


class Tape:
    """Collects a batch's ticks, moves and orders as NumPy arrays.

    Args:
        episodes: The batch, of equal length.

    Raises:
        ValueError: The episodes end before the first scrape.
    """

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self._episodes = tuple(episodes)
        self.n = len(episodes)
        self.scrapes = episodes[0].length_s // SCRAPE_S
        if self.scrapes < 1:
            raise ValueError(f"an episode lasts {SCRAPE_S} s or more, got {episodes[0].length_s}")
        self._truth: Truth | None = None
        self._orders: Orders | None = None
        self._moves: dict[str, np.ndarray] = {}
        self._age_s = np.full((self.n, self.scrapes), np.nan, np.float32)

    def ticks(self, at: int, truth: Truth) -> None:
        """Keep the ticks of scrape `at`, [N, SCRAPE_S, ...]."""
        if self._truth is None:
            ticks = self.scrapes * SCRAPE_S
            self._truth = jax.tree.map(
                lambda leaf: np.empty((self.n, ticks, *leaf.shape[2:]), leaf.dtype), truth
            )
        span = slice(at * SCRAPE_S, (at + 1) * SCRAPE_S)
        # NumPy first: slicing an array of JAX's would start a program for every field.
        for kept, new in zip(jax.tree.leaves(self._truth), jax.tree.leaves(truth), strict=True):
            kept[:, span] = np.asarray(new)[: self.n]
        self._age_s[:, at] = np.asarray(truth.signal_age_s)[: self.n, -1]

    def ordered(self, at: int, orders: Orders) -> None:
        """Keep the orders in force during scrape `at`, [N, ...]."""
        if self._orders is None:
            self._orders = jax.tree.map(
                lambda leaf: np.empty((self.n, self.scrapes, *leaf.shape[1:]), leaf.dtype), orders
            )
        for kept, new in zip(jax.tree.leaves(self._orders), jax.tree.leaves(orders), strict=True):
            kept[:, at] = np.asarray(new)

    def moved(self, at: int, move: Move) -> None:
        """Keep what was decided at the end of scrape `at`."""
        for name in MOVE_FIELDS:
            value = np.asarray(getattr(move, name))
            if name not in self._moves:
                self._moves[name] = np.zeros((self.n, self.scrapes), value.dtype)
            self._moves[name][:, at] = value

    def since(self, first: int, until: int) -> tuple[Truth, Orders]:
        """Return the ticks and the orders of scrapes `first` to before `until`, which were kept.

        Returns:
            Views: the ticks [N, ticks, ...], and orders [N, scrapes, ...].
        """
        span = slice(first * SCRAPE_S, until * SCRAPE_S)
        return (
            jax.tree.map(lambda leaf: leaf[:, span], self._truth),
            jax.tree.map(lambda leaf: leaf[:, first:until], self._orders),
        )

    def played(self, policy: str) -> Played:
        """Return all that was kept."""
        trace = Trace(
            episodes=self._episodes,
            policy=policy,
            truth=cast("Truth", self._truth),
            moves=self._moves,
            signal_age_s=self._age_s,
        )
        return Played(trace=trace, orders=cast("Orders", self._orders))


class World:
    """Plays policies against batches of episodes of one size.

    Args:
        steps: A compiled twin.
        width: Episodes side by side.
    """

    def __init__(self, steps: Steps, *, width: int = WIDTH) -> None:
        self.steps = steps
        self.width = width

    def play(self, policy: Policy, episodes: Sequence[Episode]) -> Played:
        """Run one policy over one batch from beginning to end.

        Args:
            policy: Is started anew.
            episodes: At most `width`, of equal slots and length.

        Returns:
            The trace and the orders; move `d` was made at (d + 1) scrapes and is in force from
            there on.

        Raises:
            ValueError: The episodes do not fit into one batch.
        """
        batch = Batch(self.steps, episodes, self.width)
        tape = Tape(batch.episodes)
        policy.start(batch.episodes)
        orders = standing(batch.episodes)
        for at in range(tape.scrapes):
            tape.ordered(at, orders)
            truth, scrape = batch.advance(orders)
            tape.ticks(at, truth)
            now = float((at + 1) * SCRAPE_S)
            seen = devices.told(visible(scrape, tape.n), batch.params, batch.state)
            move = policy.act(now, seen)
            tape.moved(at, move)
            orders = move.orders
        return tape.played(policy.name)


def visible(scrape: Scrape, n: int) -> Scrape:
    """Return a scrape of the filled batch as NumPy, without the copies that fill it up."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:n], scrape)  # type: ignore[no-any-return]
