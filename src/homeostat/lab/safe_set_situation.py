"""What the words of the safe-set table mean in one episode at one moment.

Knows which replicas are hit (that is the scenario's doing, no policy sees it) and turns a word into
the actions that it asks for, in the deployment as read back. None means that there is nothing of
that kind here: no fallback pool, no replica that is loading.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.base import names
from homeostat.base.actions import Action
from homeostat.base.evidence import Evidence
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.lab import safe_set_actions as actions
from homeostat.lab.controller_names import slot_index, time_ns
from homeostat.lab.safe_set_table import When
from homeostat.lab.safe_set_words import Verb, Word
from homeostat.lab.types import Episode
from homeostat.twin.shapes import Variant

_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One moment of one episode, as a word needs it.

    Attributes:
        episode: The episode.
        managed: Its configuration.
        world: As read back.
        evidence: This tick's.
        hit: Slots that a fault is aimed at.
        missed: Scrapes in a row on which the objectives were seen to be missed.
    """

    episode: Episode
    managed: Managed
    world: Snapshot
    evidence: Evidence
    hit: frozenset[int]
    missed: int = 0

    @property
    def stable(self) -> tuple[Replica, ...]:
        """Replicas of the stable pool."""
        return tuple(r for r in self.world.replicas if r.pool == self.managed.stable_pool)

    def holds(self, when: When) -> bool:
        """Return whether a row means anything here."""
        hits = [slot_index(replica.name) in self.hit for replica in self.stable]
        match when:
            case When.SOME_HIT:
                return any(hits) and not all(hits)
            case When.ALL_HIT:
                return bool(hits) and (all(hits) or not any(hits))
            case When.HAS_B:
                return self._has_b
            case When.SPARED_B:
                return self._has_b and self.episode.recoverable
            case When.LASTS:
                return self._lasts
            case When.MISSED:
                return self._missed
            case When.SQUEEZED:
                live = self.world.lever(names.BATCH_MAX)
                usual = float(self.episode.params.service.batch_max[Variant.A])
                return self._missed and isinstance(live, int | float) and live < usual
            case When.ALWAYS:
                return True

    @property
    def _has_b(self) -> bool:
        return any(replica.pool == "b" for replica in self.world.replicas)

    @property
    def _lasts(self) -> bool:
        faults = self.episode.faults
        now_s = (self.evidence.at - time_ns(0.0)) / SECOND
        begun = np.asarray(faults.start_s) <= now_s
        return bool((begun & (now_s < np.asarray(faults.stop_s))).any())

    @property
    def _missed(self) -> bool:
        return self.missed >= self.managed.guard.persist_scrapes

    def actions(self, word: Word) -> tuple[Action, ...] | None:
        """Return what a word asks for, all at once; None where it cannot be named.

        `hold` and `escalate` ask for no change; `retrain ungated` is no action of the product.
        """
        found = _MEANINGS[word.verb](self, *word.arguments)
        kept = tuple(action for action in found if action is not None)
        return kept if kept or word.is_passive else None

    def pick(self, which: str) -> tuple[Replica, ...]:
        """Return the replicas of the stable pool that a word speaks of.

        Raises:
            ValueError: The word names none.
        """
        ready = [r for r in self.stable if r.state is ReplicaState.READY]
        hit = [r for r in self.stable if slot_index(r.name) in self.hit]
        match which:
            case "all":
                return self.stable
            case "hit":
                return tuple(hit[:1])
            case "healthy":
                # In turn: the one whose process is the oldest comes first.
                well = [r for r in ready if r not in hit]
                return tuple(sorted(well, key=_age)[:1])
            case "oldest":
                # In the twin all processes begin together; where the catalogue says that those of
                # one age leak, the ones hit are those of that age.
                return tuple(sorted(ready, key=lambda r: (r not in hit, *_age(r)))[:1])
            case "loading":
                return tuple(r for r in self.stable if r.state is ReplicaState.STARTING)[:1]
            case "others":
                return tuple(ready[1:])
            case _:
                raise ValueError(f"{which!r} names no replicas")


