"""The rule file: what a Prometheus reckons from our metrics, and when it calls somebody.

The controller tells people of deployments itself. These rules are about the controller: silence
is what it cannot tell of. `HomeostatHeartbeat` fires for as long as all is well, for a receiver
that calls when it stops hearing it; that also covers a Prometheus that is gone.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

LATE_S: Final = 60
"""A loop that is this far behind is not a busy one: a tick is seconds, and a slow one is cut."""
OVERDUE_S: Final = 120
"""The protocol leaves every state by its deadline, on the next tick."""
UNKNOWN_S: Final = 600
"""Twice what a deployment that has just been changed may be blind for."""
FOR_GOOD_S: Final = 365 * 24 * 3600
"""A deployment that is left alone for longer waits for a person: an undo failed for good."""
REMEMBERED: Final = "1d"
"""So long an action counts as left in the middle after the last word of whoever led."""
JOB: Final = "homeostat"
_JOB_MAX: Final = 200


class Severity(StrEnum):
    """How an alert is to be sent on."""

    CRITICAL = "critical"  # somebody must look now
    WARNING = "warning"  # today
    INFO = "info"
    NONE = "none"  # nothing is wrong: it must go on firing


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        name: Its name, `Homeostat...`.
        expr: PromQL; `@` stands for the matcher of the job.
        wait: How long it must be so, as Prometheus writes it.
        severity: How it is to be sent on.
        summary: One line; may name labels as `{{ $labels.x }}`.
        todo: What to do, one sentence.
    """

    name: str
    expr: str
    wait: str
    severity: Severity
    summary: str
    todo: str


_WHO: Final = "{{ $labels.deployment }}"
_CRITICAL, _WARNING, _INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO

ALERTS: Final = (
    Alert(
        name="HomeostatSilent", wait="2m", severity=_CRITICAL,
        expr="absent(homeostat_leader{@})",
        summary="No controller answers.",
        todo="Start it again; the deployments serve on as they are, and nothing heals them.",
    ),
    Alert(
        name="HomeostatNobodyLeads", wait="2m", severity=_CRITICAL,
        expr="max by (job) (homeostat_leader{@}) == 0",
        summary="Controllers answer, and none of them leads.",
        todo="The log of one says who holds the lead, or why the journal cannot be had.",
    ),
    Alert(
        name="HomeostatLeftInTheMiddle", wait="2m", severity=_CRITICAL,
        expr=f"last_over_time(homeostat_actions_inflight{{@}}[{REMEMBERED}]) == 1"
        " unless on (job) (homeostat_leader{@} == 1)",
        summary=f"An action on {_WHO} was under way when the last controller fell silent.",
        todo="A canary keeps its share meanwhile. Start a controller on the same journal, which "
        "ends it; or set the share by hand.",
    ),
    Alert(
        name="HomeostatLoopStuck", wait="1m", severity=_CRITICAL,
        expr=f"homeostat_loop_lag_seconds{{@}} > {LATE_S}",
        summary="The control loop is {{ $value | humanizeDuration }} late: nothing is decided.",
        todo="Look for `tick` and `journal` in its log; start it again if they say nothing.",
    ),
    Alert(
        name="HomeostatJournalFailing", wait="1m", severity=_CRITICAL,
        expr="homeostat_journal_ok{@} == 0",
        summary="The journal refuses writes: nothing is decided or done.",
        todo="See whether its disk is full or its database down; the log says what it answered.",
    ),
    Alert(
        name="HomeostatActionStuck", wait="0s", severity=_CRITICAL,
        expr=f"homeostat_hands_off_seconds{{@}} > {FOR_GOOD_S}",
        summary=f"An action on {_WHO} could not be taken back; a person must look.",
        todo="Look at `homeostat get actions`, put the deployment right, and set its mode anew.",
    ),
    Alert(
        name="HomeostatActionOverdue", wait="1m", severity=_CRITICAL,
        expr=f"homeostat_action_overdue_seconds{{@}} > {OVERDUE_S}",
        summary=f"An action on {_WHO} is past its deadline and nothing ends it.",
        todo="See whether the loop turns and the journal takes writes; else report a bug.",
    ),
    Alert(
        name="HomeostatUnknownTooLong", wait="0s", severity=_CRITICAL,
        expr=f"homeostat_verdict_age_seconds{{@}} > {UNKNOWN_S} and on (job, instance)"
        " homeostat_leader{@} == 1",
        summary=f"Nobody has known for {{{{ $value | humanizeDuration }}}} how {_WHO} is.",
        todo="`homeostat doctor` says which source does not answer; until then nothing is changed.",
    ),
    Alert(
        name="HomeostatPeopleNotTold", wait="0s", severity=_CRITICAL,
        expr='increase(homeostat_notices_total{@, result="failed"}[15m]) > 0',
        summary="Notices by {{ $labels.notifier }} do not arrive.",
        todo="The log says what the receiver answered; see `homeostat get decisions` meanwhile.",
    ),
    Alert(
        name="HomeostatHandsOff", wait="15m", severity=_WARNING,
        expr=f"homeostat_hands_off_seconds{{@}} > 0 <= {FOR_GOOD_S}",
        summary=f"{_WHO} is left alone: somebody else wrote to it.",
        todo="Find out who else changes it, and let one of the two own it.",
    ),
    Alert(
        name="HomeostatTookBack", wait="0s", severity=_WARNING,
        expr='increase(homeostat_rollbacks_total{@, trigger!="blameless"}[1h]) > 0',
        summary=f"An action on {_WHO} was taken back ({{{{ $labels.trigger }}}}).",
        todo="`homeostat explain` says why it was taken and what was seen after it.",
    ),
    Alert(
        name="HomeostatKillSwitch", wait="1h", severity=_WARNING,
        expr="homeostat_kill_switch_level{@} > 0",
        summary="The kill switch has been thrown for an hour.",
        todo="`homeostat freeze off` if it is not meant any more.",
    ),
    Alert(
        name="HomeostatConfigurationRefused", wait="5m", severity=_WARNING,
        expr="homeostat_configuration_ok{@} == 0",
        summary="The configuration files cannot be used; the last good ones are in force.",
        todo="The log names the file, the line and the key.",
    ),
    Alert(
        name="HomeostatErrorBudgetBurns", wait="2m", severity=_WARNING,
        expr="homeostat_error_budget_alert{@} == 1",
        summary=f"{_WHO} burns its budget of {{{{ $labels.slo }}}} ({{{{ $labels.factor }}}}).",
        todo="`homeostat get deployments` and the console say what is known of the cause.",
    ),
    Alert(
        name="HomeostatQuestionWaits", wait="10m", severity=_INFO,
        expr="homeostat_approvals_pending{@} > 0",
        summary=f"A question about {_WHO} waits for an answer.",
        todo="`homeostat approve ID` or `homeostat reject ID --why TEXT`; unanswered it expires.",
    ),
    Alert(
        name="HomeostatSpansLost", wait="0s", severity=_INFO,
        expr='increase(homeostat_spans_total{@, result!="sent"}[15m]) > 0',
        summary="Spans of decisions do not arrive; nothing else is touched by that.",
        todo="See whether the collector answers at the address under spec.traces.",
    ),
    Alert(
        name="HomeostatHeartbeat", wait="0s", severity=Severity.NONE,
        expr=f"max by (job) (homeostat_loop_lag_seconds{{@}}) <= {LATE_S}",
        summary="A controller leads and turns in time; this fires for as long as that is so.",
        todo="Send it to a receiver that calls somebody when it stops.",
    ),
)  # fmt: skip

