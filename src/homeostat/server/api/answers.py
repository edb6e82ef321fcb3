"""The shape of every answer to a read.

Answers are the dicts of `server.view_plain`; these models are their contract (unknown keys are an
error, so that the two cannot drift apart unseen). Times are seconds since the epoch.
"""

from typing import Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr

from homeostat.server.api.ahead import ForecastOut, HealthPartOut, HealthScoreOut
from homeostat.server.api.asked import QuestionOut
from homeostat.server.api.budgets import BudgetsOut, FreezeOut
from homeostat.server.api.foreseen import RehearsalOut
from homeostat.server.api.learnt import LearningOut
from homeostat.server.api.moved import MoveOut
from homeostat.server.api.schemas import Body
from homeostat.server.api.seen import ReadingOut, SuspicionOut, Verdict
from homeostat.server.api.then import DriftOut, FleetwideOut, PromiseOut, ThenOut

Lever = StrictInt | StrictFloat | StrictStr | None


class ObjectiveOut(Body):
    """What users were promised."""

    latency_p95_ms: float | None
    error_ratio: float | None
    accuracy: float | None


class ShortDecision(Body):
    """The last decision, in a row."""

    id: str
    at: float
    choice: Literal["apply", "ask", "hold"]
    kind: str
    subject: str
    state: str | None


class SummaryOut(Body):
    """One deployment in one row."""

    deployment: str
    mode: Literal["shadow", "approve", "auto"] | None
    frozen: bool | None
    health: Literal["ok", "learning", "unknown", "breach", "incident", "asking", "healing"]
    health_score: HealthScoreOut | None = Field(description="Null before the first tick.")
    at: float | None
    tick: int | None
    ready: bool | None
    slo_met: bool | None
    objective: ObjectiveOut | None
    numbers: list[ReadingOut]
    replicas_ready: int | None
    replicas_total: int | None
    believed_at: float | None = Field(description="Time of the newest value that is believed.")
    anomalies: int
    incidents_open: int
    pending: int
    in_flight: str | None
    last_decision: ShortDecision | None


class RowOut(SummaryOut):
    """A row with its anomaly ribbon: shares of anomalous series, oldest first, null unseen."""

    ribbon: list[float | None]


class FleetOut(Body):
    """Every deployment."""

    cursor: str
    now: float
    kill: Literal["off", "no_new", "nothing"]
    deployments: list[RowOut]


class AnomalyOut(Body):
    """One detector's claim."""

    detector: str
    subject: str
    signal: str
    verdict: Verdict
    neg_log10_p: float | None


class ReplicaOut(Body):
    """One replica slot as read back."""

    name: str
    pool: str
    version: str | None
    state: Literal["starting", "ready", "draining", "gone"]
    incarnation: int
    started_at: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None


class ReleaseOut(Body):
    """A version that a pool has run."""

    pool: str
    version: str
    since: float


class WorldOut(Body):
    """The deployment as last read back."""

    observed_at: float
    replicas: list[ReplicaOut]
    releases: list[ReleaseOut]
    levers: dict[str, Lever]
    spares: int
    changing: bool


class ActionOut(Body):
    """One action."""

    kind: str
    subject: str
    actuator: str
    change: dict[str, Lever]
    undo: Literal["exact", "compensating", "none"]
    ramp: list[float | None]
    replicas_touched: int
    cost_usd_per_hour: float | None
    settle_s: float
    exempt: bool
    beside: str


class OutcomeOut(Body):
    """An action's measured effect."""

    action_id: str
    deployment: str
    at: float
    effect: Literal["helped", "harmed", "no_change", "unknown"]
    before: dict[str, float | None]
    after: dict[str, float | None]


class ScoreOut(Body):
    """One considered action."""

    action: str
    score: float | None


class RefusalOut(Body):
    """One refused action and every reason why."""

    action: str
    reasons: list[str]


class AnswerOut(Body):
    """What a person said."""

    approved: bool
    by: str
    why: str
    at: float


class RungOut(Body):
    """One step of a ramp, and why it was taken."""

    state: str
    at: float
    reason: str


class RampOut(Body):
    """How a ramp went; `beside` and `proof` are empty where it is no canary's."""

    beside: str
    proof: Literal["", "asked", "unproven", "certified"]
    blameless: bool
    rungs: list[RungOut]


