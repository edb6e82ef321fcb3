"""The runtime's order of things, and that no plug-in can upset it."""

import asyncio
import gc
import threading
import time
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from runtime_harness import (
    SCRAPE_NS,
    MemoryJournal,
    Page,
    Stage,
    plan,
    stage,
    superseded,
)
from structlog.testing import capture_logs

from homeostat.base import codec, names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.errors import ActuatorError, OutOfStepError, StoreError, SupersededError
from homeostat.base.events import (
    ClockJumped,
    Received,
    Reconfigured,
    Started,
    Ticked,
    UndoRequested,
    Write,
)
from homeostat.base.evidence import Quality
from homeostat.base.intent import ActionState, Intent, ReceiptStatus
from homeostat.base.policy import KillLevel, Objective
from homeostat.base.ports import Source
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.loop import step as loop_step
from homeostat.loop.protocol import propose
from homeostat.server import runtime as runtime_module
from homeostat.server.restore import replay, restore
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

HANG_S = 30.0


async def started(**changes: Any) -> Stage:
    ready = stage(**changes)
    await ready.runtime.start()
    await ready.runtime.settle()
    return ready


async def test_it_claims_the_target_before_anything_else() -> None:
    ready = await started()
    assert ready.target.calls[0] == "claim 1"
    assert isinstance(ready.journal.decoded(Started)[0], Started)


async def test_a_controller_that_comes_too_late_says_so_and_changes_nothing() -> None:
    """As after a journal was thrown away: its epochs begin again, the target's go on."""
    ready = stage()
    ready.target.epoch = 5
    with capture_logs() as logs:
        await ready.runtime.start()
        await ready.runtime.settle()
    said = [line for line in logs if line["log_level"] == "error"]
    assert [line["deployment"] for line in said] == ["m"]
    assert "later controller" in said[0]["problem"]
    assert "put that one back" in said[0]["fix"]
    ready.faulty.add("m")
    await ready.cycles(3)
    assert ready.target.applied() == []


async def test_a_fault_is_acted_on_once_and_the_intent_was_durable_before_it_was_sent() -> None:
    ready = await started()
    held: list[bool] = []

    def look(intent: Intent) -> None:
        if intent.post:
            held.append(ready.journal.holds_write(intent.id))

    ready.target.on_apply = look
    ready.faulty.add("m")
    await ready.cycles(1)
    ready.faulty.clear()
    await ready.cycles(40)
    assert held == [True]
    assert ready.target.levers["incarnation.a-1"] == 2
    assert ready.runtime.states["m"].record is None


async def test_commands_of_one_step_are_carried_out_in_their_order() -> None:
    first = await started()
    first.faulty.add("m")
    first.target.on_apply = lambda intent: asyncio.sleep(HANG_S) if intent.post else None
    await first.cycles(1, settle=False)
    await asyncio.sleep(0)
    await first.runtime.close()
    again = stage(journal=first.journal)
    await again.runtime.start()
    await again.runtime.settle()
    # The write of the life before is unknown: claims, so that it cannot land, then reads.
    assert [call.partition(" ")[0] for call in again.target.calls][:2] == ["claim", "claim"]
    assert again.target.calls[2] == "read"


async def test_without_a_journal_nothing_is_decided_and_nothing_is_sent() -> None:
    ready = await started()
    before, calls = ready.runtime.states["m"], list(ready.target.calls)
    ready.journal.refuse = lambda rows, durable: StoreError("no space")
    ready.faulty.add("m")
    ready.clock.advance(SCRAPE_NS)
    with pytest.raises(StoreError, match="no space"):
        await ready.runtime.cycle()
    await ready.runtime.settle()
    assert ready.runtime.states["m"] is before
    assert [call for call in ready.target.calls[len(calls) :] if call != "read"] == []
    ready.journal.refuse = lambda rows, durable: None
    await ready.cycles(1)
    assert ready.target.applied() == ["apply d-0001.0.0"]


