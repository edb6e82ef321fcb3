"""Planted mutants: one protection removed each, by patching the real code or the shell.

Every mutant names the invariants that may notice it; together they trip every checker.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from homeostat.base.decisions import Effect
from homeostat.base.errors import ProtocolError
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.world import Snapshot
from homeostat.loop import (
    acting,
    protocol,
    protocol_back,
    protocol_forward,
    protocol_moves,
    protocol_verify,
)
from homeostat.loop.protocol import (
    Abort,
    Approved,
    AskGuard,
    EffectSeen,
    GuardAllowed,
    News,
    Tick,
    TookOver,
    WroteReceipt,
)
from homeostat.loop.protocol_world import Where, where
from homeostat.safety import guard as guard_module
from homeostat.safety.guard import compile_rules
from homeostat.safety.rules import RULES
from protocol_sim import controller
from protocol_sim.driver import run
from protocol_sim.memory import Violation
from protocol_sim.options import TICK, TIMING, Options

S = ActionState
Patch = Callable[[pytest.MonkeyPatch], None]
Advance = Callable[..., protocol_moves.Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One protection removed.

    Attributes:
        name: What is broken, as a sentence.
        caught_by: Invariants that may notice.
        patch: Breaks the protocol's real code.
        broken: Protections that the simulated shell or guard leaves out.
        first: Seed to begin with: what few seeds notice need not be looked for anew each time.
        some: Only seeds whose targets can give a setting to some replicas first.
    """

    name: str
    caught_by: frozenset[str]
    patch: Patch | None = None
    broken: frozenset[str] = frozenset()
    first: int = 0
    some: bool = False


def _wrap(
    outer: Callable[[Advance, ActionRecord, News, dict[str, Any]], protocol_moves.Step],
) -> Patch:
    """Return a patch that puts `outer` around the real `advance`."""

    def patch(monkey: pytest.MonkeyPatch) -> None:
        real = protocol.advance

        def advance(record: ActionRecord, news: News, now: int, **rest: Any) -> protocol_moves.Step:
            def inner(r: ActionRecord, n: News) -> protocol_moves.Step:
                return real(r, n, now, **rest)  # type: ignore[arg-type] # TimeNs is an int

            return outer(inner, record, news, {"now": now, **rest})

        monkey.setattr(protocol, "advance", advance)

    return patch


def _everywhere(name: str, value: Any) -> Patch:
    """Return a patch that replaces a helper in every module of the protocol that uses it."""

    def patch(monkey: pytest.MonkeyPatch) -> None:
        users = (protocol, protocol_forward, protocol_back, protocol_verify, protocol_moves)
        found = [module for module in users if hasattr(module, name)]
        assert found, f"nothing in the protocol is called {name}: the mutant would be harmless"
        for module in found:
            monkey.setattr(module, name, value)

    return patch


def _both(*patches: Patch) -> Patch:
    def patch(monkey: pytest.MonkeyPatch) -> None:
        for one in patches:
            one(monkey)

    return patch


def _answer(record: ActionRecord, status: ReceiptStatus, now: Any) -> WroteReceipt:
    name = record.intent.id if record.intent is not None else ""
    conflict = status is ReceiptStatus.NOT_APPLIED
    return WroteReceipt(receipt=Receipt(intent_id=name, status=status, at=now, conflict=conflict))


def _no_guard(inner: Advance, record: ActionRecord, news: News, _: Any) -> protocol_moves.Step:
    after, demands = inner(record, news)
    if any(isinstance(demand, AskGuard) for demand in demands):
        return inner(after, GuardAllowed())
    return after, demands


def _timeout_means(status: ReceiptStatus) -> Patch:
    def outer(inner: Advance, record: ActionRecord, news: News, ctx: Any) -> protocol_moves.Step:
        late = isinstance(news, Tick) and ctx["now"] >= record.deadline
        if record.state is S.INTENT and record.in_flight and late:
            return inner(record, _answer(record, status, ctx["now"]))
        return inner(record, news)

    return _wrap(outer)


def _conflict_is_done(
    inner: Advance, record: ActionRecord, news: News, ctx: Any
) -> protocol_moves.Step:
    if isinstance(news, WroteReceipt) and news.receipt.conflict:
        news = replace(news, receipt=replace(news.receipt, status=ReceiptStatus.DONE))
    return inner(record, news)


def _abort_loses(inner: Advance, record: ActionRecord, news: News, _: Any) -> protocol_moves.Step:
    written = record.state in {S.APPLIED, S.SETTLING, S.VERIFYING}
    return (record, ()) if isinstance(news, Abort) and written else inner(record, news)


def _old_epoch(inner: Advance, record: ActionRecord, news: News, _: Any) -> protocol_moves.Step:
    after, demands = inner(record, news)
    return replace(after, epoch=record.epoch) if isinstance(news, TookOver) else after, demands


def _forgets_flight(
    inner: Advance, record: ActionRecord, news: News, _: Any
) -> protocol_moves.Step:
    if isinstance(news, TookOver):
        record = replace(record, in_flight=False)
    return inner(record, news)


