"""The platform that the controller writes to: levers, stamps and receipts of one episode.

Plays the part of the process host and the gateway's admin page. Writes change levers to absolute
values against a compare-and-set token (the gateway has none), carry an epoch and leave a stamp. The
twin shows a scrape later what is in force; until then a write has no receipt. A lever that moved
although nobody here wrote it was moved by somebody else: the token moves on and the stamp is gone.
Decides nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.base import names
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import TimeNs
from homeostat.base.world import Release, Replica, Scalar, Snapshot, Stamp
from homeostat.lab.controller_levers import actuator_of, same
from homeostat.lab.controller_names import (
    POOLS,
    SCALE_ACTUATOR,
    STATES,
    TRAFFIC_ACTUATOR,
    slot_name,
    time_ns,
    version_name,
)
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.params import Params
from homeostat.twin.shapes import SCRAPE_S, Phase, Variant

_MEMORY: Final = signals.SLOT_SIGNALS.index(names.MEMORY_SHARE)
_GIB: Final = 1 << 30
# What runs at the start has been running for a day: no release is suspect for its age alone.
_DAY_S: Final = 86_400.0
_VERSION: Final = "version."
# The twin numbers a variant's versions: 1 at the start, 0 what a rollback goes back to.
_BEFORE: Final = 0
_NOW: Final = 1
_LEVERS: Final = [
    (pool, names.lever_replicas(pool), names.lever_version(pool), names.lever_weight(pool))
    for pool in POOLS
]
STARTING: Final = frozenset({Phase.PENDING, Phase.LOADING})
ANSWERED_BEFORE_S: Final = 1.0
"""Receipts come in this long before the scrape that shows what became of the writes."""


@dataclass(slots=True, kw_only=True)
class Slot:
    """One slot that is not empty.

    Attributes:
        name: See `controller_names.slot_name`.
        variant: Whose replica it is.
        phase: `shapes.Phase`, as the platform shows it.
        incarnation: Counts the processes that were asked for.
        started: When the present process began.
        was: Its phase a scrape ago.
        memory_bytes: Resident memory, None for unknown.
        ending: Whether its process was asked to end and still finishes what it holds.
    """

    name: str
    variant: int
    phase: int
    was: int
    incarnation: int
    started: TimeNs
    memory_bytes: int | None = None
    ending: bool = False


class Platform:
    """One episode's platform.

    Args:
        name: The deployment's name.
        params: The deployment.
    """

    def __init__(self, name: str, params: Params) -> None:
        self.name = name
        self.levers: dict[str, Scalar] = {
            names.GATEWAY_LIMIT: 0,
            names.CONCURRENCY: round(float(params.service.concurrency)),
        }
        self.slots: dict[int, Slot] = {}
        self.reborn: frozenset[int] = frozenset()
        self.foreign: tuple[str, ...] = ()
        self._lost = False
        self._rolling: dict[str, str] = {}
        self._loads_s = float(params.provision.load_s)
        self._limit = float(params.memory.limit_gib) * _GIB
        self._releases = _history()
        self._running = {one.pool: one.version for one in self._releases}
        self._revision = 1
        self._epoch = 0
        self._stamps: dict[str, str | None] = {SCALE_ACTUATOR: None, TRAFFIC_ACTUATOR: None}
        self._pending: list[Intent] = []
        self._marks: dict[str, int] = {}
        self._changing = False
        self._fresh = True

    @property
    def trusted(self) -> tuple[tuple[str, str], ...]:
        """Pool and version pairs that are known to have served well before the episode.

        What a rollback of the twin goes back to is the last verified version; a controller that
        has been there for a day has seen it.
        """
        return tuple((pool, version_name(variant, _BEFORE)) for variant, pool in enumerate(POOLS))

    def read(self, now_s: float, scrape: Scrape, number: int) -> tuple[Receipt, ...]:
        """Take a scrape's read-back: receipts of the writes before it, and what else has moved.

        Args:
            now_s: When it was taken.
            scrape: Batched, NumPy.
            number: The episode's place in the batch.
        """
        live = self._live(scrape, number)
        before = {index: slot.started for index, slot in self.slots.items()}
        self._changing = bool(scrape.changing[number])
        self._lost = False
        self._see_slots(now_s, scrape, number)
        ok = bool(scrape.levers_ok[number])
        # A new order ends with the process that it replaces, and that one may have work to finish.
        self._changing |= any(slot.ending for slot in self.slots.values())
        receipts = tuple(self._settle(intent, live, now_s, ok=ok) for intent in self._pending)
        self._pending = []
        self._see_foreign(live)
        self._note_releases(now_s)
        self.reborn = frozenset(
            index for index, slot in self.slots.items() if before.get(index) != slot.started
        )
        self._fresh = False
        return receipts

    def write(self, intent: Intent, now: TimeNs) -> Receipt | None:
        """Take a write; its receipt comes with the next scrape, a refusal at once."""
        problem, conflict = self._problem(intent)
        if problem:
            return Receipt(
                intent_id=intent.id,
                status=ReceiptStatus.NOT_APPLIED,
                at=now,
                detail=problem,
                conflict=conflict,
            )
        self._epoch = max(self._epoch, intent.epoch)
        self._pending.append(intent)
        return None

    def claim(self, actuator: str, epoch: int) -> None:
        """Stamp the platform with a controller's epoch; no lever changes."""
        if actuator == SCALE_ACTUATOR and epoch >= self._epoch:
            self._epoch = epoch
            self._revision += 1

    def snapshot(self, at: TimeNs) -> Snapshot:
        """Return the platform as read back."""
        token = str(self._revision)
        return Snapshot(
            deployment=self.name,
            observed_at=at,
            replicas=tuple(
                self._replica(slot)
                for slot in sorted(self.slots.values(), key=lambda slot: slot.name)
            ),
            releases=tuple(self._releases),
            levers=tuple(sorted(self.levers.items())),
            stamps=tuple(
                Stamp(
                    actuator=actuator,
                    token=token if actuator == SCALE_ACTUATOR else None,
                    intent=intent,
                    epoch=self._epoch,
                )
                for actuator, intent in sorted(self._stamps.items())
            ),
            changing=self._changing,
        )

    @property
    def moved(self) -> bool:
        """Whether levers are not as they were ordered: a write was lost, or was another's."""
        return self._lost or bool(self.foreign)

    def processes(self) -> Iterator[tuple[int, str, TimeNs]]:
        """Yield index, name and start of the process of each slot, by index."""
        for index, slot in sorted(self.slots.items()):
            yield index, slot.name, slot.started

    def _replica(self, slot: Slot) -> Replica:
        pool = POOLS[slot.variant]
        return Replica(
            name=slot.name,
            pool=pool,
            version=self._running.get(pool),
            state=STATES[slot.phase],
            incarnation=slot.incarnation,
            started_at=slot.started,
            memory_bytes=slot.memory_bytes,
            memory_limit_bytes=int(self._limit) if math.isfinite(self._limit) else None,
            address=f"{slot.name}.{self.name}:80",
        )

    def _problem(self, intent: Intent) -> tuple[str, bool]:
        """Return why a write cannot be taken, and whether it is out of date."""
        if intent.epoch < self._epoch:
            return f"epoch {intent.epoch} is over: {self._epoch} has written", True
        unknown = [lever for lever, _ in intent.post if lever not in self.levers]
        if unknown:
            return f"unknown lever {unknown[0]!r}", False
        gone = [(lever, value) for lever, value in intent.post if not _loadable(lever, value)]
        if gone:  # the twin's way back is one step: what was rolled back is not kept
            return f"{gone[0][0]}: there is no artefact {gone[0][1]}", False
        if intent.actuator == SCALE_ACTUATOR and intent.token != str(self._revision):
            return f"revision {intent.token} is out of date: it is {self._revision}", True
        return "", False

    def _settle(
        self, intent: Intent, live: Mapping[str, Scalar], now_s: float, *, ok: bool
    ) -> Receipt:
        """Return what became of a write: in force as read back, or not known."""
        at = time_ns(now_s - ANSWERED_BEFORE_S)
        if not all(self._landed(lever, value, live, ok=ok) for lever, value in intent.post):
            self._lost = True
            return Receipt(
                intent_id=intent.id,
                status=ReceiptStatus.UNKNOWN,
                at=at,
                detail="no answer before the deadline",
            )
        for lever, value in intent.post:
            pool = lever.removeprefix(_VERSION)
            if pool != lever:
                self._rolling[pool] = str(live[lever])
            if lever in self.levers:  # a slot may have gone meanwhile, and its levers with it
                self.levers[lever] = value
        self._stamps[intent.actuator] = intent.id
        if intent.actuator == SCALE_ACTUATOR:
            self._revision += 1
        for slot in self.slots.values():
            asked = int(self.levers[names.lever_incarnation(slot.name)])
            if asked != slot.incarnation:
                slot.incarnation, slot.started = asked, at
                slot.ending = slot.phase == Phase.DRAINING
        token = str(self._revision) if intent.actuator == SCALE_ACTUATOR else None
        return Receipt(intent_id=intent.id, status=ReceiptStatus.DONE, at=at, token=token)

    def _landed(self, lever: str, value: Scalar, live: Mapping[str, Scalar], *, ok: bool) -> bool:
        """Return whether one lever of a write is seen to be in force, or being brought there."""
        kind, _, name = lever.partition(".")
        slot = next((one for one in self.slots.values() if one.name == name), None)
        match kind:
            case "incarnation" if slot is not None:
                # Only a process that went on serving was not restarted; one that loads within a
                # scrape is back before anybody looks.
                went_on = slot.phase == slot.was == Phase.READY
                return not went_on or self._loads_s < SCRAPE_S
            case "drained" if slot is not None:
                return (slot.phase == Phase.DRAINING) == bool(value) or slot.phase in STARTING
            case "version":
                return self._changing or live[lever] == value
            case _:
                return same(lever, value, live[lever]) if lever in live else ok

    def _live(self, scrape: Scrape, number: int) -> dict[str, Scalar]:
        """Return the levers that the platform reads back."""
        limit = self.levers[names.GATEWAY_LIMIT]
        live: dict[str, Scalar] = {
            names.BATCH_MAX: round(float(scrape.batch_max[number, Variant.A])),
            # The gateway shows whether its limit is in force; its size is the last one written.
            names.GATEWAY_LIMIT: 0 if np.isinf(scrape.admit_rps[number]) else limit,
        }
        wanted, shares = scrape.replicas[number].tolist(), scrape.weights[number].tolist()
        versions = scrape.version[number].tolist()
        for variant, (pool, replicas, version, weight) in enumerate(_LEVERS):
            live[replicas] = round(wanted[variant])
            self._running[pool] = live[version] = version_name(variant, versions[variant])
            if variant != Variant.A:
                live[weight] = round(100.0 * shares[variant])
        return live

    def _see_foreign(self, live: Mapping[str, Scalar]) -> None:
        """Take over levers that moved although nobody here wrote them."""
        moved = [
            lever
            for lever, value in live.items()
            if lever not in self.levers or not same(lever, self.levers[lever], value)
        ]
        moved = [lever for lever in moved if not self._on_its_way(lever, live[lever])]
        for lever in moved:
            self.levers[lever] = live[lever]
        self.foreign = () if self._fresh else tuple(moved)
        for actuator in sorted({actuator_of(lever) for lever in self.foreign}):
            self._stamps[actuator] = None
            if actuator == SCALE_ACTUATOR:
                self._revision += 1

    def _on_its_way(self, lever: str, live: Scalar) -> bool:
        """Return whether a version is still what it was, because the next one is being loaded."""
        pool = lever.removeprefix(_VERSION)
        if pool == lever or self._rolling.get(pool) != live:
            return False
        if not self._changing:
            del self._rolling[pool]
        return self._changing

    def _note_releases(self, now_s: float) -> None:
        """Note versions that a pool has not run last."""
        for pool, version in self._running.items():
            ran = next(one.version for one in reversed(self._releases) if one.pool == pool)
            if ran != version:
                since = time_ns(now_s)
                self._releases.append(Release(pool=pool, version=version, since=since))

    def _see_slots(self, now_s: float, scrape: Scrape, number: int) -> None:
        phases, variants = scrape.phase[number].tolist(), scrape.slot_variant[number].tolist()
        shares = scrape.slot[number, :, _MEMORY].tolist()
        for index, (phase, variant, share) in enumerate(zip(phases, variants, shares, strict=True)):
            slot = self.slots.get(index)
            if slot is None or not slot.phase == slot.was == phase or slot.variant != variant:
                slot = self._see_slot(index, int(phase), int(variant), now_s)
            # Else it is as it was for two scrapes, like nearly all of them: its memory alone moves.
            if slot is not None:
                used = share * self._limit
                slot.memory_bytes = int(used) if math.isfinite(used) else None

    def _see_slot(self, index: int, phase: int, variant: int, now_s: float) -> Slot | None:
        """Take over one slot's phase, and return the slot; None if it is empty."""
        old = self.slots.get(index)
        if old is not None and (phase == Phase.EMPTY or variant != old.variant):
            del self.slots[index]
            self._marks[old.name] = old.incarnation
            for lever in (names.lever_incarnation(old.name), names.lever_drained(old.name)):
                self.levers.pop(lever, None)
            old = None
        if phase == Phase.EMPTY:
            return None
        if old is None:
            name = slot_name(variant, index)
            counted = self._marks.pop(name, 0) + 1
            self.slots[index] = new = Slot(
                name=name,
                variant=variant,
                phase=phase,
                was=phase,
                incarnation=counted,
                started=time_ns(now_s - (_DAY_S if self._fresh else 0.0)),
            )
            self.levers[names.lever_incarnation(name)] = counted
            self.levers[names.lever_drained(name)] = 0
            return new
        if phase in STARTING and old.phase not in STARTING:
            old.started = time_ns(now_s)  # another process; the platform counts what was asked for
            old.ending = False
        old.was, old.phase = old.phase, phase
        return old


def _history() -> list[Release]:
    """Return what each pool ran before the episode and what it runs, the newest a day old."""
    return [
        Release(pool=pool, version=version_name(variant, number), since=time_ns(-days * _DAY_S))
        for number, ages in ((_BEFORE, (3.0, 5.0, 4.0)), (_NOW, (1.0, 2.0, 1.5)))
        for variant, (pool, days) in enumerate(zip(POOLS, ages, strict=True))
    ]


def _loadable(lever: str, value: Scalar) -> bool:
    """Return whether a version can be loaded; every other lever can take any value."""
    pool = lever.removeprefix(_VERSION)
    return pool == lever or value == version_name(POOLS.index(pool), _BEFORE)
