"""What one simulated run is made of: a seed becomes printed options, and nothing else."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from homeostat.loop.protocol import Timing


class Mode(StrEnum):
    """What the target offers, and what is therefore promised."""

    HOST = "host"  # compare-and-set, epochs refused, ids remembered: the local host
    CAS = "cas"  # compare-and-set only: a Kubernetes object
    CALM = "calm"  # no compare-and-set, but requests die within the quiesce time
    WEAK = "weak"  # no compare-and-set, requests live as long as they like: floors only

    @property
    def has_cas(self) -> bool:
        return self in {Mode.HOST, Mode.CAS}

    @property
    def is_strict(self) -> bool:
        """True when a late or doubled write is a violation and not only counted."""
        return self is not Mode.WEAK


# Ticks, not nanoseconds. Quiesce exceeds the longest delay of a request (40), as rule R3 asks.
TIMING = Timing(
    receipt_deadline_ns=6,
    readiness_deadline_ns=25,
    verify_ns=18,
    blind_ns=12,
    approval_ttl_ns=20,
    readback_deadline_ns=30,
    quiesce_ns=45,
    fresh_ns=10,
)
MAX_DELAY = 40
MAX_PAUSE = 25
LEASE_TICKS = 15
BOUNDS = {"batch": (1, 32), "incarnation": (0, 10**9), "replicas": (2, 8), "weight": (0, 60)}
REPLICA_STEP = 2
MAX_BUSY = 2  # deployments that may be changed at once, of three


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Chances per effect (or per message) of each fault."""

    crash: float = 0.004
    pause: float = 0.010
    steal: float = 0.002
    meddle: float = 0.003
    quarrel: float = 0.04  # per landed write: a person takes it back at once
    kill: float = 0.003
    abort: float = 0.003
    lost_request: float = 0.06
    lost_reply: float = 0.06
    delayed: float = 0.12
    duplicated: float = 0.05
    broken_reply: float = 0.03  # a reply that proves nothing: UNKNOWN
    read_failed: float = 0.05
    read_stale: float = 0.08
    partial: float = 0.10  # without compare-and-set: levers land one by one

    def scaled(self, by: float) -> "Faults":
        return Faults(**{name: getattr(self, name) * by for name in self.__dataclass_fields__})


NO_FAULTS = Faults().scaled(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run.

    Attributes:
        seed: Everything random comes from it.
        mode: What both targets offer.
        effects: Effects before the quiet phase.
        faults: Their chances.
        broken: Protections switched off in the shell or the guard (mutants only).
        lying_reads: Stale readings claim to be new (a cache behind the target's back).
    """

    seed: int
    mode: Mode
    effects: int = 1_500
    faults: Faults = field(default_factory=Faults)
    broken: frozenset[str] = frozenset()
    lying_reads: bool = False

    @staticmethod
    def of(seed: int, *, effects: int = 1_500, broken: frozenset[str] = frozenset()) -> "Options":
        """Return a seed's options: modes take turns, the storm's strength is drawn."""
        mode = tuple(Mode)[seed % len(Mode)]
        storm = Random(seed * 7919 + 1).choice((0.3, 1.0, 1.0, 2.5))
        faults = Faults().scaled(storm)
        if mode is Mode.CALM:  # who else writes and what is doubled cannot be told apart here
            calm = {n: getattr(faults, n) for n in faults.__dataclass_fields__}
            faults = Faults(**{
                **calm,
                "meddle": 0.0,
                "quarrel": 0.0,
                "duplicated": 0.0,
                "partial": 0.0,
            })
        return Options(seed=seed, mode=mode, effects=effects, faults=faults, broken=broken)
