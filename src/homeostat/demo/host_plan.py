"""What the host has to do next: a pure, level-triggered comparison of wanted and actual.

It carries out changes of the document and keeps the spares; it heals nothing. A slot whose process
died or hangs stays as it is until somebody raises its incarnation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from homeostat.base import names
from homeostat.demo.host_document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Settings of a model server that can change while it runs."""

    batch_max: int
    batch_wait_ms: float
    concurrency_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotView:
    """One slot as it is.

    Attributes:
        pool: The pool it serves in.
        incarnation: Incarnation of the process that holds it, 0 before the first.
        alive: Whether that process exists.
        version: The version that it said it serves, None if it has not said.
        knobs: The settings that it said it has, None if it has not said.
    """

    pool: str
    incarnation: int
    alive: bool
    version: str | None
    knobs: Knobs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Give a slot a new process: a ready spare takes it over, then the old one leaves."""

    slot: str
    pool: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Take a slot away: out of rotation, drained, ended."""

    slot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Let a slot's process change to another version while it serves."""

    slot: str
    pool: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Let a slot's process take new settings."""

    slot: str
    knobs: Knobs


Step = Fill | Remove | Load | Configure


def wanted_knobs(document: Document, slot: str = "") -> Knobs:
    """Return the run-time settings that a slot's server shall have, of none those of all."""
    known = dict(document.levers)

    def setting(name: str) -> int:
        # A document of an older host has no own values.
        return int(known.get(names.lever_own(name, slot), 0)) or int(known[name])

    return Knobs(
        batch_max=setting(names.BATCH_MAX),
        batch_wait_ms=float(known[names.BATCH_WAIT]),
        concurrency_max=setting(names.CONCURRENCY),
    )


def plan(document: Document, slots: Mapping[str, SlotView]) -> tuple[Step, ...]:
    """Return every step between the slots as they are and as the document wants them.

    At most one step a slot. The caller starts those whose slot is free, and only one `Load` in
    each pool at a time, so that a pool never changes version on all its replicas at once.
    """
    return tuple(_steps(document, slots))


def _steps(document: Document, slots: Mapping[str, SlotView]) -> Iterator[Step]:
    wanted = {slot: pool for pool in document.pools() for slot in document.slots(pool)}
    for slot, pool in wanted.items():
        incarnation = int(document.lever(names.lever_incarnation(slot)))
        view = slots.get(slot)
        if view is None or view.incarnation != incarnation:
            yield Fill(slot=slot, pool=pool, incarnation=incarnation)
        elif view.alive:
            version = str(document.lever(names.lever_version(pool)))
            if view.version != version:
                yield Load(slot=slot, pool=pool, version=version)
            elif view.knobs != (knobs := wanted_knobs(document, slot)):
                yield Configure(slot=slot, knobs=knobs)
    for slot in slots:
        if slot not in wanted:
            yield Remove(slot=slot)


def rotation(document: Document, ports: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Return each pool's ports in rotation: slots that have a process and are not drained.

    A dead process stays in rotation until its slot is filled again: noticing is the controller's
    job.
    """
    return {
        pool: tuple(
            ports[slot]
            for slot in document.slots(pool)
            if slot in ports and not document.lever(names.lever_drained(slot))
        )
        for pool in document.pools()
    }