def _ramps_on(inner: Advance, record: ActionRecord, news: News, _: Any) -> protocol_moves.Step:
    if isinstance(news, EffectSeen) and news.effect is Effect.NO_CHANGE:
        news = EffectSeen(effect=Effect.HELPED)
    return inner(record, news)


def _approval_is_enough(
    inner: Advance, record: ActionRecord, news: News, _: Any
) -> protocol_moves.Step:
    after, demands = inner(record, news)
    if isinstance(news, Approved) and after.state is S.AWAITING_APPROVAL:
        return inner(after, GuardAllowed())
    return after, demands


def _skips_verifying(
    inner: Advance, record: ActionRecord, news: News, _: Any
) -> protocol_moves.Step:
    if record.state is S.SETTLING and isinstance(news, Tick):
        return replace(record, state=S.SUCCEEDED), ()
    return inner(record, news)


def _every_reading_is_new(
    inner: Advance, record: ActionRecord, news: News, _: Any
) -> protocol_moves.Step:
    world = getattr(news, "world", None)
    if world is not None:
        news = replace(news, world=replace(world, observed_at=record.state_since + 10**6 * TICK))
    return inner(record, news)


def _tokenless(monkey: pytest.MonkeyPatch) -> None:
    real = protocol_moves.send
    for module in (protocol_forward, protocol_back):
        monkey.setattr(module, "send", lambda r, i: real(r, replace(i, token=None)))


def _last_stage_is_enough(monkey: pytest.MonkeyPatch) -> None:
    real = protocol_moves.send
    monkey.setattr(protocol_forward, "send", lambda r, i: real(replace(r, first_pre=i.pre), i))


def _undo_is_believed(monkey: pytest.MonkeyPatch) -> None:
    def believed(record: ActionRecord, *rest: Any) -> protocol_moves.Step:
        gone = replace(record, in_flight=False)
        return protocol_moves.end(gone, S.ROLLED_BACK, rest[-1], "believed")

    monkey.setattr(protocol_back, "_after_undo", believed)


