"""What feedback may do in the loop: less is told of, or more; nothing more is ever permitted."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import codec
from homeostat.base.actions import HOLD, Action, SafeSet
from homeostat.base.decisions import Urgency
from homeostat.base.events import (
    Command,
    Confirmed,
    Event,
    FeedbackReset,
    FleetView,
    Received,
    Record,
    Started,
    Tell,
    Ticked,
    Write,
)
from homeostat.base.evidence import Evidence, Family, Incident, Suspicion
from homeostat.base.feedback import FeedbackMode, FeedbackPolicy, FeedbackState, Heeded
from homeostat.base.guard import GuardState
from homeostat.base.intent import ActionRecord, ActionState, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.learn.feedback_channels import CHANNELS
from homeostat.loop import heeding
from homeostat.loop.parts import LoopParts
from homeostat.loop.step import initial, step
from homeostat.safety.permit import permit
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
POLICY = FeedbackPolicy()
WORK = build.suspicion(Family.WORK, "model", confidence=0.5)
SUSPICIONS = (
    (),
    (WORK,),
    (build.suspicion(Family.REPLICA, "replica:a-2", confidence=0.8),),
    (build.suspicion(Family.REPLICA, "replica:a-2", urgent=True),),
    (build.suspicion(Family.LOAD, "pool:a", confidence=0.7), WORK),
)


class Day:
    """One deployment, second by second, whose target does what it is told."""

    def __init__(self, policy: FeedbackPolicy | None = POLICY, parts: LoopParts = PARTS) -> None:
        self.parts = parts
        self.state: LoopState = initial(build.managed(feedback=policy))
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.tick = 0
        self.feed(Started(at=build.at(0), epoch=1, managed=self.state.managed))

    @property
    def now(self) -> TimeNs:
        return build.at(self.tick)

    def feed(self, event: Event) -> None:
        self.events.append(event)
        self.state, commands = step(self.parts, self.state, event)
        self.commands += commands
        for command in commands:
            if isinstance(command, Write):
                done = Receipt(
                    intent_id=command.intent.id, status=ReceiptStatus.DONE, at=self.now, detail=""
                )
                self.feed(Received(at=self.now, receipt=done, kill=KillLevel.OFF))

    def run(self, ticks: int, *suspicions: Suspicion, slo_met: bool | None = True) -> None:
        for _ in range(ticks):
            self.tick += 1
            seen = build.evidence(
                self.now, self.tick, world=build.world(self.now), suspicions=suspicions,
                slo_met=slo_met,
            )  # fmt: skip
            self.feed(
                Ticked(at=self.now, evidence=seen, fleet=FleetView(replicas=4), kill=KillLevel.OFF)
            )

    def say(self, *, real: bool, incident: str | None = None) -> None:
        name = f"i-{self.state.incidents:04d}" if incident is None else incident
        self.feed(Confirmed(at=self.now, by="ann", real=real, incident_id=name, deployment="m"))

    def told(self) -> list[str]:
        return [c.notice.title for c in self.commands if isinstance(c, Tell)]

    def opened(self) -> int:
        return self.state.incidents


def tired_of_work(policy: FeedbackPolicy = POLICY) -> Day:
    day = Day(policy)
    day.run(10)
    for _ in range(policy.words):
        day.run(14, WORK)  # explained by exclusion: confirmed after twelve
        day.run(10)
        day.say(real=False)
    return day


def test_what_people_called_nothing_three_times_opens_no_fourth_incident() -> None:
    day = tired_of_work()
    assert day.opened() == POLICY.words
    day.run(20, WORK)
    assert day.opened() == POLICY.words
    assert day.state.feedback is not None
    assert day.state.feedback.held == (Family.WORK,)
    assert day.state.calm_ticks == 0  # held back is not calm
    assert day.state.evidence is not None
    assert day.state.evidence.suspicions == (WORK,)  # and the guards see it
    day.run(1, WORK, slo_met=False)
    assert day.opened() == POLICY.words + 1


def test_watching_learns_the_same_and_nothing_follows() -> None:
    day = tired_of_work(replace(POLICY, mode=FeedbackMode.WATCH))
    day.run(14, WORK)
    assert day.opened() == POLICY.words + 1
    assert day.state.feedback is not None
    assert day.state.feedback.held == (Family.WORK,)


def test_a_person_is_told_what_a_word_was_worth_and_which_line_it_moved() -> None:
    day = tired_of_work()
    last = [c.notice for c in day.commands if isinstance(c, Tell)][-1]
    assert last.urgency is Urgency.INFO
    assert last.title == "ann says i-0003 was nothing: heard, and learnt from"
    assert any(line.startswith("work is held back up to") for line in last.lines)
    day.say(real=False, incident="i-0099")
    assert "i-0099 is settled or not known" in day.told()[-1]


def test_when_an_incident_is_over_people_are_asked_what_it_was() -> None:
    asked = [
        c.notice.lines[-1]
        for c in tired_of_work().commands
        if isinstance(c, Tell) and "is over after" in c.notice.title
    ]
    assert len(asked) == POLICY.words
    assert asked[0].startswith("what was it? `homeostat confirm m i-0001 --real`")


def _finished(name: str, ended: ActionState, incident: str = "i-0001") -> ActionRecord:
    return ActionRecord(
        id=name, deployment="m", incident_id=incident, action=HOLD, state=ended, epoch=1,
        stage=0, attempt=0, undo_attempts=0, intent=None, first_pre=(), proposed_at=build.START,
        state_since=build.START, deadline=build.START,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ended", "incident", "helped"),
    [
        (ActionState.SUCCEEDED, "i-0001", {"i-0001"}),
        (ActionState.SUCCEEDED, "", set()),  # in calm there was nothing to help
        (ActionState.ROLLED_BACK, "i-0001", set()),
        (ActionState.ABANDONED, "i-0001", set()),
    ],
)
def test_a_verified_effect_is_said_once_and_its_tick_is_still_masked(
    ended: ActionState, incident: str, helped: set[str]
) -> None:
    assert PARTS.feedback is not None
    told: list[tuple[bool, set[str]]] = []

    def watched(before, policy, evidence, heeded, *, incident, busy, helped):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - as the port
        told.append((busy, helped))
        return before

    parts = replace(PARTS, feedback=replace(PARTS.feedback, watched=watched))
    old, new = _finished("d-0001", ActionState.SUCCEEDED), _finished("d-0002", ended, incident)
    state = replace(
        initial(build.managed(feedback=POLICY)),
        feedback=FeedbackState(settled="d-0001"),
        finished=(old, new),
    )
    heeded = Heeded(bins="", score=0.0, held=(), told=False)
    for _ in range(2):
        after = heeding.watched(parts, state, build.evidence(), heeded, None)
        state = replace(state, feedback=after)
    assert told == [(True, helped), (False, set())]


def test_what_ended_before_anybody_looked_says_nothing() -> None:
    state = replace(
        initial(build.managed(feedback=POLICY)),
        finished=(_finished("d-0001", ActionState.SUCCEEDED),),
    )
    heeded = Heeded(bins="a" * len(CHANNELS), score=0.0, held=(), told=False)
    after = heeding.watched(PARTS, state, build.evidence(), heeded, None)
    assert after is not None
    assert (after.settled, after.open is not None and after.open.helped) == ("d-0001", False)


def test_without_feedback_a_word_is_kept_in_the_journal_and_moves_nothing() -> None:
    for policy in (None, replace(POLICY, mode=FeedbackMode.OFF)):
        day = Day(policy)
        day.run(10)
        day.say(real=False, incident="i-0001")
        assert day.state.feedback is None
        assert day.told()[-1] == "a word was said, and feedback is off"


def test_a_reset_forgets_what_was_said() -> None:
    day = tired_of_work()
    day.feed(FeedbackReset(at=day.now, by="ann", everything=True, deployment="m"))
    before = day.opened()
    day.run(14, WORK)
    assert day.opened() == before + 1


@pytest.mark.parametrize("cut", [15, 80])
def test_a_state_that_went_through_the_journal_learns_and_tells_the_same(cut: int) -> None:
    day = tired_of_work()
    day.run(20, WORK)
    state, again = initial(day.state.managed), list[Command]()
    for number, event in enumerate(day.events):
        if number == cut:
            state = codec.decode(codec.encode(state))
        state, commands = step(PARTS, state, codec.decode(codec.encode(event)))
        again += commands
    assert [codec.encode(one) for one in again] == [codec.encode(one) for one in day.commands]
    assert canonical(state) == canonical(day.state)


def canonical(state: LoopState) -> bytes:
    return codec.encode(codec.decode(codec.encode(state)))


def test_a_state_from_before_feedback_is_read_as_one_that_learnt_nothing() -> None:
    plain = codec.encode(initial(build.managed())).replace(b'"feedback":null,', b"")
    assert b"feedback" not in plain
    assert codec.decode(plain).feedback is None


def test_what_is_only_told_of_is_watched_and_earns_no_persistence() -> None:
    day = Day(parts=_says(lambda _: Heeded(bins="", score=0.0, held=(), told=True)))
    day.run(10)
    day.run(14)  # told of on each tick
    assert day.state.incident is not None
    assert day.state.incident.confirmed_at is not None
    assert not [c for c in day.commands if isinstance(c, Write)]
    assert day.state.streak is not None
    before = day.state.streak.ticks
    day.run(1, WORK)
    assert day.state.streak is not None
    assert (before > 1, day.state.streak.ticks) == (True, 1)


def _says(answer) -> LoopParts:  # type: ignore[no-untyped-def]  # noqa: ANN001 - a test's lambda
    """Return the parts with a learner that says what a test wants it to say."""
    assert PARTS.feedback is not None

    def watched(before, policy, evidence, heeded, **_):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ANN003 - as the port
        return FeedbackState(told=heeded.told)

    feedback = replace(PARTS.feedback, heed=lambda _b, _p, seen: answer(seen), watched=watched)
    return replace(PARTS, feedback=feedback)


_TICKS = st.lists(
    st.tuples(st.sampled_from(SUSPICIONS), st.sampled_from([True, True, True, False, None])),
    min_size=5,
    max_size=12,
)
_LIES = st.lists(st.tuples(st.lists(st.booleans(), max_size=3), st.booleans()), min_size=1)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(_TICKS, _LIES)
def test_whatever_a_learner_says_the_guards_judge_what_was_found_and_permit_no_more(
    ticks: list[tuple[tuple[Suspicion, ...], bool | None]], lies: list[tuple[list[bool], bool]]
) -> None:
    found: list[Evidence] = []
    asked: list[tuple[GuardState, SafeSet]] = []

    def lie(evidence: Evidence) -> Heeded:
        held, told = lies[len(found) % len(lies)]
        found.append(evidence)
        return Heeded(bins="x", score=9.0, held=tuple(held), told=told, because=("because",))

    def watching(wanted: Sequence[Action], seen: GuardState, now: TimeNs) -> SafeSet:
        safe = permit(wanted, seen, now)
        asked.append((seen, safe))
        return safe

    day = Day(parts=replace(_says(lie), permit=watching))
    plain = Day(policy=None)
    for one in (day, plain):
        one.run(9)
    for suspicions, slo_met in ticks:
        day.run(1, *suspicions, slo_met=slo_met)
        plain.run(1, *suspicions, slo_met=slo_met)
        assert day.state.evidence == found[-1]
        assert day.state.calm_ticks <= plain.state.calm_ticks
        if any(one.urgent for one in suspicions):
            assert day.state.incident is not None
    for seen, _ in asked:
        assert seen.evidence in found
    allowed = {action for _, safe in asked for action in (*safe.allowed, *safe.approvals)} | {HOLD}
    records = [c.fact for c in day.commands if isinstance(c, Record)]
    for record in (one for one in records if hasattr(one, "action")):
        assert record.action in allowed


def test_a_learner_that_speaks_of_other_suspicions_than_there_are_is_not_believed() -> None:
    seen = build.evidence(suspicions=(WORK,), slo_met=True)
    odd = Heeded(bins="", score=0.0, held=(True, True), told=True)
    assert heeding.applied(POLICY, seen, odd) == seen
    fits = replace(odd, held=(True,))
    assert heeding.applied(POLICY, seen, fits).suspicions == ()
    assert heeding.applied(replace(POLICY, loudest=0.5), seen, fits) == seen


def test_incidents_of_a_healthy_day_are_what_they_were() -> None:
    on, off = Day(), Day(policy=None)
    for day in (on, off):
        day.run(30)
        day.run(6, SUSPICIONS[2][0])
        day.run(20)
    facts = [
        [c.fact for c in day.commands if isinstance(c, Record) and isinstance(c.fact, Incident)]
        for day in (on, off)
    ]
    assert facts[0] == facts[1]
    assert len(facts[0]) > 1
