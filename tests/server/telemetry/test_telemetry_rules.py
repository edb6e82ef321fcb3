"""The rule file is taken by a real promtool, and each alert fires when it should and only then."""

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from homeostat.server.telemetry.rules import ALERTS, RECORDS, Severity, bound, rule_file
from homeostat.server.telemetry.table import TABLE

PROMTOOL = shutil.which("promtool") or ""
needs_promtool = pytest.mark.skipif(
    not PROMTOOL, reason="no promtool on this machine; `apt-get install prometheus` brings it"
)
AT: Final = "90m"  # in steps of 15 s: the 360th
A = 'job="homeostat",instance="a"'
CHAT = f'{A},deployment="chat"'
LABELS = {"job": "homeostat", "instance": "a"}
ON_CHAT = LABELS | {"deployment": "chat"}
LATELY = "0+0x340 1+0x60"  # the first one happened five minutes ago

WELL: Final = {
    f"homeostat_leader{{{A}}}": "1+0x400",
    'homeostat_leader{job="homeostat",instance="b"}': "0+0x400",
    f"homeostat_loop_lag_seconds{{{A}}}": "60+0x400",
    f"homeostat_actions_inflight{{{CHAT}}}": "1+0x400",
    f"homeostat_journal_ok{{{A}}}": "1+0x400",
    f"homeostat_hands_off_seconds{{{CHAT}}}": "0+0x400",
    f"homeostat_action_overdue_seconds{{{CHAT}}}": "120+0x400",
    f"homeostat_verdict_age_seconds{{{CHAT}}}": "600+0x400",
    f'homeostat_notices_total{{{A},notifier="Webhook",result="told"}}': "0+1x400",
    f'homeostat_notices_total{{{A},notifier="Webhook",result="failed"}}': "7+0x400",
    f'homeostat_rollbacks_total{{{CHAT},trigger="verifying"}}': "3+0x400",
    f'homeostat_rollbacks_total{{{CHAT},trigger="blameless"}}': "0+1x400",
    f"homeostat_kill_switch_level{{{A}}}": "0+0x240 1+0x160",  # thrown half an hour ago
    f"homeostat_configuration_ok{{{A}}}": "1+0x400",
    f'homeostat_error_budget_alert{{{CHAT},slo="latency",factor="14.4x"}}': "0+0x400",
    f"homeostat_approvals_pending{{{CHAT}}}": "0+0x330 1+0x70",  # asked seven minutes ago
    f'homeostat_spans_total{{{A},result="sent"}}': "0+9x400",
    f'homeostat_spans_total{{{A},result="dropped"}}': "0+0x400",
    f'homeostat_loop_seconds_bucket{{{A},le="0.1"}}': "0+10x400",
    f'homeostat_loop_seconds_bucket{{{A},le="+Inf"}}': "0+10x400",
    f'homeostat_decisions_total{{{CHAT},action="hold",decision="hold",mode="auto"}}': "0+1x400",
    f"homeostat_incident_recovery_seconds_sum{{{CHAT}}}": "0+30x400",
    f"homeostat_incident_recovery_seconds_count{{{CHAT}}}": "0+1x400",
    f'homeostat_evidence_missing_total{{{CHAT},cause="stale"}}': "0+15x400",
    'homeostat_leader{job="another",instance="z"}': "0+0x400",
}
"""As near to each limit as all may be."""


@dataclass(frozen=True, kw_only=True)
class Bad:
    """What is not well, which labels the alert carries, and what `$value` reads as.

    `beside` are alerts that cannot but fire as well.
    """

    series: dict[str, str | None]
    labels: dict[str, str] = field(default_factory=lambda: dict(LABELS))
    value: str = ""
    beside: tuple[str, ...] = ()


def one(name: str, values: str | None, labels: str = A) -> dict[str, str | None]:
    return {f"{name}{{{labels}}}": values}


