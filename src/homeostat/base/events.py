"""What enters `loop.step` (events) and what leaves it (commands).

The shell writes each event to the journal before the step and each command before it is sent;
replay feeds the events again and must get the same commands, bit for bit.
"""

from dataclasses import dataclass

from homeostat.base.actions import Action, ActionKind
from homeostat.base.autonomy import Grant
from homeostat.base.decisions import DecisionRecord, Notice, Outcome
from homeostat.base.evidence import Evidence, Family, Incident
from homeostat.base.intent import ActionRecord, Intent, Receipt
from homeostat.base.learning import Lesson, Seating
from homeostat.base.policy import KillLevel, Managed, Mode
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.training import Lineage, TrainingOrder, TrainingSight, VersionMark
from homeostat.base.units import TimeNs
from homeostat.base.words import CalledNormal
from homeostat.base.world import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """What one deployment's guards must know of the rest of the fleet.

    Attributes:
        targets: Managed deployments in the fleet, this one included.
        targets_changing: Other deployments with an action in flight.
        replicas: Replicas in the fleet, as last read.
        replicas_changing: Replicas that other deployments' actions in flight touch.
        anomalous: Deployments (this one included) that went anomalous within G6's window.
        actions_last_hour: Actions of all other deployments in the last hour.
        sensors_ok: False when the controller's own scraper or targets' APIs are unhealthy.
        sharing_changing: Of the others with an action in flight, those that share something (a node
            pool, say) with this one.
        trying: Other deployments with a canary that is being compared: they change nothing
            meanwhile, and stop nothing but another canary.
        sharing_trying: Of those, the ones that share something with this one.
    """

    targets: int = 1
    targets_changing: int = 0
    replicas: int = 0
    replicas_changing: int = 0
    anomalous: int = 0
    actions_last_hour: int = 0
    sensors_ok: bool = True
    sharing_changing: int = 0
    trying: int = 0
    sharing_trying: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The controller started or took over; `epoch` is higher than any before it.

    `code` says which code decides from here on; empty in journals from before it was recorded.
    """

    at: TimeNs
    epoch: int
    managed: Managed
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """One tick's evidence, with what else the guards need at that moment."""

    at: TimeNs
    evidence: Evidence
    fleet: FleetView
    kill: KillLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldRead:
    """The answer to `ReadWorld`; `world` is None when the target could not be read."""

    at: TimeNs
    world: Snapshot | None
    kill: KillLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A receipt came, or its deadline passed (status UNKNOWN, made by the shell)."""

    at: TimeNs
    receipt: Receipt
    kill: KillLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person answered a question.

    `deployment` is empty in a journal that belongs to one deployment: decision ids are unique
    within it, and only there. `fleet` is what else was going on at that moment; None in journals
    from before it was recorded: what the last tick saw.

    Attributes:
        principal: Whose token it was: a person's name, `owner` for the shared token. `by` is the
            same for a person, and what the holder of the shared token said otherwise.
        action_hash: SHA-256 of the action that was asked about; empty where nobody said.
        evidence_hash: SHA-256 of what the question rested on; empty where nobody said.
        origin: Where it came from: an address and a program.
    """

    at: TimeNs
    decision_id: str
    approved: bool
    by: str
    why: str
    kill: KillLevel
    deployment: str = ""
    fleet: FleetView | None = None
    principal: str = ""
    origin: str = ""
    action_hash: str = ""
    evidence_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoRequested:
    """A person wants a finished action taken back; the four after `kill` as in `Approval`.

    With `harm` it is no person but the watch after a promotion, which found that it does harm.
    """

    at: TimeNs
    decision_id: str
    by: str
    kill: KillLevel
    deployment: str = ""
    why: str = ""
    principal: str = ""
    origin: str = ""
    harm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRequested:
    """A person wants the canary's pool to get traffic, rung by rung; the rest as in `Approval`."""

    at: TimeNs
    by: str
    kill: KillLevel
    why: str = ""
    deployment: str = ""
    fleet: FleetView | None = None
    principal: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconfigured:
    """A new configuration was read and found good (mode and freezes arrive this way too).

    `file_mode` is the mode that the file itself names, whichever is in force; None when it is not
    the file that speaks, and in journals from before it was recorded. `why`, `principal` and
    `origin` are a person's, as in `Approval`.
    """

    at: TimeNs
    managed: Managed
    by: str
    file_mode: Mode | None = None
    why: str = ""
    principal: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJumped:
    """The wall clock moved against the monotonic one; observe only for a while."""

    at: TimeNs
    by_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """The answer to `Rehearse`; the rehearsal says itself when it is none.

    `fleet` as in `Approval`.
    """

    at: TimeNs
    rehearsal: Rehearsal
    kill: KillLevel
    fleet: FleetView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A person gave a kind of action leave to run unasked, or took it back; the fact is kept."""

    at: TimeNs
    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class AutonomySet:
    """What the ledger of all deployments says may run unasked on this one, from here on.

    Attributes:
        at: When.
        auto_kinds: The kinds; never more than the policy names.
        because: What changed, one sentence each.
    """

    at: TimeNs
    auto_kinds: tuple[ActionKind, ...]
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A person says what an incident was, or that something was missed; see `base.feedback`.

    Attributes:
        at: When it was said.
        by: Who; `principal` and `origin` as in `Approval`.
        real: There was trouble.
        incident_id: The incident; empty for a time without one.
        about: That time; None for an incident.
        family: What it was, None where nobody said.
        why: The reason, for the record.
        deployment: As in `Approval`.
    """

    at: TimeNs
    by: str
    real: bool
    incident_id: str = ""
    about: TimeNs | None = None
    family: Family | None = None
    why: str = ""
    deployment: str = ""
    principal: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackReset:
    """A person wants all that was said forgotten, or learning to go on where it stopped."""

    at: TimeNs
    by: str
    everything: bool = False
    why: str = ""
    deployment: str = ""
    principal: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSeen:
    """The answer to `LookAtTraining`; `sight` is None when the trainer could not be read."""

    at: TimeNs
    key: str
    sight: TrainingSight | None
    kill: KillLevel


