"""The real worker: it compiles, rehearses within its means, and does not outlive its parent."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.events import Rehearse
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.loop.step import initial
from homeostat.server.clock import Clock
from homeostat.server.plan import TwinPlan
from homeostat.server.rehearsing import Twins, TwinWorker
from homeostat.testing import build
from homeostat.twin.fit import Options, expected, fit
from homeostat.twin.fit_file import to_plain
from homeostat.twin.fit_frame import frame

CLOCK = Clock()
SOON_S = 120.0
PARENT = """
import asyncio, os, sys
from homeostat.server.rehearsing import TwinWorker
from homeostat.server.plan import TwinPlan
from pathlib import Path
async def main():
    plan = TwinPlan(fit=Path(sys.argv[1]), check=None, oldest_ns=1, cache=Path(sys.argv[2]))
    worker = TwinWorker(plan, lambda: 0)
    task = asyncio.create_task(worker.run())
    while worker._process is None:
        await asyncio.sleep(0.05)
    print(worker._process.pid, flush=True)
    await task
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> TwinPlan:
    """A real fit to a small recording of batches: three replicas between 10 and 80 % load."""
    folder = tmp_path_factory.mktemp("twin")
    chance, rows = np.random.default_rng(2), 120
    each = chance.uniform(20.0, 170.0, rows)
    batch = np.maximum(each * 0.02 / (1 - each * 0.002), 1.0) * np.exp(
        0.1 * chance.standard_normal(rows)
    )
    scatter = np.sqrt(0.3 / (60.0 * 3 * each / batch))  # of a mean over so many batches, cv2 0.3
    columns = {
        "request_rate": 3 * each,
        "throughput": 3 * each,
        "replicas": np.full(rows, 3.0),
        "batch_size": np.minimum(batch, 8.0),
        "service_s": (0.02 + 0.002 * batch) * (1.0 + scatter * chance.standard_normal(rows)),
        "batch_limit": np.full(rows, 8.0),
    }
    times = np.asarray(60.0 * np.arange(rows), np.float64)
    bare = frame(source="small", sha256="0" * 64, time_s=times, columns=columns)
    said = expected(bare, np.array([0.02, 0.002, 0.3]), np.zeros(4), 8.0, 1.0)["latency_p95_s"]
    columns["latency_p95_s"] = said * np.exp(0.05 * chance.standard_normal(rows))
    recorded = frame(source="small", sha256="0" * 64, time_s=times, columns=columns)
    (folder / "fit.json").write_text(json.dumps(to_plain(fit(recorded, Options(seed=1)))))
    held = {"good": True, "same_recording": False, "later": True, "fitted_sha256": "0" * 64}
    (folder / "check.json").write_text(json.dumps(held))
    return TwinPlan(
        fit=folder / "fit.json",
        check=folder / "check.json",
        oldest_ns=HOUR,
        cache=folder / "programs",
        draws=8,
    )


def question(*candidates: Action, seconds: float = SOON_S) -> Rehearse:
    now = CLOCK.now()
    return Rehearse(
        id="r-0001", deployment="m", at=now, candidates=candidates, horizon_ns=60 * SECOND,
        draws=8, seed=1, deadline=TimeNs(now + round(seconds * SECOND)),
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_question_is_rehearsed_in_the_fitted_twin(plan: TwinPlan) -> None:
    worker = TwinWorker(plan, CLOCK.now)
    twins = Twins({"m": worker})
    twins.start()
    try:
        while not worker.ready:
            worker.changed.clear()
            await worker.changed.wait()
        evidence = build.evidence(values={("gateway", "arrival_rate"): 300.0})
        state = replace(initial(build.managed()), evidence=evidence)
        up, size = (
            Action(kind=ActionKind.BATCH_UP, subject="pool:a", change=(("batch_max", 8),)),
            Action(kind=ActionKind.RESIZE_UP, subject="pool:a", change=(("memory.a", 2),)),
        )
        answer = await twins(question(up, size), state)
        assert [one.action for one in answer.prospects] == [HOLD, up]
        assert answer.trust.reasons == ()
        hold = answer.hold
        assert hold is not None
        assert 20.0 < hold.foreseen.latency_ms.p5 < hold.foreseen.latency_ms.p95 < 200.0
        assert any("memory.a" in note for note in answer.notes)
        unread = await twins(question(up), initial(build.managed()))
        assert "nothing was measured" in unread.trust.reasons[0]
    finally:
        await twins.close()


@pytest.mark.slow
async def test_beyond_its_memory_the_worker_ends_and_nobody_else(plan: TwinPlan) -> None:
    worker = TwinWorker(replace(plan, memory_bytes=150 << 20), CLOCK.now)
    twins = Twins({"m": worker})
    twins.start()
    try:
        async with asyncio.timeout(SOON_S):
            while worker.starts < 2:
                worker.changed.clear()
                await worker.changed.wait()
        assert not worker.ready
        answer = await twins(question(seconds=1.0), initial(build.managed()))
        assert not answer.trust.is_given
    finally:
        await twins.close()


@pytest.mark.slow
def test_a_worker_dies_with_its_parent_however_that_ends(plan: TwinPlan) -> None:
    command = (sys.executable, "-c", PARENT, str(plan.fit), str(plan.cache))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert _runs(worker)
        parent.kill()
    until = time.monotonic() + SOON_S
    while _runs(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(pid: int) -> bool:
    """Return whether a process is there and no zombie: whoever inherits it may not reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
