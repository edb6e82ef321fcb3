"""Whether anything unsafe was done in a chaos run: by what reached HAProxy, and by the journal.

Pure: it reads what was taken down and says what is wrong with it. What counts as unsafe is listed
in `KINDS`; each finding names the write or action and what contradicts it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from chaos_journal import Account
from chaos_socket import Look, Sent

from homeostat.adapters.actuators._haproxy_socket import Server
from homeostat.base.intent import ActionState, Intent, ReceiptStatus

SECOND: Final = 1_000_000_000
HOUR: Final = 3600 * SECOND
# Between a check and what follows it a process may wait for a core; see `Hold`.
_SLACK: Final = 2 * SECOND
_RUNS: Final = 2  # HAProxy's op state of a server that serves

NO_INTENT = "write without intent"
OLD_EPOCH = "two controllers wrote"
TWICE = "written twice"
LATE = "write after its deadline"
BOUNDS = "outside the policy's bounds"
RATE = "more often than the policy lets"
FLOOR = "below the floor"
KILLED = "write under the kill switch"
FROZEN = "write in a freeze"
TOGETHER = "two actions at once"
UNTRUE = "untrue receipt"
OPEN = "left open, nobody told"
UNWRITTEN = "changed, nobody wrote"
KINDS: Final = (
    NO_INTENT, OLD_EPOCH, TWICE, LATE, BOUNDS, RATE, FLOOR, KILLED, FROZEN, TOGETHER, UNTRUE,
    OPEN, UNWRITTEN,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A time in which nothing new may be done.

    Attributes:
        since: From when it is in force for every write, nanoseconds; what a controller had
            checked before may still be on its way until then.
        until: When it ends.
        undo: Whether a way back is let through.
        kind: `KILLED` or `FROZEN`.
    """

    since: int
    until: int
    undo: bool
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ill:
    """A time in which a server hung or was gone: what the run did to it, not what anybody saw."""

    server: str
    since: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All that was taken down.

    Attributes:
        sent: Every line that set something, in the order in which they came.
        looks: How HAProxy's servers stood.
        said: The journal.
        holds: Kill switch and freezes.
        ills: Servers that failed.
        resets: When HAProxy was started: all that was set at run time is gone.
        rails: The policy, by `chaos_files.guardrails`.
    """

    sent: Sequence[Sent]
    looks: Sequence[Look]
    said: Account
    holds: Sequence[Hold]
    ills: Sequence[Ill]
    resets: Sequence[int]
    rails: Mapping[str, float]

    def ours(self) -> list[Sent]:
        """Return what controllers sent."""
        return [one for one in self.sent if one.epoch]

    def is_ill(self, server: str, at: int, for_s: float = 0.0) -> bool:
        """Return whether a server failed at a time, and had for so long."""
        early = at - round(for_s * SECOND)
        return any(
            one.server == server and one.since <= early and at <= one.until for one in self.ills
        )


def unsafe(run: Run) -> Mapping[str, list[str]]:
    """Return what was unsafe, a sentence each, by kind; every kind is there."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for check in _CHECKS:
        for kind, sentence in check(run):
            found[kind].append(sentence)
    return MappingProxyType(found)


_Found = Iterator[tuple[str, str]]


def _behind_an_intent(run: Run) -> _Found:
    for one in run.ours():
        known = run.said.written.get(one.intent)
        if known is None:
            yield NO_INTENT, f"{one.intent} reached HAProxy and is not in the journal"
            continue
        if known.durable_at is None or known.durable_at > one.at:
            ahead = "at no known time" if known.durable_at is None else (
                f"{(known.durable_at - one.at) / 1e6:.1f} ms later"
            )  # fmt: skip
            yield NO_INTENT, f"{one.intent} reached HAProxy and was durable {ahead}"
        if not _as_intended(one, known.intent):
            yield NO_INTENT, f"{one.intent} set {_shown(one)}, intended was {known.intent.post}"
        if one.epoch < known.intent.epoch:  # the stamp keeps the highest that was seen there
            yield NO_INTENT, f"{one.intent} came as epoch {one.epoch}, not {known.intent.epoch}"
        if one.at > known.intent.deadline + _SLACK:
            over = (one.at - known.intent.deadline) / SECOND
            yield LATE, f"{one.intent} was sent {over:.1f} s after its deadline"


def _as_intended(one: Sent, intent: Intent) -> bool:
    post = dict(intent.post)
    drained = all(post.get(f"drained.{name}") == to for name, to in one.drained.items())
    return drained and (not one.weights or any(lever.startswith("weight.") for lever in post))


def _one_writer(run: Run) -> _Found:
    highest, whose = 0, ""
    for one in run.ours():
        known = run.said.written.get(one.intent)
        epoch = one.epoch if known is None else known.intent.epoch
        if epoch < highest:
            yield OLD_EPOCH, f"{one.intent} of epoch {epoch} came after {whose} of epoch {highest}"
        else:
            highest, whose = epoch, one.intent
    for sentence in run.said.outdated:
        yield OLD_EPOCH, sentence
    for before, after in pairwise(run.said.epochs):
        if after <= before:
            yield OLD_EPOCH, f"epoch {after} began after epoch {before}"


def _once(run: Run) -> _Found:
    seen: set[str] = set()
    for one in run.ours():
        if one.intent in seen:
            yield TWICE, f"{one.intent} was sent twice"
        seen.add(one.intent)
    for name in run.said.twice:
        yield TWICE, f"{name} is in the journal twice"