Event = (
    Started
    | Ticked
    | WorldRead
    | Received
    | Approval
    | UndoRequested
    | CanaryRequested
    | Reconfigured
    | ClockJumped
    | Rehearsed
    | Granted
    | AutonomySet
    | Confirmed
    | CalledNormal
    | FeedbackReset
    | TrainingSeen
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadWorld:
    """Read the target (uncached) and answer with `WorldRead` by `deadline`."""

    deployment: str
    deadline: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Carry the intent out and answer with `Received` by its deadline. Journaled durably first."""

    intent: Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Stamp the target with our epoch (no lever changes) so that older writes cannot land."""

    deployment: str
    actuator: str
    epoch: int
    deadline: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Nothing to do in the world: a fact for the journal and for people.

    One of: an action record that changed state, a decision, an incident that opened, changed or
    closed (`open` False), an outcome, a person's grant, what a learner said and what came of it,
    where a version came from.
    """

    fact: ActionRecord | DecisionRecord | Incident | Outcome | Grant | Seating | Lesson | Lineage
    open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Tell people."""

    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearse:
    """Ask the twin what candidates would do, from the latest tick on; answered by `Rehearsed`.

    Changes nothing in the world. The loop does not wait for the answer beyond `deadline`: one that
    does not come is unknown.

    Attributes:
        id: `r-NNNN`, unique within the deployment's journal.
        deployment: The managed model's name.
        at: When it was asked.
        candidates: Actions, best first.
        horizon_ns: How far to look.
        draws: How many.
        seed: Equal questions have equal answers.
        deadline: When the loop goes on without an answer.
    """

    id: str
    deployment: str
    at: TimeNs
    candidates: tuple[Action, ...]
    horizon_ns: int
    draws: int
    seed: int
    deadline: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class AskTraining:
    """Ask the trainer for a training, once; answered by `Received`. Journaled durably first."""

    order: TrainingOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtTraining:
    """Ask the trainer how an order stands, and answer with `TrainingSeen` by `deadline`.

    Changes nothing there.
    """

    deployment: str
    key: str
    deadline: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkVersion:
    """Tell the trainer what became of a version; answered by `Received`. Durable first."""

    mark: VersionMark


Command = (
    ReadWorld
    | Write
    | Claim
    | Record
    | Tell
    | Rehearse
    | AskTraining
    | LookAtTraining
    | MarkVersion
)
