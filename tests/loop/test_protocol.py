"""The action protocol, sentence by sentence."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.actions import HOLD, Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.errors import ProtocolError
from homeostat.base.intent import ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot, Stamp
from homeostat.loop.protocol import (
    Abort,
    Approved,
    AskGuard,
    AskPerson,
    ClaimTarget,
    Demand,
    EffectSeen,
    GuardAllowed,
    GuardDenied,
    GuardNeedsApproval,
    KillThrown,
    News,
    Page,
    ReadWorldAgain,
    Rejected,
    SendWrite,
    Tick,
    Timing,
    TookOver,
    WorldSeen,
    WroteReceipt,
    advance,
    propose,
    timing_for,
)
from homeostat.testing import build

S = ActionState
TIMING = Timing(
    receipt_deadline_ns=5, readiness_deadline_ns=30, verify_ns=40, blind_ns=25,
    approval_ttl_ns=60, readback_deadline_ns=15, quiesce_ns=20, fresh_ns=10,
    fallback="pool:old",
)  # fmt: skip
SCALE = Action(
    kind=ActionKind.SCALE_UP, subject="pool:a", actuator="host", change=(("replicas.a", 4),),
    undo=UndoKind.EXACT, settle_ns=3,
)  # fmt: skip
RAMP = Action(
    kind=ActionKind.SHIFT_TRAFFIC, subject="pool:b", actuator="host", change=(("weight.b", 50),),
    undo=UndoKind.EXACT, ramp=(10.0, 25.0, 50), settle_ns=3,
)  # fmt: skip
RESTART = Action(
    kind=ActionKind.RESTART_REPLICA, subject="replica:a-1", actuator="host",
    change=(("incarnation.a-1", 2),), undo=UndoKind.COMPENSATING, settle_ns=3,
)  # fmt: skip
LIVE: dict[str, int | float | str] = {"incarnation.a-1": 1, "replicas.a": 3, "weight.b": 5}


class Bench:
    """One action on a scripted target with compare-and-set (unless told otherwise)."""

    def __init__(self, action: Action = SCALE, *, cas: bool = True) -> None:
        self.cas, self.now = cas, 100
        self.live, self.token, self.stamp = dict(LIVE), 7, None
        self.epoch, self.changing = 1, False
        self.replicas: tuple[Replica, ...] = ()
        self.sent: list[Intent] = []
        self.pages: list[str] = []
        self.timing = TIMING
        self.record = propose(
            action, id="d-0001", deployment="m", incident_id="i-1", epoch=1, now=TimeNs(self.now)
        )

    stamp: str | None

    def world(self, *, age: int = 0) -> Snapshot:
        stamp = Stamp(
            actuator="host",
            token=str(self.token) if self.cas else None,
            intent=self.stamp if self.cas else None,
            epoch=self.epoch if self.cas else None,
        )
        return Snapshot(
            deployment="m", observed_at=TimeNs(self.now - age), replicas=self.replicas, releases=(),
            levers=tuple(sorted(self.live.items())), stamps=(stamp,), changing=self.changing,
        )  # fmt: skip

    def feed(self, news: News, *, world: Snapshot | None = None) -> tuple[Demand, ...]:
        seen = world if world is not None else self.world()
        self.record, demands = advance(
            self.record, news, TimeNs(self.now), world=seen, timing=self.timing
        )
        self.sent += [d.intent for d in demands if isinstance(d, SendWrite)]
        self.pages += [d.text for d in demands if isinstance(d, Page)]
        return demands

    def at(self, state: ActionState, why: str = "") -> None:
        assert self.record.state is state, f"{self.record} {why}"

    def see(self, *, age: int = 0) -> tuple[Demand, ...]:
        world = self.world(age=age)
        return self.feed(WorldSeen(world=world), world=world)

    def wait(self, ticks: int) -> tuple[Demand, ...]:
        self.now += ticks
        return self.feed(Tick())

    def late(self) -> tuple[Demand, ...]:
        self.now = self.record.deadline
        return self.feed(Tick())

    def reply(self, status: ReceiptStatus, *, conflict: bool = False) -> tuple[Demand, ...]:
        return self.feed(
            WroteReceipt(
                receipt=Receipt(
                    intent_id=self.sent[-1].id,
                    status=status,
                    at=TimeNs(self.now),
                    conflict=conflict,
                )
            )
        )

    def lands(self, write: Intent | None = None) -> None:
        write = write or self.sent[-1]
        self.live.update(dict(write.post))
        self.token += 1
        self.stamp = write.id

    def done(self) -> None:
        self.lands()
        self.reply(ReceiptStatus.DONE)

    def claimed(self) -> None:
        self.token += 1

    def someone_writes(self, lever: str, value: float) -> None:
        self.live[lever] = value
        self.token += 1
        self.stamp = None

    def to(self, state: ActionState) -> "Bench":
        """Take the straight way to a state."""
        path: dict[ActionState, Callable[[], object]] = {
            S.INTENT: lambda: self.feed(GuardAllowed()),
            S.APPLIED: self.done,
            S.SETTLING: self.see,
            S.VERIFYING: self.late,
        }
        for reached, step in path.items():
            step()
            assert self.record.state is reached
            if reached is state:
                return self
        pytest.fail(f"no straight way to {state}")


def _of(demands: tuple[Demand, ...], kind: type[Demand]) -> list[Demand]:
    return [demand for demand in demands if isinstance(demand, kind)]


# -- from the proposal to the write ---------------------------------------------------------


def test_a_tick_makes_a_proposal_ask_the_guard_about_its_levers() -> None:
    bench = Bench()
    assert bench.feed(Tick()) == (AskGuard(change=SCALE.change, undo=False),)


def test_what_the_guard_refuses_is_denied_with_its_reasons() -> None:
    bench = Bench()
    bench.feed(GuardDenied(reasons=("G0 blind", "G4 too often")))
    bench.at(S.DENIED)
    assert bench.record.reason == "G0 blind; G4 too often"


def test_a_permitted_action_is_an_intent_with_both_images_token_and_deadline() -> None:
    bench = Bench().to(S.INTENT)
    (write,) = bench.sent
    assert (write.pre, write.post) == ((("replicas.a", 3),), (("replicas.a", 4),))
    assert (write.id, write.token, write.epoch, write.deadline) == ("d-0001.0.0", "7", 1, 105)
    assert bench.record.intent == write
    assert bench.record.in_flight
    assert bench.record.first_pre == write.pre


def test_a_write_needs_a_fresh_reading() -> None:
    bench = Bench()
    stale = bench.world(age=TIMING.fresh_ns + 1)
    demands = bench.feed(GuardAllowed(), world=stale)
    assert not bench.sent
    assert _of(demands, ReadWorldAgain)
    assert _of(bench.see(), AskGuard), "the guard is asked again on the new reading"
    bench.feed(GuardAllowed())
    assert len(bench.sent) == 1


def test_a_reading_from_the_future_is_not_fresh() -> None:
    bench = Bench()
    bench.feed(GuardAllowed(), world=bench.world(age=-5))
    assert not bench.sent


def test_what_is_already_so_is_not_written() -> None:
    bench = Bench()
    bench.live["replicas.a"] = 4
    bench.feed(GuardAllowed())
    bench.at(S.ABANDONED)
    assert not bench.sent


def test_a_lever_that_nobody_reports_is_never_written() -> None:
    bench = Bench()
    del bench.live["replicas.a"]
    bench.feed(GuardAllowed())
    bench.at(S.ABANDONED)
    assert "replicas.a" in bench.record.reason


def test_a_controller_that_the_target_knows_to_be_deposed_writes_nothing() -> None:
    bench = Bench()
    bench.epoch = 2
    bench.feed(GuardAllowed())
    assert not bench.sent
    assert bench.late() == ()
    bench.at(S.ABANDONED)


@pytest.mark.parametrize(
    "action",
    [
        HOLD,
        replace(SCALE, change=()),
        replace(SCALE, actuator=""),
        replace(RAMP, ramp=(10.0, 40.0)),
        replace(RAMP, change=(("weight.b", 50), ("x", 1))),
    ],
)
def test_an_action_that_writes_nothing_or_ramps_elsewhere_is_refused(action: Action) -> None:
    with pytest.raises(ProtocolError):
        propose(action, id="d-1", deployment="m", incident_id="", epoch=1, now=TimeNs(0))


# -- approval -------------------------------------------------------------------------------


def test_approval_asks_the_guard_again_before_anything_is_written() -> None:
    bench = Bench()
    asked = bench.feed(GuardNeedsApproval(ttl_ns=50))
    assert asked == (AskPerson(expires_at=TimeNs(150)),)
    assert _of(bench.feed(Approved(by="ann")), AskGuard)
    bench.at(S.AWAITING_APPROVAL)
    assert not bench.sent
    bench.feed(GuardNeedsApproval(ttl_ns=50))  # "a person must say yes": one has
    bench.at(S.INTENT)
    assert bench.record.approved_by == "ann"


def test_evidence_that_went_bad_while_a_person_thought_denies_the_action() -> None:
    bench = Bench()
    bench.feed(GuardNeedsApproval(ttl_ns=50))
    bench.feed(Approved(by="ann"))
    bench.feed(GuardDenied(reasons=("G0 stale",)))
    bench.at(S.DENIED)


def test_nobodys_answer_expires_and_a_late_yes_is_too_late() -> None:
    for news in (Tick(), Approved(by="ann")):
        bench = Bench()
        bench.feed(GuardNeedsApproval(ttl_ns=10_000))
        bench.now += TIMING.approval_ttl_ns
        bench.feed(news)
        bench.at(S.EXPIRED)


def test_a_no_is_a_no() -> None:
    bench = Bench()
    bench.feed(GuardNeedsApproval(ttl_ns=50))
    bench.feed(Rejected(by="bob", why="demo day"))
    bench.at(S.DENIED)
    assert bench.record.reason == "bob said no: demo day"


def test_a_guard_that_allows_without_a_yes_does_not_skip_the_person() -> None:
    bench = Bench()
    bench.feed(GuardNeedsApproval(ttl_ns=50))
    bench.feed(GuardAllowed())
    bench.at(S.AWAITING_APPROVAL)
    assert not bench.sent


# -- the write's fate -----------------------------------------------------------------------


def test_three_conflicts_end_the_attempt_and_every_attempt_has_its_own_id() -> None:
    bench = Bench().to(S.INTENT)
    for _ in range(2):
        bench.someone_writes("weight.b", 6)
        demands = bench.reply(ReceiptStatus.NOT_APPLIED, conflict=True)
        assert _of(demands, ReadWorldAgain)
        assert _of(bench.see(), AskGuard)
        bench.feed(GuardAllowed())
    bench.reply(ReceiptStatus.NOT_APPLIED, conflict=True)
    bench.at(S.ABANDONED)
    assert [write.id for write in bench.sent] == ["d-0001.0.0", "d-0001.0.1", "d-0001.0.2"]
    assert [write.token for write in bench.sent] == ["7", "8", "9"]


def test_a_refusal_of_the_target_is_not_tried_again() -> None:
    bench = Bench().to(S.INTENT)
    bench.reply(ReceiptStatus.NOT_APPLIED)
    bench.at(S.ABANDONED)


@pytest.mark.parametrize("how", ["broken reply", "no reply"])
def test_a_timeout_is_unknown_and_unknown_reads_the_world(how: str) -> None:
    bench = Bench().to(S.INTENT)
    demands = bench.late() if how == "no reply" else bench.reply(ReceiptStatus.UNKNOWN)
    bench.at(S.READBACK)
    assert bench.record.in_flight, "people see it as unknown"
    assert [type(d) for d in demands] == [ClaimTarget, ReadWorldAgain]


def test_unknown_is_never_retried_until_the_lost_write_can_no_longer_land() -> None:
    bench = Bench().to(S.INTENT)
    bench.late()
    assert bench.see() == ()  # the pre-image is live, but the token has not moved
    bench.at(S.READBACK)
    assert [type(d) for d in bench.wait(1)] == [ClaimTarget, ReadWorldAgain]
    bench.claimed()
    bench.see()
    bench.at(S.INTENT)
    assert not bench.record.in_flight
    assert _of(bench.see(), AskGuard)
    bench.feed(GuardAllowed())
    assert bench.sent[-1].id == "d-0001.0.1"


def test_without_compare_and_set_the_retry_waits_for_quiet() -> None:
    bench = Bench(cas=False).to(S.INTENT)
    sent_until = bench.sent[0].deadline
    bench.late()
    for _ in range(3):
        bench.now += 5
        bench.see()
        bench.at(S.READBACK)
    bench.now = sent_until + TIMING.quiesce_ns
    bench.see()
    bench.at(S.INTENT)


def test_a_reply_that_was_lost_after_the_write_landed_is_found_by_reading() -> None:
    bench = Bench().to(S.INTENT)
    bench.lands()
    bench.late()
    bench.see()
    bench.at(S.APPLIED)


def test_the_same_value_by_another_hand_is_foreign() -> None:
    bench = Bench().to(S.INTENT)
    bench.someone_writes("replicas.a", 4)
    bench.late()
    bench.see()
    bench.at(S.FOREIGN)
    assert bench.pages


def test_a_write_that_landed_and_was_reverted_is_not_taken_for_a_lost_one() -> None:
    bench = Bench()
    bench.stamp = "d-0000.0.0"
    bench.to(S.INTENT)
    bench.lands()
    bench.someone_writes("replicas.a", 3)
    bench.late()
    bench.see()
    bench.at(S.FOREIGN)


def test_a_reading_older_than_the_intents_token_says_nothing_whatever_its_time() -> None:
    bench = Bench().to(S.INTENT)
    bench.late()
    bench.token = 6
    bench.see()
    bench.at(S.READBACK)
    bench.live["replicas.a"] = 99  # not even a foreign write
    bench.see()
    bench.at(S.READBACK)


def test_what_cannot_be_read_back_in_time_goes_back_and_ends_stuck_with_a_page() -> None:
    bench = Bench().to(S.INTENT)
    states = []
    while not bench.record.state.is_terminal:
        bench.now = bench.record.deadline
        bench.record, demands = advance(
            bench.record, Tick(), TimeNs(bench.now), world=None, timing=TIMING
        )
        bench.pages += [d.text for d in demands if isinstance(d, Page)]
        states.append(bench.record.state)
    assert states == [S.READBACK, S.ROLLING_BACK, S.ROLLING_BACK, S.ROLLING_BACK, S.STUCK]
    assert bench.record.in_flight, "its fate is still unknown and is shown as such"
    assert len(bench.pages) == 1


def test_a_receipt_of_an_older_attempt_is_history() -> None:
    bench = Bench().to(S.INTENT)
    bench.late()
    bench.claimed()
    bench.see()
    bench.see()
    bench.feed(GuardAllowed())
    old = Receipt(intent_id="d-0001.0.0", status=ReceiptStatus.DONE, at=TimeNs(bench.now))
    before = bench.record
    assert bench.feed(WroteReceipt(receipt=old)) == ()
    assert bench.record == before


# -- readiness, settling, verification ------------------------------------------------------


def serving(ready: int, starting: int = 0) -> tuple[Replica, ...]:
    states = [ReplicaState.READY] * ready + [ReplicaState.STARTING] * starting
    return tuple(build.replica(f"a-{n}", state=one) for n, one in enumerate(states, 1))


THREE_MORE = replace(SCALE, change=(("replicas.a", 6),), replicas_touched=3, exempt=False)


@pytest.mark.parametrize(("action", "ready"), [(THREE_MORE, 5), (THREE_MORE, 4), (SCALE, 4)])
def test_replicas_that_came_stay_where_others_do_not_come(action: Action, ready: int) -> None:
    """In the overload that asked for them: to take all back would take those that serve."""
    bench = Bench(action).to(S.APPLIED)
    bench.changing, bench.replicas = True, serving(ready, starting=6 - ready)
    bench.wait(10)
    bench.at(S.APPLIED)
    bench.late()
    bench.at(S.SUCCEEDED_UNPROVEN)
    assert "what came of it stays" in bench.record.reason
    assert bench.pages == [bench.record.reason]
    assert not bench.record.harmed
    assert [write.undo for write in bench.sent] == [False]


@pytest.mark.parametrize("ready", [3, 2])
def test_replicas_of_which_none_came_are_taken_back(ready: int) -> None:
    bench = Bench(THREE_MORE).to(S.APPLIED)
    bench.changing, bench.replicas = True, serving(ready, starting=3)
    bench.late()
    bench.at(S.ROLLING_BACK, "nothing that serves goes with it")


def test_what_nobody_can_see_takes_no_capacity_away() -> None:
    bench = Bench(THREE_MORE).to(S.APPLIED)
    stale = bench.world()
    bench.now = bench.record.deadline
    assert bench.now - stale.observed_at > TIMING.fresh_ns
    bench.feed(Tick(), world=stale)
    bench.at(S.SUCCEEDED_UNPROVEN)


def test_applied_waits_while_the_target_is_changing_and_then_goes_back() -> None:
    bench = Bench().to(S.APPLIED)
    bench.changing = True
    bench.see()
    bench.at(S.APPLIED)
    bench.late()
    bench.at(S.ROLLING_BACK)


def test_levers_that_are_partly_live_are_not_applied_yet() -> None:
    both = replace(SCALE, change=(("replicas.a", 4), ("weight.b", 9)))
    bench = Bench(both).to(S.INTENT)
    bench.lands()
    bench.live["weight.b"] = 5
    bench.reply(ReceiptStatus.DONE)
    bench.see()
    bench.at(S.APPLIED)
    bench.late()
    bench.see()
    bench.feed(GuardAllowed())
    undo = bench.sent[-1]
    assert undo.undo
    assert undo.post == (("replicas.a", 3), ("weight.b", 5))


def test_metrics_are_not_listened_to_while_settling() -> None:
    bench = Bench().to(S.SETTLING)
    bench.feed(EffectSeen(effect=Effect.HARMED))
    bench.at(S.SETTLING)
    bench.late()
    bench.at(S.VERIFYING)


@pytest.mark.parametrize("state", [S.APPLIED, S.SETTLING, S.VERIFYING])
def test_a_lever_that_someone_else_moves_stops_us_and_is_never_written_back(
    state: ActionState,
) -> None:
    bench = Bench().to(state)
    bench.someone_writes("replicas.a", 6)
    bench.see()
    bench.at(S.FOREIGN)
    assert len(bench.sent) == 1
    assert len(bench.pages) == 1


def test_a_foreign_write_of_another_lever_does_not_end_a_change_that_is_live() -> None:
    bench = Bench().to(S.VERIFYING)
    bench.someone_writes("weight.b", 6)
    bench.see()
    bench.feed(EffectSeen(effect=Effect.HELPED))
    bench.at(S.SUCCEEDED)


def test_no_change_until_the_window_ends_is_unproven_and_stays() -> None:
    bench = Bench().to(S.VERIFYING)
    for _ in range(TIMING.verify_ns - 1):
        bench.now += 1
        bench.feed(EffectSeen(effect=Effect.NO_CHANGE))
        bench.at(S.VERIFYING)
    bench.now += 1
    bench.feed(EffectSeen(effect=Effect.NO_CHANGE))
    bench.at(S.SUCCEEDED_UNPROVEN)


def test_no_verdict_at_all_is_blindness_not_the_absence_of_harm() -> None:
    bench = Bench(replace(RAMP, ramp=())).to(S.VERIFYING)
    assert bench.record.blind_since == bench.now
    bench.wait(TIMING.blind_ns)
    bench.at(S.ROLLING_BACK)


@pytest.mark.parametrize(
    ("kind", "undo", "end"),
    [
        (ActionKind.SCALE_UP, UndoKind.EXACT, S.SUCCEEDED_UNPROVEN),
        (ActionKind.RESIZE_UP, UndoKind.EXACT, S.SUCCEEDED_UNPROVEN),
        (ActionKind.ROLLBACK, UndoKind.EXACT, S.SUCCEEDED_UNPROVEN),
        (ActionKind.RESTART_REPLICA, UndoKind.COMPENSATING, S.SUCCEEDED_UNPROVEN),
        (ActionKind.SHIFT_TRAFFIC, UndoKind.EXACT, S.ROLLING_BACK),
        (ActionKind.SCALE_DOWN, UndoKind.EXACT, S.ROLLING_BACK),
        (ActionKind.BATCH_DOWN, UndoKind.EXACT, S.ROLLING_BACK),
        (ActionKind.BATCH_UP, UndoKind.EXACT, S.SUCCEEDED_UNPROVEN),
        (ActionKind.SHED_LOAD, UndoKind.EXACT, S.SUCCEEDED_UNPROVEN),
        (ActionKind.DRAIN_REPLICA, UndoKind.EXACT, S.SUCCEEDED_UNPROVEN),
    ],
)
def test_blind_keeps_what_adds_or_protects_capacity_and_takes_the_rest_back(
    kind: ActionKind, undo: UndoKind, end: ActionState
) -> None:
    bench = Bench(replace(SCALE, kind=kind, undo=undo)).to(S.VERIFYING)
    for _ in range(TIMING.blind_ns):
        bench.at(S.VERIFYING)
        bench.now += 1
        bench.feed(EffectSeen(effect=Effect.UNKNOWN))
    bench.at(end)


def test_blind_never_sends_users_back_to_what_they_were_taken_away_from() -> None:
    away = replace(SCALE, kind=ActionKind.SHIFT_TRAFFIC, subject=TIMING.fallback)
    bench = Bench(away).to(S.VERIFYING)
    bench.wait(TIMING.blind_ns)
    bench.at(S.SUCCEEDED_UNPROVEN)


@given(st.lists(st.sampled_from([Effect.UNKNOWN, Effect.NO_CHANGE]), min_size=70, max_size=90))
def test_flickering_sight_cannot_keep_an_action_waiting_for_ever(effects: list[Effect]) -> None:
    bench = Bench().to(S.VERIFYING)
    longest = TIMING.verify_ns + TIMING.blind_ns
    for waited, effect in enumerate(effects, start=1):
        bench.now += 1
        bench.feed(EffectSeen(effect=effect))
        bench.feed(Tick())
        if bench.record.state is not S.VERIFYING:
            assert waited <= longest
            return
    raise AssertionError("still verifying")


# -- ramp -----------------------------------------------------------------------------------


def test_a_ramp_goes_on_only_after_help_and_asks_the_guard_at_every_stage() -> None:
    bench = Bench(RAMP)
    for stage, value in enumerate(RAMP.ramp):
        if stage > 0:
            assert _of(bench.see(), AskGuard) == [
                AskGuard(change=(("weight.b", value),), undo=False)
            ]
        bench.feed(GuardAllowed())
        assert bench.sent[-1].id == f"d-0001.{stage}.0"
        assert bench.sent[-1].post == (("weight.b", value),)
        bench.lands()
        bench.reply(ReceiptStatus.DONE)
        bench.see()
        bench.late()
        bench.feed(EffectSeen(effect=Effect.HELPED))
    bench.at(S.SUCCEEDED)
    assert type(bench.sent[-1].post[0][1]) is int, "the last stage is the value a person wrote"


def test_a_stage_without_proof_goes_back_to_before_the_first_stage() -> None:
    bench = Bench(RAMP).to(S.VERIFYING)
    bench.feed(EffectSeen(effect=Effect.HELPED))
    bench.see()
    bench.feed(GuardAllowed())
    bench.lands()
    bench.reply(ReceiptStatus.DONE)
    bench.see()
    bench.late()
    bench.feed(EffectSeen(effect=Effect.NO_CHANGE))
    bench.late()
    bench.at(S.ROLLING_BACK)
    bench.see()
    bench.feed(GuardAllowed())
    assert bench.sent[-1].post == (("weight.b", 5),)


def test_a_refused_stage_waits_for_its_guards_and_then_goes_back() -> None:
    bench = Bench(RAMP).to(S.VERIFYING)
    bench.feed(EffectSeen(effect=Effect.HELPED))
    bench.feed(GuardDenied(reasons=("G9 frozen",)))
    bench.at(S.INTENT)
    bench.late()
    bench.at(S.ROLLING_BACK)
    assert bench.record.reason == "G9 frozen"


def test_a_lever_that_moved_between_two_stages_is_foreign() -> None:
    bench = Bench(RAMP).to(S.VERIFYING)
    bench.feed(EffectSeen(effect=Effect.HELPED))
    bench.someone_writes("weight.b", 40)
    bench.see()
    bench.feed(GuardAllowed())
    bench.at(S.FOREIGN)


# -- the way back ---------------------------------------------------------------------------


def _harmed(action: Action = SCALE, *, cas: bool = True) -> Bench:
    bench = Bench(action, cas=cas).to(S.VERIFYING)
    bench.feed(EffectSeen(effect=Effect.HARMED))
    return bench


def test_harm_is_taken_back_through_the_guard_and_read_back() -> None:
    bench = _harmed()
    bench.at(S.ROLLING_BACK)
    assert bench.see() == (AskGuard(change=(("replicas.a", 3),), undo=True),)
    bench.feed(GuardAllowed())
    undo = bench.sent[-1]
    assert (undo.id, undo.undo, undo.post) == ("d-0001.0.0.undo", True, (("replicas.a", 3),))
    bench.lands()
    bench.reply(ReceiptStatus.DONE)
    bench.at(S.ROLLING_BACK, "a receipt is not a reading")
    bench.now += 1
    bench.see()
    bench.at(S.ROLLED_BACK)


def test_a_reading_from_before_the_undo_does_not_end_it() -> None:
    bench = _harmed(cas=False)
    bench.now += 20
    bench.see()
    before = bench.live["replicas.a"]
    bench.feed(GuardAllowed())
    bench.live["replicas.a"] = 3
    bench.see(age=5)
    bench.at(S.ROLLING_BACK)
    bench.live["replicas.a"] = before


@pytest.mark.parametrize("how", ["other value", "same value", "other lever"])
def test_undo_never_reverts_what_someone_else_wrote(how: str) -> None:
    bench = _harmed()
    match how:
        case "other value":
            bench.someone_writes("replicas.a", 5)
        case "same value":
            bench.someone_writes("replicas.a", 4)
        case _:  # who wrote what cannot be told from one stamp
            bench.someone_writes("weight.b", 6)
    bench.see()
    bench.at(S.FOREIGN)
    assert not any(write.undo for write in bench.sent)


def test_three_failed_undos_are_stuck_and_page() -> None:
    bench = _harmed()
    for attempt in range(3):
        bench.see()
        bench.feed(GuardAllowed())
        assert bench.sent[-1].id == f"d-0001.0.{attempt}.undo"
        bench.reply(ReceiptStatus.NOT_APPLIED, conflict=True)
    bench.at(S.STUCK)
    assert len(bench.pages) == 1


def test_a_lost_undo_is_fenced_and_written_again_under_a_new_id() -> None:
    bench = _harmed()
    bench.see()
    bench.feed(GuardAllowed())
    demands = bench.late()
    assert _of(demands, ClaimTarget)
    bench.see()
    assert len([write for write in bench.sent if write.undo]) == 1, "it may still land"
    bench.claimed()
    bench.now += 1
    assert _of(bench.see(), AskGuard)
    bench.feed(GuardAllowed())
    assert bench.sent[-1].id == "d-0001.0.1.undo"


def test_harm_of_a_restart_ends_unproven_with_a_page_and_writes_nothing() -> None:
    bench = _harmed(RESTART)
    bench.at(S.SUCCEEDED_UNPROVEN)
    assert "compensating" in bench.record.reason
    assert len(bench.pages) == len(bench.sent) == 1
    assert bench.record.harmed, "whatever its end"


@pytest.mark.parametrize("seen", [Effect.HARMED, Effect.UNKNOWN])
def test_what_goes_back_is_said_to_have_harmed_only_where_harm_was_seen(seen: Effect) -> None:
    bench = Bench(RAMP).to(S.VERIFYING)
    bench.feed(EffectSeen(effect=seen))
    while bench.record.state is S.VERIFYING:
        bench.late()
    assert (bench.record.state, bench.record.harmed) == (S.ROLLING_BACK, seen is Effect.HARMED)


def test_a_restart_that_never_becomes_ready_is_stuck_not_succeeded() -> None:
    bench = Bench(RESTART).to(S.APPLIED)
    bench.changing = True
    while not bench.record.state.is_terminal:
        bench.see()
        bench.late()
    bench.at(S.STUCK)
    assert len(bench.sent) == 1


def test_a_restart_that_is_ready_late_is_said_to_be_unproven() -> None:
    bench = Bench(RESTART).to(S.APPLIED)
    bench.changing = True
    bench.late()
    bench.changing = False
    bench.see()
    bench.at(S.SUCCEEDED_UNPROVEN)


def test_a_wish_for_approval_does_not_hold_an_undo_up() -> None:
    bench = _harmed()
    bench.see()
    bench.feed(GuardNeedsApproval(ttl_ns=99))
    assert bench.sent[-1].undo


# -- abort, kill switch, takeover -----------------------------------------------------------


def test_abort_of_a_write_in_flight_finds_out_before_it_calls_anything_rolled_back() -> None:
    bench = Bench().to(S.INTENT)
    demands = bench.feed(Abort(reason="stop"))
    bench.at(S.ROLLING_BACK)
    assert _of(demands, ClaimTarget)
    bench.see()
    bench.at(S.ROLLING_BACK, "the lost write can still land")
    bench.claimed()
    bench.see()
    bench.at(S.ROLLED_BACK)
    assert len(bench.sent) == 1


def test_abort_undoes_a_write_that_did_land() -> None:
    bench = Bench().to(S.INTENT)
    bench.lands()
    bench.feed(Abort(reason="stop"))
    bench.see()
    bench.feed(GuardAllowed())
    assert bench.sent[-1].undo


def test_help_after_an_abort_changes_nothing() -> None:
    bench = Bench().to(S.VERIFYING)
    bench.feed(Abort(reason="stop"))
    bench.feed(EffectSeen(effect=Effect.HELPED))
    bench.at(S.ROLLING_BACK)


@pytest.mark.parametrize("level", [KillLevel.NO_NEW, KillLevel.NOTHING])
def test_the_kill_switch_abandons_what_was_not_sent(level: KillLevel) -> None:
    for news in ((), (GuardNeedsApproval(ttl_ns=50),)):
        bench = Bench()
        for item in news:
            bench.feed(item)
        bench.feed(KillThrown(level=level))
        bench.at(S.ABANDONED)
        assert level in bench.record.reason


def test_the_kill_switch_fences_what_was_sent() -> None:
    bench = Bench().to(S.INTENT)
    demands = bench.feed(KillThrown(level=KillLevel.NOTHING))
    bench.at(S.READBACK)
    assert _of(demands, ClaimTarget)


def test_a_kill_switch_that_is_off_stops_nothing() -> None:
    bench = Bench()
    bench.feed(KillThrown(level=KillLevel.OFF))
    bench.at(S.PROPOSED)


def test_under_level_two_the_undo_waits_as_long_as_it_lasts_and_a_person_is_told_once() -> None:
    bench = _harmed()
    bench.timing = replace(TIMING, stopped=True)
    for _ in range(9):
        bench.see()
        bench.feed(GuardDenied(reasons=("G11 nothing",)))
        bench.late()
    bench.at(S.ROLLING_BACK)
    assert "G11" in bench.record.reason
    assert len(bench.sent) == len(bench.pages) == 1
    bench.timing = TIMING
    bench.see()
    bench.feed(GuardAllowed())
    assert bench.sent[-1].undo


def test_under_level_two_a_write_that_nobody_answered_ends_nothing_for_good() -> None:
    bench = Bench().to(S.INTENT)
    bench.timing = replace(TIMING, stopped=True)
    for _ in range(9):
        bench.late()
    bench.at(S.ROLLING_BACK)
    bench.timing = TIMING
    for _ in range(3):
        bench.late()
    bench.at(S.STUCK)


def test_an_undo_that_guards_refuse_below_level_two_is_a_persons_after_three() -> None:
    bench = _harmed()
    for _ in range(3):
        bench.see()
        bench.feed(GuardDenied(reasons=("G10 ownership",)))
        bench.late()
    bench.at(S.STUCK)
    assert len(bench.sent) == 1


def test_takeover_claims_first_and_reads_back_what_may_be_in_flight() -> None:
    bench = Bench().to(S.INTENT)
    demands = bench.feed(TookOver(epoch=2))
    bench.at(S.READBACK)
    assert bench.record.epoch == 2
    assert [type(d) for d in demands] == [ClaimTarget, ReadWorldAgain]
    assert isinstance(demands[0], ClaimTarget)
    assert demands[0].epoch == 2


def test_after_a_takeover_writes_carry_the_new_epoch() -> None:
    bench = _harmed()
    bench.feed(TookOver(epoch=5))
    bench.see()
    bench.feed(GuardAllowed())
    assert bench.sent[-1].epoch == 5


def test_a_long_absence_does_not_time_out_what_nobody_could_watch() -> None:
    bench = Bench().to(S.APPLIED)
    bench.now += 10_000
    bench.feed(TookOver(epoch=2))
    bench.feed(Tick())
    bench.at(S.APPLIED)
    bench.see()
    bench.at(S.SETTLING)


def test_a_proposal_does_not_survive_its_controller() -> None:
    bench = Bench()
    bench.feed(TookOver(epoch=2))
    bench.at(S.ABANDONED)


def test_an_older_epoch_cannot_take_over() -> None:
    bench = Bench().to(S.INTENT)
    with pytest.raises(ProtocolError, match="epoch 0 is older"):
        bench.feed(TookOver(epoch=0))


def test_what_is_over_stays_over() -> None:
    bench = Bench().to(S.VERIFYING)
    bench.feed(EffectSeen(effect=Effect.HELPED))
    over = bench.record
    for news in (Abort(reason="x"), Tick(), TookOver(epoch=9), KillThrown(level=KillLevel.NOTHING)):
        assert bench.feed(news) == ()
        assert bench.record == over


@given(st.integers(0, 3), st.integers(1, 3))
def test_ids_differ_by_stage_attempt_and_direction(stage: int, attempt: int) -> None:
    base = Bench(RAMP).record
    records = [
        replace(base, stage=stage, attempt=a, undo_attempts=u)
        for a in range(attempt + 1)
        for u in range(attempt + 1)
    ]
    from homeostat.loop import protocol_back, protocol_forward  # noqa: PLC0415 - internals

    forward = {protocol_forward.forward_id(r) for r in records}
    back = {protocol_back.undo_id(r) for r in records}
    assert len(forward) == len(back) == attempt + 1
    assert not forward & back


def test_a_target_that_stops_showing_its_token_proves_nothing() -> None:
    bench = Bench().to(S.INTENT)
    bench.late()
    bench.cas = False
    bench.now += TIMING.quiesce_ns + TIMING.receipt_deadline_ns
    bench.see()
    bench.at(S.READBACK)


def test_a_second_answer_about_a_write_that_landed_changes_nothing() -> None:
    bench = _harmed()
    before = bench.record
    assert bench.reply(ReceiptStatus.NOT_APPLIED, conflict=True) == ()  # its twin was refused
    assert bench.record == before


def test_a_deployment_says_how_long_its_replicas_take_to_come_up() -> None:
    plan = build.managed()
    assert timing_for(plan).readiness_deadline_ns == Timing().readiness_deadline_ns
    slow = replace(plan, guard=replace(plan.guard, readiness_deadline_ns=600 * SECOND))
    assert timing_for(slow).readiness_deadline_ns == 600 * SECOND


def _refuse_until_the_end(bench: Bench) -> None:
    while not bench.record.state.is_terminal:
        bench.see()
        bench.feed(GuardDenied(reasons=("G2 floor",)))
        bench.late()


def test_added_capacity_whose_undo_is_refused_stays_and_a_person_is_told() -> None:
    bench = _harmed()
    _refuse_until_the_end(bench)
    bench.at(S.SUCCEEDED_UNPROVEN)
    assert len(bench.sent) == 1, "nothing was written back"
    assert bench.live["replicas.a"] == 4
    assert "G2 floor" in bench.record.reason
    assert len(bench.pages) == 1


@pytest.mark.parametrize(
    ("last", "end"),
    [
        (("G2 floor",), S.SUCCEEDED_UNPROVEN),
        (("G2 floor", "G10 ownership"), S.STUCK),
        (("G10 ownership",), S.STUCK),
    ],
)
def test_what_refused_an_undo_last_decides_and_no_words_about_it(
    last: tuple[str, ...], end: S
) -> None:
    bench = _harmed()
    while not bench.record.state.is_terminal:
        bench.see()
        bench.feed(GuardDenied(reasons=("G2 floor",)))
        bench.feed(GuardDenied(reasons=last))
        bench.record = replace(bench.record, reason="undo refused for the floor: so it says")
        bench.late()
    bench.at(end)


def test_another_change_whose_undo_is_refused_is_stuck() -> None:
    bench = _harmed(replace(RAMP, ramp=()))
    _refuse_until_the_end(bench)
    bench.at(S.STUCK)


def test_an_undo_that_was_sent_and_lost_is_stuck_whatever_was_refused_before() -> None:
    bench = _harmed()
    bench.see()
    bench.feed(GuardDenied(reasons=("G2 floor",)))
    bench.see()
    bench.feed(GuardAllowed())
    assert bench.sent[-1].undo
    while not bench.record.state.is_terminal:
        bench.late()
    bench.at(S.STUCK)
