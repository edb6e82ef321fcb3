"""Exhaustive search of the real `advance`: one action, one target, every news, to the fix-point.

Times, tokens and epochs are renamed relative to "now" after each step, which makes the state
space finite; nothing is cut off by depth.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from homeostat.base import codec
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.intent import ActionRecord, ActionState, Intent, Proof, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Snapshot, Stamp
from homeostat.loop.protocol import (
    Abort,
    Approved,
    AskGuard,
    EffectSeen,
    GuardAllowed,
    GuardDenied,
    GuardNeedsApproval,
    KillThrown,
    News,
    Page,
    Proven,
    Rejected,
    SendWrite,
    Tick,
    Timing,
    TookOver,
    WorldSeen,
    WroteReceipt,
    advance,
    propose,
)
from homeostat.loop.transitions import TABLE

S = ActionState
TIMING = Timing(
    receipt_deadline_ns=4, readiness_deadline_ns=4, verify_ns=8, blind_ns=4, approval_ttl_ns=4,
    readback_deadline_ns=4, quiesce_ns=4, fresh_ns=2, ramp_ns=8, max_conflicts=2, max_undo=2,
    fallback="pool:f", leave_ns=12,
)  # fmt: skip
COMPARED_NEWS = EffectSeen(effect=Effect.NO_CHANGE, compared=True)
BASE = 1_000  # "now" after renaming
START = {"batch_max": 1, "batch_max.a-1": 0, "x": 1, "y": 1}
TOKEN = 50  # the token of the record's intent after renaming
EPOCH = 4
LONG_AGO = 500  # older than any state can be


def _action(name: str) -> Action:
    two: Levers = (("x", 2), ("y", 2))
    one: Levers = (("x", 3),)
    own: Levers = (("batch_max", 2), ("batch_max.a-1", 0))
    change, ramp, undo, kind = {
        "one first": (own, (), UndoKind.EXACT, ActionKind.BATCH_UP),
        "two levers": (two, (), UndoKind.EXACT, ActionKind.BATCH_UP),
        "ramp": (one, (2.0, 3.0), UndoKind.EXACT, ActionKind.SHIFT_TRAFFIC),
        "compared": (one, (2.0, 3.0), UndoKind.EXACT, ActionKind.SHIFT_TRAFFIC),
        "leaving": (one, (2.0, 3.0), UndoKind.EXACT, ActionKind.SHIFT_TRAFFIC),
        "capacity": (one, (), UndoKind.EXACT, ActionKind.SCALE_UP),
        "restart": (one, (), UndoKind.COMPENSATING, ActionKind.RESTART_REPLICA),
    }[name]
    return Action(
        kind=kind, subject=TIMING.fallback if name == "leaving" else "pool:a",
        actuator="host", change=change, undo=undo, ramp=ramp,
        settle_ns=2, beside={"compared": "b", "one first": "a"}.get(name, ""),
    )  # fmt: skip


ACTIONS = ("one first", "two levers", "ramp", "compared", "leaving", "capacity", "restart")


@dataclass(frozen=True, slots=True)
class Edge:
    """One step of the search."""

    before: ActionRecord
    news: News
    after: ActionRecord
    demands: tuple[object, ...]


def _snapshot(
    levers: Levers, token: int | None, intent: str | None, *, age: int = 0,
    changing: bool = False, epoch: int = EPOCH,
) -> Snapshot:  # fmt: skip
    stamp = Stamp(
        actuator="host", token=None if token is None else str(token), intent=intent, epoch=epoch
    )
    return Snapshot(
        deployment="m", observed_at=TimeNs(BASE - age), replicas=(), releases=(),
        levers=tuple(sorted({**START, **dict(levers)}.items())),
        stamps=(stamp,), changing=changing,
    )  # fmt: skip


def _worlds(record: ActionRecord, *, cas: bool) -> Iterator[Snapshot]:
    """Yield every reading that the protocol tells apart, for the record's intent."""
    start: Levers = tuple(START.items())
    intent = record.intent
    if intent is None:
        for levers in (start, record.action.change):
            yield _snapshot(levers, TOKEN if cas else None, None)
        yield _snapshot(start, TOKEN if cas else None, None, age=LONG_AGO)
        yield _snapshot(start, TOKEN if cas else None, None, epoch=EPOCH + 9)
        yield replace(_snapshot(start, TOKEN if cas else None, None), levers=())
        yield replace(_snapshot(start, TOKEN if cas else None, None), stamps=())
        return
    half = (*intent.post[:1], *intent.pre[1:])
    other: Levers = tuple((name, 77) for name, _ in intent.post)
    for levers in (intent.pre, intent.post, half, other):
        if not cas:
            yield _snapshot(levers, None, None)
            continue
        yield _snapshot(levers, TOKEN - 1, None)
        yield _snapshot(levers, TOKEN, intent.stamp)
        for stamp in {intent.stamp: 0, intent.id: 0, None: 0}:
            yield _snapshot(levers, TOKEN + 1, stamp)
    last = (TOKEN + 1, intent.id) if cas else (None, None)
    yield _snapshot(intent.post, *last, changing=True)
    yield _snapshot(intent.post, *last, age=LONG_AGO)
    yield _snapshot(intent.post, *last, epoch=EPOCH + 9)
    yield replace(_snapshot(intent.post, *last), stamps=())


