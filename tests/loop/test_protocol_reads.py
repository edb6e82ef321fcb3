"""How often the protocol reads its target: only time asks again, never a reading for the next."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.intent import ActionRecord, ActionState, Receipt, ReceiptStatus
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot, Stamp
from homeostat.loop.protocol import (
    AskGuard,
    ClaimTarget,
    Demand,
    EffectSeen,
    GuardAllowed,
    GuardDenied,
    News,
    ReadWorldAgain,
    SendWrite,
    Tick,
    Timing,
    TookOver,
    WorldSeen,
    WroteReceipt,
    advance,
    propose,
)

TIMING = Timing(
    receipt_deadline_ns=5, readiness_deadline_ns=30, verify_ns=40, blind_ns=25,
    approval_ttl_ns=60, readback_deadline_ns=15, quiesce_ns=20, fresh_ns=10,
)  # fmt: skip
SCALE = Action(
    kind=ActionKind.SCALE_UP, subject="pool:a", actuator="host", change=(("replicas.a", 4),),
    undo=UndoKind.EXACT, settle_ns=3,
)  # fmt: skip
# Reads that one tick may come to: its own, one for each of the three tries on the way there and
# on the way back, and one for each state passed through meanwhile (readback, applied, back).
MOST_READS = 1 + TIMING.max_conflicts + TIMING.max_undo + 3


@dataclass(frozen=True, kw_only=True)
class Weather:
    """How the target behaves between two ticks."""

    answers: ReceiptStatus | None
    lands: bool
    claims: bool
    age: int
    stamped: bool
    allowed: bool
    harmed: bool
    epoch: int


WEATHER = st.builds(
    Weather,
    answers=st.sampled_from([*ReceiptStatus, None]),
    lands=st.booleans(),
    claims=st.booleans(),
    age=st.sampled_from([-50, 0, 0, 1, 50]),  # a clock ahead of ours, and readings that are old
    stamped=st.booleans(),
    allowed=st.booleans(),
    harmed=st.booleans(),
    epoch=st.sampled_from([1, 1, 1, 2]),
)


@dataclass
class Eager:
    """A shell that meets every demand at once, before any time passes."""

    cas: bool
    now: int = 100
    token: int = 7
    stamp: str | None = None
    live: dict[str, float] = field(default_factory=lambda: {"replicas.a": 3})
    reads: int = 0

    def run(self, record: ActionRecord, first: News, weather: Weather) -> ActionRecord:
        queue: list[News] = [first]
        self.reads = 0
        while queue and not record.state.is_terminal and self.reads <= MOST_READS:
            news = queue.pop(0)
            record, demands = advance(
                record, news, TimeNs(self.now), world=self.world(weather), timing=TIMING
            )
            for demand in demands:
                queue.extend(self.meet(demand, weather))
        return record

    def meet(self, demand: Demand, weather: Weather) -> list[News]:
        match demand:
            case ReadWorldAgain():
                self.reads += 1
                return [WorldSeen(world=self.world(weather))]
            case AskGuard() if weather.allowed:
                return [GuardAllowed()]
            case AskGuard():
                return [GuardDenied(reasons=("no",))]
            case ClaimTarget() if weather.claims:
                self.token += 1
            case SendWrite(intent=intent):
                if weather.lands and weather.answers is not ReceiptStatus.NOT_APPLIED:
                    self.live.update({
                        k: float(v) for k, v in intent.post if not isinstance(v, str)
                    })
                    self.token, self.stamp = self.token + 1, intent.id
                if weather.answers is not None:
                    told = Receipt(
                        intent_id=intent.id,
                        status=weather.answers,
                        at=TimeNs(self.now),
                        conflict=not weather.lands,
                    )
                    return [WroteReceipt(receipt=told)]
            case _:
                pass
        return []

    def world(self, weather: Weather) -> Snapshot:
        stamp = Stamp(
            actuator="host",
            token=str(self.token) if self.cas else None,
            intent=self.stamp if self.cas else None,
            epoch=weather.epoch if self.cas else None,
        )
        return Snapshot(
            deployment="m", observed_at=TimeNs(self.now - weather.age), replicas=(), releases=(),
            levers=tuple(self.live.items()), stamps=(stamp,) if weather.stamped else (),
        )  # fmt: skip


def _record(now: int) -> ActionRecord:
    return propose(SCALE, id="d-1", deployment="m", incident_id="", epoch=1, now=TimeNs(now))


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.lists(st.tuples(WEATHER, st.integers(1, 12)), min_size=1, max_size=25))
def test_one_tick_comes_to_a_bounded_number_of_reads(
    cas: bool,  # noqa: FBT001 - drawn by hypothesis
    days: list[tuple[Weather, int]],
) -> None:
    shell = Eager(cas=cas)
    record = _record(shell.now)
    for weather, passed in days:
        for news in (
            Tick(),
            EffectSeen(effect=Effect.HARMED if weather.harmed else Effect.NO_CHANGE),
        ):
            record = shell.run(record, news, weather)
            assert shell.reads <= MOST_READS, f"{record.state}: reads without end"
        shell.now += passed


def test_waiting_for_quiet_takes_one_read_a_tick() -> None:
    lost = Weather(
        answers=ReceiptStatus.UNKNOWN, lands=False, claims=True, age=0, stamped=True,
        allowed=True, harmed=False, epoch=1,
    )  # fmt: skip
    shell = Eager(cas=False)
    record = shell.run(_record(shell.now), Tick(), lost)
    assert record.state is ActionState.READBACK
    reads = []
    while record.state is ActionState.READBACK:
        shell.now += 1
        record = shell.run(record, Tick(), replace(lost, answers=None))
        reads.append(shell.reads)
    # 5 until the write's deadline and 20 of quiet: then one more, to write again.
    assert reads == [1] * 24 + [2]
    assert record.state is ActionState.INTENT


def test_a_takeover_reads_once_and_then_waits_for_time() -> None:
    silent = Weather(
        answers=None, lands=False, claims=False, age=0, stamped=True, allowed=True,
        harmed=False, epoch=1,
    )  # fmt: skip
    shell = Eager(cas=True)
    record = shell.run(_record(shell.now), Tick(), silent)
    assert record.in_flight
    record = shell.run(record, TookOver(epoch=2), silent)
    assert record.state is ActionState.READBACK
    assert shell.reads == 1