def _no_quiet(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(controller, "TIMING", replace(TIMING, quiesce_ns=0))


def _blind_undo(monkey: pytest.MonkeyPatch) -> None:
    def live(intent: Intent, world: Snapshot | None) -> Where:
        return where(intent, world) if intent.undo else Where.POST

    monkey.setattr(protocol_back, "where", live)
    for name in ("landed_as_ours", "still_ours"):
        monkey.setattr(protocol_back, name, lambda *_: True)


def unruled(*gone: str) -> Patch:
    """Return a patch that takes rules out of the real guard kernel, by id and name."""

    def patch(monkey: pytest.MonkeyPatch) -> None:
        kept = [rule for rule in RULES if f"{rule.id} {rule.name}" not in gone]
        assert len(kept) == len(RULES) - len(gone), f"no such rules: {gone}"
        monkey.setattr(guard_module, "_KERNEL", compile_rules(kept))

    return patch


def _exempt(rule_name: str, *names: str) -> Patch:
    """Return a patch that lifts one rule of the real guard where it must hold."""

    def patch(monkey: pytest.MonkeyPatch) -> None:
        assert any(f"{rule.id} {rule.name}" == rule_name for rule in RULES), rule_name
        lax = [
            replace(rule, exempt=(*rule.exempt, *names))
            if f"{rule.id} {rule.name}" == rule_name
            else rule
            for rule in RULES
        ]
        monkey.setattr(guard_module, "_KERNEL", compile_rules(lax))

    return patch


def _everything_rests(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(acting, "alone_ns", lambda *_: 0)


def _unexplained(monkey: pytest.MonkeyPatch) -> None:
    real = protocol_moves.enter

    def enter(record: ActionRecord, state: ActionState, *rest: Any, **named: Any) -> ActionRecord:
        return replace(real(record, state, *rest, **named), reason="")

    _everywhere("enter", enter)(monkey)


def _unnamed_rules(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(guard_module, "_reason", lambda *_, **__: "not permitted")


def _quoting(monkey: pytest.MonkeyPatch) -> None:
    real = protocol_moves.enter

    def enter(record: ActionRecord, state: ActionState, *rest: Any, **named: Any) -> ActionRecord:
        after = real(record, state, *rest, **named)
        return replace(after, reason=f"{record.reason}; {record.reason}; {after.reason}")

    _everywhere("enter", enter)(monkey)


def _moody() -> Patch:
    """Return a patch that makes a step depend on what is in no journal."""
    calls = [0]

    def outer(inner: Advance, record: ActionRecord, news: News, _: Any) -> protocol_moves.Step:
        calls[0] += 1
        after, demands = inner(record, news)
        if after.state is not record.state and calls[0] % 7 == 0:
            after = replace(after, reason=f"{after.reason} (step {calls[0]})")
        return after, demands

    return _wrap(outer)


def _mutant(
    name: str, caught_by: str, patch: Patch | None = None, *broken: str, first: int = 0
) -> Mutant:
    return Mutant(
        name=name, caught_by=frozenset(caught_by.split()), patch=patch, broken=frozenset(broken),
        first=first,
    )  # fmt: skip


def _yes(*_: object) -> bool:
    return True


def _no(*_: object) -> bool:
    return False


MUTANTS = (
    _mutant("the guard is not asked before a write", "I1", _wrap(_no_guard)),
    _mutant("an approval is enough, without the guard", "I1", _wrap(_approval_is_enough)),
    _mutant("the guard knows no step limit", "I1", unruled("G2 step"), first=50),
    _mutant("a second action starts while one is in flight", "I2", None, "single_flight"),
    _mutant("the write leaves before its intent is durable", "I3", None, "act_first"),
    _mutant(
        "a new attempt takes the old id", "I3",
        _everywhere("forward_id", lambda record: f"{record.id}.{record.stage}"),
    ),
    _mutant("no compare-and-set token is sent", "I1 I4 I5 I16", _tokenless),
    _mutant("a lost write is believed dead unclaimed", "I4", _everywhere("cannot_land", _yes)),
    _mutant("without compare-and-set nobody waits for quiet", "I4", _no_quiet),
    _mutant("a timeout is a failure", "I4", _timeout_means(ReceiptStatus.NOT_APPLIED)),
    _mutant("a timeout is a success", "I4", _timeout_means(ReceiptStatus.DONE)),
    _mutant("a conflict is ignored", "I4", _wrap(_conflict_is_done)),
    _mutant("takeover forgets the write in flight", "I3 I4", _wrap(_forgets_flight)),
    _mutant("an undo is believed before it is read back", "I4", _undo_is_believed),
    _mutant("the age of a reading is not looked at", "I4 I8", _wrap(_every_reading_is_new)),
    _mutant("read-back does not look at the stamp", "I4 I16",
            _everywhere("landed_as_ours", _yes)),
    _mutant("a reverted write is taken for a lost one", "I4", _everywhere("untouched", _yes),
            first=140),
    _mutant("takeover keeps the old epoch", "I5", _wrap(_old_epoch)),
    _mutant("the journal is not fenced by epoch", "I2 I3 I5 TABLE", None, "journal_fence"),
    _mutant("the guard does not look at the kill switch", "I6", unruled("G11 kill switch")),
    _mutant("level two of the kill switch lets undo through", "I6",
            _exempt("G11 kill switch", "undo")),
    _mutant("an unreadable kill switch counts as off", "I6", None, "kill_unreadable"),
    _mutant("the guard knows no bounds", "I7", unruled("G2 bounds")),
    _mutant("a write rests on old evidence", "I8 I12", unruled("G0 sight")),
    _mutant("a write rests on an old reading of the levers", "I8",
            _both(_everywhere("is_fresh", _yes), unruled("G13 freshness"))),
    _mutant("abort loses to success", "I9", _wrap(_abort_loses)),
    _mutant("the ramp goes on without help", "I9", _wrap(_ramps_on)),
    _mutant("the guard knows no budget", "I10", unruled("G8 budget", "G8 budget in trouble")),
    _mutant("the guard knows no blast radius", "I11", unruled("G5 targets")),
    _mutant("capacity is taken away while a replica is silent", "I12",
            unruled("G0 no shrinking blind", "G0 no shrinking while memory fills"), first=25),
    _mutant("traffic goes where nobody sees", "I12",
            unruled("G0 where traffic goes", "G7 capacity")),
    _mutant("a step depends on what is in no journal", "I14", _moody()),
    _mutant("deadlines do not pass", "I15", _everywhere("overdue", _no)),
    _mutant("undo does not look at the live value", "I16", _blind_undo),
    _mutant("every reason quotes the last one twice", "I17", _quoting),
    _mutant("an end does not say why", "I18", _unexplained),
    _mutant("a refusal does not name its rule", "I18", _unnamed_rules),
    _mutant("a new action starts while an old write may land", "I16 I4",
            _everything_rests, first=2226),
    _mutant("undo goes back one stage only", "UNDO", _last_stage_is_enough),
    _mutant("success skips verification", "TABLE", _wrap(_skips_verifying)),
)  # fmt: skip
SEEDS = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """How a mutant was found.

    Attributes:
        invariant: The promise that it broke.
        seeds: How many seeds it took.
    """

    invariant: str
    seeds: int


def first_caught(mutant: Mutant) -> Caught | None:
    """Run seeds with a mutant planted until one of its checkers trips; None if none does."""
    with pytest.MonkeyPatch.context() as monkey:
        if mutant.patch is not None:
            mutant.patch(monkey)
        for seed in range(mutant.first, mutant.first + SEEDS):
            options = Options.of(seed, broken=mutant.broken)
            if mutant.some and not options.first:
                continue
            broken = _broken(options)
            if broken in mutant.caught_by:
                return Caught(invariant=broken, seeds=seed - mutant.first + 1)
    return None


def _broken(options: Options) -> str:
    """Return the promise that a run breaks, empty if it keeps them all."""
    try:
        run(options)
    except Violation as violation:
        return violation.invariant
    except ProtocolError:
        return "refused by the protocol itself"
    return ""
