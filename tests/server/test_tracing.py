"""A decision is one trace of observe, decide, act and verify; in calm there is none, nor a cost."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runtime_harness import Stage, stage

from homeostat.base.errors import ConfigError, TracesError
from homeostat.base.events import Command, Event, Received, Record
from homeostat.base.intent import ActionRecord, ActionState, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.spans import Span
from homeostat.base.types import DecisionRecord, TimeNs
from homeostat.server.plan import PartPlan
from homeostat.server.telemetry import sender as sender_module
from homeostat.server.telemetry.sender import BATCH, MOST, Sender
from homeostat.server.telemetry.spans import KEPT, Spans, span_of, trace_of
from homeostat.server.telemetry.tracing import Tracing
from homeostat.testing.story import story

SECRET = "hunter2-do-not-tell"
NAMES = ("homeostat.observe", "homeostat.decide", "homeostat.act", "homeostat.verify")


def traced(ready: Stage) -> list[Span]:
    """Let a runtime's spans be kept."""
    found: list[Span] = []
    spans = Spans(found.append)
    shell, shown = ready.runtime.shell, ready.runtime.shell.observe

    def both(name: str, item: Event | Command) -> None:
        shown(name, item)
        spans.observe(name, item)

    shell.observe, shell.stage = both, spans.stage
    return found


async def healed(ready: Stage, *, cycles: int = 400) -> None:
    """Let a fault appear, and turn until the first action has ended."""
    ready.faulty.add("m")
    for _ in range(cycles):
        await ready.cycles(1)
        ready.faulty.clear()
        if ready.runtime.states["m"].finished:
            return
    pytest.fail("no action ended")


def by_name(found: Sequence[Span], name: str) -> list[Span]:
    return [one for one in found if one.name == f"homeostat.{name}"]


def said(span: Span) -> dict[str, Any]:
    return {key.removeprefix("homeostat."): value for key, value in span.attributes}


async def test_a_decision_is_one_trace_with_all_its_steps() -> None:
    ready = stage()
    found = traced(ready)
    await ready.runtime.start()
    await ready.cycles(5)
    assert found == []  # in calm there is nothing to tell
    await healed(ready)
    first = by_name(found, "decision")[0]
    trace = [one for one in found if one.trace == first.trace]
    assert {one.name for one in trace} >= {"homeostat.decision", *NAMES}
    assert first.parent is None
    assert all(one.parent == first.id for one in trace if one is not first)
    assert len({one.id for one in found}) == len(found)
    assert min(one.start for one in trace) == first.start
    assert max(one.end for one in trace) == first.end
    order = [min(one.start for one in trace if one.name == name) for name in NAMES]
    assert order == sorted(order)
    (act,) = [one for one in by_name(trace, "act") if not said(one)["undo"]][:1]
    assert said(act)["actuator"] == "host"
    assert said(act)["status"] == "done"
    assert act.outward
    assert not act.failed
    assert said(first)["state"] == ready.runtime.states["m"].finished[0].state.value
    assert said(by_name(trace, "decide")[0])["choice"] == "apply"
    facts = [one.fact for one in ready.journal.decoded(Record)]
    journaled = next(one for one in facts if isinstance(one, DecisionRecord))
    assert first.trace == trace_of("m", journaled.id, journaled.at)


async def test_an_answer_that_proves_nothing_is_a_call_that_failed() -> None:
    ready = stage()
    found = traced(ready)
    await ready.runtime.start()

    def broken(_: Any) -> None:
        raise RuntimeError(SECRET)

    ready.target.on_apply = broken
    ready.faulty.add("m")
    await ready.cycles(2)
    act = by_name(found, "act")[0]
    assert act.failed
    assert said(act)["status"] == "unknown"
    assert SECRET not in repr(found)


async def test_a_hold_is_a_whole_trace_at_once() -> None:
    ready = stage()
    found = traced(ready)
    await ready.runtime.start()
    ready.kill = KillLevel.NOTHING
    ready.faulty.add("m")
    await ready.cycles(3)
    assert [one.name for one in found] == [
        "homeostat.observe", "homeostat.decide", "homeostat.decision",
    ]  # fmt: skip
    assert said(found[-1])["choice"] == "hold"
    assert said(found[-1])["refused"] > 0
    assert set(said(found[-1])["guards"]) >= {"G11"}