def _news(record: ActionRecord) -> Iterator[News]:
    yield from (
        GuardAllowed(), GuardDenied(reasons=("G2 floor",)), GuardNeedsApproval(ttl_ns=9),
        Approved(by="ann"), Rejected(by="bob"), Tick(), Abort(reason="stop"),
        WorldSeen(world=None), TookOver(epoch=EPOCH + 1),
    )  # fmt: skip
    yield from (KillThrown(level=level) for level in KillLevel)
    yield from (EffectSeen(effect=effect) for effect in Effect)
    yield COMPARED_NEWS
    if record.action.beside:
        yield Abort(reason="not seen", blameless=True)
        yield from (Proven(proof=proof, why="") for proof in Proof)
    if record.intent is None:
        return
    for status in ReceiptStatus:
        for conflict in (False, True):
            yield _receipt(record.intent.id, status, conflict=conflict)
    yield _receipt("d-0001.9.9", ReceiptStatus.DONE)


def _receipt(intent_id: str, status: ReceiptStatus, *, conflict: bool = False) -> WroteReceipt:
    at = TimeNs(BASE)
    return WroteReceipt(
        receipt=Receipt(intent_id=intent_id, status=status, at=at, conflict=conflict)
    )


def _steps(record: ActionRecord, *, cas: bool) -> Iterator[Edge]:
    now = TimeNs(BASE)
    worlds = tuple(_worlds(record, cas=cas))
    for world in (None, *worlds):
        for answer in (GuardAllowed(), GuardNeedsApproval(ttl_ns=9)):
            yield _edge(record, answer, now, world)
        if world is not None:
            yield _edge(record, WorldSeen(world=world), now, world)
    for news in _news(record):
        yield _edge(record, news, now, worlds[0])
    yield _edge(record, Tick(), record.deadline, None)
    if record.action.subject == TIMING.fallback and record.state is S.VERIFYING:
        yield _edge(record, COMPARED_NEWS, record.deadline, worlds[0])


def _edge(record: ActionRecord, news: News, now: TimeNs, world: Snapshot | None) -> Edge:
    after, demands = advance(record, news, now, world=world, timing=TIMING)
    same = after is record and now == BASE  # already renamed
    return Edge(record, news, record if same else _renamed(after, now), demands)


def _renamed(record: ActionRecord, now: TimeNs) -> ActionRecord:
    """Return the record seen from `now`: what only differs in when and what for is one state."""

    def shift(time: TimeNs) -> TimeNs:
        return TimeNs(BASE + max(time - now, -60))

    intent = record.intent
    if intent is not None:
        intent = replace(
            intent, deadline=_fate_known_at(record, now), evidence_at=TimeNs(0), epoch=EPOCH,
            token=None if intent.token is None else str(TOKEN),
            stamp=None if intent.stamp is None else f"{record.id}.before",
        )  # fmt: skip
    return replace(
        record,
        intent=intent,
        proposed_at=TimeNs(0),
        state_since=shift(record.state_since),
        deadline=shift(record.deadline),
        blind_since=None if record.blind_since is None else shift(record.blind_since),
        reason="",  # for people: nothing is decided by it
        epoch=EPOCH,
    )