NOTHING_IN_FLIGHT: Final = one("homeostat_actions_inflight", "0+0x400", CHAT)
GONE: Final = one("homeostat_loop_lag_seconds", None) | NOTHING_IN_FLIGHT
SILENT: Final = one("homeostat_leader", "1+0x300 _x100") | one(
    "homeostat_leader", None, 'job="homeostat",instance="b"'
)
JOB_ONLY: Final = {"job": "homeostat"}
BAD: Final = {
    "HomeostatSilent": Bad(
        series=GONE | SILENT, labels=JOB_ONLY
    ),
    "HomeostatNobodyLeads": Bad(series=GONE | one("homeostat_leader", "0+0x400"), labels=JOB_ONLY),
    "HomeostatLeftInTheMiddle": Bad(
        series=GONE | SILENT | one("homeostat_actions_inflight", "1+0x300 _x100", CHAT),
        labels=ON_CHAT,
        beside=("HomeostatSilent",),
    ),
    "HomeostatLoopStuck": Bad(
        series=one("homeostat_loop_lag_seconds", "61+0x400"), value="1m 1s"
    ),
    "HomeostatJournalFailing": Bad(series=one("homeostat_journal_ok", "0+0x400")),
    "HomeostatActionStuck": Bad(
        series=one("homeostat_hands_off_seconds", "315360000+0x400", CHAT), labels=ON_CHAT
    ),
    "HomeostatActionOverdue": Bad(
        series=one("homeostat_action_overdue_seconds", "121+0x400", CHAT), labels=ON_CHAT
    ),
    "HomeostatUnknownTooLong": Bad(
        series=one("homeostat_verdict_age_seconds", "601+0x400", CHAT),
        labels=ON_CHAT, value="10m 1s",
    ),
    "HomeostatPeopleNotTold": Bad(
        series=one("homeostat_notices_total", LATELY, f'{A},notifier="Webhook",result="failed"'),
        labels=LABELS | {"notifier": "Webhook", "result": "failed"},
    ),
    "HomeostatHandsOff": Bad(
        series=one("homeostat_hands_off_seconds", "600+0x400", CHAT), labels=ON_CHAT
    ),
    "HomeostatTookBack": Bad(
        series=one("homeostat_rollbacks_total", LATELY, f'{CHAT},trigger="verifying"'),
        labels=ON_CHAT | {"trigger": "verifying"},
    ),
    "HomeostatKillSwitch": Bad(series=one("homeostat_kill_switch_level", "2+0x400")),
    "HomeostatConfigurationRefused": Bad(series=one("homeostat_configuration_ok", "0+0x400")),
    "HomeostatErrorBudgetBurns": Bad(
        series=one("homeostat_error_budget_alert", "1+0x400",
                   f'{CHAT},slo="latency",factor="14.4x"'),
        labels=ON_CHAT | {"slo": "latency", "factor": "14.4x"},
    ),
    "HomeostatQuestionWaits": Bad(
        series=one("homeostat_approvals_pending", "1+0x400", CHAT), labels=ON_CHAT
    ),
    "HomeostatSpansLost": Bad(
        series=one("homeostat_spans_total", LATELY, f'{A},result="dropped"'),
        labels=LABELS | {"result": "dropped"},
    ),
}  # fmt: skip
SILENCES_THE_HEARTBEAT: Final = {
    "HomeostatSilent", "HomeostatNobodyLeads", "HomeostatLoopStuck", "HomeostatLeftInTheMiddle"
}  # fmt: skip
KNOWN = {alert.name: alert for alert in ALERTS}


def said(text: str, labels: dict[str, str], value: str) -> str:
    for name, held in labels.items():
        text = text.replace("{{ $labels." + name + " }}", held)
    return text.replace("{{ $value | humanizeDuration }}", value)


def fired(name: str, labels: dict[str, str], value: str = "") -> dict[str, Any]:
    alert = KNOWN[name]
    return {
        "exp_labels": labels | {"severity": alert.severity.value},
        "exp_annotations": {
            "summary": said(alert.summary, labels, value), "description": alert.todo,
        },
    }  # fmt: skip


def story(name: str, bad: Bad | None) -> dict[str, Any]:
    """Return one of promtool's tests: all alerts are asked, one fires beside the heartbeat."""
    series = WELL | (bad.series if bad is not None else {})
    expected: dict[str, list[dict[str, Any]]] = {alert.name: [] for alert in ALERTS}
    if name not in SILENCES_THE_HEARTBEAT:
        expected["HomeostatHeartbeat"] = [fired("HomeostatHeartbeat", dict(JOB_ONLY))]
    for other in bad.beside if bad is not None else ():
        expected[other] = [fired(other, BAD[other].labels, BAD[other].value)]
    if bad is not None:
        expected[name] = [fired(name, bad.labels, bad.value)]
    return {
        "name": name,
        "interval": "15s",
        "input_series": [
            {"series": key, "values": values} for key, values in series.items() if values
        ],
        "alert_rule_test": [
            {"eval_time": AT, "alertname": alert, "exp_alerts": alerts}
            for alert, alerts in expected.items()
        ],
    }


