"""Every metric that `/metrics` may show, once: names, labels and what these may hold, and units.

The page, its documentation, the rule file and the dashboard are all made from this table, so that
none of them can name what is not there. Labels are bounded: either the values are listed here, or
they are names from the configuration. Nothing that comes from outside (a replica's name, a
person's words, an answer of a server) is ever a label.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Effect
from homeostat.base.evidence import Quality
from homeostat.base.intent import ActionState, ReceiptStatus
from homeostat.base.policy import Mode

PREFIX: Final = "homeostat_"
OTHER: Final = "other"
"""What a label says whose value is none of those listed."""


class Kind(StrEnum):
    """What a metric is to Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """What one of a metric's numbers counts."""

    NONE = "number"
    SECONDS = "seconds"
    SHARE = "share"
    YES = "1 or 0"
    LOG = "natural logarithm"
    MONEY = "currency"


class Part(StrEnum):
    """Which of its concerns a metric belongs to; the rows of the dashboard, in this order."""

    ALIVE = "Is the controller alive"
    DEPLOYMENTS = "Deployments"
    ACTIONS = "Decisions and actions"
    BUDGETS = "Error budgets and money"
    CANARY = "Canary"
    LEARNING = "Learning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One label.

    Attributes:
        name: Its name.
        values: All that it may hold, besides `other`; empty for names from the configuration.
    """

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric.

    Attributes:
        name: Without the prefix; a counter's without `_total`.
        kind: Counter, gauge or histogram.
        text: What it says; also its help on the page.
        labels: In the order in which values are given.
        unit: Of a sample; of a histogram, of what was observed.
        part: Where it is shown.
        words: Of a gauge that enumerates: a word for each number.
    """

    name: str
    kind: Kind
    text: str
    part: Part
    labels: tuple[Label, ...] = ()
    unit: Unit = Unit.NONE
    words: tuple[tuple[int, str], ...] = ()

    @property
    def full(self) -> str:
        """Its name on the page, as the type line has it."""
        return PREFIX + self.name

    @property
    def samples(self) -> tuple[str, ...]:
        """The names that a query may ask for."""
        match self.kind:
            case Kind.COUNTER:
                return (f"{self.full}_total",)
            case Kind.GAUGE:
                return (self.full,)
            case Kind.HISTOGRAM:
                return tuple(f"{self.full}_{end}" for end in ("bucket", "sum", "count"))


TRIGGERS: Final = ("intent", "readback", "applied", "settling", "verifying", "blameless")
"""What made an action go back: the state that it was in, or `blameless` where it did no harm."""
SPAN_ENDS: Final = ("sent", "dropped", "failed")
NOTICE_ENDS: Final = ("told", "failed")
SIDES: Final = ("harm", "safe")
PERIODS: Final = ("hour", "day", "month")
ENDS: Final = tuple(state.value for state in ActionState if state.is_terminal)
CAUSES: Final = tuple(quality.value for quality in Quality if quality is not Quality.GOOD)

_WHERE: Final = Label(name="deployment")
_ACTION: Final = Label(name="action", values=tuple(kind.value for kind in ActionKind))
_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_S, _YES, _SHARE = Unit.SECONDS, Unit.YES, Unit.SHARE
_ALIVE, _DEPLOYED, _ACTED = Part.ALIVE, Part.DEPLOYMENTS, Part.ACTIONS
_BUDGETS, _CANARY, _LEARNING = Part.BUDGETS, Part.CANARY, Part.LEARNING
_CHOICE: Final = Label(name="decision", values=("apply", "ask", "hold"))
_MODE: Final = Label(name="mode", values=tuple(mode.value for mode in Mode))
_EFFECT: Final = Label(name="effect", values=tuple(effect.value for effect in Effect))
_RULES: Final = Label(name="rule", values=tuple(f"G{number}" for number in range(100)))
_END: Final = Label(name="state", values=ENDS)
_STATUS: Final = Label(name="status", values=tuple(status.value for status in ReceiptStatus))
_SLO: Final = Label(name="slo")