class DecisionOut(Body):
    """One decision with what became of it."""

    id: str
    deployment: str
    incident_id: str
    at: float
    choice: Literal["apply", "ask", "hold"]
    action: ActionOut | None
    because: list[str]
    expires_at: float | None
    considered: list[ScoreOut]
    allowed: list[str]
    refused: list[RefusalOut]
    policy_digest: str
    mode: str
    state: str | None
    pending: bool
    undoable: bool
    answer: AnswerOut | None
    outcome: OutcomeOut | None
    rehearsal: RehearsalOut | None
    ramp: RampOut | None = Field(description="Of a ramp: what each rung went on from.")
    learning: LearningOut | None = Field(description="Null: nobody was heard but the runbook.")
    then: ThenOut | None = Field(description="What it was taken with; kept of the newest.")
    question: QuestionOut | None = Field(description="While it is open and the loop is at hand.")
    moved: list[MoveOut] = Field(
        default=[], description="Lines of detection that feedback had moved by then, and whose."
    )


class IntentOut(Body):
    """The last write."""

    id: str
    actuator: str
    stage: int
    undo: bool
    pre: dict[str, Lever]
    post: dict[str, Lever]
    deadline: float


class ReceiptOut(Body):
    """The target's answer to a write."""

    intent_id: str
    status: Literal["done", "not_applied", "unknown"]
    at: float
    detail: str
    conflict: bool


class StepOut(Body):
    """One state an action went through."""

    state: str
    at: float
    reason: str


class ActionRecordOut(Body):
    """One action from proposal to its end."""

    id: str
    deployment: str
    incident_id: str
    action: ActionOut
    state: str
    terminal: bool
    epoch: int
    stage: int
    attempt: int
    undo_attempts: int
    undoable: bool
    first_pre: dict[str, Lever]
    intent: IntentOut | None
    receipt: ReceiptOut | None
    proposed_at: float
    state_since: float
    deadline: float
    blind_since: float | None
    reason: str
    approved_by: str
    steps: list[StepOut]
    outcome: OutcomeOut | None


class IncidentOut(Body):
    """One incident."""

    id: str
    deployment: str
    family: str
    subject: str
    opened_at: float
    confirmed_at: float | None
    closed_at: float | None
    open: bool
    tries: int
    escalated: bool
    because: list[str]


class NoticeOut(Body):
    """One message to people."""

    key: str
    deployment: str
    at: float
    urgency: Literal["info", "ask", "page"]
    title: str
    lines: list[str]


class DetailOut(SummaryOut):
    """Everything about one deployment."""

    cursor: str
    now: float
    kill: Literal["off", "no_new", "nothing"]
    epoch: int | None
    policy_digest: str | None
    scrape_s: float | None
    readings: list[ReadingOut]
    anomalous: list[AnomalyOut]
    suspicions: list[SuspicionOut]
    health_parts: list[HealthPartOut]
    forecasts: list[ForecastOut]
    promises: list[PromiseOut] = Field(description="Tests of objectives, where any is counted.")
    fleetwide: FleetwideOut | None = Field(description="Null where no such test is asked for.")
    drifts: list[DriftOut] = Field(description="Tests of histograms; nothing follows from them.")
    world: WorldOut | None
    world_failed_at: float | None
    incidents: list[IncidentOut]
    decisions: list[DecisionOut]
    actions: list[ActionRecordOut]
    notices: list[NoticeOut]
    questions: list[DecisionOut]
    budgets: BudgetsOut | None = Field(description="Null where nothing of the kind is declared.")
    freeze: FreezeOut | None = Field(description="In force, or the next one.")


class SeriesOut(Body):
    """One series: columns of equal length; `verdict` has one letter a tick (h, a, u)."""

    subject: str
    signal: str
    value: list[float | None]
    low: list[float | None]
    high: list[float | None]
    verdict: str


class SeriesListOut(Body):
    """Series over a shared time axis."""

    deployment: str
    cursor: str
    at: list[float]
    series: list[SeriesOut]


class DecisionsOut(Body):
    """Decisions, newest first."""

    decisions: list[DecisionOut]


class IncidentsOut(Body):
    """Incidents, newest first."""

    incidents: list[IncidentOut]


class ActionsOut(Body):
    """Actions, newest first."""

    actions: list[ActionRecordOut]


class HealthOut(Body):
    """The controller's own state."""

    now: float
    version: str
    cursor: str
    kill: Literal["off", "no_new", "nothing"]
    read_only: bool
    deployments: int
    newest_tick_at: float | None
    believed_at: float | None
    streams: int