def told(name: str = "credit", *, secret: str = "") -> list[tuple[TimeNs, list[Any]]]:
    """Return the kit's story, with something secret in every text that anybody may have written."""
    beats = []
    for beat in story(TimeNs(10**18), name=name):
        items: list[Any] = []
        for item in beat.items:
            if secret and isinstance(item, Record) and isinstance(item.fact, ActionRecord):
                fact = replace(
                    item.fact, reason=secret, approved_by=secret, approvers=(secret,),
                    action=replace(item.fact.action, subject=f"replica:{secret}"),
                )  # fmt: skip
                items.append(replace(item, fact=fact))
            elif secret and isinstance(item, Record) and isinstance(item.fact, DecisionRecord):
                fact_ = replace(
                    item.fact, allowed=(secret,), considered=((secret, 1.0),),
                    refused=((secret, (f"G5 {secret}", secret)),), mode=secret,
                    policy_digest=secret,
                )  # fmt: skip
                items.append(replace(item, fact=fact_))
            elif secret and isinstance(item, Received):
                items.append(replace(item, receipt=replace(item.receipt, detail=secret)))
            else:
                items.append(item)
        beats.append((beat.at, items))
    return beats


def played(beats: list[tuple[TimeNs, list[Any]]], *, live: bool = True) -> list[Span]:
    found: list[Span] = []
    spans = Spans(found.append)
    for at, items in beats:
        if live:
            spans.stage("", TimeNs(at - 50), at)
            spans.stage("credit", at, TimeNs(at + 30))
        for item in items:
            spans.observe("credit", item)
    return found


def test_no_text_that_anybody_wrote_is_in_a_span() -> None:
    found = played(told(secret=SECRET))
    assert len(found) > 5
    assert SECRET not in repr(found)
    plain = played(told())
    assert [one.id for one in found] == [one.id for one in plain]
    refused = next(one for one in by_name(found, "decide") if said(one)["refused"])
    assert said(refused)["guards"] == ("G5", "other")
    assert said(refused)["mode"] == "other"


def test_a_name_cannot_be_long_or_break_a_line() -> None:
    name = "a\nb" + "x" * 1000
    beats = told(name)
    found: list[Span] = []
    spans = Spans(found.append)
    for at, items in beats:
        spans.stage("", at, at)
        spans.stage(name, at, at)
        for item in items:
            spans.observe(name, item)
    names = {str(said(one)["deployment"]) for one in found}
    assert names == {"a?b" + "x" * 125}


def test_history_is_not_told_again_and_goes_on_in_the_same_trace() -> None:
    """What a controller reads of the journal at its start, the one before has sent."""
    beats = told()
    whole = played(beats)
    middle = next(
        number
        for number, (_, items) in enumerate(beats)
        for item in items
        if isinstance(item, Record)
        and isinstance(item.fact, ActionRecord)
        and item.fact.state is ActionState.VERIFYING
    )
    found: list[Span] = []
    spans = Spans(found.append)
    for at, items in beats[: middle + 1]:
        for item in items:
            spans.observe("credit", item)
        assert at
    assert found == []
    for at, items in beats[middle + 1 :]:
        spans.stage("credit", at, TimeNs(at + 30))
        for item in items:
            spans.observe("credit", item)
    verified, ended = by_name(found, "verify")[0], by_name(found, "decision")[0]
    assert verified in whole
    assert (ended.trace, ended.id) in {(one.trace, one.id) for one in whole}
    assert verified.trace == ended.trace


def test_an_answer_to_nothing_and_much_that_never_ends_leave_no_trace() -> None:
    found: list[Span] = []
    spans = Spans(found.append)
    spans.stage("credit", TimeNs(1), TimeNs(2))
    receipt = Receipt(intent_id="d-1.0.0", status=ReceiptStatus.DONE, at=TimeNs(3))
    spans.observe("credit", Received(at=TimeNs(3), receipt=receipt, kill=KillLevel.OFF))
    assert found == []
    record = next(
        item.fact
        for _, items in told()
        for item in items
        if isinstance(item, Record) and isinstance(item.fact, ActionRecord)
    )
    for number in range(KEPT + 100):
        spans.observe("credit", Record(fact=replace(record, id=f"d-{number}")))
    assert len(spans._actions) == KEPT


def test_ids_are_never_zero_and_differ() -> None:
    traces = {trace_of("a", f"d-{n:04d}", TimeNs(n)) for n in range(1000)}
    assert len(traces) == 1000
    assert all(0 < one < 2**128 for one in traces)
    assert trace_of("a", "d-0001", TimeNs(1)) != trace_of("a", "d-0001", TimeNs(2))
    assert all(0 < span_of(one, "x") < 2**64 for one in traces)


SPAN = Span(name="homeostat.act", trace=1, id=1, parent=None, start=TimeNs(0), end=TimeNs(1))


