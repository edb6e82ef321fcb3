"""The read model: what the journal says is what is shown, and absence is never zero."""

import json
import math
from dataclasses import replace

import pytest

from homeostat.base import codec
from homeostat.base.events import Approval, ClockJumped, Reconfigured, Record, Ticked, WorldRead
from homeostat.base.ports import Entry
from homeostat.base.types import (
    ActionState,
    Apply,
    Evidence,
    Hold,
    Incident,
    KillLevel,
    Mode,
    Quality,
    TimeNs,
    Verdict,
)
from homeostat.base.units import SECOND
from homeostat.server import view_plain
from homeostat.server.view import View
from homeostat.server.view_deployment import Bounded, DeploymentState
from homeostat.testing.story import ASKED_AT, TICKS, Beat, managed, story
from homeostat.testing.story_senses import GAP_AT, SLOW_AT

START = TimeNs(1_700_000_000 * SECOND)


def beats(name: str = "credit", ticks: int = TICKS) -> list[Beat]:
    return list(story(START, name=name, ticks=ticks))


def told(ticks: int = TICKS, view: View | None = None) -> View:
    view = view or View()
    for beat in beats(ticks=ticks):
        for item in beat.items:
            view.observe("credit", item)
    return view


def the(view: View, name: str = "credit") -> DeploymentState:
    state = view.deployment(name)
    assert state is not None
    return state


def evidence_of(view: View) -> Evidence:
    evidence = the(view).evidence
    assert evidence is not None
    return evidence


def test_the_story_ends_with_one_healed_incident_and_one_open_question() -> None:
    state = the(told())
    first, second = state.incidents.get("i-0001"), state.incidents.get("i-0002")
    assert first is not None
    assert second is not None
    assert first.closed_at == START + (SLOW_AT + 28) * SECOND
    assert second.closed_at is None
    assert [d.id for d in state.pending(state.now)] == ["d-0002"]
    assert state.health(state.now) == "asking"
    healed = state.actions.get("d-0001")
    assert healed is not None
    assert [step for step, _, _ in healed.steps] == [
        ActionState.INTENT,
        ActionState.APPLIED,
        ActionState.SETTLING,
        ActionState.VERIFYING,
        ActionState.SUCCEEDED,
    ]
    assert healed.receipt is not None
    assert healed.receipt.intent_id == "d-0001.0.0"


@pytest.mark.parametrize(
    ("ticks", "word"),
    [
        (1, "unknown"),  # started, no tick yet
        (10, "learning"),
        (100, "ok"),
        (SLOW_AT + 4, "breach"),
        (SLOW_AT + 7, "healing"),
        (SLOW_AT + 25, "incident"),
        (GAP_AT + 3, "unknown"),
        (ASKED_AT + 2, "asking"),
    ],
)
def test_health_is_a_word_for_the_most_pressing_fact(ticks: int, word: str) -> None:
    state = the(told(ticks))
    assert state.health(state.now) == word


def test_a_view_rebuilt_from_the_journal_shows_the_same() -> None:
    live = View()
    entries: list[Entry] = []
    for name in ("credit", "fraud"):
        for beat in beats(name):
            for item in beat.items:
                live.observe(name, item)
                is_event = hasattr(item, "at")
                entries.append(
                    Entry(
                        seq=len(entries) + 1,
                        at=beat.at,
                        deployment=name,
                        kind="event" if is_event else "command",
                        body=codec.encode(item),
                        digest="",
                    )
                )
    entries.append(Entry(seq=0, at=START, deployment="", kind="frame", body=b"\x00", digest=""))
    rebuilt = View()
    assert rebuilt.rebuild(entries) == len(entries) - 1
    for one, other in zip(live.deployments(), rebuilt.deployments(), strict=True):
        shown = [view_plain.detail(s, s.now, recent=500) for s in (one, other)]
        assert shown[0] == shown[1]
    assert rebuilt.counts.decisions == live.counts.decisions
    assert rebuilt.counts.blocked == live.counts.blocked
    assert rebuilt.version == live.version


