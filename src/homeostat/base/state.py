"""What the decision loop remembers of one deployment between two events.

A plain value: snapshots of it are journaled, and replay rebuilds it bit for bit.
"""

from dataclasses import dataclass

from homeostat.base.actions import Action, ActionKind
from homeostat.base.budgets import Accounts
from homeostat.base.canary import AlikeState, CanaryConfig, CanaryJudgement, CanaryState
from homeostat.base.events import CanaryRequested, FleetView
from homeostat.base.evidence import Evidence, Family, Incident
from homeostat.base.feedback import FeedbackState
from homeostat.base.guard import Load, PastAction, Setting, Slower
from homeostat.base.intent import ActionRecord
from homeostat.base.learning import SeatState
from homeostat.base.policy import KillLevel, Managed, Mode
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.training import Lineage
from homeostat.base.units import TimeNs
from homeostat.base.world import Scalar, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """How long one suspicion has lasted without a break.

    Attributes:
        family: The suspected kind of fault.
        subject: The suspected part.
        ticks: Consecutive ticks on which it was the foremost suspicion.
        since: The first of them.
        gap: Ticks since then on which nothing was suspected; of those that may come and go.
        unclear: Ticks since the last of them on which nothing explained what goes on.
        missed: Consecutive ticks on which the objectives were missed, however explained.
    """

    family: Family
    subject: str
    ticks: int
    since: TimeNs
    gap: int = 0
    unclear: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverMove:
    """A lever that somebody else moved: from what, to what, and when that was seen."""

    lever: str
    was: Scalar
    now: Scalar
    at: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLevers:
    """Levers as last read, sorted by name, and what others moved lately; see `loop.meddling`."""

    levers: tuple[tuple[str, Scalar], ...]
    moves: tuple[LeverMove, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far one replica's device is behind its peers', as the logarithm of a ratio.

    Attributes:
        replica: The slot.
        incarnation: Of the process that was compared.
        ticks: In the block that is being filled.
        total: Sum over them.
        blocks: Whole blocks from which what is usual was learnt.
        usual: Their mean.
        grown: What was above it and above what is allowed, summed over blocks, at least 0.
        last: The mean of the last whole block.
    """

    replica: str
    incarnation: int
    ticks: int = 0
    total: float = 0.0
    blocks: int = 0
    usual: float = 0.0
    grown: float = 0.0
    last: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One version of one pool on its way to being trusted.

    Attributes:
        pool: The pool.
        version: The version it runs.
        ticks: Consecutive ticks with the objectives met and nothing suspected.
    """

    pool: str
    version: str
    ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Fading sums over (batch size x, device time y in ms) pairs of one version.

    Attributes:
        version: The version.
        n: Pairs.
        x: Sum of sizes.
        y: Sum of times.
        xx: Sum of squared sizes.
        xy: Sum of products.
        yy: Sum of squared times.
    """

    version: str
    n: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the twin was asked last.

    Attributes:
        id: The question's.
        incident_id: The incident it was asked for; empty = in calm.
        at: When it was asked.
        deadline: When the loop goes on without an answer.
        candidates: What was asked about.
        answered: Whether an answer came, or its time is over.
    """

    id: str
    incident_id: str
    at: TimeNs
    deadline: TimeNs
    candidates: tuple[Action, ...]
    answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A ramp's two pools side by side, from its first rung to its promotion, and a while after.

    Attributes:
        action_id: The ramp.
        canary: The pool that is tried.
        stable: The pool that it is compared with.
        config: What is promised; as it was when the ramp began.
        judge: What the judge remembers.
        share: The pool's weight as last read; a stretch in which it changes is not compared.
        rung_from: Judged stretches before it had this weight.
        asked_at: When a person was asked whether it may go on unproven.
        judgement: The latest one, None before the first.
        watch: What the judge remembers since its promotion, None before.
        watch_until: When the watch after its promotion ends, None before it began.
        watched_ns: How long of the watch everything that was compared before was seen and served.
        watched_on: The watch was made longer once, because too little was seen.
    """

    action_id: str
    canary: str
    stable: str
    config: CanaryConfig
    judge: CanaryState
    share: Scalar | None = None
    rung_from: int = 0
    asked_at: TimeNs | None = None
    judgement: CanaryJudgement | None = None
    watch: CanaryState | None = None
    watch_until: TimeNs | None = None
    watched_ns: int = 0
    watched_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A shift of traffic to the fallback pool beside the pool that it leaves, over all its rungs.

    Which of the slow answers failed as well is in no page, so each question counts what could speak
    against its answer: `harm` the fewest bad answers of the fallback and the most of the pool that
    is left, `proof` the other way round.

    Attributes:
        action_id: The shift.
        to: The fallback pool.
        left: The pool that the traffic leaves.
        config: What is promised; as it was when the comparison began.
        harm: What the judge of harm remembers.
        proof: What the judge of the certificate remembers.
        limit_ms: Slower answers are bad as well; None = failures alone are compared.
        share: The fallback's weight as last read; a stretch in which it changes is not compared.
        rung_from: Judged stretches before it had this weight.
        missed: Whether the pool that is left missed its objectives when that was last known.
        harmed: The latest judgement of harm, None before the first.
        proven: The latest judgement of the certificate, None before the first.
    """

    action_id: str
    to: str
    left: str
    config: CanaryConfig
    harm: CanaryState
    proof: CanaryState
    limit_ms: float | None = None
    share: Scalar | None = None
    rung_from: int = 0
    missed: bool = False
    harmed: CanaryJudgement | None = None
    proven: CanaryJudgement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person is, or was last, asked; see `loop.approving`.

    Attributes:
        decision_id: The question's.
        action_hash: SHA-256 of the action.
        evidence_hash: SHA-256 of `seen`.
        seen: What it rests on, as (name, words).
        requested_by: The person who wants the action, empty if the controller does.
        agreed: Who has said yes so far, where one is not enough.
    """

    decision_id: str
    action_hash: str
    evidence_hash: str
    seen: tuple[tuple[str, str], ...]
    requested_by: str = ""
    agreed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ebb:
    """What the score alone told of, and what nothing came of; see `loop.ebbing`.

    Attributes:
        incident_id: The open incident that is followed, empty = none.
        peak: The most evidence of it, as -log10 of a p-value.
        now: What was off in it, as (subject, signal), sorted.
        harmless: The score alone spoke so far, the objectives met, nothing done by anybody.
        held: On the last tick people were not told of it because it is like what came to nothing.
        outdo: The most evidence of those that nothing came of.
        off: What was off in them, as (subject, signal), sorted.
        at: When the last of them was over, None for never.
    """

    incident_id: str = ""
    peak: float = 0.0
    now: tuple[tuple[str, str], ...] = ()
    harmless: bool = True
    held: bool = False
    outdo: float = 0.0
    off: tuple[tuple[str, str], ...] = ()
    at: TimeNs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What people know of the open incident, where a budget was asked for; see `loop.telling`.

    Attributes:
        incident_id: The incident.
        told: They were told of it.
        held: It is confirmed, and on the last tick they were not told of it.
    """

    incident_id: str
    told: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """One deployment's decision state.

    Attributes:
        managed: Configuration and policy in force.
        epoch: The controller epoch that owns the deployment.
        decisions: Decisions taken so far (the last id's number).
        incidents: Incidents opened so far (the last id's number).
        evidence: The latest tick's evidence.
        world: The deployment as last read back.
        fleet: What else was going on at the last tick.
        kill: The kill switch as last read.
        streak: The foremost suspicion and how long it has lasted.
        incident: The open incident, None if there is none.
        calm_ticks: Consecutive ticks with the objectives met and nothing suspected.
        record: The action in flight, None if there is none.
        before: Objective signals when the action in flight was decided.
        helped_ticks: Consecutive ticks on which the action in flight was seen to help.
        harmed_ticks: Consecutive ticks on which it was seen to harm.
        finished: Recent finished actions, oldest first, so that a person can undo one.
        past: Actions that reached the world, for the guards' counters.
        tried: Kind and subject of actions that did not help the open incident, and, marked by
            `actions.barred`, of those that a person rejected or took back.
        trials: Versions on their way to being trusted.
        verified: Pool and version pairs that served within the objectives long enough.
        peaks: (time, replicas in rotation) maxima within the scale-in window and half an hour.
        rooms: (time, requests at once) maxima within half an hour, see `loop.rooms`.
        loads: What the pools had to carry lately (see `loop.watching`).
        settings: Values of levers and how well they served (see `loop.settings`).
        pace: How device time follows batch size, None before it is learnt (see `loop.pace`).
        slower: Replicas that are slower than each of their peers (see `loop.beside`).
        observe_until: Observe only until then.
        foreign_until: Somebody else wrote, or an undo failed for good: act on nothing until then.
        file_mode: The mode that the configuration file named last; a person may have set another.
        held_because: Why the last decision was to hold; a repeat is not recorded again.
        idle_at: When a hold without an incident was last recorded, None for never.
        questions: Rehearsals asked for so far (the last id's number).
        question: The last one, None before the first.
        rehearsal: Its answer, None while there is none.
        asked: What a person was last asked, None before the first question.
        auto_kinds: What may run unasked by the ledger of the fleet, None = as the policy says.
        accounts: Counts of promises and money; None where none is declared.
        comparison: The last ramp whose pools were compared, None before the first.
        moves: What moved levers of capacity lately (see `base.guard.GuardState`).
        seat: What the decision seat remembers, None before anybody was heard.
        feedback: What was learnt of what people said (see `loop.heeding`).
        seen_levers: What others moved (see `loop.meddling`), None before the first tick.
        lags: How far each replica is behind its peers (see `loop.straggling`).
        wish: A canary that somebody asked for, while the twin is asked about it.
        alike: What was learnt while both pools of a canary served the same version.
        lineages: Retrains that were asked for, oldest first; the newest are kept.
        leaving: The last shift to the fallback pool that was compared, None before the first.
        ebb: What the score told of and nothing came of, None before the first incident.
        telling: What people know of the open incident, None where no budget asks.
        anew: When a person called what is off now normal; None once a tick has taken it up.
    """

    managed: Managed
    epoch: int
    fleet: FleetView
    decisions: int = 0
    incidents: int = 0
    evidence: Evidence | None = None
    world: Snapshot | None = None
    kill: KillLevel = KillLevel.OFF
    streak: Streak | None = None
    incident: Incident | None = None
    calm_ticks: int = 0
    record: ActionRecord | None = None
    before: tuple[tuple[str, float], ...] = ()
    helped_ticks: int = 0
    harmed_ticks: int = 0
    finished: tuple[ActionRecord, ...] = ()
    past: tuple[PastAction, ...] = ()
    tried: tuple[tuple[str, str], ...] = ()
    trials: tuple[Trial, ...] = ()
    verified: tuple[tuple[str, str], ...] = ()
    peaks: tuple[tuple[TimeNs, int], ...] = ()
    rooms: tuple[tuple[TimeNs, int], ...] = ()
    loads: tuple[Load, ...] = ()
    settings: tuple[Setting, ...] = ()
    pace: Pace | None = None
    slower: tuple[Slower, ...] = ()
    observe_until: TimeNs | None = None
    foreign_until: TimeNs | None = None
    file_mode: Mode | None = None
    held_because: tuple[str, ...] = ()
    questions: int = 0
    question: Question | None = None
    rehearsal: Rehearsal | None = None
    asked: Asked | None = None
    auto_kinds: tuple[ActionKind, ...] | None = None
    accounts: Accounts | None = None
    comparison: Comparison | None = None
    moves: tuple[PastAction, ...] = ()
    seat: SeatState | None = None
    feedback: FeedbackState | None = None
    seen_levers: SeenLevers | None = None
    lags: tuple[Lag, ...] = ()
    wish: CanaryRequested | None = None
    alike: AlikeState | None = None
    lineages: tuple[Lineage, ...] = ()
    idle_at: TimeNs | None = None
    leaving: Leaving | None = None
    ebb: Ebb | None = None
    telling: Telling | None = None
    anew: TimeNs | None = None
