"""The load generator as its own process, against a real server that is broken on purpose."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web

from homeostat.base.policy import Objective
from homeostat.demo.loadlog import LoadLog, SloWindow
from homeostat.demo.population import FEATURES

pytestmark = pytest.mark.live
PROMISED = Objective(latency_p95_ms=250.0, error_ratio=0.01)


class Stand:
    """A server whose behaviour can be changed, and which remembers labels."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.labels: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.asked = 0

    async def infer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        body = json.loads(await request.read())
        assert body["inputs"][0]["shape"] == [1, len(FEATURES)]
        match self.mode:
            case "hang":
                await asyncio.sleep(30.0)
            case "fail":
                return web.Response(status=500, headers={"x-replica": "a-1"})
            case "limit":
                return web.Response(status=503, headers={"x-envoy-overloaded": "true"})
            case "cut":
                assert request.transport is not None
                request.transport.abort()
            case _:
                await asyncio.sleep(0.02)
        headers = {"x-replica": "a-1", "x-version": "v2", "x-prediction-id": f"a-1-{self.asked}"}
        answer = {"id": body["id"], "outputs": [{"data": [0.7]}]}
        return web.json_response(answer, headers=headers)

    async def take_labels(self, request: web.Request) -> web.StreamResponse:
        self.tokens.add(request.headers.get("authorization", ""))
        self.labels += json.loads(await request.read())["labels"]
        return web.json_response({"counts": {}})


@asynccontextmanager
async def standing() -> AsyncIterator[tuple[Stand, str]]:
    stand = Stand()
    app = web.Application()
    app.router.add_post("/v2/models/credit/infer", stand.infer)
    app.router.add_post("/v1/labels", stand.take_labels)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield stand, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def loading(
    url: str, path: Path, *more: str, rate: float = 100.0, env: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "homeostat.demo.load", "--url", url, "--rate", str(rate),
        "--log", str(path), "--seed", "3", *more, stdin=subprocess.PIPE, env=env,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20.0):
            while not path.exists() or not path.stat().st_size:  # noqa: ASYNC110, ASYNC240 - another process's file
                await asyncio.sleep(0.02)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def tell(process: asyncio.subprocess.Process, command: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(command).encode() + b"\n")
    await process.stdin.drain()


@pytest.mark.alone
async def test_its_log_tells_what_users_saw_while_the_server_changed(tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    async with standing() as (stand, url), loading(url, path) as process:
        counts: dict[str, dict[str, int]] = {}
        for mode in ("ok", "fail", "limit", "cut", "hang"):
            stand.mode = mode
            await asyncio.sleep(0.3)
            begin = len(LoadLog.read(path).requests)
            await asyncio.sleep(1.0)
            settle = 2.2 if mode == "hang" else 0.0
            await asyncio.sleep(settle)
            seen = [request.outcome for request in LoadLog.read(path).requests[begin:]]
            counts[mode] = {kind: seen.count(kind) for kind in set(seen)}
        stand.mode = "ok"
        await tell(process, {"stop": True})
        assert await asyncio.wait_for(process.wait(), 60.0) == 0
    assert set(counts["ok"]) == {"ok"}
    assert set(counts["fail"]) == {"failed"}
    assert set(counts["limit"]) == {"refused"}
    assert set(counts["cut"]) == {"failed"}
    assert "timeout" in counts["hang"]
    log = LoadLog.read(path)
    assert log.bad_lines == 0
    assert log.events[0]["event"] == "start"
    assert log.events[-1]["event"] == "stopped"
    attempts = sum(request.attempts for request in log.requests)
    assert attempts <= log.total * 1.2
    assert attempts > log.total * 1.02
    assert max(request.latency_ms for request in log.requests) < 2_400.0
    assert log.events[-1]["sent"] == log.total  # every request has a line


async def test_nobody_listening_is_a_failure_of_every_request(tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    async with loading("http://127.0.0.1:9", path, "--duration", "1") as process:
        assert await asyncio.wait_for(process.wait(), 60.0) == 0
    log = LoadLog.read(path)
    assert log.total > 50
    assert log.errors == log.total


@pytest.mark.alone
async def test_five_hundred_requests_a_second_take_less_than_half_a_core(tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    async with standing() as (stand, url), loading(url, path, rate=500.0) as process:
        await asyncio.sleep(1.0)
        measured = psutil.Process(process.pid)
        before, asked = sum(measured.cpu_times()[:2]), stand.asked
        await asyncio.sleep(3.0)
        share = (sum(measured.cpu_times()[:2]) - before) / 3.0
        rate = (stand.asked - asked) / 3.0
        await tell(process, {"stop": True})
        assert await asyncio.wait_for(process.wait(), 60.0) == 0
    print(f"{rate:.0f} requests/s at {share:.2f} of a core")
    assert rate == pytest.approx(500.0, rel=0.15)
    assert share < 0.5


async def test_labels_arrive_with_the_token_and_losing_them_does_not_hurt(tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    import os  # noqa: PLC0415 - the child's environment

    env = {**os.environ, "HOMEOSTAT_TOKEN": "t0ken"}
    async with standing() as (stand, url):
        labels = ("--labels-url", f"{url}/v1/labels")
        async with loading(url, path, *labels, env=env) as process:
            await asyncio.sleep(4.5)
            await tell(process, {"stop": True})
            assert await asyncio.wait_for(process.wait(), 60.0) == 0
    assert stand.tokens == {"Bearer t0ken"}
    assert set(stand.labels[0]) == {"prediction_id", "label", "observed_at"}
    assert len({label["prediction_id"] for label in stand.labels}) > 50
    lost = tmp_path / "lost.jsonl"
    async with standing() as (_, url):
        nowhere = ("--labels-url", "http://127.0.0.1:9/v1/labels")
        async with loading(url, lost, *nowhere) as process:
            await asyncio.sleep(4.0)
            await tell(process, {"stop": True})
            assert await asyncio.wait_for(process.wait(), 60.0) == 0
    log = LoadLog.read(lost)
    assert any(event["event"] == "labels_lost" for event in log.events)
    assert log.errors == 0
    window = SloWindow(log=log, objective=PROMISED)
    verdicts = [window.met(second) for second in log.seconds()]
    assert False not in verdicts[1:-1]


@pytest.mark.parametrize("end", ["stdin", "signal"])
async def test_the_end_of_stdin_ends_it_and_so_does_a_signal(tmp_path: Path, end: str) -> None:
    path = tmp_path / "load.jsonl"
    async with standing() as (_, url), loading(url, path) as process:
        await asyncio.sleep(0.3)
        if end == "stdin":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.terminate()
        assert await asyncio.wait_for(process.wait(), 60.0) == 0
    assert LoadLog.read(path).events[-1]["event"] == "stopped"