async def test_a_write_that_cannot_be_made_durable_is_never_sent_and_replay_agrees() -> None:
    ready = await started()
    ready.journal.refuse = lambda rows, durable: StoreError("locked") if durable else None
    ready.faulty.add("m")
    for _ in range(5):
        with pytest.raises(StoreError, match="locked"):
            await ready.cycles(1)
    assert ready.target.applied() == []
    ready.journal.refuse = lambda rows, durable: None
    await ready.cycles(30)
    assert ready.target.applied()
    rows = list(replay(ready.journal, loop_parts(), plan("m")))
    assert [mismatch for *_, mismatch in rows if mismatch is not None] == []


async def test_a_journal_that_fails_for_a_while_does_not_end_the_loop() -> None:
    ready = await started()
    ready.journal.refuse = lambda rows, durable: StoreError("locked")
    work = asyncio.create_task(ready.runtime.run())
    await asyncio.sleep(3.5 * SCRAPE_NS / SECOND)
    assert not work.done()
    ready.journal.refuse = lambda rows, durable: None
    ticks = len(ready.journal.decoded(Ticked))
    await asyncio.sleep(3.5 * SCRAPE_NS / SECOND)
    work.cancel()
    assert len(ready.journal.decoded(Ticked)) > ticks
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_superseded_controller_ends_with_the_reason() -> None:
    ready = await started()
    ready.journal.refuse = superseded
    with pytest.raises(SupersededError, match="epoch 2 of 'other'"):
        await asyncio.wait_for(ready.runtime.run(), 60.0)


async def test_a_controller_superseded_between_ticks_sends_nothing_more() -> None:
    """A receipt that cannot be journaled is the first that it hears of its successor."""
    ready = await started()
    answer = asyncio.Event()
    ready.target.on_apply = lambda intent: answer.wait() if intent.post else None
    ready.faulty.add("m")
    work = asyncio.create_task(ready.runtime.run())
    while not ready.target.applied():
        ready.clock.advance(SCRAPE_NS)
        await asyncio.sleep(0.01)
    ready.journal.refuse = superseded
    answer.set()
    with pytest.raises(SupersededError):
        await asyncio.wait_for(work, 60.0)
    calls = [call for call in ready.target.calls if call != "read"]
    await asyncio.sleep(0.05)
    assert [call for call in ready.target.calls if call != "read"] == calls


async def test_a_persons_word_that_finds_the_record_changed_ends_the_run_as_a_tick_does() -> None:
    ready = await started()
    ready.journal.refuse = lambda rows, durable: OutOfStepError("lost entries 7 to 9")
    now = ready.clock.now()
    wish = UndoRequested(at=now, decision_id="d-0001", by="anna", kill=ready.kill)
    with pytest.raises(OutOfStepError):
        ready.runtime.take("m", wish)  # whoever took it answers the person, and goes on
    ready.journal.refuse = lambda rows, durable: None  # it is said once
    with pytest.raises(OutOfStepError):
        await asyncio.wait_for(ready.runtime.run(), 60.0)


async def test_a_controller_ahead_of_its_record_begins_again_from_the_record() -> None:
    ready = await started()
    ready.journal.refuse = lambda rows, durable: OutOfStepError("lost entries 7 to 9")
    with pytest.raises(OutOfStepError, match="lost entries 7 to 9"):
        await asyncio.wait_for(ready.runtime.run(), 60.0)
    ready.journal.refuse = lambda rows, durable: None
    ready.runtime.states["m"] = replace(ready.runtime.states["m"], decisions=99)  # memory only
    shown = len(ready.shown)
    await ready.runtime.begin_again()
    await ready.runtime.start()
    assert ready.runtime.states["m"].decisions == 0
    assert isinstance(ready.shown[shown], Started)  # what was shown before is not shown twice
    ticks = len(ready.journal.decoded(Ticked))
    await ready.cycles(2)
    assert len(ready.journal.decoded(Ticked)) == ticks + 2
    rows = list(replay(ready.journal, loop_parts(), plan("m")))
    assert [mismatch for *_, mismatch in rows if mismatch] == []
    await ready.runtime.close()


