"""A run in pieces: which episodes belong to a piece, and its result as plain values.

A shard is one scenario with a block of seeds under one policy, judged against HOLD's play of the
same episodes, which whoever runs shards keeps for all of them. Shards may be run in any order and
in several processes; merged they are the whole run. A result carries the digest of all that it
depends on, so that a run that was broken off takes up what is still right, and one more policy is
its own shards and no other's. Only the oracle's depend on the other policies: it starts from them,
and takes so long that a shard of it is a part of the block that they are played in.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final, cast, get_type_hints

import numpy as np

from homeostat.lab.metrics_score import Scores, chosen, joined
from homeostat.lab.scenario import Scenario
from homeostat.lab.thresholds import FROZEN

HOLD: Final = "hold"
ORACLE: Final = "oracle"  # no policy: it needs the twin's state (see `oracle`)
# Hours of episodes in a shard of the oracle's: half a minute of a core each, and a machine may be
# busy; a shard is to take half an hour at most, because that is what is lost with it.
ORACLE_HOURS: Final = 32.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run's results depend on besides scenarios, seeds and policies.

    Attributes:
        width: Episodes side by side: the more, the less a tick costs (`benchmarks`, 32 slots: 64
            cost four fifths of what 32 do); many more of four hours would fill a worker's memory.
        person_scale: Multiplies the human model's delays.
        code: Names the version of the program; whoever can read files says it.
        sensitivity: Whether every row of the sensitivity table is judged too.
        trained: Name and SHA-256 of each trained policy's file; only shards that such a policy
            has a part in depend on it.
    """

    width: int = 50
    person_scale: float = 1.0
    code: str = ""
    sensitivity: bool = False
    trained: tuple[tuple[str, str], ...] = ()

    def of(self, *policies: str) -> "Options":
        """Return the same without the files of other policies than these."""
        return replace(self, trained=tuple(one for one in self.trained if one[0] in policies))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One piece of a run.

    Attributes:
        scenario: Which.
        seeds: Of its episodes, at most the width.
        policy: Name.
        options: Of the run.
        others: Policies that this one starts from; the oracle's alone.
        block: Seeds that those were played with, where this is a part of them; empty = its own.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    policy: str
    options: Options
    others: tuple[str, ...] = ()
    block: tuple[int, ...] = ()

    @property
    def whole(self) -> "Shard":
        """The same shard over the whole block that it is a part of."""
        return replace(self, seeds=self.block, block=()) if self.block else self

    @property
    def rows(self) -> slice:
        """Where its episodes are in the block."""
        first = self.block.index(self.seeds[0]) if self.block else 0
        return slice(first, first + len(self.seeds))

    @property
    def label(self) -> str:
        """Name the shard for people."""
        return f"{self.scenario.id} {self.seeds[0]}-{self.seeds[-1]} {self.policy}"

    def under(self, policy: str) -> "Shard":
        """Return the whole block under another policy, which starts from none."""
        return replace(self.whole, policy=policy, others=())

    def digest(self) -> str:
        """Return the SHA-256 of all that the result depends on."""
        parts = (
            self.scenario, self.seeds, self.policy, self.others, self.block,
            self.options.of(self.policy, *self.others), FROZEN.digest(),
        )  # fmt: skip
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def play_digest(self) -> str:
        """Return the SHA-256 of all that the play depends on: how it is judged is not among it."""
        played = replace(self.options.of(self.policy, *self.others), sensitivity=False)
        parts = ("play", self.scenario, self.seeds, self.policy, self.others, played)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def shards(
    scenarios: Iterable[Scenario],
    policies: Sequence[str],
    seeds: Sequence[int],
    options: Options | None = None,
    *,
    shown: Sequence[str] | None = None,
) -> tuple[Shard, ...]:
    """Return a run's pieces: the seeds in blocks of nearly equal size, the scenarios in turn.

    Every scenario's first block comes before any second one: what is there of a broken run is
    the whole catalogue with fewer seeds. An episode's policies follow each other, HOLD first,
    which is played whether it is asked for or not, and the oracle last.

    Args:
        scenarios: Which.
        policies: Names.
        seeds: Of each scenario.
        options: Of the run.
        shown: Policies of the run that the oracle starts from; None = all of them.

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
    order = sorted(dict.fromkeys((HOLD, *policies)), key=_rank)
    seen = order if shown is None else [name for name in order if name in {HOLD, *shown}]
    others = tuple(name for name in seen if name != ORACLE)
    return tuple(
        Shard(
            scenario=case,
            seeds=part,
            policy=name,
            options=setting,
            others=others if name == ORACLE else (),
            block=block if part != block else (),
        )
        for block in blocks
        for case in cases
        for name in order
        for part in _parts(block, case, name)
    )


def _parts(block: tuple[int, ...], case: Scenario, policy: str) -> tuple[tuple[int, ...], ...]:
    """Return the seeds of a block's shards: one for all of them, more of the oracle's."""
    hours = len(block) * case.length_s / 3600.0
    count = max(1, math.ceil(hours / ORACLE_HOURS)) if policy == ORACLE else 1
    return tuple(
        tuple(int(s) for s in part)
        for part in np.array_split(np.array(block), min(count, len(block)))
    )


def _rank(policy: str) -> int:
    return {HOLD: 0, ORACLE: 2}.get(policy, 1)


def merged(results: Iterable[Mapping[str, Any]]) -> dict[str, Scores]:
    """Return the scores of each policy over all shards, by scenario and seed in order.

    Args:
        results: As `run.result_of` returns them, in any order.

    Raises:
        ValueError: There are none.
    """
    parts: dict[str, list[Scores]] = {}
    for result in results:
        parts.setdefault(result["policy"], []).append(from_plain(result["scores"]))
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
