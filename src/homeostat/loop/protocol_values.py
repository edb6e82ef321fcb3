"""What enters and leaves the action protocol: news, demands and timing. No behaviour.

News is what the caller has learnt; demands are what the caller must do next. Neither knows how
anything is read, written or asked: `loop.protocol` stays sans-I/O.
"""

from dataclasses import dataclass
from typing import Final

from homeostat.base import names
from homeostat.base.decisions import Effect
from homeostat.base.intent import Intent, Proof, Receipt
from homeostat.base.policy import KillLevel, Managed
from homeostat.base.training import TrainingSight
from homeostat.base.units import HOUR, MINUTE, SECOND, TimeNs
from homeostat.base.world import Levers, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardAllowed:
    """The guard, asked just now, lets the change pass.

    Attributes:
        evidence_at: Time of the evidence it judged; None: the world's own time is taken.
    """

    evidence_at: TimeNs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardDenied:
    """The guard, asked just now, refuses; one sentence per guard."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardNeedsApproval:
    """Nothing forbids the change, but a person must say yes within `ttl_ns`."""

    ttl_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """A person said yes; the guard is asked again before anything is written.

    Attributes:
        by: Who, in words.
        people: Each of them once, where more than one was needed.
    """

    by: str
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A person said no."""

    by: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WroteReceipt:
    """An actuator answered, or its deadline passed (UNKNOWN). Receipts of old writes may come."""

    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSeen:
    """The target was read; None: it could not be read."""

    world: Snapshot | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectSeen:
    """The caller's verification verdict of this tick; listened to in VERIFYING only.

    Attributes:
        effect: What the change looks like.
        why: What a rung that goes on rests on, for people; empty where nobody says.
        compared: Of no change on the way to the fallback pool: both pools are compared, that pool
            does no harm, and the one that is left misses its objectives. The rung may last longer,
            and stays.
    """

    effect: Effect
    why: str = ""
    compared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed. Every state has a deadline; a tick past it moves the record on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Stop and go back. Always wins over success.

    Attributes:
        reason: For people.
        blameless: The change did no harm; something else needs it out of the way.
    """

    reason: str
    blameless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a compared ramp may be promoted on, from now on; listened to in VERIFYING only."""

    proof: Proof
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KillThrown:
    """The kill switch is thrown; the guard refuses what the level forbids, this stops the rest."""

    level: KillLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class TookOver:
    """This controller owns the record from now on; `epoch` is higher than any before it."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFound:
    """The trainer was read, and says how the order stands; `retrain` alone listens to it."""

    sight: TrainingSight


News = (
    GuardAllowed
    | GuardDenied
    | GuardNeedsApproval
    | Approved
    | Rejected
    | WroteReceipt
    | WorldSeen
    | EffectSeen
    | Tick
    | Abort
    | Proven
    | KillThrown
    | TookOver
    | TrainingFound
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskGuard:
    """Run the guard NOW, on fresh evidence, and feed the answer back.

    Attributes:
        change: The absolute values that would be written next.
        undo: True when they take this action back (exempt from cooldown, rate, freeze and
            approval, never from the kill switch's second level).
    """

    change: Levers
    undo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SendWrite:
    """Send this intent once the record that holds it is durable; never after its deadline."""

    intent: Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadWorldAgain:
    """Read the target, uncached, and feed `WorldSeen`."""

    deadline: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPerson:
    """Show the question until it expires."""

    expires_at: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTarget:
    """Stamp the target with our epoch, changing no lever, so that older writes cannot land.

    Carried out before any `ReadWorldAgain` that follows it. Allowed at kill level 1: it writes no
    lever and takes power away from requests already sent. At level 2 nothing at all is written, so
    what is in flight is not fenced. A target without compare-and-set may ignore it.
    """

    actuator: str
    epoch: int
    deadline: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Tell a person now."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskTrainer:
    """Send the order of a training once the record that holds its intent is durable."""

    intent: Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtTrainer:
    """Ask the trainer what it knows of the order, and feed `TrainingFound`."""

    deadline: TimeNs


LeverDemand = AskGuard | SendWrite | ReadWorldAgain | AskPerson | ClaimTarget | Page
Demand = LeverDemand | AskTrainer | LookAtTrainer


SAID_NO = "said no"  # in the reason of what a person rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long each state may last; nothing waits for ever.

    Attributes:
        receipt_deadline_ns: A write's result counts as UNKNOWN after this long.
        readiness_deadline_ns: An accepted change must be carried out within this long.
        verify_ns: The effect must show within this long after settling.
        blind_ns: An effect may go unseen this long before the change is kept or taken back.
        approval_ttl_ns: Longest time a question stays open; the guard may ask for less.
        readback_deadline_ns: Reading back, claiming and asking the guard may take this long.
        quiesce_ns: Without compare-and-set: a lost write is believed dead this long after its
            deadline. Must exceed the longest time a request can survive in the network.
        fresh_ns: A write may not rest on a reading older than this.
        fallback: Subject of the older version's pool, empty if there is none.
        ramp_ns: A rung of a compared ramp may last this long; a bound, not the usual.
        leave_ns: A rung to the fallback pool may last this long while both pools are compared and
            the one that is left misses its objectives.
        max_conflicts: Write attempts of one stage.
        max_undo: Failed attempts to take the action back before a person must.
        stopped: The kill switch is at its second level: what is due cannot go back, and that is no
            failed attempt.
    """

    receipt_deadline_ns: int = 5 * SECOND
    readiness_deadline_ns: int = MINUTE
    verify_ns: int = 2 * MINUTE
    blind_ns: int = 5 * MINUTE
    approval_ttl_ns: int = 15 * MINUTE
    readback_deadline_ns: int = 15 * SECOND
    quiesce_ns: int = 20 * SECOND  # lease 15 s + write deadline 5 s (takeover rule R3)
    fresh_ns: int = 30 * SECOND
    fallback: str = ""
    ramp_ns: int = 4 * HOUR
    leave_ns: int = 6 * MINUTE
    max_conflicts: int = 3
    max_undo: int = 3
    stopped: bool = False


# Half of the traffic at the fallback is proven to be better off after about ten stretches of two
# scrapes (`govern.leaving`), and the window without a comparison is eight scrapes.
LEAVE_TIMES: Final = 3.0


def timing_for(managed: Managed) -> Timing:
    """Return a deployment's timing from its guard settings; the rest keeps its default."""
    guard, scrape = managed.guard, managed.scrape_ns
    return Timing(
        receipt_deadline_ns=guard.receipt_deadline_ns,
        readiness_deadline_ns=guard.readiness_deadline_ns,
        verify_ns=round(guard.verify_scrapes * scrape),
        leave_ns=round(LEAVE_TIMES * guard.verify_scrapes * scrape),
        blind_ns=round(guard.blind_scrapes * scrape),
        approval_ttl_ns=round(guard.approval_ttl_scrapes * scrape),
        fresh_ns=round(guard.fresh_scrapes * scrape),
        ramp_ns=Timing().ramp_ns
        if managed.canary is None
        else managed.canary.max_wait_ns + round(guard.approval_ttl_scrapes * scrape),
        fallback="" if managed.fallback_pool is None else names.pool(managed.fallback_pool),
    )