class Receiver:
    """Takes batches, or refuses as it is told to."""

    def __init__(self, *errors: Exception | None) -> None:
        self.batches: list[int] = []
        self.errors = list(errors)

    async def send(self, spans: Sequence[Span]) -> int:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.batches.append(len(spans))
        return len(spans)


async def no_sleep(_: float) -> None:
    """Wait for nothing."""


async def test_a_full_queue_drops_and_counts_and_the_rest_goes_in_batches() -> None:
    receiver = Receiver()
    sender = Sender(receiver.send, sleep=no_sleep)
    for _ in range(MOST + 7):
        sender.put(SPAN)
    await sender.close()
    assert sender.counts() == (MOST, 7, 0)
    assert receiver.batches == [BATCH] * (MOST // BATCH)


@pytest.mark.parametrize(
    ("errors", "counts"),
    [
        ((TracesError("busy", wait_s=0.0), None), (1, 0, 0)),
        ((TracesError("busy", wait_s=0.0),) * 3, (0, 0, 1)),
        ((TracesError("no", wait_s=None),), (0, 0, 1)),
        ((RuntimeError("a bug of somebody's"),), (0, 0, 1)),
    ],
)
async def test_what_cannot_be_delivered_is_tried_again_or_given_up_and_ends_nothing(
    errors: tuple[Exception | None, ...], counts: tuple[int, int, int]
) -> None:
    receiver = Receiver(*errors)
    sender = Sender(receiver.send, sleep=no_sleep)
    sender.put(SPAN)
    await sender._deliver()
    assert sender.counts() == counts
    sender.put(SPAN)
    await sender.close()
    assert sender.counts()[0] == counts[0] + 1  # the next one is sent


async def test_the_count_of_what_failed_never_goes_back() -> None:
    """A counter that falls is a restart to Prometheus, and what it holds then an increase."""
    seen: list[tuple[int, int, int]] = []
    receiver = Receiver(TracesError("busy", wait_s=0.0), TracesError("busy", wait_s=0.0))

    async def look(_: float) -> None:
        seen.append(sender.counts())

    sender = Sender(receiver.send, sleep=look)
    sender.put(SPAN)
    await sender._deliver()
    assert [*seen, sender.counts()] == [(0, 0, 0), (0, 0, 0), (1, 0, 0)]


async def test_what_is_under_way_when_all_ends_is_given_up_once() -> None:
    async def hangs(_: Sequence[Span]) -> int:
        await asyncio.sleep(60)
        return 0

    sender = Sender(hangs, sleep=no_sleep)
    sender.put(SPAN)
    working = asyncio.create_task(sender.work())
    for _ in range(20):
        await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait([working])
    await sender.close()
    assert sender.counts() == (0, 0, 1)


async def test_an_end_waits_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "CLOSE_S", 0.05)

    async def hangs(_: Sequence[Span]) -> int:
        await asyncio.sleep(60)
        return 0

    sender = Sender(hangs)
    for _ in range(BATCH + 3):
        sender.put(SPAN)
    await sender.close()
    assert sender.counts() == (0, 0, BATCH + 3)


@pytest.mark.slow
def test_without_a_place_to_send_to_nothing_is_built_and_nothing_imported() -> None:
    off = Tracing(None, "me")
    assert off.stage is None
    assert off.counts is None

    def observe(name: str, item: Event | Command) -> None:
        """See nothing."""

    assert off.observing(observe) is observe
    code = (
        "import sys, homeostat.server.main\n"
        "heavy = ('opentelemetry.sdk', 'opentelemetry.exporter', 'google.protobuf')\n"
        "found = [m for m in sys.modules if m.startswith(heavy)]\n"
        "sys.exit(repr(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "homeostat.adapters.traces.otlp", None)
    plan = PartPlan(part="otlp", settings={"url": "http://127.0.0.1:4318/v1/traces"})
    with pytest.raises(ConfigError, match=r"homeostat\[otel\]"):
        Tracing(plan, "me")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"token_file": Path("/nowhere/token")}, "tokenFile"),
        ({"ca_file": Path("/nowhere/ca.pem")}, "caFile"),
        ({"url": "http://collector:4318/", "token_file": Path("t")}, "https"),
    ],
)
def test_what_cannot_be_sent_as_configured_says_which_key(
    settings: dict[str, Any], said: str
) -> None:
    where = {"url": "http://127.0.0.1:4318/v1/traces"} | settings
    with pytest.raises(ConfigError, match=said):
        Tracing(PartPlan(part="otlp", settings=where), "me")
