"""The table of metrics and the page of a server are the same, and no label is from outside."""

import math
import re
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from homeostat.base.canary import CanaryConfig, CanaryJudgement, CanaryState, CanaryVerdict
from homeostat.base.canary import MetricEvidence as Said
from homeostat.base.events import Received, Record, Ticked, Write
from homeostat.base.evidence import Quality, Reading, Verdict
from homeostat.base.intent import ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.state import Comparison, LoopState
from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.loop import step
from homeostat.server.api import metrics
from homeostat.server.api.app import create_app
from homeostat.server.telemetry.own import Own
from homeostat.server.telemetry.pulse import Pulse
from homeostat.server.telemetry.table import ENDS, OTHER, PREFIX, ROWS, TABLE, Kind
from homeostat.testing.story import story

Page = dict[tuple[str, tuple[tuple[str, str], ...]], float]
MINE = (("deployment", "credit"),)


def scraped(client: TestClient) -> str:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def samples(text: str) -> Page:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def ours(text: str) -> list[Any]:
    found = text_string_to_metric_families(text)
    return [family for family in found if family.name.startswith(PREFIX)]


def test_the_page_has_the_rows_of_the_table_and_no_others(client: TestClient) -> None:
    page = [(one.name, one.type, one.documentation) for one in ours(scraped(client))]
    assert sorted(page) == sorted((row.full, row.kind.value, row.text) for row in TABLE)


def test_every_sample_has_the_labels_of_its_row_and_values_that_it_lists(
    client: TestClient,
) -> None:
    for family in ours(scraped(client)):
        row = ROWS[family.name.removeprefix(PREFIX)]
        for sample in family.samples:
            assert sample.name in row.samples
            named = set(sample.labels) - {"le"}
            assert named == {label.name for label in row.labels}, sample
            for label in row.labels:
                allowed = {*label.values, OTHER} if label.values else {sample.labels[label.name]}
                assert sample.labels[label.name] in allowed


