"""The live half of the comparison: one draw of a scenario, done to the local deployment.

A round of the demo with one fault whose victim, size and moment the scenario says; the demo's own
judge says when service was well again, and the load generator's log what users met before it,
during it and after. Nothing of the lab is asked.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeostat.base.errors import ConfigError
from homeostat.demo import faults, live_settings
from homeostat.demo.faults import FAULTS, Fault, Injected
from homeostat.demo.judge import Judged
from homeostat.demo.live_plan import Plan, leak_mb_per_s
from homeostat.demo.load_client import ATTEMPT_S
from homeostat.demo.loadlog import LoadLog
from homeostat.demo.loadvalues import Request
from homeostat.demo.place import Place
from homeostat.demo.round import Round
from homeostat.demo.story import Story
from homeostat.lab.live_effects import WINDOW_S, State

_FAILED: Final = frozenset({"failed", "timeout"})
# Times are those of attempts, as the twin's: one without an answer counts as having taken as long
# as it may, however soon it failed.
_DEADLINE_MS: Final = 1000.0 * ATTEMPT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What really happened in one run; times in seconds after the injection.

    Attributes:
        seed: Of the plan.
        detail: What was done, in words.
        outcome: The demo judge's.
        recovery_s: Until service was well again; None = it was not.
        acted_s: Until the first action was confirmed; None = none.
        actions: What the controller changed.
        starved: The load generator itself was late: the numbers say nothing of users.
        before: In the last seconds before.
        during: Until the first action, or until it was clear that there is none.
        after: In the first seconds of recovery; None without one.
    """

    seed: int
    detail: str
    outcome: str
    recovery_s: float | None
    acted_s: float | None
    actions: tuple[str, ...]
    starved: bool
    before: State
    during: State
    after: State | None


def run(plan: Plan, folder: Path, story: Story, *, control: bool = False) -> Measured:
    """Start the deployment, do to it what the plan says, and return what happened.

    Args:
        plan: One draw.
        folder: Everything is kept there.
        story: Is told.
        control: No controller.

    Raises:
        ConfigError: The deployment could not be started, or ended on the way.
    """
    started = time.time()
    round_ = Round(
        folder=folder,
        seed=plan.seed,
        control=control,
        evidence_rules=True,
        story=story,
        started=started,
        onset_s=plan.onset_s,
        trains=False,
    )
    chance = random.Random(plan.seed)
    (judged,), _ = round_.run([fault_of(plan)], chance, stay_s=0.0)
    return measured(plan.seed, judged, LoadLog.read(folder / "load.jsonl"), started)


def fault_of(plan: Plan) -> Fault:
    """Return the demo's fault with the plan's victim, size and duration."""
    known = FAULTS[plan.fault]
    return Fault(
        name=known.name,
        expected=known.expected,
        inject=lambda place, _: _HOW[plan.fault](place, plan),
        lasts_s=plan.lasts_s,
        summary=known.summary,
    )


def measured(seed: int, judged: Judged, log: LoadLog, started: float) -> Measured:
    """Return what a judged round's log says of users.

    Args:
        seed: Of the plan.
        judged: The demo's judgement; times since `started`.
        log: The load generator's, to its end.
        started: Epoch seconds.

    Raises:
        ConfigError: No request was answered for before the fault.
    """
    at, recovered = judged.injected_at, judged.recovered_at
    acted_s = None if judged.acted_at is None else judged.acted_at - at
    epoch = started + at
    shown_s = acted_s if acted_s is not None else float(WINDOW_S)
    before, during = (
        _state(log.requests, epoch - WINDOW_S, epoch),
        _state(log.requests, epoch, epoch + max(shown_s, 1.0)),
    )
    if before is None or during is None:
        raise ConfigError(f"{judged.fault}: no request before or during it; see the round's logs")
    after = None
    if recovered is not None:
        after = _state(log.requests, started + recovered, started + recovered + WINDOW_S)
    return Measured(
        seed=seed,
        detail=judged.detail,
        outcome=judged.outcome,
        recovery_s=None if recovered is None else recovered - at,
        acted_s=acted_s,
        actions=tuple(judged.actions),
        starved=judged.starved,
        before=before,
        during=during,
        after=after,
    )


def _state(requests: Iterable[Request], start: float, end: float) -> State | None:
    """Return how the users were served whose requests were due in a stretch of time."""
    due = [one for one in requests if start <= one.t < end and one.outcome != "refused"]
    if not due:
        return None
    bad = sum(one.outcome in _FAILED or one.finite is not True for one in due)
    slowest = sorted(took_ms for one in due for took_ms in _took_ms(one))
    return State(
        error_ratio=bad / len(due),
        p99_ms=slowest[math.ceil(0.99 * len(slowest)) - 1],
        throughput=(len(due) - bad) / (end - start),
    )


def _took_ms(request: Request) -> Iterator[float]:
    """Yield how long each of a request's attempts counts as having taken, ms.

    Only the last one can have been answered. Its own time is not in the log: the whole request's
    stands for it, which is longer by what came before.
    """
    yield from [_DEADLINE_MS] * (request.attempts - 1)
    answered = request.outcome not in _FAILED
    yield min(request.latency_ms, _DEADLINE_MS) if answered else _DEADLINE_MS


def _leak(place: Place, plan: Plan) -> Injected:
    mb_per_s = leak_mb_per_s(plan.magnitude, live_settings.rate_of_one())
    return faults.leak(place, faults.slot_named(place, plan.victim), mb_per_s)


def _slow(place: Place, plan: Plan) -> Injected:
    return faults.slow(place, faults.slot_named(place, plan.victim), plan.magnitude)


_HOW: Final[dict[str, Callable[[Place, Plan], Any]]] = {
    "slow_replica": _slow,
    "hung_replica": lambda place, plan: faults.hang(faults.slot_named(place, plan.victim)),
    "killed_replica": lambda place, plan: faults.kill(faults.slot_named(place, plan.victim)),
    "bad_release_errors": lambda place, _: faults.release(place, "v3-errors"),
    "bad_release_slow": lambda place, _: faults.release(place, "v3-slow"),
    "flash_crowd": lambda place, plan: faults.crowd(place, plan.magnitude),
    "batching_misconfigured": lambda place, _: faults.misconfigure(place),
    "memory_leak": _leak,
}
