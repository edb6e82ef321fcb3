"""What the guard kernel sees and what it answers.

`guard(action, state, now)` in `safety.guard` is total: it maps every `GuardState` to one of three
answers. Counters come from the journal through `past`, so a restart does not reset them.
"""

from dataclasses import dataclass
from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.base.budgets import Accounts
from homeostat.base.decisions import Effect
from homeostat.base.events import FleetView
from homeostat.base.evidence import Evidence
from homeostat.base.intent import ActionRecord
from homeostat.base.policy import KillLevel, Managed
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.units import MINUTE, TimeNs
from homeostat.base.world import Scalar, Snapshot

# By the wall and not in scrapes: replicas take as long to start, and users to come back, however
# often somebody looks.
CAPACITY_NS: Final = 30 * MINUTE
TURNS_NS: Final = 15 * MINUTE
GROWS: Final = frozenset({ActionKind.SCALE_UP, ActionKind.RESIZE_UP, ActionKind.BATCH_UP})
SHRINKS: Final = frozenset({ActionKind.SCALE_DOWN, ActionKind.RESIZE_DOWN, ActionKind.BATCH_DOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAction:
    """One action that reached the world, as the counters need it.

    Attributes:
        id: The action record's id.
        kind: What was done.
        subject: The part it was done to.
        at: When its first write was sent.
        effect: What it did, None while not yet known.
        exempt: Whether it ran under an exemption.
        levers: The levers that it moved.
    """

    id: str
    kind: ActionKind
    subject: str
    at: TimeNs
    effect: Effect | None = None
    exempt: bool = False
    levers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The most that a pool had to carry in a stretch of time over which it was watched.

    Attributes:
        pool: The pool.
        since: The stretch's first tick.
        until: Its last one so far.
        milli: The most work there was, in thousandths of what one replica can carry.
    """

    pool: str
    since: TimeNs
    until: TimeNs
    milli: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value that a lever had, and how the deployment was served with it.

    Attributes:
        lever: The lever.
        value: Its value.
        version: The stable pool's version meanwhile; what served with another proves nothing.
        since: The first tick on which it was seen.
        until: The last one so far.
        ticks: Consecutive ticks with the objectives met and nothing suspected, up to `until`.
        served: Whether there were ever enough of them in a row to trust it, as with a version.
        rate_milli: The most requests there were meanwhile, per second and replica in rotation, in
            thousandths; 0 when none were measured.
    """

    lever: str
    value: Scalar
    version: str
    since: TimeNs
    until: TimeNs
    ticks: int = 0
    served: bool = False
    rate_milli: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slower:
    """A replica whose device is slower than that of each of its peers, and since when.

    Attributes:
        replica: Its name.
        incarnation: Of the process; a new one is another matter.
        since: The first tick of those without a break.
        until: The last one.
    """

    replica: str
    incarnation: int
    since: TimeNs
    until: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardState:
    """Everything that may forbid an action.

    Attributes:
        managed: The deployment's configuration and policy.
        evidence: The latest tick's evidence, None before the first.
        world: The deployment as last read back, None if it could not be read.
        fleet: What else is going on.
        kill: The kill switch.
        in_flight: The deployment's action in flight, None if there is none.
        past: Actions that reached the world, oldest first, at least the last hour's.
        tries: Ineffective actions on the current incident.
        peak_replicas: Most replicas in rotation within the scale-in window and the last half hour.
        observe_until: Observe only until then (clock jump, start-up); None if not.
        verified: Pool and version pairs that served within the objectives long enough.
        foreign_until: Somebody else wrote to the deployment: change nothing before then. None if
            nobody did.
        rehearsal: The latest answer of the twin, None if there is none. It can only forbid.
        loads: What the pools had to carry lately, oldest first within each pool, without a gap.
        settings: Per lever the value that last served well, if it is no longer live, then the live
            one.
        slower: Replicas that are slower than each of their peers.
        epoch: The controller's epoch; None where it has taken over nothing yet.
        accounts: Counts of promises and money, as of the latest tick; None where none is kept.
        peak_room_milli: Most requests at once that the stable pool's replicas in rotation had room
            for within `CAPACITY_NS`, in thousandths; one each where concurrency is no lever. 0
            where nothing is remembered.
        moves: What moved levers of capacity, oldest first: of each lever all that `TURNS_NS` holds
            and the last one before.
    """

    managed: Managed
    evidence: Evidence | None
    world: Snapshot | None
    fleet: FleetView
    kill: KillLevel
    in_flight: ActionRecord | None
    past: tuple[PastAction, ...]
    tries: int
    peak_replicas: int
    observe_until: TimeNs | None
    verified: tuple[tuple[str, str], ...] = ()
    foreign_until: TimeNs | None = None
    rehearsal: Rehearsal | None = None
    loads: tuple[Load, ...] = ()
    settings: tuple[Setting, ...] = ()
    slower: tuple[Slower, ...] = ()
    epoch: int | None = None
    accounts: Accounts | None = None
    moves: tuple[PastAction, ...] = ()
    peak_room_milli: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """The action may run without asking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """The action may not run; one sentence per guard that said no."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedApproval:
    """The action may run if a person says yes within the time to live."""

    reasons: tuple[str, ...]
    ttl_ns: int


GuardAnswer = Allow | Deny | NeedApproval