@pytest.mark.parametrize("level", [KillLevel.NO_NEW, KillLevel.NOTHING])
async def test_the_kill_switch_is_read_again_right_before_a_write(level: KillLevel) -> None:
    """Thrown after the decision was journaled, before it is sent: it still stops the write."""
    ready = await started()
    ready.faulty.add("m")
    ready.clock.advance(SCRAPE_NS)
    await ready.runtime.cycle()
    ready.kill = level
    await ready.runtime.settle()
    assert ready.journal.decoded(Write)
    assert ready.target.applied() == []
    (received,) = ready.journal.decoded(Received)
    assert received.receipt.status is ReceiptStatus.NOT_APPLIED
    assert received.kill is level
    assert "kill switch" in received.receipt.detail


@pytest.mark.parametrize(("level", "batch"), [("off", 4), ("no_new", 4), ("nothing", 8)])
async def test_what_a_person_takes_back_passes_the_kill_switch_as_far_as_any_undo(
    level: str, batch: int
) -> None:
    """Whoever stops the controller and then wants its last change gone must get that."""
    ready = await started()
    await ready.cycles(1)
    action = Action(
        kind=ActionKind.BATCH_UP,
        subject=names.MODEL,
        actuator="host",
        change=((names.BATCH_MAX, 8),),
        undo=UndoKind.EXACT,
    )
    done = propose(
        action, id="d-0001", deployment="m", incident_id="", epoch=1, now=ready.clock.now()
    )
    done = replace(done, state=ActionState.SUCCEEDED, first_pre=((names.BATCH_MAX, 4),))
    ready.runtime.states["m"] = replace(ready.runtime.states["m"], finished=(done,), decisions=1)
    ready.kill = KillLevel(level)
    await ready.cycles(1)
    wish = UndoRequested(at=ready.clock.now(), decision_id="d-0001", by="anna", kill=ready.kill)
    ready.runtime.take("m", wish)
    await ready.runtime.settle()
    assert ready.target.levers[names.BATCH_MAX] == batch


async def test_an_undo_passes_the_first_level_of_the_kill_switch_and_not_the_second() -> None:
    for level, passes in ((KillLevel.NO_NEW, True), (KillLevel.NOTHING, False)):
        ready = await started()
        ready.kill = level
        intent = Intent(
            id="d-0001.0.0.undo", action_id="d-0001", deployment="m", actuator="host", epoch=1,
            stage=0, pre=(("batch_max", 8),), post=(("batch_max", 4),), token=None,
            evidence_at=ready.clock.now(), deadline=TimeNs(ready.clock.now() + SECOND), undo=True,
        )  # fmt: skip
        await ready.runtime._write("m", intent)
        assert bool(ready.target.applied()) is passes


async def test_a_write_whose_deadline_passed_while_the_process_slept_is_not_sent() -> None:
    ready = await started()
    ready.faulty.add("m")
    ready.clock.advance(SCRAPE_NS)
    await ready.runtime.cycle()
    ready.clock.advance(10 * SECOND)  # SIGSTOP; the write was journaled and not yet sent
    await ready.runtime.settle()
    assert ready.target.applied() == []
    assert ready.journal.decoded(Received)[0].receipt.status is ReceiptStatus.NOT_APPLIED


async def test_a_write_without_an_answer_is_unknown_after_its_deadline() -> None:
    guard = replace(plan("m").guard, receipt_deadline_ns=SECOND // 20)
    ready = await started(guard=guard)
    ready.target.on_apply = lambda intent: asyncio.sleep(HANG_S) if intent.post else None
    ready.faulty.add("m")
    await ready.cycles(1)
    assert ready.journal.decoded(Received)[0].receipt.status is ReceiptStatus.UNKNOWN


async def test_an_actuator_that_breaks_leaves_the_write_unknown() -> None:
    ready = await started()

    def burst(intent: Intent) -> None:
        if intent.post:
            raise ZeroDivisionError("a bug in the plug-in")

    ready.target.on_apply = burst
    ready.faulty.add("m")
    await ready.cycles(1)
    received = ready.journal.decoded(Received)[0].receipt
    assert received.status is ReceiptStatus.UNKNOWN
    assert "a bug in the plug-in" in received.detail


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ValueError("no JSON"), OSError(5, "io")])
async def test_a_source_that_raises_is_unreachable_and_the_tick_goes_on(error: Exception) -> None:
    ready = await started()
    await ready.cycles(1)

    def burst() -> None:
        raise error

    ready.page.does = burst
    await ready.cycles(1)
    (report,) = ready.reports[-1]
    assert report.quality is Quality.UNREACHABLE
    assert report.observations == ()
    assert report.subjects == ("gateway",)  # silent for all that it spoke for
    assert len(ready.journal.decoded(Ticked)) == 2