def test_the_view_is_read_in_its_own_thread_and_the_text_is_made_in_another(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a thousand deployments has two megabytes: no turn of the loop waits for it."""
    threads: dict[str, threading.Thread] = {}
    collect, text = metrics.ViewCollector.collect, metrics.text

    def collected(self: metrics.ViewCollector) -> Any:
        threads["view"] = threading.current_thread()
        yield from collect(self)

    def written(families: Any) -> bytes:
        threads["text"] = threading.current_thread()
        return text(families)

    monkeypatch.setattr(metrics.ViewCollector, "collect", collected)
    monkeypatch.setattr(metrics, "text", written)
    before = scraped(client)
    assert threads["view"] is not threads["text"]
    assert "homeostat_leader 0.0" in before


def test_the_process_says_what_it_uses(client: TestClient) -> None:
    found = samples(scraped(client))
    assert found["process_resident_memory_bytes", ()] > 1e6
    assert found["process_cpu_seconds_total", ()] > 0.0


def test_names_and_units_are_as_prometheus_wants_them() -> None:
    assert len(ROWS) == len(TABLE)
    for row in TABLE:
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", row.name), row.name
        assert row.text.endswith("."), row.name
        ends_in_seconds = row.name.endswith("_seconds")
        assert ends_in_seconds == (row.unit.value == "seconds"), row.name
        assert not row.name.endswith(("_total", "_bucket", "_sum", "_count")), row.name
        assert not row.words or row.kind is Kind.GAUGE


def test_what_comes_from_outside_is_never_a_label(bench: Any) -> None:
    evil = 'x"} 1\nhomeostat_leader{a="'
    beat = list(story(bench.now, name="credit", ticks=3))[-1]
    ticked = next(one for one in beat.items if isinstance(one, Ticked))
    reading = Reading(
        subject=f"replica:{evil}", signal=evil, value=None, verdict=Verdict.UNKNOWN,
        quality=Quality.STALE, low=None, high=None, age_ns=0, samples=0.0,
    )  # fmt: skip
    readings = (*ticked.evidence.readings, reading)
    evidence = replace(ticked.evidence, readings=readings)
    bench.view.observe("credit", replace(ticked, evidence=evidence))
    record = replace(bench.view.deployment("credit").decisions.newest(1)[0], mode=evil)
    bench.view.observe("credit", Record(fact=record))
    with TestClient(bench.app()) as client:
        text = scraped(client)
    assert "x\\" not in text
    assert evil not in text
    found = samples(text)
    assert found["homeostat_leader", ()] == 0
    modes = {dict(key)["mode"] for name, key in found if name == "homeostat_decisions_total"}
    assert modes <= {"shadow", "approve", "auto", OTHER}
    assert OTHER in modes


def test_a_name_of_the_configuration_cannot_write_lines(bench: Any) -> None:
    bench.tell('a"} 1\nhomeostat_leader{x="' + "y" * 1000, ticks=2)
    with TestClient(bench.app()) as client:
        found = samples(scraped(client))
    assert sum(name == "homeostat_leader" for name, _ in found) == 1
    named = {dict(key)["deployment"] for name, key in found if name == "homeostat_autonomy_level"}
    assert all("\n" not in one and len(one) <= 128 for one in named)


def test_values_that_cannot_be_believed_are_counted_by_cause(bench: Any) -> None:
    def missing() -> float:
        with TestClient(bench.app()) as client:
            key = (("cause", "stale"), *MINE)
            return samples(scraped(client))["homeostat_evidence_missing_total", key]

    before = missing()
    beat = list(story(bench.now, name="credit", ticks=3))[-1]
    ticked = next(one for one in beat.items if isinstance(one, Ticked))
    stale = tuple(replace(one, quality=Quality.STALE) for one in ticked.evidence.readings)
    bench.view.observe("credit", replace(ticked, evidence=replace(ticked.evidence, readings=stale)))
    assert missing() == before + len(stale) > before


def test_how_long_nobody_has_known_grows_while_it_is_unknown(bench: Any) -> None:
    bench.view.deployment("credit").known_at = None
    beat = list(story(bench.now, name="credit", ticks=3))[-1]
    ticked = next(one for one in beat.items if isinstance(one, Ticked))
    known = replace(ticked, at=bench.now, evidence=replace(ticked.evidence, at=bench.now))
    for met, wanted in ((True, 0.0), (None, 90.0), (False, 0.0)):
        evidence = replace(known.evidence, at=bench.now, slo_met=met)
        bench.view.observe("credit", replace(known, at=bench.now, evidence=evidence))
        with TestClient(bench.app()) as client:
            found = samples(scraped(client))
        assert found["homeostat_verdict_age_seconds", MINE] == wanted
        if met is None:
            assert ("homeostat_objectives_met", MINE) not in found
        else:
            assert found["homeostat_objectives_met", MINE] == met
        bench.now = TimeNs(bench.now + 90 * SECOND) if met else bench.now


def moved(bench: Any, *states: ActionState, **changes: Any) -> Page:
    """Take a new action of the story's deployment through states, ten seconds each."""
    known = bench.view.deployment("credit").actions.newest(1)[0].record
    at = bench.now
    for state in (ActionState.PROPOSED, *states):
        record = replace(
            known, id="d-9001", state=state, proposed_at=bench.now, state_since=at, **changes
        )
        bench.view.observe("credit", Record(fact=record))
        bench.view.observe("credit", Record(fact=record))  # said twice, counted once
        at = TimeNs(at + 10 * SECOND)
    with TestClient(bench.app()) as client:
        return samples(scraped(client))


def test_ends_begin_at_zero_so_that_the_first_one_is_one_more(client: TestClient) -> None:
    found = samples(scraped(client))
    for end in ENDS:
        assert ("homeostat_actions_total", (*MINE, ("state", end))) in found
    assert found["homeostat_actions_total", (*MINE, ("state", "stuck"))] == 0


@pytest.mark.parametrize(
    ("states", "changes", "trigger"),
    [
        ((ActionState.INTENT, ActionState.READBACK), {}, "readback"),
        ((ActionState.INTENT, ActionState.APPLIED, ActionState.SETTLING), {}, "settling"),
        ((ActionState.VERIFYING,), {"blameless": True}, "blameless"),
    ],
)
def test_what_goes_back_is_counted_by_where_it_was(
    bench: Any, states: tuple[ActionState, ...], changes: dict[str, bool], trigger: str
) -> None:
    path = (*states, ActionState.ROLLING_BACK, ActionState.ROLLED_BACK)
    found = moved(bench, *path, **changes)
    back = {
        dict(key)["trigger"]: value
        for (name, key), value in found.items()
        if name == "homeostat_rollbacks_total"
    }
    assert {one: n for one, n in back.items() if n} == {trigger: 1}
    assert found["homeostat_actions_total", (*MINE, ("state", "rolled_back"))] == 1
    took = found["homeostat_action_duration_seconds_sum", (("state", "rolled_back"),)]
    assert took == pytest.approx(10.0 * len(path))


def test_an_action_in_flight_is_seen_and_so_is_how_far_it_is_overdue(bench: Any) -> None:
    deadline = TimeNs(bench.now - 7 * SECOND)
    found = moved(bench, ActionState.INTENT, ActionState.READBACK, deadline=deadline)
    assert found["homeostat_actions_inflight", MINE] == 1
    assert found["homeostat_action_overdue_seconds", MINE] == pytest.approx(7.0)
    found = moved(bench, ActionState.ABANDONED, deadline=deadline)
    assert found["homeostat_actions_inflight", MINE] == 0
    assert found["homeostat_action_overdue_seconds", MINE] == 0


def test_answers_of_targets_are_counted(bench: Any) -> None:
    action = bench.view.deployment("credit").actions.newest(1)[0].record.id
    intent = Intent(
        id=f"{action}.0.0", action_id=action, deployment="credit", actuator="host", epoch=3,
        stage=0, pre=(), post=(), token=None, evidence_at=bench.now, deadline=bench.now,
    )  # fmt: skip
    for status in ReceiptStatus:
        bench.view.observe("credit", Write(intent=intent))
        receipt = Receipt(intent_id=intent.id, status=status, at=bench.now, detail="who knows")
        event = Received(at=bench.now, receipt=receipt, kill=bench.level_now)
        bench.view.observe("credit", event)
    with TestClient(bench.app()) as client:
        found = samples(scraped(client))
    key = ("status", ReceiptStatus.UNKNOWN.value)
    assert found["homeostat_receipts_total", (*MINE, key)] == 1


def state_of(bench: Any, **changes: Any) -> LoopState:
    managed = bench.view.deployment("credit").managed
    return replace(step.initial(managed), **changes)


def test_a_deployment_that_is_left_alone_says_for_how_long(bench: Any) -> None:
    until = TimeNs(bench.now + 40 * SECOND)
    for foreign_until, wanted in ((None, 0.0), (until, 40.0), (TimeNs(1), 0.0)):
        state = state_of(bench, foreign_until=foreign_until)
        with TestClient(bench.app(states={"credit": state}.get)) as client:
            found = samples(scraped(client))
        assert found["homeostat_hands_off_seconds", MINE] == pytest.approx(wanted)


def test_a_comparison_under_way_shows_its_evidence_as_logarithms(bench: Any) -> None:
    record = bench.view.deployment("credit").actions.newest(1)[0].record
    base = Said(
        metric="bad", harm_e=math.e**2, safe_e=None, margin=1.0, ratio=None, canary_bad=0.0,
        canary_total=1.0, stable_bad=0.0, stable_total=1.0,
    )  # fmt: skip
    judged = CanaryJudgement(
        verdict=CanaryVerdict.UNDECIDED, at=bench.now, harm_e=1.0, safe_e=None, threshold=20.0,
        buckets=3, because=(), caveats=(),
        metrics=(base, replace(base, metric="slow", harm_e=math.inf, safe_e=math.e)),
    )  # fmt: skip
    compared = Comparison(
        action_id=record.id, canary="b", stable="a", config=CanaryConfig(), judge=CanaryState(),
        judgement=judged,
    )  # fmt: skip
    state = state_of(bench, record=record, comparison=compared)
    with TestClient(bench.app(states={"credit": state}.get)) as client:
        found = samples(scraped(client))
    shown = {
        (dict(key)["metric"], dict(key)["side"]): value
        for (name, key), value in found.items()
        if name == "homeostat_canary_log_e_value"
    }
    assert shown == {("bad", "harm"): pytest.approx(2.0), ("slow", "safe"): pytest.approx(1.0)}
    assert found["homeostat_canary_stands_out", MINE] == 0.0
    worse = replace(compared, judgement=replace(judged, harm_e=25.0))
    with TestClient(bench.app(states={"credit": replace(state, comparison=worse)}.get)) as client:
        assert samples(scraped(client))["homeostat_canary_stands_out", MINE] == 1.0
    over = replace(state, record=None)
    with TestClient(bench.app(states={"credit": over}.get)) as client:
        names = {name for name, _ in samples(scraped(client))}
    assert not {"homeostat_canary_log_e_value", "homeostat_canary_stands_out"} & names


def own_page(bench: Any, own: Own) -> Page:
    app = create_app(
        view=bench.view, submit=bench.submit, kill=bench, labels=None, token=bench.token,
        allowed_origins=["http://testserver"], clock=lambda: bench.now, own=own,
    )  # fmt: skip
    with TestClient(app) as client:
        return samples(scraped(client))


def test_a_standby_is_not_late_and_does_not_lead(bench: Any) -> None:
    found = own_page(bench, Own())
    assert found["homeostat_leader", ()] == 0
    names = {name for name, _ in found}
    assert not names & {"homeostat_loop_lag_seconds", "homeostat_journal_epoch"}
    assert not names & {"homeostat_journal_ok", "homeostat_configuration_ok"}
    assert "homeostat_spans_total" not in names


def test_a_leader_says_how_late_it_is_and_what_went_wrong(bench: Any) -> None:
    pulse = Pulse()
    pulse.leads(TimeNs(bench.now - 100 * SECOND))
    pulse.turned(TimeNs(bench.now - 30 * SECOND))
    pulse.wrote(kept=True)
    pulse.wrote(kept=False)
    pulse.told("Terminal", well=True)
    pulse.told("Webhook", well=False)
    own = Own(
        pulse=pulse, epoch=lambda: 7, problem=lambda: "line 3: no such key",
        notifiers=("Terminal", "Webhook"), spans=lambda: (5, 2, 1),
    )  # fmt: skip
    found = own_page(bench, own)
    assert found["homeostat_leader", ()] == 1
    assert found["homeostat_loop_lag_seconds", ()] == pytest.approx(29.0)  # it turns each second
    assert found["homeostat_journal_epoch", ()] == 7
    assert found["homeostat_journal_ok", ()] == 0
    assert found["homeostat_journal_failures_total", ()] == 1
    assert found["homeostat_configuration_ok", ()] == 0
    told = Counter({
        (dict(key)["notifier"], dict(key)["result"]): value
        for (name, key), value in found.items()
        if name == "homeostat_notices_total"
    })
    assert told == {
        ("Terminal", "told"): 1, ("Terminal", "failed"): 0,
        ("Webhook", "told"): 0, ("Webhook", "failed"): 1,
    }  # fmt: skip
    assert found["homeostat_spans_total", (("result", "dropped"),)] == 2
    pulse.ends()
    pulse.turned(bench.now)  # the turn that was under way
    assert own_page(bench, own)["homeostat_leader", ()] == 0