def _row(
    name: str,
    kind: Kind,
    part: Part,
    text: str,
    *labels: Label,
    unit: Unit = Unit.NONE,
    words: tuple[tuple[int, str], ...] = (),
) -> Row:
    return Row(name=name, kind=kind, part=part, text=text, labels=labels, unit=unit, words=words)


TABLE: Final = (
    _row("leader", _GAUGE, _ALIVE, "1 while this controller leads and decides, 0 in standby.",
         unit=_YES),
    _row("loop_lag_seconds", _GAUGE, _ALIVE,
         "How overdue the next turn of the loop is; none in standby.", unit=_S),
    _row("loop_seconds", _HISTOGRAM, _ALIVE, "One turn of the control loop.", unit=_S),
    _row("journal_ok", _GAUGE, _ALIVE,
         "1 if the last write to the journal was kept, 0 if not; none before the first.",
         unit=_YES),
    _row("journal_failures", _COUNTER, _ALIVE,
         "Writes that the journal refused; nothing is decided or done without it."),
    _row("journal_epoch", _GAUGE, _ALIVE, "The epoch under which this controller leads."),
    _row("managed_deployments", _GAUGE, _ALIVE, "Deployments that this controller manages."),
    _row("kill_switch_level", _GAUGE, _ALIVE, "0 off, 1 no new actions, 2 nothing at all.",
         words=((0, "off"), (1, "no new actions"), (2, "nothing at all"))),
    _row("configuration_ok", _GAUGE, _ALIVE,
         "1 if the files as they are can be used, 0 if the last good ones are in force.",
         unit=_YES),
    _row("notices", _COUNTER, _ALIVE, "Notices to people, once for each way that they are told.",
         Label(name="notifier"), Label(name="result", values=NOTICE_ENDS)),
    _row("event_streams", _GAUGE, _ALIVE, "Clients that follow the event stream."),
    _row("spans", _COUNTER, _ALIVE, "Spans of decisions, where they are sent somewhere.",
         Label(name="result", values=SPAN_ENDS)),
    _row("build_info", _GAUGE, _ALIVE, "1; which version runs.", Label(name="version")),

    _row("objectives_met", _GAUGE, _DEPLOYED,
         "1 if the objectives were met on the last tick, 0 if not; none while unknown.", _WHERE,
         unit=_YES),
    _row("verdict_age_seconds", _GAUGE, _DEPLOYED,
         "Since it was last known whether the objectives are met.", _WHERE, unit=_S),
    _row("data_age_seconds", _GAUGE, _DEPLOYED, "Age of the newest believed value.", _WHERE,
         unit=_S),
    _row("evidence_missing", _COUNTER, _DEPLOYED,
         "Values that could not be believed, once a tick and series.", _WHERE,
         Label(name="cause", values=CAUSES)),
    _row("health_score", _GAUGE, _DEPLOYED, "Health, 0 to 100; none where nobody asked for one.",
         _WHERE),
    _row("autonomy_level", _GAUGE, _DEPLOYED, "0 shadow, 1 approve, 2 auto.", _WHERE,
         words=((0, "shadow"), (1, "approve"), (2, "auto"))),
    _row("open_incidents", _GAUGE, _DEPLOYED, "Incidents that are open.", _WHERE),
    _row("incident_recovery_seconds", _HISTOGRAM, _DEPLOYED,
         "From an incident's onset to its end.", _WHERE, unit=_S),
    _row("clock_jumps", _COUNTER, _DEPLOYED,
         "Times that the wall clock was set, or was behind the journal at a start.", _WHERE),

    _row("decisions", _COUNTER, _ACTED, "Decisions taken.", _WHERE, _ACTION, _CHOICE, _MODE),
    _row("blocked_actions", _COUNTER, _ACTED,
         "Actions refused, once per guard that said no.", _WHERE, _RULES),
    _row("safe_set_size", _GAUGE, _ACTED, "Actions permitted at the last decision.", _WHERE),
    _row("approvals_pending", _GAUGE, _ACTED, "Open questions.", _WHERE),
    _row("actions_inflight", _GAUGE, _ACTED, "Actions that are being carried out.", _WHERE),
    _row("action_overdue_seconds", _GAUGE, _ACTED,
         "How far the action in flight is past its state's deadline; 0 within it, or without one.",
         _WHERE, unit=_S),
    _row("actions", _COUNTER, _ACTED, "Actions that ended, by how.", _WHERE, _END),
    _row("action_duration_seconds", _HISTOGRAM, _ACTED,
         "From an action's proposal to its end, by how it ended.", _END, unit=_S),
    _row("receipts", _COUNTER, _ACTED, "Answers of targets to writes.", _WHERE, _STATUS),
    _row("rollbacks", _COUNTER, _ACTED,
         "Actions that were taken back, by the state that they were in.", _WHERE,
         Label(name="trigger", values=TRIGGERS)),
    _row("hands_off_seconds", _GAUGE, _ACTED,
         "How much longer a deployment is left alone: somebody else wrote, or an undo failed.",
         _WHERE, unit=_S),
    _row("outcomes", _COUNTER, _ACTED, "Actions whose effect was measured.", _WHERE, _EFFECT),
    _row("harm_upper_bound", _GAUGE, _ACTED,
         "Upper bound (95 %) of the probability of harm since the last one, by kind of action.",
         _ACTION, unit=_SHARE),

    _row("error_budget_left", _GAUGE, _BUDGETS, "Error budget left, 1 to 0; below 0 overspent.",
         _WHERE, _SLO, unit=_SHARE),
    _row("error_budget_seen", _GAUGE, _BUDGETS, "Share of the window that was seen.", _WHERE,
         _SLO, unit=_SHARE),
    _row("error_budget_burn_rate", _GAUGE, _BUDGETS, "Burn rate over a window.", _WHERE, _SLO,
         Label(name="window")),
    _row("error_budget_alert", _GAUGE, _BUDGETS, "1 on, 0 off; none while unknown.", _WHERE, _SLO,
         Label(name="factor"), unit=_YES),
    _row("spend", _GAUGE, _BUDGETS, "Cost of the day and month so far (UTC), and of an hour.",
         _WHERE, Label(name="period", values=PERIODS), Label(name="currency"), unit=Unit.MONEY),

    _row("canary_log_e_value", _GAUGE, _CANARY,
         "ln of the evidence for harm, and that it is safe; only while a canary is compared.",
         _WHERE, Label(name="metric"), Label(name="side", values=SIDES), unit=Unit.LOG),
    _row("canary_stands_out", _GAUGE, _CANARY,
         "1 where harm stands out of all canaries that are compared now (e-BH, 5 %), else 0.",
         _WHERE, unit=_YES),
    _row("canary_selfcheck_ramps", _GAUGE, _CANARY,
         "Ramps that two pools of one version were judged over; the newest 200.", _WHERE),
    _row("canary_selfcheck_false_alarms", _GAUGE, _CANARY, "Of those, how many ended in harm.",
         _WHERE),
    _row("canary_selfcheck_promised_rate", _GAUGE, _CANARY, "Share of them that may.", _WHERE,
         unit=_SHARE),
    _row("canary_selfcheck_failed", _GAUGE, _CANARY,
         "1 where nothing is promoted without a person for it, else 0.", _WHERE, unit=_YES),
    _row("canary_selfcheck_pools_ratio", _GAUGE, _CANARY,
         "What 19 of 20 ratios of the pools' errors stay below.", _WHERE),

    _row("twin_intervals_held", _GAUGE, _LEARNING,
         "Share of the last effects, 50 at most, that the twin's 90 % intervals held.", _WHERE,
         unit=_SHARE),
    _row("twin_overconfident", _GAUGE, _LEARNING,
         "1 where so few were held that autonomy is to drop to approve, else 0.", _WHERE,
         unit=_YES),
)  # fmt: skip

ROWS: Final[Mapping[str, Row]] = MappingProxyType({row.name: row for row in TABLE})
"""By name without the prefix."""