def _fate_known_at(record: ActionRecord, now: TimeNs) -> TimeNs:
    """Return the intent's deadline where it still matters: in flight without compare-and-set."""
    intent = record.intent
    if intent is None or not record.in_flight or intent.token is not None:
        return TimeNs(BASE)
    return TimeNs(BASE + max(intent.deadline - now, -TIMING.quiesce_ns))


@cache
def explore(name: str, cas: bool) -> tuple[Edge, ...]:  # noqa: FBT001 - a cache key
    """Return every reachable step that changes or demands something."""
    first = propose(
        _action(name), id="d-0001", deployment="m", incident_id="", epoch=EPOCH, now=TimeNs(BASE)
    )
    start = _renamed(first, TimeNs(BASE))
    seen, queue, edges = {start}, deque([start]), []
    while queue:
        record = queue.popleft()
        for edge in _steps(record, cas=cas):
            if edge.after is record and not edge.demands:
                continue  # the news was not for this state
            edges.append(edge)
            if edge.after not in seen and not edge.after.state.is_terminal:
                seen.add(edge.after)
                queue.append(edge.after)
    return tuple(edges)


WORLDS = [
    (name, cas)
    for name in ACTIONS
    for cas in (True, False)
    if name not in {"compared", "one first"}
]
WORLDS.remove(("leaving", True))  # nothing of its own is about what the target compares
WORLDS.remove(("capacity", False))  # differs from the others in blindness only
# Four times as many states as a ramp; that with compare-and-set differs in nothing that is its own.
COMPARED = ("compared", False)
FIRST = ("one first", False)
SMALL = ("capacity", True), ("restart", True), ("restart", False)  # what a quick check has time for
EVERY = [
    pytest.param(*one, marks=() if one in SMALL else pytest.mark.slow)
    for one in (*WORLDS, COMPARED, FIRST)
]


@pytest.mark.parametrize(("name", "cas"), EVERY)
def test_no_news_leads_outside_the_table(name: str, cas: bool) -> None:  # noqa: FBT001
    edges = explore(name, cas)
    print(f"{name}, compare-and-set {cas}: {len(edges)} steps")
    for edge in edges:
        old, new = edge.before.state, edge.after.state
        assert new is old or new in TABLE[old].exits, edge


@pytest.mark.parametrize(("name", "cas"), EVERY)
def test_ticks_alone_end_every_action(name: str, cas: bool) -> None:  # noqa: FBT001
    for record in {edge.after for edge in explore(name, cas)}:
        end, ticks = record, 0
        while not end.state.is_terminal:
            now = end.deadline
            end, _ = advance(end, Tick(), now, world=None, timing=TIMING)
            ticks += 1
            assert ticks <= 12, f"trapped: {record} -> {end}"


@pytest.mark.slow
def test_every_exit_and_every_time_out_of_the_table_can_happen() -> None:
    edges = [edge for name, cas in WORLDS for edge in explore(name, cas)]
    moves = {(e.before.state, e.after.state) for e in edges if e.before.state != e.after.state}
    promised = {(old, new) for old, row in TABLE.items() for new in row.exits}
    assert moves == promised
    late = {
        (e.before.state, e.after.state)
        for e in edges
        if isinstance(e.news, Tick) and e.after != e.before
    }
    timeouts = {(old, new) for old, row in TABLE.items() for new in row.on_timeout}
    assert timeouts <= late


@pytest.mark.parametrize(("name", "cas"), EVERY)
def test_nothing_is_sent_without_the_guards_yes_in_the_same_step(name: str, cas: bool) -> None:  # noqa: FBT001
    sent = 0
    for edge in explore(name, cas):
        writes = [d for d in edge.demands if isinstance(d, SendWrite)]
        if not writes:
            continue
        sent += 1
        assert isinstance(edge.news, GuardAllowed | GuardNeedsApproval), edge
        assert len(writes) == 1
        assert edge.after.in_flight
        assert not edge.before.in_flight or edge.before.state is S.ROLLING_BACK
        if isinstance(edge.news, GuardNeedsApproval):
            undo = edge.before.state is S.ROLLING_BACK
            assert edge.before.approved_by or undo, edge
    assert sent > 0


