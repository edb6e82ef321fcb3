"""A run in pieces: which episodes belong to a piece, and its result as plain values.

A shard is one scenario with a block of seeds under all policies of the run: the HOLD
counterfactual is played once for all of them. Shards know nothing of each other, so they may be
run in any order and in several processes; merged they are the whole run. A result carries the
digest of all that it depends on, so that a run that was broken off takes up what is still right.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast, get_type_hints

import numpy as np

from homeostat.lab.metrics_score import Scores, chosen, joined
from homeostat.lab.scenario import Scenario
from homeostat.lab.thresholds import FROZEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run's results depend on besides scenarios, seeds and policies.

    Attributes:
        width: Episodes side by side: the more, the less a tick costs (`benchmarks`, 32 slots: 64
            cost four fifths of what 32 do); many more of four hours would fill a worker's memory.
        person_scale: Multiplies the human model's delays.
        code: Names the version of the program; whoever can read files says it.
        sensitivity: Whether every row of the sensitivity table is judged too.
    """

    width: int = 50
    person_scale: float = 1.0
    code: str = ""
    sensitivity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One piece of a run.

    Attributes:
        scenario: Which.
        seeds: Of its episodes, at most the width.
        policies: Names.
        options: Of the run.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    policies: tuple[str, ...]
    options: Options

    @property
    def label(self) -> str:
        """Name the shard for people."""
        return f"{self.scenario.id} {self.seeds[0]}-{self.seeds[-1]}"

    def digest(self) -> str:
        """Return the SHA-256 of all that the result depends on."""
        parts = (self.scenario, self.seeds, self.policies, self.options, FROZEN.digest())
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def shards(
    scenarios: Iterable[Scenario],
    policies: Sequence[str],
    seeds: Sequence[int],
    options: Options | None = None,
) -> tuple[Shard, ...]:
    """Return a run's pieces: the seeds in blocks of nearly equal size, the scenarios in turn.

    Every scenario's first block comes before any second one: what is there of a broken run is
    the whole catalogue with fewer seeds.

    Raises:
        ValueError: There is nothing to run.
    """
    setting = options or Options()
    cases = tuple(scenarios)
    if not (cases and policies and seeds):
        raise ValueError(
            f"need scenarios, policies and seeds, got {len(cases)}, {len(policies)}, {len(seeds)}"
        )
    count = -(-len(seeds) // setting.width)
    blocks = [tuple(int(s) for s in block) for block in np.array_split(np.array(seeds), count)]
    return tuple(
        Shard(scenario=case, seeds=block, policies=tuple(policies), options=setting)
        for block in blocks
        for case in cases
    )


def merged(results: Iterable[Mapping[str, Any]]) -> dict[str, Scores]:
    """Return the scores of each policy over all shards, by scenario and seed in order.

    Args:
        results: As `run.run_shard` returns them, in any order.

    Raises:
        ValueError: There are none.
    """
    parts: dict[str, list[Scores]] = {}
    for result in results:
        for policy, plain in result["policies"].items():
            parts.setdefault(policy, []).append(from_plain(plain))
    if not parts:
        raise ValueError("no shard has been run yet")
    whole = {policy: joined(found) for policy, found in parts.items()}
    return {policy: chosen(scores, _order(scores)) for policy, scores in whole.items()}


def _order(scores: Scores) -> np.ndarray:
    keys = sorted(range(len(scores.seed)), key=lambda i: (scores.scenario[i], scores.seed[i]))
    return np.array(keys)


def to_plain(scores: Scores) -> dict[str, Any]:
    """Return scores as values that JSON knows; what is not finite as text, so nothing is lost."""
    return {one.name: _plain(getattr(scores, one.name)) for one in fields(scores)}


def from_plain(plain: Mapping[str, Any]) -> Scores:
    """Return the scores that `to_plain` was given.

    Raises:
        ValueError: A field is missing: the result is of another version, or not whole.
    """
    return cast("Scores", _built(Scores, plain))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.name, "shape": value.shape, "values": _numbers(value)}
    if isinstance(value, tuple):
        return list(value)
    return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}


def _numbers(array: np.ndarray) -> list[Any]:
    flat = array.ravel().tolist()
    if array.dtype.kind != "f":
        return flat
    return [x if math.isfinite(x) else repr(x) for x in flat]


def _built(kind: Any, plain: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    if missing := sorted({one.name for one in fields(kind)} - set(plain)):
        raise ValueError(f"a shard's {kind.__name__} lacks {', '.join(missing)}; run it again")
    return kind(**{one.name: _value(hints[one.name], plain[one.name]) for one in fields(kind)})


def _value(hint: Any, plain: Any) -> Any:
    if is_dataclass(hint):
        return _built(hint, plain)
    if isinstance(plain, Mapping):
        values = [float(x) if isinstance(x, str) else x for x in plain["values"]]
        return np.array(values, dtype=plain["dtype"]).reshape(plain["shape"])
    return tuple(plain)