def test_an_unknown_reading_is_shown_as_null_never_as_zero() -> None:
    view = told(GAP_AT + 3)
    state = the(view)
    series = state.series.read(("gateway", "latency_p95_ms"))
    assert series is not None
    assert series["value"][-1] is None
    assert series["verdict"][-1] == "u"
    numbers = {n["signal"]: n for n in view_plain.summary(state, state.now)["numbers"]}
    assert numbers["latency_p95_ms"]["value"] is None
    assert numbers["latency_p95_ms"]["quality"] == "unreachable"
    assert state.believed_at is not None
    assert state.believed_at < evidence_of(view).at - 2 * SECOND


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e300])
def test_an_absurd_value_never_reaches_json(odd: float) -> None:
    view = told(100)
    evidence = evidence_of(view)
    readings = tuple(
        replace(r, value=odd, low=odd, high=odd, quality=Quality.ABSURD, verdict=Verdict.UNKNOWN)
        for r in evidence.readings
    )
    at = TimeNs(evidence.at + SECOND)
    item = beats(ticks=101)[-1].items[0]
    assert isinstance(item, Ticked)
    view.event(replace(item, at=at, evidence=replace(evidence, at=at, readings=readings)))
    state = the(view)
    json.dumps(view_plain.detail(state, at, recent=10), allow_nan=False)
    series = state.series.read(("gateway", "latency_p95_ms"))
    assert series is not None
    assert series["value"][-1] is None


def answer(view: View, *, approved: bool, deployment: str) -> None:
    at = TimeNs(the(view).now + SECOND)
    view.event(
        Approval(
            at=at,
            decision_id="d-0002",
            approved=approved,
            by="ada",
            why="deploy in progress",
            kill=KillLevel.OFF,
            deployment=deployment,
        )
    )


@pytest.mark.parametrize("deployment", ["credit", ""])
@pytest.mark.parametrize("approved", [True, False])
def test_an_answer_closes_the_question(deployment: str, approved: bool) -> None:  # noqa: FBT001 - a case
    view = told()
    answer(view, approved=approved, deployment=deployment)
    state = the(view)
    assert state.pending(state.now) == ()
    record = state.decisions.get("d-0002")
    assert record is not None
    shown = view_plain.decision(state, record, state.now)
    assert (shown["answer"]["approved"], shown["answer"]["by"]) == (approved, "ada")


def test_a_question_is_open_until_the_moment_it_expires() -> None:
    state = the(told())
    record = state.decisions.get("d-0002")
    assert record is not None
    expires = START + (ASKED_AT + 300) * SECOND
    assert state.is_pending(record, TimeNs(expires - 1))
    assert not state.is_pending(record, TimeNs(expires))


@pytest.mark.parametrize("end", [ActionState.EXPIRED, ActionState.DENIED, ActionState.INTENT])
def test_a_question_whose_action_moved_on_is_closed(end: ActionState) -> None:
    view = told()
    entry = the(view).actions.get("d-0002")
    assert entry is not None
    view.command(Record(fact=replace(entry.record, state=end)))
    assert the(view).pending(the(view).now) == ()


def test_an_incident_closed_twice_counts_once_and_a_blip_is_no_recovery() -> None:
    view = told(100)
    incident = Incident(
        id="i-0009",
        deployment="credit",
        family=next(iter(told().deployments())).incidents.newest(1)[0].incident.family,
        subject="model",
        opened_at=TimeNs(the(view).now - 9 * SECOND),
        confirmed_at=None,
        tries=0,
        escalated=False,
        because=(),
    )
    view.command(Record(fact=incident, open=False))
    assert view.counts.recovery == {}
    proven = replace(incident, id="i-0010", confirmed_at=incident.opened_at)
    view.command(Record(fact=proven))
    view.command(Record(fact=proven, open=False))
    view.command(Record(fact=proven, open=False))
    histogram = view.counts.recovery["credit"]
    assert sum(histogram.counts) == 1
    assert histogram.total == pytest.approx(9.0)