@pytest.mark.parametrize(("name", "cas"), EVERY)
def test_a_write_never_takes_an_id_that_may_be_in_use(name: str, cas: bool) -> None:  # noqa: FBT001
    for edge in explore(name, cas):
        for demand in edge.demands:
            if isinstance(demand, SendWrite) and edge.before.intent is not None:
                assert demand.intent.id != edge.before.intent.id, edge


@pytest.mark.parametrize(("name", "cas"), EVERY)
def test_abort_always_wins(name: str, cas: bool) -> None:  # noqa: FBT001
    aborted = {e.after for e in explore(name, cas) if isinstance(e.news, Abort)}
    for record in aborted:
        assert record.state in {
            S.ABANDONED, S.ROLLING_BACK, S.SUCCEEDED_UNPROVEN,
        }  # fmt: skip
        if record.state is S.SUCCEEDED_UNPROVEN:
            assert record.action.undo is not UndoKind.EXACT
    after = _reachable_from(explore(name, cas), {S.ROLLING_BACK})
    assert after <= {S.ROLLING_BACK, S.ROLLED_BACK, S.STUCK, S.FOREIGN, S.SUCCEEDED_UNPROVEN}


def _reachable_from(edges: tuple[Edge, ...], states: set[ActionState]) -> set[ActionState]:
    reached = set(states)
    while True:
        more = {e.after.state for e in edges if e.before.state in reached} | reached
        if more == reached:
            return reached
        reached = more


@pytest.mark.parametrize(("name", "cas"), EVERY)
def test_what_may_have_been_written_is_never_abandoned_or_denied(name: str, cas: bool) -> None:  # noqa: FBT001
    for edge in explore(name, cas):
        if edge.after.state in {S.DENIED, S.EXPIRED, S.ABANDONED} and edge.before.in_flight:
            proven = isinstance(edge.news, WroteReceipt | WorldSeen)
            assert proven, f"{edge.news} cannot prove that {edge.before.intent} never landed"
            assert not edge.after.in_flight


@pytest.mark.parametrize(("name", "cas"), EVERY)
def test_a_record_survives_the_journal(name: str, cas: bool) -> None:  # noqa: FBT001
    for record in {edge.after for edge in explore(name, cas)}:
        assert codec.decode(codec.encode(record)) == record


@pytest.mark.slow
def test_a_compared_ramp_takes_its_last_rung_on_proof_alone() -> None:
    edges = explore(*COMPARED)
    may = {Proof.UNPROVEN, Proof.CERTIFIED}
    last = [e for e in edges if e.after.stage == 1 and e.after.state is not S.ROLLING_BACK]
    assert {e.after.proof for e in last} == may
    ends = {(e.after.state, e.after.proof) for e in edges if e.after.state.is_terminal}
    assert {proof for state, proof in ends if state is S.SUCCEEDED} == {Proof.CERTIFIED}
    assert {proof for state, proof in ends if state is S.SUCCEEDED_UNPROVEN} == may
    for edge in edges:
        before, after = edge.before.proof, edge.after.proof
        if before != after:
            said = isinstance(edge.news, Proven) or (before, after) == (
                Proof.ASKED, Proof.UNPROVEN
            )  # fmt: skip
            assert said, edge
            assert before is not Proof.CERTIFIED, "a certificate is never taken for less"