async def test_a_hung_source_costs_its_share_of_the_tick_and_no_more() -> None:
    ready = await started()
    ready.page.does = lambda: asyncio.sleep(HANG_S)
    begin = time.monotonic()
    await ready.cycles(1)
    assert time.monotonic() - begin < HANG_S / 2
    assert ready.reports[-1][0].quality is Quality.UNREACHABLE


async def test_a_hung_or_broken_target_is_a_world_unknown() -> None:
    ready = await started()

    def burst() -> None:
        raise ActuatorError("no such host")

    def surprise() -> None:
        raise KeyError("slots")

    for does in (lambda: asyncio.sleep(HANG_S), burst, surprise):
        ready.target.on_read = does
        begin = time.monotonic()
        await ready.cycles(1)
        assert time.monotonic() - begin < HANG_S / 2
        assert ready.journal.decoded(Ticked)[-1].evidence.world is None


async def test_one_hung_deployment_does_not_cost_the_others_their_tick() -> None:
    ready = stage("m", "n")
    await ready.runtime.start()
    await ready.runtime.settle()
    ready.targets["n"].on_read = lambda: asyncio.sleep(HANG_S)
    ready.faulty.add("m")
    await ready.cycles(1)
    assert ready.targets["m"].applied()


async def test_a_broken_notifier_and_a_broken_view_stop_nothing() -> None:
    ready = await started()
    ready.told.breaks = True

    def burst(_: str, __: object) -> None:
        raise RuntimeError("a bug in the console")

    ready.runtime.shell.observe = burst
    ready.faulty.add("m")
    await ready.cycles(1)
    assert ready.target.applied()


@pytest.mark.slow
async def test_a_slow_cycle_skips_ticks_and_never_queues_them() -> None:
    ready = await started()
    ready.page.does = lambda: asyncio.sleep(0.8 * SCRAPE_NS / SECOND)
    ready.target.on_read = lambda: asyncio.sleep(0.5 * SCRAPE_NS / SECOND)
    work = asyncio.create_task(ready.runtime.run())
    await asyncio.sleep(1.0)  # ten periods; a cycle takes 1.3
    ready.page.does = ready.target.on_read = None
    slow = ready.page.rounds
    await asyncio.sleep(0.55)  # five more: a queue of missed ticks would come at once
    work.cancel()
    assert 5 <= slow <= 8
    assert 4 <= ready.page.rounds - slow <= 7
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_replicas_that_come_and_go_change_their_own_sources_only() -> None:
    ready = await started()
    made: dict[str, Page] = {}

    def sources_for(world: Snapshot | None) -> tuple[Source, ...]:
        names = [replica.name for replica in world.replicas] if world is not None else []
        for name in [known for known in made if known not in names]:
            del made[name]
        for name in names:
            made.setdefault(name, Page(f"probe:{name}"))
        return tuple(made.values())

    ready.runtime.shell.deployments["m"].sources_for = sources_for
    ready.runtime.shell.deployments["m"].seen = None
    await ready.cycles(1)
    first = dict(made)
    ready.target.replicas = (*ready.target.replicas[1:], build.replica("a-4"))
    await ready.cycles(2)
    assert set(made) == {"a-2", "a-3", "b-1", "a-4"}
    assert made["a-2"] is first["a-2"]
    assert first["a-1"].closed == 1
    assert first["a-2"].closed == 0
    assert made["a-2"].rounds == 3
    ready.target.on_read = lambda: asyncio.sleep(HANG_S)  # unknown is not gone
    await ready.cycles(1)
    assert made["a-2"].rounds == 4


