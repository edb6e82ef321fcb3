"""The twin's worker from outside: whatever becomes of it, an answer comes by the deadline."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from homeostat.base.actions import Action, ActionKind
from homeostat.base.errors import ConfigError
from homeostat.base.events import Rehearse
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.loop.step import initial
from homeostat.server import rehearsing, twin_frames
from homeostat.server.clock import Clock
from homeostat.server.plan import TwinPlan
from homeostat.server.rehearsing import Twins, TwinWorker, opening
from homeostat.testing import build

STAND_IN = Path(__file__).parent / "twin_stand_in.py"
CLOCK = Clock()


def plan(tmp_path: Path) -> TwinPlan:
    fit = tmp_path / "fit.json"
    fit.write_text('{"format": "homeostat-twin-fit/1"}')
    return TwinPlan(fit=fit, check=None, oldest_ns=HOUR, cache=tmp_path / "programs")


def question(number: int = 1, *, seconds: float = 20.0) -> Rehearse:
    now = CLOCK.now()
    return Rehearse(
        id=f"r-{number:04d}",
        deployment="m",
        at=now,
        candidates=(Action(kind=ActionKind.SCALE_DOWN, subject="pool:a"),),
        horizon_ns=60 * SECOND,
        draws=8,
        seed=number,
        deadline=TimeNs(now + round(seconds * SECOND)),
    )


def state() -> LoopState:
    return initial(build.managed())


@asynccontextmanager
async def worker(tmp_path: Path, how: str, *, ready: bool = True) -> AsyncIterator[TwinWorker]:
    command = (sys.executable, str(STAND_IN), how, str(tmp_path / "pids"))
    one = TwinWorker(plan(tmp_path), CLOCK.now, command)
    twins = Twins({"m": one})
    twins.start()
    try:
        async with asyncio.timeout(120.0):
            if ready:
                await until(one)
            yield one
    finally:
        await twins.close()


async def until(one: TwinWorker, starts: int = 1) -> None:
    while one.starts < starts or not one.ready:
        one.changed.clear()
        await one.changed.wait()


def pids(tmp_path: Path) -> list[int]:
    return [int(line) for line in (tmp_path / "pids").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def why(answer: Rehearsal) -> str:
    assert not answer.trust.is_given
    assert answer.prospects == ()
    return answer.trust.reasons[0]


async def test_a_question_gets_its_answer_and_the_next_one_too(tmp_path: Path) -> None:
    async with worker(tmp_path, "answers") as one:
        for number in (1, 2):
            answer = await one.ask(question(number), state())
            assert (answer.id, answer.trust.is_given) == (f"r-{number:04d}", True)
        assert one.starts == 1
    assert not any(is_alive(pid) for pid in pids(tmp_path))


@pytest.mark.slow
async def test_a_slow_answer_is_unknown_and_spoils_no_later_one(tmp_path: Path) -> None:
    async with worker(tmp_path, "slow") as one:
        late = await one.ask(question(1, seconds=0.1), state())
        assert why(late) == "nothing was rehearsed: no answer in time"
        busy = await one.ask(question(2), state())
        assert "busy" in why(busy)
        await asyncio.sleep(1.5)
        answers = []
        for number in range(3, 9):
            answers.append(await one.ask(question(number), state()))
            if answers[-1].trust.is_given:
                break
            await asyncio.sleep(1.5)  # a busy machine
        assert answers[-1].trust.is_given
        assert answers[-1].id == f"r-{len(answers) + 2:04d}"
        assert one.starts == 1


@pytest.mark.parametrize("how", ["dies", "nonsense"])
async def test_a_worker_that_ends_is_unknown_and_started_again(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsing, "_FIRST_PAUSE_S", 0.01)
    async with worker(tmp_path, how) as one:
        assert "ended" in why(await one.ask(question(), state()))
        await until(one, starts=2)
        assert "ended" in why(await one.ask(question(2), state()))


async def test_one_that_never_starts_is_tried_with_growing_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds < 5.0:
            pauses.append(seconds)
        await real(0.0 if seconds < 5.0 else seconds)

    monkeypatch.setattr("homeostat.server.rehearsing.asyncio.sleep", sleep)
    async with worker(tmp_path, "dies at once", ready=False) as one:
        while one.starts < 4:
            one.changed.clear()
            await one.changed.wait()
        assert pauses[:3] == [1.0, 2.0, 4.0]
        said = why(await one.ask(question(), state()))
        assert "again after" in said or "not ready" in said


async def test_until_it_is_ready_nothing_is_rehearsed(tmp_path: Path) -> None:
    async with worker(tmp_path, "never ready", ready=False) as one:
        assert why(await one.ask(question(), state())).startswith("nothing was rehearsed")
    assert not one.ready


async def test_a_deployment_without_a_twin_is_told_so() -> None:
    assert "no twin" in why(await Twins({})(question(), state()))


def test_a_fit_that_cannot_be_read_is_refused_at_the_start(tmp_path: Path) -> None:
    good = plan(tmp_path)
    said = json.loads(opening(good))
    assert said["good"] is None
    held = {"good": True, "same_recording": False, "later": True, "fitted_sha256": "aa"}
    good.fit.write_text('{"format": "homeostat-twin-fit/1", "input": {"sha256": "aa"}}')

    def believed(**changes: object) -> object:
        said = {name: value for name, value in (held | changes).items() if value != "left out"}
        (tmp_path / "check.json").write_text(json.dumps(said))
        checked = TwinPlan(
            fit=good.fit, check=tmp_path / "check.json", oldest_ns=HOUR, cache=good.cache
        )
        return json.loads(opening(checked))["good"]

    assert believed() is True
    for name in held:  # what it does not say, it does not show
        assert believed(**{name: "left out"}) is False
    for changes in (
        {"good": False}, {"same_recording": True}, {"later": False}, {"later": None},
        {"fitted_sha256": "bb"}, {"fitted_sha256": None},
    ):  # fmt: skip
        assert believed(**changes) is False
    good.fit.write_text('{"format": "homeostat-twin-fit/1"}')
    assert believed(fitted_sha256=None) is False  # two that say nothing are not the same
    good.fit.write_text("{")
    with pytest.raises(ConfigError, match=r"fit\.json: no JSON"):
        opening(good)
    good.fit.unlink()
    with pytest.raises(ConfigError, match=r"fit\.json.*check the name"):
        opening(good)


def test_frames_come_back_whole_and_absurd_lengths_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "frames"
    file.write_bytes(twin_frames.packed([b"one", b"", b"three" * 1000]))
    with file.open("rb") as stream:
        assert twin_frames.read(stream, 3) == [b"one", b"", b"three" * 1000]
        assert twin_frames.read(stream, 1) is None
    file.write_bytes(b"\xff\xff\xff\xff")
    with file.open("rb") as stream, pytest.raises(ValueError, match="announced"):
        twin_frames.read(stream, 1)