@pytest.mark.slow
@pytest.mark.parametrize("cas", [False, pytest.param(True, marks=pytest.mark.long)])
def test_what_some_have_first_is_taken_back_whole_and_goes_to_all_on_proof_alone(cas: bool) -> None:  # noqa: FBT001
    edges = explore("one first", cas)
    own, whole = (("batch_max.a-1", 2),), (("batch_max", 2), ("batch_max.a-1", 0))
    levers = {0: ["batch_max.a-1"], 1: ["batch_max", "batch_max.a-1"]}
    sent = [(e, d.intent) for e in edges for d in e.demands if isinstance(d, SendWrite)]
    assert {w.post for _, w in sent if not w.undo} == {own, whole}
    for edge, write in sent:
        proven = edge.after.proof in {Proof.UNPROVEN, Proof.CERTIFIED}
        assert write.undo or proven or write.post == own, edge
        if not write.undo:
            # Whatever was read there, of every lever that is written by then.
            assert [name for name, _ in edge.after.first_pre] == levers[write.stage]
        else:
            assert write.post == edge.before.first_pre
    ends = {(e.after.state, e.after.stage) for e in edges if e.after.state.is_terminal}
    assert {stage for state, stage in ends if state is S.SUCCEEDED} == {1}
    assert (S.ROLLED_BACK, 0) in ends
    assert (S.ROLLED_BACK, 1) in ends


@pytest.mark.slow
def test_a_compared_ramp_can_be_aborted_from_every_open_state() -> None:
    edges = explore(*COMPARED)
    opened = {e.before for e in edges}
    stopped = {e.before for e in edges if isinstance(e.news, Abort)}
    assert {record.state for record in opened - stopped} <= {S.ROLLING_BACK}
    blamed = [e.after for e in edges if isinstance(e.news, Abort) and e.news.blameless]
    assert all(one.blameless for one in blamed)


@pytest.mark.slow
def test_a_compared_shift_to_the_fallback_waits_longer_and_then_stays() -> None:
    told = [
        e for e in explore("leaving", False)
        if e.news == COMPARED_NEWS and e.before.state is S.VERIFYING
    ]  # fmt: skip
    assert {e.after.state for e in told if e.before.stage == 0} == {
        S.VERIFYING, S.SUCCEEDED_UNPROVEN,
    }  # fmt: skip
    assert S.VERIFYING in {e.after.state for e in told if e.before.stage == 1}
    for edge in told:
        waits = edge.after.deadline - edge.after.state_since
        if edge.before.stage == 0 and edge.after.state is S.VERIFYING:
            assert (waits, edge.after.blind_since) == (TIMING.leave_ns, None)
        else:
            assert waits <= TIMING.verify_ns or edge.after.state.is_terminal


@pytest.mark.slow
def test_nothing_but_a_shift_to_the_fallback_stays_for_being_compared() -> None:
    plain = EffectSeen(effect=Effect.NO_CHANGE)
    for name in ("ramp", "two levers", "restart"):
        edges = explore(name, False)
        told = {e.before: (e.after, e.demands) for e in edges if e.news == COMPARED_NEWS}
        assert told == {e.before: (e.after, e.demands) for e in edges if e.news == plain}
        assert told


@pytest.mark.slow
def test_whoever_must_look_is_told() -> None:
    for name, cas in WORLDS:
        for edge in explore(name, cas):
            if edge.after.state in {S.STUCK, S.FOREIGN} and edge.before != edge.after:
                assert any(isinstance(d, Page) for d in edge.demands), edge


@pytest.mark.slow
def test_a_question_for_the_guard_names_what_would_be_written() -> None:
    asked = [
        (edge, demand)
        for name, cas in WORLDS
        for edge in explore(name, cas)
        for demand in edge.demands
        if isinstance(demand, AskGuard)
    ]
    assert asked
    for edge, demand in asked:
        assert demand.change, edge
        assert demand.undo == (edge.after.state is S.ROLLING_BACK), edge


@pytest.mark.slow
def test_an_undo_writes_the_pre_image_of_the_first_stage() -> None:
    undos: list[tuple[ActionRecord, Intent]] = []
    for name, cas in WORLDS:
        for edge in explore(name, cas):
            writes = [d.intent for d in edge.demands if isinstance(d, SendWrite)]
            undos += [(edge.before, write) for write in writes if write.undo]
    assert undos
    for record, write in undos:
        assert write.post == record.first_pre
        assert record.action.undo is UndoKind.EXACT
        assert write.pre != write.post