async def test_a_clock_that_jumped_is_an_event_before_the_tick() -> None:
    ready = await started()
    ready.clock.jump(-3600 * SECOND)
    ready.faulty.add("m")
    await ready.cycles(1)
    (jump,) = ready.journal.decoded(ClockJumped)
    assert jump.by_ns == -3600 * SECOND
    assert ready.target.applied() == []  # it only observes for a while


async def test_a_jump_that_could_not_be_journaled_is_told_again() -> None:
    ready = await started()
    ready.clock.jump(-3600 * SECOND)
    ready.journal.refuse = lambda _, __: StoreError("the disk is full")
    with pytest.raises(StoreError):
        await ready.runtime.cycle()
    ready.journal.refuse = lambda _, __: None
    ready.clock.jump(-60 * SECOND)
    await ready.cycles(2)
    (jump,) = ready.journal.decoded(ClockJumped)
    assert jump.by_ns == -3660 * SECOND


async def test_a_journal_from_the_future_is_a_clock_jump_before_the_first_tick() -> None:
    """The wall clock went back between two lives: ages are suspect, so it only observes."""
    first = await started()
    first.clock.advance(HOUR)
    await first.cycles(1)
    again = stage(journal=first.journal)
    await again.runtime.start()
    again.faulty.add("m")
    ticks = len(again.journal.decoded(Ticked))
    await again.cycles(2)
    (jump,) = again.journal.decoded(ClockJumped)
    assert jump.by_ns == pytest.approx(-HOUR, abs=SECOND)
    events = [codec.decode(entry.body) for entry in again.journal.entries if entry.kind == "event"]
    assert events.index(jump) < events.index(again.journal.decoded(Ticked)[ticks])
    assert again.target.applied() == []
    assert any("the clock jumped by -36" in notice.title for notice in again.told.notices)
    times = [entry.at for entry in again.journal.entries]
    assert times == sorted(times)  # records stay in order all the same


async def test_a_restart_soon_after_is_no_clock_jump() -> None:
    first = await started()
    await first.cycles(3)
    again = stage(journal=first.journal)
    await again.runtime.start()
    await again.cycles(1)
    assert again.journal.decoded(ClockJumped) == []


async def test_a_tick_that_fails_decides_nothing_and_the_next_one_goes_on() -> None:
    ready = await started()
    sense, failed = ready.runtime.shell.sense, list[Any]()

    def once(*args: Any) -> Any:
        if not failed:
            failed.append(args)
            raise ZeroDivisionError("a reading nobody thought of")
        return sense(*args)

    ready.runtime.shell.sense = once
    before = len(ready.journal.decoded(Ticked))
    await ready.runtime.run(once=True)
    assert failed
    assert len(ready.journal.decoded(Ticked)) == before
    await ready.cycles(2)
    assert len(ready.journal.decoded(Ticked)) > before


async def test_how_long_a_cycle_took_is_told() -> None:
    ready = await started()
    took: list[int] = []
    ready.runtime.shell.took = took.append
    await ready.cycles(3)
    assert len(took) == 3
    assert all(one >= 0 for one in took)


async def test_a_new_configuration_reaches_sensing_too() -> None:
    ready = await started()
    objective = Objective(latency_p95_ms=7.0, error_ratio=0.5)
    managed = replace(plan("m"), objective=objective)
    ready.runtime.take("m", Reconfigured(at=ready.clock.now(), managed=managed, by="a test"))
    assert ready.runtime.shell.deployments["m"].managed.objective is objective


async def test_old_frames_and_ticks_are_dropped_once_an_hour_in_another_thread() -> None:
    class Pruned(MemoryJournal):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[tuple[int, tuple[str, ...], bool]] = []

        def prune(self, *, before: TimeNs, now: TimeNs, kinds: tuple[str, ...]) -> int:
            inside = threading.current_thread() is threading.main_thread()
            self.asked.append((now - before, tuple(kinds), inside))
            return 3

    journal = Pruned()
    ready = stage(journal=journal)
    ready.runtime.shell.retention_ns = 5 * HOUR
    await ready.runtime.start()
    for _ in range(3):
        ready.runtime._prune()
    await ready.runtime.settle()
    assert journal.asked == [(5 * HOUR, ("frame", "event", "state"), False)]
    ready.clock.advance(HOUR)
    ready.runtime._prune()
    await ready.runtime.settle()
    assert len(journal.asked) == 2