RECORDS: Final = (
    ("job:homeostat_loop_seconds:p99_5m",
     "histogram_quantile(0.99, sum by (job, le) (rate(homeostat_loop_seconds_bucket{@}[5m])))"),
    ("deployment:homeostat_decisions:increase1d",
     "sum by (job, deployment, decision) (increase(homeostat_decisions_total{@}[1d]))"),
    ("deployment:homeostat_rollbacks:increase1d",
     "sum by (job, deployment) (increase(homeostat_rollbacks_total{@}[1d]))"),
    ("deployment:homeostat_incident_recovery_seconds:mean1d",
     ("sum by (job, deployment) (increase(homeostat_incident_recovery_seconds_sum{@}[1d]))"
      " / (sum by (job, deployment) (increase(homeostat_incident_recovery_seconds_count{@}[1d]))"
      " > 0)")),
    ("deployment:homeostat_evidence_missing:rate5m",
     "sum by (job, deployment, cause) (rate(homeostat_evidence_missing_total{@}[5m]))"),
)  # fmt: skip
"""Recording rules: name and expression, `@` as in `Alert`."""


def rule_file(job: str = JOB) -> dict[str, Any]:
    """Return the rules as Prometheus' rule file holds them.

    Args:
        job: The job under which the controllers are scraped.

    Raises:
        ValueError: No job can be called that.
    """
    recording = [{"record": name, "expr": bound(expr, job)} for name, expr in RECORDS]
    return {
        "groups": [
            {"name": "homeostat.alerts", "rules": [_alert(one, job) for one in ALERTS]},
            {"name": "homeostat.records", "interval": "1m", "rules": recording},
        ]
    }


def bound(expr: str, job: str) -> str:
    r"""Return an expression about the series of one job.

    Raises:
        ValueError: No job can be called that.

    >>> bound('a{@, x="1"} > 0', 'b"c')
    'a{job="b\\"c", x="1"} > 0'
    """
    if not 0 < len(job) <= _JOB_MAX or not job.isprintable():
        raise ValueError(f"{job[:60]!r} is no name of a job; write the job_name of its scrapes")
    # PromQL's texts are Go's, which know JSON's escapes.
    return expr.replace("{@", "{job=" + json.dumps(job, ensure_ascii=False))


def _alert(one: Alert, job: str) -> dict[str, Any]:
    return {
        "alert": one.name,
        "expr": bound(one.expr, job),
        "for": one.wait,
        "labels": {"severity": one.severity.value},
        "annotations": {"summary": one.summary, "description": one.todo},
    }