def _bounds(run: Run) -> _Found:
    low, high = run.rails["weight_low"], run.rails["weight_high"]
    servers = {name for look in run.looks for name in look.servers}
    for name, known in run.said.written.items():
        for lever, to in known.intent.post:
            head, _, rest = lever.partition(".")
            number = float(to) if isinstance(to, int | float) else float("nan")
            fine = (head == "drained" and rest in servers and number in {0.0, 1.0}) or (
                head == "weight" and low <= number <= high
            )
            if not fine:
                yield BOUNDS, f"{name} sets {lever} to {to}"


def _forward(run: Run) -> Iterator[tuple[Sent, Intent]]:
    """Yield what was sent to do something new: no way back, and nothing a person took back."""
    for one in run.ours():
        known = run.said.written.get(one.intent)
        if known is None or known.intent.undo or _asked_back(run.said, known.intent):
            continue
        yield one, known.intent


def _asked_back(said: Account, intent: Intent) -> bool:
    versions = said.records.get(intent.action_id)
    return versions is not None and versions[-1].undoes != ""


def _rate(run: Run) -> _Found:
    """Hold what was taken from servers that served to cooldown and rate; others are exempt."""
    free = [one for one, intent in _forward(run) if one.weights or _from_users(run, one)]
    cooldown = run.rails["cooldown"] * SECOND
    for before, after in pairwise(free):
        same = run.said.written[before.intent].intent.action_id
        if same == run.said.written[after.intent].intent.action_id:
            continue  # a rung, or another attempt
        if after.at - before.at < cooldown - _SLACK:
            gap = (after.at - before.at) / SECOND
            yield RATE, f"{after.intent} came {gap:.1f} s after {before.intent}"
    most = int(run.rails["hourly"])
    for first, last in zip(free, free[most:], strict=False):
        if last.at - first.at < HOUR:
            yield RATE, f"{last.intent} is number {most + 1} within an hour"


def _floor(run: Run) -> _Found:
    """Count what is left by the truth: what hung for longer than it takes to know serves nobody."""
    for one in run.ours():
        taken = _from_users(run, one)
        if taken:
            proof = run.rails["proof"] + run.rails["freshness"]
            left = sorted(
                name
                for name in _serving(_window(run, one)[-1])
                if name not in one.drained and not run.is_ill(name, one.at, proof)
            )
            pools = {name.partition("-")[0] for name in left}
            emptied = {name.partition("-")[0] for name in taken} - pools
            if len(left) < run.rails["floor"] or emptied:
                yield FLOOR, f"{one.intent} took {', '.join(taken)} and left {left}"


def _from_users(run: Run, one: Sent) -> list[str]:
    """Return the servers that a write took and that were well and served all the time before it."""
    window = _window(run, one)
    taken = (name for name, to in one.drained.items() if to and not run.is_ill(name, one.at))
    return [name for name in taken if window and all(name in _serving(look) for look in window)]


def _window(run: Run, one: Sent) -> list[Look]:
    """Return what HAProxy said within the policy's freshness before a write came."""
    oldest = one.at - int(run.rails["freshness"] * SECOND)
    return [look for look in run.looks if look.servers and oldest <= look.at <= one.at]


def _serving(look: Look) -> set[str]:
    return {name for name, server in look.servers.items() if _serves(server)}


def _serves(server: Server) -> bool:
    return server.op == _RUNS and not server.is_out


def _held(run: Run) -> _Found:
    new = {one.intent for one, _ in _forward(run)}
    for one in run.ours():
        for hold in run.holds:
            if hold.since <= one.at <= hold.until and (one.intent in new or not hold.undo):
                at = (one.at - hold.since) / SECOND
                yield hold.kind, f"{one.intent} came {at:.1f} s after it was in force"


def _single_flight(run: Run) -> _Found:
    for sentence in run.said.beside:
        yield TOGETHER, sentence


def _receipts(run: Run) -> _Found:
    by = {one.intent: one for one in run.ours()}
    for name, receipts in run.said.receipts.items():
        for receipt in receipts:
            one = by.get(name)
            if receipt.status is ReceiptStatus.DONE and (one is None or one.landed is not True):
                yield UNTRUE, f"{name} is said to be done and did not land"
            if receipt.status is ReceiptStatus.NOT_APPLIED and one is not None and one.landed:
                yield UNTRUE, f"{name} is said to be refused and landed"


def _ends(run: Run) -> _Found:
    for name, versions in run.said.records.items():
        last = versions[-1]
        told = not run.said.paged.isdisjoint({name, last.incident_id})
        lost = last.state in {ActionState.STUCK, ActionState.FOREIGN} or last.in_flight
        if (lost or not last.state.is_terminal) and not told:
            yield OPEN, f"{name} is {last.state.value}: {last.reason}"


def _unwritten(run: Run) -> _Found:
    """Say which servers were taken out or put back at run time though nobody had sent that."""
    looks = [look for look in run.looks if look.servers]
    for before, after in pairwise(looks):
        if any(before.at - SECOND <= at <= after.at for at in run.resets):
            continue  # what was set is gone with the process
        for name, server in after.servers.items():
            was, told = before.servers[name].by_command, server.by_command
            if was != told and not _sent(run, name, int(told != 0), before.at, after.at):
                yield UNWRITTEN, f"{name} went from {was} to {told}"


def _sent(run: Run, server: str, to: int, since: int, by: int) -> bool:
    """Return whether somebody's line may have taken effect between two looks."""
    return any(
        one.at <= by and one.drained.get(server) == to and not 0 < one.done_at < since - SECOND
        for one in run.sent
    )


def _shown(one: Sent) -> str:
    return str({**one.drained, **{f"weight {name}": to for name, to in one.weights.items()}})


_CHECKS: Final[tuple[Callable[[Run], _Found], ...]] = (
    _behind_an_intent, _one_writer, _once, _bounds, _rate, _floor, _held, _single_flight,
    _receipts, _ends, _unwritten,
)  # fmt: skip
