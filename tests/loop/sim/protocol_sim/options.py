"""What one simulated run is made of: a seed becomes printed options, and nothing else."""

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from random import Random
from typing import Final

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.policy import GuardPolicy, LeverLimit
from homeostat.base.units import SECOND
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


TICK: Final = SECOND  # the world counts ticks; the core sees nanoseconds
# Quiesce exceeds the longest delay of a request (40), as rule R3 asks.
TIMING: Final = Timing(
    receipt_deadline_ns=6 * TICK,
    readiness_deadline_ns=25 * TICK,
    verify_ns=18 * TICK,
    blind_ns=12 * TICK,
    approval_ttl_ns=20 * TICK,
    readback_deadline_ns=30 * TICK,
    quiesce_ns=45 * TICK,
    fresh_ns=10 * TICK,
    ramp_ns=40 * TICK,
)
MAX_DELAY: Final = 40
MAX_PAUSE: Final = 25
MAX_SKEW: Final = 20
LEASE_TICKS: Final = 15
JUMP_TICKS: Final = 5  # as the loop: observe only for so long after the wall clock was stepped

BATCH: Final = names.BATCH_MAX
BATCH_WAIT: Final = names.BATCH_WAIT
INCARNATION: Final = names.lever_incarnation("a-1")
REPLICAS: Final = names.lever_replicas("a")
WEIGHT: Final = names.lever_weight("b")
BOUNDS: Final = {
    BATCH: (1, 32), BATCH_WAIT: (0, 40), INCARNATION: (0, 10**9), REPLICAS: (2, 8), WEIGHT: (0, 60)
}  # fmt: skip
OWN_BOUNDS: Final = (0, BOUNDS[BATCH][1])  # of a replica's own largest batch; 0 = it has none
MAX_BUSY: Final = 2  # deployments that may be changed at once, of three; one without CAS
MOST_LOST: Final = 0.25  # of the replicas, in one step down
PRICE_USD: Final = 1.0
FALLBACK_REPLICAS: Final = 3
BUDGETS_USD: Final = (9.0, 10.0)  # a policy and its reload: six or seven replicas, and the fallback

POLICY: Final = GuardPolicy(
    fresh_scrapes=10.0,
    limits=(
        LeverLimit(lever="replicas.", low=2.0, high=8.0, step_down=MOST_LOST),
        LeverLimit(lever=BATCH, low=1.0, high=32.0, step_down=0.5),
        LeverLimit(lever=BATCH_WAIT, low=0.0, high=40.0, step_down=1.0),
        LeverLimit(lever="weight.", low=0.0, high=60.0),
    ),
    cooldown_scrapes=2.0,
    scale_in_scrapes=4.0,
    watch_scrapes=8.0,
    actions_per_hour=1_000,
    fleet_actions_per_hour=3_000,
    targets_share=0.67,
    replicas_share=0.5,
    budget_usd_per_hour=BUDGETS_USD[0],
    auto_kinds=tuple(ActionKind),
    granted_by="R. Ashby",
    approval_ttl_scrapes=20.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Chances per effect, per message or per look of each fault."""

    # Processes, per effect.
    crash: float = 0.003
    crash_after: float = 0.002  # the effect happened, its answer is never seen
    pause: float = 0.010
    steal: float = 0.002  # the lease
    # Other people and switches, per effect.
    meddle: float = 0.003
    throw_kill: float = 0.003
    hide_kill: float = 0.003
    request_abort: float = 0.003
    reload: float = 0.002  # the policy, in the middle of whatever happens
    trouble: float = 0.004  # objectives missed for a while, or a replica that hangs
    clock_step: float = 0.002  # of the wall clock
    die: float = 0.0  # a replica, for a while; where single ones can be set (`Options.of`)
    quarrel: float = 0.04  # per landed write: a person takes it back at once
    clock_skew: float = 0.4  # per start of a process
    # The network and the target, per message.
    lost_request: float = 0.06
    lost_reply: float = 0.06
    delayed: float = 0.12
    duplicated: float = 0.05
    broken_reply: float = 0.03  # a reply that proves nothing: UNKNOWN
    doubled_reply: float = 0.03
    other_reply: float = 0.02  # a reply that names another write
    lying_reply: float = 0.15  # "done", of a request that was lost
    partial: float = 0.10  # without compare-and-set: levers land one by one
    # Readings of the target, per reading.
    read_failed: float = 0.05
    read_stale: float = 0.08
    read_incomplete: float = 0.02
    read_absurd: float = 0.01
    read_partly: float = 0.0  # own values are told of some replicas only (`Options.of`)
    flapping: float = 0.05  # ready, not ready, ready
    # The journal, per append.
    disk_full: float = 0.004
    fsync_failed: float = 0.004
    torn: float = 0.003
    # People's answers, per question.
    late_answer: float = 0.05
    doubled_answer: float = 0.05
    # Metrics, per question to the guard; one of METRIC_FAULTS.
    metrics: float = 0.10

    def scaled(self, by: float) -> "Faults":
        return Faults(**{one.name: getattr(self, one.name) * by for one in fields(self)})


NO_FAULTS: Final = Faults().scaled(0.0)


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
        first: The targets can give a batch to single replicas, which others are compared with.
    """

    seed: int
    mode: Mode
    effects: int = 1_500
    faults: Faults = field(default_factory=Faults)
    broken: frozenset[str] = frozenset()
    lying_reads: bool = False
    first: bool = False

    @staticmethod
    def of(seed: int, *, effects: int = 1_500, broken: frozenset[str] = frozenset()) -> "Options":
        """Return a seed's options: modes take turns, the storm's strength is drawn."""
        mode = tuple(Mode)[seed % len(Mode)]
        storm = Random(seed * 7919 + 1).choice((0.3, 1.0, 1.0, 2.5))
        faults = Faults().scaled(storm)
        if mode is Mode.CALM:
            # Who else writes and what is doubled cannot be told apart here; and how long a write of
            # an action that has ended may be on its way is known by clocks that agree. (Of one
            # that has not, a takeover counts anew: see `explore`.)
            faults = replace(
                faults, meddle=0.0, quarrel=0.0, duplicated=0.0, partial=0.0, clock_skew=0.0
            )
        first = sets_some_first(seed)
        if first:
            faults = replace(faults, die=0.004 * storm, read_partly=0.05 * storm)
        return Options(
            seed=seed, mode=mode, effects=effects, faults=faults, broken=broken, first=first
        )


def sets_some_first(seed: int) -> bool:
    """Return whether a seed's targets can set single replicas: one of three of every mode."""
    return seed // len(Mode) % 3 == 1