def test_a_failed_read_keeps_the_last_world_and_says_when_it_failed() -> None:
    view = told(100)
    at = TimeNs(the(view).now + SECOND)
    view.event(WorldRead(at=at, world=None, kill=KillLevel.OFF), deployment="credit")
    state = the(view)
    assert state.world is not None
    assert state.world_failed_at == at
    view.event(WorldRead(at=at, world=state.world, kill=KillLevel.OFF))
    assert the(view).world_failed_at is None


def test_a_failed_read_that_names_no_deployment_changes_nothing() -> None:
    view = told(100)
    before = view.version
    view.event(WorldRead(at=START, world=None, kill=KillLevel.OFF))
    assert view.version == before
    assert [s.name for s in view.deployments()] == ["credit"]


def test_the_kill_switch_is_published_only_when_it_changes() -> None:
    view = told(30)
    before = view.version
    view.throw(KillLevel.NO_NEW)
    view.throw(KillLevel.NO_NEW)
    changes = view.changes(before)
    assert changes is not None
    assert [(c.kind, json.loads(c.data)) for c in changes] == [("kill", {"level": "no_new"})]


def test_a_new_mode_is_shown_at_once() -> None:
    view = told(30)
    before = view.version
    view.event(Reconfigured(at=START, managed=replace(managed("credit"), mode=Mode.SHADOW), by="x"))
    assert view_plain.summary(the(view), START)["mode"] == "shadow"
    changes = view.changes(before)
    assert changes is not None
    assert [c.kind for c in changes] == ["config"]


def test_a_clock_jump_is_a_change_and_no_deployment() -> None:
    view = View()
    view.event(ClockJumped(at=START, by_ns=-3 * SECOND))
    assert view.deployments() == ()
    changes = view.changes(0)
    assert changes is not None
    assert json.loads(changes[0].data)["by_s"] == -3.0


def test_clock_jumps_are_counted_by_deployment() -> None:
    view = View()
    for deployment in ("credit", "fraud", "credit"):
        view.event(ClockJumped(at=START, by_ns=-3 * SECOND), deployment=deployment)
    assert view.counts.jumps == {"credit": 2, "fraud": 1}


def test_old_history_goes_but_open_questions_and_running_actions_stay() -> None:
    view = told(view=View(history=5))
    record = the(view).decisions.get("d-0002")
    assert record is not None
    for index in range(50):
        hold = replace(record, id=f"d-{1000 + index}", decision=Hold(because=("nothing to do",)))
        view.command(Record(fact=hold))
    state = the(view)
    kept = [d.id for d in state.decisions.newest()]
    assert len(kept) == 5
    assert "d-0002" in kept
    assert "d-1049" in kept


def test_bounded_forgets_the_oldest_that_it_may() -> None:
    kept: Bounded[int] = Bounded(2, lambda item: item == 1)
    for item in (1, 2, 3, 4):
        kept.put(str(item), item)
    assert kept.newest() == (4, 1)


def test_decisions_and_refusals_are_counted_by_guard() -> None:
    counts = told().counts
    assert counts.decisions["credit", "restart_replica", "apply", "auto"] == 1
    assert counts.decisions["credit", "scale_up", "ask", "auto"] == 1
    assert counts.blocked["credit", "G5"] == 2
    assert counts.blocked["credit", "G1"] == 2
    assert counts.outcomes["credit", "helped"] == 1


def test_only_a_finished_action_with_an_undo_can_be_undone() -> None:
    state = the(told())
    assert state.is_undoable("d-0001")
    assert not state.is_undoable("d-0002")
    assert not state.is_undoable("d-9999")
    record = state.decisions.get("d-0001")
    assert record is not None
    assert isinstance(record.decision, Apply)
