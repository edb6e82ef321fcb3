"""The feedback loop of a live deployment: what a word moves, what waits, what is never learnt."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import codec, names
from homeostat.base.evidence import Evidence, Family, Incident, Suspicion
from homeostat.base.feedback import FeedbackPolicy, FeedbackState, Nothing, Said
from homeostat.base.units import HOUR, MINUTE, SECOND, TimeNs
from homeostat.learn import feedback, feedback_file, feedback_live
from homeostat.learn.feedback_channels import CHANNELS
from homeostat.learn.feedback_said import PER_FAMILY, held_up_to
from homeostat.testing import build

POLICY = FeedbackPolicy()
SCRAPE = 15 * SECOND


class Deployment:
    """One deployment whose incidents are what its suspicions say, tick by tick."""

    def __init__(self, policy: FeedbackPolicy = POLICY) -> None:
        self.policy = policy
        self.state: FeedbackState | None = None
        self.tick, self.incidents = 0, 0
        self.open: Incident | None = None

    @property
    def now(self) -> TimeNs:
        return TimeNs(build.START + self.tick * SCRAPE)

    @property
    def learnt(self) -> FeedbackState:
        assert self.state is not None
        return self.state

    def evidence(self, *suspicions: Suspicion, memory: float = 0.4, **more: Any) -> Evidence:
        values = {("replica:a-1", names.MEMORY_SHARE): memory}
        seen = {"values": values, "suspicions": suspicions, "slo_met": True} | more
        return build.evidence(self.now, self.tick, **seen)

    def run(
        self,
        ticks: int,
        *suspicions: Suspicion,
        busy: bool = False,
        told: bool = True,
        helped: str = "",
        **more: Any,
    ) -> None:
        for _ in range(ticks):
            self.tick += 1
            seen = self.evidence(*suspicions, **more)
            self.heeded = feedback_live.heed(self.state, self.policy, seen)
            self._follow(suspicions if told else ())
            self.state = feedback_live.watched(
                self.state,
                self.policy,
                seen,
                self.heeded,
                incident=self.open,
                busy=busy,
                helped=frozenset({helped} - {""}),
            )

    def _follow(self, suspicions: tuple[Suspicion, ...]) -> None:
        if not suspicions:
            self.open = None
        elif self.open is None:
            self.incidents += 1
            top = suspicions[0]
            self.open = Incident(
                id=f"i-{self.incidents:04d}", deployment="m", family=top.family,
                subject=top.subject, opened_at=self.now, confirmed_at=self.now, tries=0,
                escalated=False, because=(),
            )  # fmt: skip

    def say(
        self,
        *,
        real: bool,
        about: TimeNs | None = None,
        by: str = "ann",
        family: Family | None = None,
    ) -> str:
        incident_id = "" if about is not None else f"i-{self.incidents:04d}"
        said = Said(by=by, at=self.now, real=real, family=family)
        self.state, worth = feedback_live.answered(
            self.state, self.policy, said, incident_id=incident_id, about=about
        )
        return worth

    def told(self) -> bool:
        return self.heeded.told

    def stopped(self) -> bool:
        return self.learnt.stopped

    def alarm(self, confidence: float = 0.5, *, ticks: int = 6) -> Suspicion:
        one = build.suspicion(Family.WORK, "model", confidence=confidence)
        self.run(ticks, one)
        self.run(2)
        return one

    def held(self, one: Suspicion, *, slo_met: bool | None = True) -> bool:
        seen = self.evidence(one, slo_met=slo_met)
        return feedback_live.heed(self.state, self.policy, seen).held[0]


def called_nothing(times: int = 3, confidence: float = 0.5) -> Deployment:
    one = Deployment()
    one.run(10)
    for _ in range(times):
        one.alarm(confidence)
        assert "learnt" in one.say(real=False)
    return one


def test_a_line_is_raised_by_the_third_nothing_and_says_by_whose_words() -> None:
    one = called_nothing(2)
    suspicion = one.alarm()
    assert not one.held(suspicion)
    one.say(real=False, by="bob")
    assert one.held(suspicion)
    assert one.learnt.moves[-1].words == (
        "work is held back up to a confidence of 0.50: "
        "ann, bob called i-0001, i-0002, i-0003 nothing"
    )


def test_one_loud_incident_called_nothing_does_not_raise_the_line_of_quiet_ones() -> None:
    one = called_nothing(2, confidence=0.3)
    loud = one.alarm(0.8)
    one.say(real=False)
    assert not one.held(loud)
    assert one.held(replace(loud, confidence=0.3))


def test_three_words_on_one_incident_are_one_word() -> None:
    one = Deployment()
    one.run(10)
    suspicion = build.suspicion(Family.WORK, "model", confidence=0.5)
    one.run(6, suspicion)  # it is still open
    for person in ("ann", "bob", "eve"):
        one.say(real=False, by=person)
    assert one.say(real=False, by="eve") == "heard before"
    assert not one.held(suspicion)


@pytest.mark.parametrize(
    ("change", "slo_met"),
    [
        ({"urgent": True}, True),
        ({"confidence": 0.6}, True),  # surer than what anybody spoke of
        ({"family": Family.REPLICA}, True),
        ({}, False),
        ({}, None),  # unknown is not well
    ],
)
def test_what_is_not_like_it_or_not_surely_harmless_is_never_held_back(
    change: dict[str, object],
    slo_met: bool | None,  # noqa: FBT001 - a parameter of the test
) -> None:
    one = called_nothing()
    suspicion = build.suspicion(Family.WORK, "model", confidence=0.5)
    assert one.held(suspicion)
    assert not one.held(replace(suspicion, **change), slo_met=slo_met)  # type: ignore[arg-type]


def test_what_is_sure_enough_is_never_held_back_however_often_it_was_nothing() -> None:
    one = called_nothing(5, confidence=POLICY.loudest)
    assert not one.held(build.suspicion(Family.WORK, "model", confidence=POLICY.loudest))


def test_one_real_incident_brings_the_shipped_line_back() -> None:
    one = called_nothing()
    suspicion = one.alarm()
    one.say(real=True, by="bob")
    assert not one.held(suspicion)
    assert one.learnt.moves[-1].words == ("work is told of from its shipped line on again, by bob")


def test_missed_objectives_outweigh_every_word_once_they_are_learnt_from() -> None:
    one = called_nothing()
    suspicion = build.suspicion(Family.WORK, "model", confidence=0.5)
    one.run(feedback.PERSIST, suspicion, slo_met=False)
    one.run(2)
    assert "learnt" in one.say(real=False)  # whoever denies it
    assert not one.held(suspicion)


def test_another_kind_of_trouble_is_remembered_and_moves_no_line() -> None:
    one = called_nothing()
    suspicion = one.alarm()
    one.say(real=True, family=Family.NETWORK)
    assert one.held(suspicion)
    (mistaken,) = one.learnt.mistaken
    assert (mistaken.suspected, mistaken.said, mistaken.count) == (
        Family.WORK, Family.NETWORK, 1,
    )  # fmt: skip


def test_a_raised_line_goes_back_by_itself() -> None:
    one = called_nothing()
    last = one.learnt.nothings[-1].at
    assert held_up_to(one.learnt.nothings, POLICY, TimeNs(last + 1)) == {Family.WORK: 0.5}
    assert not held_up_to(one.learnt.nothings, POLICY, TimeNs(last + POLICY.keep_ns))
    assert not held_up_to(one.learnt.nothings, POLICY, TimeNs(last - HOUR))  # a clock gone back


def test_a_word_counts_once_and_not_for_ever() -> None:
    one = Deployment(replace(POLICY, answer_ns=5 * MINUTE))
    one.run(10)
    one.alarm()
    one.say(real=True)
    assert "settled" in one.say(real=False, by="bob")
    one.alarm()
    one.run(30)
    assert "settled" in one.say(real=False)
    assert one.learnt.nothings == ()


def test_ticks_with_an_action_of_ours_in_flight_are_masked() -> None:
    one = Deployment()
    one.run(10)
    before = one.learnt.open
    loud = build.suspicion(Family.OUTPUT, "model", confidence=1.0)
    one.run(8, busy=True)
    assert before is not None
    after = one.learnt.open
    assert after is not None
    assert (after.ticks, after.peaks, after.touched) == (before.ticks, before.peaks, True)
    one.run(8, loud)  # the same without an action is seen
    assert one.learnt.open is not None
    assert one.learnt.open.peaks != before.peaks


def test_quiet_under_drift_teaches_nothing() -> None:
    calm = replace(POLICY, report_ns=1)
    quiet, drifting = Deployment(calm), Deployment(calm)
    quiet.run(70)
    drifting.run(70, build.suspicion(Family.DRIFT, "model"), told=False)
    config = feedback_live.config(calm)
    hours = [
        float(feedback_file.from_text(config, one.learnt.learnt).watched_h)
        for one in (quiet, drifting)
    ]
    assert hours[0] > 0.2
    assert hours[1] == 0.0


@pytest.mark.slow
def test_signs_of_what_was_overlooked_are_told_of_after_as_many_reports_as_move_a_line() -> None:
    one = Deployment(replace(POLICY, report_ns=30 * MINUTE, per_day=24.0))
    for reports in range(POLICY.words):
        one.run(4 * 60)
        one.run(8, memory=0.8)  # below its line: nothing is suspected, nobody is told
        assert not one.told()
        assert "heard" in one.say(real=True, about=one.now)
        one.run(60)
        assert one.learnt.overlooked == reports + 1
    assert "the learnt line moved" in one.learnt.moves[-1].words
    one.run(60)
    assert not one.told()
    one.run(feedback.PERSIST - 1, memory=0.8)
    assert not one.told()  # it has not lasted
    one.run(2, memory=0.8)
    assert one.told()
    assert "share memory_share" in one.heeded.because[0]
    seen = one.evidence(memory=0.8)
    shy = replace(one.policy, faintest=1.0)
    assert not feedback_live.heed(one.state, shy, seen).told
    sparing = replace(one.policy, per_day=0.01)  # a budget that so little quiet time cannot promise
    assert not feedback_live.heed(one.state, sparing, seen).told


def test_time_in_an_incident_is_confirmed_as_that() -> None:
    one = Deployment()
    one.run(10)
    one.run(6, build.suspicion(Family.WORK, "model"))
    assert one.say(real=True, about=one.now) == "i-0001 was open then: confirm that"


@pytest.mark.slow
def test_everything_is_bounded_however_much_is_said() -> None:
    one = Deployment()
    for round_ in range(60):
        one.alarm(0.3 + 0.01 * (round_ % 7), ticks=2)
        one.say(real=False)
    for _ in range(160):
        one.alarm(ticks=1)
    state = one.learnt
    assert len(state.nothings) <= PER_FAMILY
    assert len(state.waiting) <= feedback_live.WAITING + 1
    assert len(state.moves) <= 20
    assert len(codec.encode(state)) < 100_000
    assert codec.decode(codec.encode(state)) == state


def test_somebody_who_calls_everything_nothing_stops_the_learning_until_a_person_says() -> None:
    one = called_nothing(3)
    suspicion = build.suspicion(Family.WORK, "model", confidence=0.5)
    assert one.held(suspicion)
    for _ in range(30):
        one.alarm(ticks=2)
        one.say(real=False)
    assert one.stopped()
    assert not one.held(suspicion)
    one.state = feedback_live.forgotten(one.state, everything=False)
    assert not one.stopped()
    assert one.held(suspicion)
    one.state = feedback_live.forgotten(one.state, everything=True)
    assert (one.learnt.learnt, one.learnt.nothings, one.learnt.waiting) == ("", (), ())
    assert one.learnt.moves  # what moved stays on record


def test_letters_of_other_channels_are_not_believed() -> None:
    one = called_nothing(1)
    other = replace(one.learnt, channels="other")
    fresh = feedback_live.forgotten(other, everything=False)
    assert (fresh.open, fresh.waiting, fresh.recent) == (None, (), ())
    assert fresh.nothings == one.learnt.nothings  # families are what they were


def test_what_is_learnt_goes_through_its_text_and_unknown_channels_are_left_out() -> None:
    text = called_nothing(2).learnt.learnt
    config = feedback_live.config(POLICY)
    state = feedback_file.from_text(config, text)
    assert feedback_file.to_text(state) == text
    assert state.counts.stretches.sum() > 0
    renamed = text.replace(CHANNELS[0], "chart of the past", 1)
    again = feedback_file.from_text(config, renamed)
    assert again.counts.reached[:, 0].sum() == 0.0
    assert (again.counts.reached[:, 1:] == state.counts.reached[:, 1:]).all()
    with pytest.raises(ValueError, match="reset the feedback"):
        feedback_file.from_text(config, '{"channels": []}')


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(list(Family)), st.floats(0.0, 1.0), st.integers(0, 40 * 24)),
        max_size=20,
    ),
    st.floats(0.05, 1.0),
)
def test_a_line_is_never_above_what_was_called_nothing(
    said: list[tuple[Family, float, int]], loudest: float
) -> None:
    policy = replace(POLICY, loudest=loudest)
    now = TimeNs(41 * 24 * HOUR)
    nothings = tuple(
        Nothing(
            incident_id=f"i-{k}", family=family, confidence=sure, by="ann", at=TimeNs(at * HOUR)
        )
        for k, (family, sure, at) in enumerate(said)
    )
    lines = held_up_to(nothings, policy, now)
    for family, line in lines.items():
        young = [n for n in nothings if n.family is family and now - n.at < policy.keep_ns]
        assert len(young) >= policy.words
        assert sum(n.confidence >= line for n in young) >= policy.words
        assert line in {n.confidence for n in young}


@pytest.mark.parametrize("incident", ["i-0001", "i-0002", "i-0099"])
def test_an_outcome_is_credited_to_its_own_incident_and_to_no_other(incident: str) -> None:
    """The first is over when its action is seen to have helped, and another one is open."""
    one = Deployment()
    one.run(10)
    one.alarm()
    suspicion = build.suspicion(Family.SENSOR, "model", confidence=0.5)
    one.run(5, suspicion)
    one.run(1, suspicion, helped=incident)
    assert one.learnt.open is not None
    spans = (*one.learnt.waiting, one.learnt.open)
    found = {span.incident_id: span.helped for span in spans if span.incident_id}
    assert found == {"i-0001": incident == "i-0001", "i-0002": incident == "i-0002"}