RECKONED: Final = {
    "round(job:homeostat_loop_seconds:p99_5m, 0.001)":
        ('{job="homeostat"}', 0.099),
    "round(deployment:homeostat_incident_recovery_seconds:mean1d, 0.01)":
        ('{job="homeostat", deployment="chat"}', 30),
    "round(deployment:homeostat_evidence_missing:rate5m, 0.01)":
        ('{job="homeostat", deployment="chat", cause="stale"}', 1),
}  # fmt: skip


def judged(folder: Path, rules: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Let promtool play all stories against a rule file."""
    (folder / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    well = story("well", None)
    well["promql_expr_test"] = [
        {"expr": expr, "eval_time": AT, "exp_samples": [{"labels": labels, "value": value}]}
        for expr, (labels, value) in RECKONED.items()
    ]
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        "tests": [well, *(story(name, bad) for name, bad in BAD.items())],
    }
    (folder / "tests.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    return promtool(folder, "test", "rules", "tests.yml")


def promtool(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROMTOOL, *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@needs_promtool
def test_promtool_takes_the_rules_also_for_a_job_of_any_name(tmp_path: Path) -> None:
    for job in ("homeostat", 'a"b\\c {d}'):
        (tmp_path / "rules.yml").write_text(yaml.safe_dump(rule_file(job)), encoding="utf-8")
        found = promtool(tmp_path, "check", "rules", "rules.yml")
        assert found.returncode == 0, found.stderr
        assert f"{len(ALERTS) + len(RECORDS)} rules found" in found.stdout


@pytest.mark.slow
@needs_promtool
def test_each_alert_fires_when_it_should_and_none_when_all_is_well(tmp_path: Path) -> None:
    found = judged(tmp_path, rule_file())
    assert found.returncode == 0, found.stderr + found.stdout


@pytest.mark.slow
@needs_promtool
def test_rules_that_never_fire_are_found_out_one_by_one(tmp_path: Path) -> None:
    """That the test above can fail."""
    mute = rule_file()
    for rule in mute["groups"][0]["rules"]:
        rule["expr"] = "vector(1) > 1"
    found = judged(tmp_path, mute)
    assert found.returncode != 0
    told = set(re.findall(r"alertname: ?(\w+)", found.stderr + found.stdout))
    assert told == set(KNOWN)


def test_every_alert_has_a_case_and_a_heartbeat_is_none() -> None:
    calm = [alert.name for alert in ALERTS if alert.severity is Severity.NONE]
    assert calm == ["HomeostatHeartbeat"]
    assert {*BAD, *calm} == set(KNOWN)
    assert len(KNOWN) == len(ALERTS)


def test_a_rule_names_only_metrics_and_labels_that_are_there() -> None:
    rows = {sample: row for row in TABLE for sample in row.samples}
    free = {"job", "instance", "le"}
    for expr in (*(alert.expr for alert in ALERTS), *(expr for _, expr in RECORDS)):
        named = re.findall(r"\b(homeostat_\w+)(\{[^}]*\})?", expr)
        assert named, expr
        for metric, matchers in named:
            labels = {label.name: label.values for label in rows[metric].labels}
            assert matchers.startswith("{@"), f"{metric} is asked of every job"
            for label, value in re.findall(r'(\w+)!?="(\w+)"', matchers):
                assert value in labels[label]
            by = {one.strip() for part in re.findall(r"by \(([^)]*)\)", expr)
                  for one in part.split(",")}  # fmt: skip
            assert by <= {*labels, *free}, expr
        for alert in ALERTS:
            if alert.expr == expr and not expr.startswith(("max by", "absent")):
                asked = set(re.findall(r"\$labels\.(\w+)", alert.summary))
                assert asked <= {label.name for label in rows[named[0][0]].labels}


@pytest.mark.parametrize("job", ["", "a\nb", "x" * 201])
def test_what_cannot_be_a_job_is_refused(job: str) -> None:
    with pytest.raises(ValueError, match="job_name"):
        bound("a{@}", job)
