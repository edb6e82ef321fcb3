"""What a runtime says of itself: whether it leads, turns in time, can write and can tell people."""

import contextlib

from runtime_harness import SCRAPE_NS, Stage, stage, superseded

from homeostat.base.decisions import Notice, Urgency
from homeostat.base.errors import StoreError
from homeostat.base.events import Tell
from homeostat.base.units import SECOND
from homeostat.server.telemetry.pulse import Pulse


async def started() -> tuple[Stage, Pulse]:
    ready = stage()
    pulse = ready.runtime.shell.pulse
    assert pulse.lag_s(ready.clock.now(), SCRAPE_NS) is None  # not yet: it does not lead
    await ready.runtime.start()
    return ready, pulse


async def test_a_loop_that_turns_is_never_late_and_one_that_stops_is() -> None:
    ready, pulse = await started()
    await ready.cycles(5)
    assert pulse.lag_s(ready.clock.now(), SCRAPE_NS) == 0.0
    ready.clock.advance(90 * SECOND + SCRAPE_NS)
    assert pulse.lag_s(ready.clock.now(), SCRAPE_NS) == 90.0


async def test_a_turn_that_the_journal_cut_short_is_no_turn() -> None:
    ready, pulse = await started()
    await ready.cycles(1)
    assert (pulse.journal_ok, pulse.journal_failures) == (True, 0)
    ready.journal.refuse = lambda rows, durable: StoreError("the disk is full")
    for missed in range(1, 4):
        with contextlib.suppress(StoreError):
            await ready.cycles(1)
        assert (pulse.journal_ok, pulse.journal_failures) == (False, missed)
    assert pulse.lag_s(ready.clock.now(), SCRAPE_NS) == 2 * SCRAPE_NS / SECOND
    ready.journal.refuse = lambda rows, durable: None
    await ready.cycles(1)
    assert (pulse.journal_ok, pulse.journal_failures) == (True, 3)
    assert pulse.lag_s(ready.clock.now(), SCRAPE_NS) == 0.0


async def test_a_frame_that_is_refused_counts_as_a_write_too() -> None:
    ready, pulse = await started()
    ready.runtime.shell.encode_frame = lambda _: b"frame"
    ready.journal.refuse = lambda rows, durable: (
        StoreError("the disk is full") if rows[0][2] == "frame" else None
    )
    with contextlib.suppress(StoreError):
        await ready.cycles(1)
    assert (pulse.journal_ok, pulse.journal_failures) == (False, 1)


async def test_a_deposed_controller_leads_no_more() -> None:
    ready, pulse = await started()
    ready.journal.refuse = superseded
    with contextlib.suppress(StoreError):
        await ready.cycles(1)
    assert pulse.turned_at is None
    assert pulse.journal_failures == 1


async def test_notices_are_counted_by_whether_they_arrived() -> None:
    ready, pulse = await started()
    notice = Notice(
        key="k", deployment="m", at=ready.clock.now(), urgency=Urgency.INFO, title="hello"
    )
    await ready.runtime._tell(Tell(notice=notice))
    ready.told.breaks = True
    await ready.runtime._tell(Tell(notice=notice))
    assert dict(pulse.notices) == {("Told", "told"): 1, ("Told", "failed"): 1}
