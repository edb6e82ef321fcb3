"""All of base's nouns under one roof, in the order in which values flow.

Observation -> Signals -> Evidence (Anomaly, Forecast, Suspicion) -> Incident -> SafeSet ->
Proposal -> Decision (Apply | Ask | Hold) -> Intent -> Receipt -> Outcome.
"""

from homeostat.base.actions import (
    HOLD,
    Action,
    ActionKind,
    Proposal,
    Refusal,
    SafeSet,
    UndoKind,
)
from homeostat.base.decisions import (
    Apply,
    Ask,
    Decision,
    DecisionRecord,
    Effect,
    Hold,
    Notice,
    Outcome,
    Urgency,
)
from homeostat.base.evidence import (
    Anomaly,
    Evidence,
    Family,
    Forecast,
    Incident,
    Kind,
    Observation,
    Quality,
    Reading,
    SeriesKey,
    Signals,
    SourceReport,
    Suspicion,
    Verdict,
)
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.policy import GuardPolicy, KillLevel, LeverLimit, Managed, Mode, Objective
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Release, Replica, ReplicaState, Scalar, Snapshot, Stamp

__all__ = [
    "HOLD",
    "Action",
    "ActionKind",
    "ActionRecord",
    "ActionState",
    "Anomaly",
    "Apply",
    "Ask",
    "Decision",
    "DecisionRecord",
    "Effect",
    "Evidence",
    "Family",
    "Forecast",
    "GuardPolicy",
    "Hold",
    "Incident",
    "Intent",
    "KillLevel",
    "Kind",
    "LeverLimit",
    "Levers",
    "Managed",
    "Mode",
    "Notice",
    "Objective",
    "Observation",
    "Outcome",
    "Proposal",
    "Quality",
    "Reading",
    "Receipt",
    "ReceiptStatus",
    "Refusal",
    "Release",
    "Replica",
    "ReplicaState",
    "SafeSet",
    "Scalar",
    "SeriesKey",
    "Signals",
    "Snapshot",
    "SourceReport",
    "Stamp",
    "Suspicion",
    "TimeNs",
    "UndoKind",
    "Urgency",
    "Verdict",
]