async def test_a_time_from_the_future_ages_no_record_that_is_young() -> None:
    class Pruned(MemoryJournal):
        before = TimeNs(0)

        def prune(self, *, before: TimeNs, now: TimeNs, kinds: tuple[str, ...]) -> int:
            self.before = before
            return 0

    journal = Pruned()
    ready = stage(journal=journal)
    ready.runtime.shell.retention_ns = 5 * HOUR
    await ready.runtime.start()
    wall = ready.clock.wall()
    ready.clock.not_before(TimeNs(ready.clock.now() + 1000 * HOUR))
    ready.runtime._prune()
    await ready.runtime.settle()
    assert journal.before == wall - 5 * HOUR
    ready.clock.advance(HOUR)
    ready.clock.jump(9999 * HOUR)  # set ahead while it runs: our own time is the earlier one
    ready.runtime._prune()
    await ready.runtime.settle()
    assert journal.before == ready.clock.now() - 5 * HOUR


async def test_a_restart_from_a_snapshot_gives_the_state_of_a_restart_from_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime_module, "SNAPSHOT_TICKS", 7)
    ready = await started()
    ready.faulty.add("m")
    await ready.cycles(25)
    record = ready.journal
    assert sum(entry.kind == "state" for entry in record.entries) == 3
    fresh = restore(record, loop_parts(), plan("m"))
    state = loop_step.initial(plan("m"))
    for entry in record.read(kinds=("event",)):
        state, _ = loop_step.step(loop_parts(), state, codec.decode(entry.body))
    assert fresh.state == state == ready.runtime.states["m"]
    assert fresh.tick == ready.runtime.tick == 25
    assert len(fresh.story) < len(record.entries) / 2
    mismatches = [m for *_, m in replay(record, loop_parts(), plan("m")) if m is not None]
    assert mismatches == []


async def test_a_page_cut_off_by_a_kill_is_told_by_the_next_life() -> None:
    guard = replace(plan("m").guard, auto_kinds=())  # it has to ask
    first = await started(guard=guard)
    first.told.breaks = True
    first.faulty.add("m")
    await first.cycles(1)
    assert first.told.notices == []
    again = stage(journal=first.journal, guard=guard)
    again.clock.advance(SECOND)
    await again.runtime.start()
    await again.runtime.settle()
    assert any("may I restart_replica" in notice.title for notice in again.told.notices)


async def test_one_cycle_and_no_more_on_request() -> None:
    ready = await started()
    await asyncio.wait_for(ready.runtime.run(once=True), 60.0)
    assert ready.runtime.tick == 1


async def test_closing_releases_everything_even_if_something_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("homeostat.server.reading.CLOSE_S", 0.05)
    ready = await started()
    await ready.cycles(1)

    async def hang() -> None:
        await asyncio.sleep(HANG_S)

    monkeypatch.setattr(ready.page, "close", hang)
    await asyncio.wait_for(ready.runtime.close(), HANG_S / 2)
    assert ready.target.closed == 1


@pytest.mark.slow
async def test_a_long_run_with_faults_keeps_its_memory() -> None:
    """An action every ten ticks: what stays is what the guards count, and nothing else."""
    ready = await started()
    kept = ready.journal.entries

    async def some(count: int) -> int:
        for turn in range(count):
            ready.faulty = {"m"} if turn % 10 == 0 else set()
            await ready.cycles(1)
            kept.clear()
            ready.journal.durable.clear()
            ready.shown.clear()
            ready.reports.clear()
            ready.told.notices.clear()
            ready.target.calls.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    await some(100)  # past what is remembered of finished actions
    tracemalloc.start()
    try:
        first = await some(100)
        second = await some(500)
    finally:
        tracemalloc.stop()
    assert len(ready.runtime._tasks) == 0
    print(f"{(second - first) / 500:.0f} bytes a tick")
    # Actions of the last two hours are remembered: 50 of them here, 200 bytes each. What leaked
    # one evidence a tick would leak megabytes.
    assert second - first < 100_000, f"{first} -> {second}"