def hit_slots(episode: Episode) -> frozenset[int]:
    """Return the slots that the episode's faults single out; none where they hit all alike."""
    faults = episode.faults
    active = np.isfinite(np.asarray(faults.start_s))
    slots = np.asarray(faults.slots, bool)
    single = active & ~slots.all(axis=1)
    return frozenset(np.flatnonzero(slots[single].any(axis=0)).tolist())


def _age(replica: Replica) -> tuple[int, str]:
    return replica.started_at or 0, replica.name


def _scale(here: Situation, pool: str, size: str) -> tuple[Action | None, ...]:
    live = here.world.lever(names.lever_replicas(pool))
    if not isinstance(live, int | float):
        return (None,)
    now = int(live)
    cap = int(here.episode.params.money.hard_cap)
    wanted = {
        "+1": now + 1,
        "-1": now - 1,
        "*2": 2 * now,
        "half": now // 2,
        "one": 1,
        "zero": 0,
        "max": cap,
    }[size]
    return (actions.scale(pool, wanted, here.world, here.managed),)


def _batch(here: Situation, size: str) -> tuple[Action | None, ...]:
    live = here.world.lever(names.BATCH_MAX)
    if not isinstance(live, int | float):
        return (None,)
    service = here.episode.params.service
    usual, largest = float(service.batch_max[Variant.A]), float(service.batch_limit)
    wanted = {
        "*2": min(2.0 * live, largest),
        "/2": live / 2.0,
        "max": largest,
        "usual": usual,
        "twice": min(2.0 * usual, largest),
    }[size]
    return (actions.batch(wanted, here.world, here.managed),)


def _resize(here: Situation, _: str) -> tuple[Action | None, ...]:
    live = here.world.lever(names.CONCURRENCY)
    wanted = 2.0 * live if isinstance(live, int | float) else 0.0
    return (actions.resize(wanted, here.world, here.managed),)


def _shift(here: Situation, pool: str, percent: str) -> tuple[Action | None, ...]:
    if not any(replica.pool == pool for replica in here.world.replicas):
        return (None,)
    return (actions.shift(pool, float(percent), here.world, here.managed),)


def _rollback(here: Situation, pool: str) -> tuple[Action | None, ...]:
    live = here.world.lever(names.lever_version(pool))
    ran = [one.version for one in here.world.releases if one.pool == pool and one.version != live]
    if ran:
        return (actions.rollback(pool, ran[-1], here.world, here.managed),)
    return (None,)


def _restart(here: Situation, which: str) -> tuple[Action | None, ...]:
    chosen = here.pick(which)
    if which == "all":
        return (actions.restart_all(chosen, here.managed),)
    return tuple(actions.restart(replica, here.managed) for replica in chosen)


def _drain(here: Situation, which: str) -> tuple[Action | None, ...]:
    return tuple(actions.drain(replica, here.managed) for replica in here.pick(which))


def _shed(here: Situation, share: str) -> tuple[Action | None, ...]:
    return (actions.shed(float(share), here.world, here.evidence, here.managed),)


def _retrain(here: Situation, _: str) -> tuple[Action | None, ...]:
    return (actions.retrain(here.managed),)


def _nothing(_: Situation) -> tuple[Action | None, ...]:
    return ()


_MEANINGS: Final[Mapping[Verb, Callable[..., tuple[Action | None, ...]]]] = {
    Verb.HOLD: _nothing,
    Verb.ESCALATE: _nothing,
    Verb.SCALE: _scale,
    Verb.BATCH: _batch,
    Verb.RESIZE: _resize,
    Verb.SHIFT: _shift,
    Verb.ROLLBACK: _rollback,
    Verb.RESTART: _restart,
    Verb.DRAIN: _drain,
    Verb.SHED: _shed,
    Verb.RETRAIN: _retrain,
}
