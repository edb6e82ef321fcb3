"""A play as bytes: what happened in a batch of episodes, kept so that it need not be played again.

HOLD's play is what every policy is judged against: it is kept whole, every array to the bit. Of
the others the orders and moves are kept, from which the twin plays the same again (`again`): the
ticks of ten policies would fill a disk. The bytes say what they are of and end with a checksum;
what is damaged, of other episodes or of another version is refused, never used.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, cast

import jax
import numpy as np

from homeostat.lab.baselines.levers import move
from homeostat.lab.types import Episode, Move, Trace
from homeostat.lab.world import Played, World
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape, Truth
from homeostat.twin.shapes import SCRAPE_S

_LEVEL: Final = 1  # of zlib: a higher one saves a tenth of the space and takes thrice the time
_SUM: Final = 32  # bytes of SHA-256


class Repeat:
    """Gives recorded orders once more, whatever is seen.

    Args:
        name: Of the policy that gave them.
        orders: In force during each scrape, fields [N, D, ...].
    """

    def __init__(self, name: str, orders: Orders) -> None:
        self.name = name
        self._orders = orders

    def start(self, episodes: Sequence[Episode]) -> None:
        """Check that these are as many episodes as were recorded.

        Raises:
            ValueError: They are not.
        """
        recorded = len(np.asarray(self._orders.admit_rps))
        if recorded != len(episodes):
            raise ValueError(f"{recorded} episodes were recorded, not {len(episodes)}")

    def act(self, now_s: float, scrape: Scrape) -> Move:  # noqa: ARG002  # repeats what was done
        """Return the orders that were in force next; after the last ones, those."""
        last = np.asarray(self._orders.admit_rps).shape[1] - 1
        at = min(round(now_s / SCRAPE_S), last)
        next_ones: Orders = jax.tree.map(lambda leaf: leaf[:, at], self._orders)
        return move(next_ones)


def pack(played: Played, *, ticks: bool) -> bytes:
    """Return a play as bytes.

    Args:
        played: One policy's run over one batch.
        ticks: Whether the truth of every tick is kept too.
    """
    trace = played.trace
    arrays: dict[str, np.ndarray] = {"signal_age_s": np.asarray(trace.signal_age_s)}
    arrays |= {f"move {name}": np.asarray(value) for name, value in trace.moves.items()}
    arrays |= _leaves("order", played.orders)
    if ticks:
        arrays |= _leaves("tick", trace.truth)
    packed = {name: _packed(value) for name, value in arrays.items()}
    head = {
        "policy": trace.policy,
        "episodes": _names(trace.episodes),
        "arrays": [
            [name, value.dtype.str, list(value.shape), len(packed[name])]
            for name, value in arrays.items()
        ],
    }
    line = json.dumps(head).encode() + b"\n"
    body = line + b"".join(packed.values())
    return body + hashlib.sha256(body).digest()


def unpack(data: bytes, episodes: Sequence[Episode]) -> Played:
    """Return a play that was kept with its ticks.

    Args:
        data: As `pack` returned it.
        episodes: Those that were played.

    Raises:
        ValueError: It is damaged, of other episodes, or without its ticks.
    """
    policy, arrays = _read(data, episodes)
    truth = _tree(Truth, "tick", arrays)
    return Played(
        trace=Trace(
            episodes=tuple(episodes),
            policy=policy,
            truth=cast("Truth", truth),
            moves=_moves(arrays),
            signal_age_s=arrays["signal_age_s"],
        ),
        orders=cast("Orders", _tree(Orders, "order", arrays)),
    )


def again(world: World, data: bytes, episodes: Sequence[Episode]) -> Played:
    """Return a play that was kept without its ticks, by playing its orders again.

    Args:
        world: Where; the same orders give the same ticks to the bit.
        data: As `pack` returned it.
        episodes: Those that were played.

    Raises:
        ValueError: It is damaged, or of other episodes.
    """
    policy, arrays = _read(data, episodes)
    orders = cast("Orders", _tree(Orders, "order", arrays))
    truth = world.play(Repeat(policy, orders), episodes).trace.truth
    trace = Trace(
        episodes=tuple(episodes),
        policy=policy,
        truth=truth,
        moves=_moves(arrays),
        signal_age_s=arrays["signal_age_s"],
    )
    return Played(trace=trace, orders=orders)


def _read(data: bytes, episodes: Sequence[Episode]) -> tuple[str, dict[str, np.ndarray]]:
    body, told = data[:-_SUM], data[-_SUM:]
    if len(data) <= _SUM or hashlib.sha256(body).digest() != told:
        raise ValueError("the play is damaged: its checksum does not fit")
    line, _, rest = body.partition(b"\n")
    head = json.loads(line)
    if head["episodes"] != _names(episodes):
        raise ValueError(f"the play is of {head['episodes'][:2]}..., not of these episodes")
    arrays, at = {}, 0
    for name, kind, shape, length in head["arrays"]:
        arrays[name] = _unpacked(rest[at : at + length], np.dtype(kind), shape)
        at += length
    return str(head["policy"]), arrays


def _names(episodes: Sequence[Episode]) -> list[list[Any]]:
    return [[e.scenario, e.seed, e.length_s, e.slots] for e in episodes]


def _leaves(kind: str, tree: Any) -> dict[str, np.ndarray]:
    return {f"{kind} {one.name}": np.asarray(getattr(tree, one.name)) for one in fields(tree)}


def _tree(kind: Any, word: str, arrays: Mapping[str, np.ndarray]) -> Any:
    names = [one.name for one in fields(kind)]
    if missing := [name for name in names if f"{word} {name}" not in arrays]:
        raise ValueError(f"the play lacks {', '.join(missing)}; play it again")
    return kind(**{name: arrays[f"{word} {name}"] for name in names})


def _moves(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix("move "): value
        for name, value in arrays.items()
        if name.startswith("move ")
    }


def _packed(value: np.ndarray) -> bytes:
    """Return an array's bytes, first bytes of all numbers first: neighbours are alike there."""
    flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    planes = flat.reshape(-1, value.dtype.itemsize).T
    return zlib.compress(np.ascontiguousarray(planes).tobytes(), _LEVEL)


def _unpacked(data: bytes, kind: np.dtype[Any], shape: Sequence[int]) -> np.ndarray:
    planes = np.frombuffer(zlib.decompress(data), np.uint8).reshape(kind.itemsize, -1)
    return np.ascontiguousarray(planes.T).reshape(-1).view(kind).reshape(shape)
