"""Model servers as real processes: what is lost when they are stopped, changed and broken."""

import asyncio
import multiprocessing
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from homeostat.base.errors import ConfigError
from homeostat.demo.artefact import build_artefacts
from homeostat.demo.model_server import serve
from homeostat.demo.population import FEATURES, sample
from homeostat.demo.server_app import INFER_PATH
from homeostat.demo.server_settings import ServerSettings

pytestmark = pytest.mark.live
ROW = sample(1, 5).inputs[0].tolist()
TENSOR = {"name": "features", "shape": [1, len(FEATURES)], "datatype": "FP64", "data": ROW}
BODY = {"id": "q", "inputs": [TENSOR]}


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefacts")
    build_artefacts(folder, 7)
    return folder


@pytest.fixture(scope="module")
def context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["homeostat.demo.model_server"])
    return context


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process and a client of it."""

    def __init__(self, process: ForkServerProcess, url: str, web: aiohttp.ClientSession) -> None:
        self.process, self.url, self.web = process, url, web

    async def infer(self) -> tuple[int, Mapping[str, str]]:
        async with self.web.post(self.url + INFER_PATH, json=BODY) as answer:
            await answer.read()
            return answer.status, answer.headers

    async def post(self, path: str, body: Any, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.web.post(self.url + path, json=body, headers=named) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def get(self, path: str) -> tuple[int, str]:
        async with self.web.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def metrics(self) -> dict[str, float]:
        families = text_string_to_metric_families((await self.get("/metrics"))[1])
        return {s.name: s.value for f in families for s in f.samples if "le" not in s.labels}

    async def exit_code(self) -> int | None:
        await asyncio.to_thread(self.process.join, 30.0)
        return self.process.exitcode


@asynccontextmanager
async def running(context: Any, artefacts: Path, **changes: Any) -> AsyncIterator[Server]:
    port = free_port()
    plain: dict[str, Any] = {
        "name": "a-1", "pool": "a", "port": port, "artefacts": artefacts, "version": "v2",
        "chaos_token": "secret", "tau0_ms": 10.0, "alpha_ms": 0.5,
    }  # fmt: skip
    process = context.Process(target=serve, args=(ServerSettings(**(plain | changes)),))
    process.start()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as web:
        server = Server(process, f"http://127.0.0.1:{port}", web)
        try:
            await until_live(server)
            yield server
        finally:
            process.kill()
            process.join()


async def until_live(server: Server) -> None:
    give_up = time.monotonic() + 30.0
    while time.monotonic() < give_up:
        try:
            if (await server.get("/v2/health/live"))[0] == 200:
                return
        except aiohttp.ClientError:
            await asyncio.sleep(0.02)
    raise AssertionError("the server did not come up")


async def keep_asking(server: Server, seen: list[int], stop: asyncio.Event) -> None:
    """Ask again and again, until told by the server or the test to go elsewhere."""
    while not stop.is_set():
        status, headers = await server.infer()
        seen.append(status)
        if headers.get("connection") == "close":
            return


async def test_a_stop_under_load_loses_no_request(context: Any, artefacts: Path) -> None:
    async with running(context, artefacts, drain_timeout_s=60.0) as server:
        seen: list[int] = []
        users = [asyncio.create_task(keep_asking(server, seen, asyncio.Event())) for _ in range(30)]
        await asyncio.sleep(0.5)
        before = len(seen)
        server.process.terminate()
        await asyncio.wait_for(asyncio.gather(*users), 60.0)  # an error of any user fails here
        assert await server.exit_code() == 0
        assert Counter(seen) == {200: len(seen)}
        assert len(seen) >= before + 30  # each user was told with an answer, not by a cut line
        with pytest.raises(aiohttp.ClientConnectionError):
            await server.infer()


async def test_a_stop_waits_for_what_it_holds(context: Any, artefacts: Path) -> None:
    async with running(context, artefacts, tau0_ms=700.0, batch_max=2) as server:
        held = [asyncio.create_task(server.infer()) for _ in range(6)]  # three batches: 2.1 s
        await asyncio.sleep(0.2)
        server.process.terminate()
        assert [status for status, _ in await asyncio.gather(*held)] == [200] * 6
        assert await server.exit_code() == 0


async def test_a_stop_with_nothing_to_do_is_quick(context: Any, artefacts: Path) -> None:
    async with running(context, artefacts, drain_timeout_s=600.0) as server:
        await server.infer()
        server.process.terminate()
        assert await server.exit_code() == 0  # not after ten minutes


async def test_a_stop_is_not_held_up_by_somebody_who_only_looks(
    context: Any, artefacts: Path
) -> None:
    async with running(context, artefacts) as server:

        async def look() -> None:
            while True:
                await server.get("/admin/state")
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        await asyncio.sleep(0.2)
        server.process.terminate()
        assert await server.exit_code() == 0
        with pytest.raises(aiohttp.ClientError):
            await looking


async def test_a_stop_gives_up_on_what_never_ends(context: Any, artefacts: Path) -> None:
    async with running(context, artefacts, tau0_ms=60_000.0, drain_timeout_s=1.0) as server:
        held = asyncio.create_task(server.infer())
        await asyncio.sleep(0.2)
        server.process.terminate()
        assert await server.exit_code() is not None  # not after the minute that the batch takes
        assert (await held)[0] == 500  # told, not left hanging


async def test_changes_under_load_lose_no_request_and_take_effect(
    context: Any, artefacts: Path
) -> None:
    async with running(context, artefacts, version="v1", batch_max=2) as server:
        seen: list[int] = []
        stop = asyncio.Event()
        users = [asyncio.create_task(keep_asking(server, seen, stop)) for _ in range(24)]
        await asyncio.sleep(0.4)
        small = await server.metrics()
        await server.post("/admin/settings", {"batch_max": 12})
        await server.post("/admin/version", {"version": "v2"})
        await asyncio.sleep(0.6)
        large = await server.metrics()
        stop.set()
        await asyncio.gather(*users)
    assert Counter(seen) == {200: len(seen)}
    assert small["ml_batch_size_sum"] / small["ml_batches_total"] <= 2.0
    requests = large["ml_batch_size_sum"] - small["ml_batch_size_sum"]
    assert requests / (large["ml_batches_total"] - small["ml_batches_total"]) > 6.0
    assert (small["ml_batch_max"], large["ml_batch_max"]) == (2.0, 12.0)


async def test_the_device_sets_the_capacity_whatever_the_machine(
    context: Any, artefacts: Path
) -> None:
    async with running(context, artefacts, tau0_ms=40.0, alpha_ms=2.0, batch_max=4) as server:
        began, seen, stop = time.monotonic(), list[int](), asyncio.Event()
        users = [asyncio.create_task(keep_asking(server, seen, stop)) for _ in range(16)]
        await asyncio.sleep(1.5)
        stop.set()
        await asyncio.gather(*users)
        rate = len(seen) / (time.monotonic() - began)
        metrics = await server.metrics()
        batches, occupied = metrics["ml_batches_total"], metrics["ml_device_seconds_total"]
        assert rate <= 4 / 0.048  # 83 requests/s: four at a time, 48 ms each
        assert len(seen) / batches > 3.5  # sixteen users fill them
        assert occupied / batches >= 0.0479  # longer where the machine is late to wake it


async def test_a_leak_is_real_memory(context: Any, artefacts: Path) -> None:
    async with running(context, artefacts) as server:
        process = psutil.Process(server.process.pid)
        before, began = process.memory_info().rss, time.monotonic()
        order = {"leak_mb_per_s": 60.0}
        await server.post("/admin/chaos", order, x_chaos_token="secret")
        await asyncio.sleep(1.0)
        after = await server.post("/admin/chaos", {"off": True}, x_chaos_token="secret")
        grown = (process.memory_info().rss - before) / 1e6
        assert 30.0 < after["leaked_mb"] <= 60.0 * (time.monotonic() - began) + 6.0
        assert grown == pytest.approx(after["leaked_mb"], abs=8.0)
        metrics = await server.metrics()
        assert metrics["process_resident_memory_bytes"] >= before + 25e6
        assert (await server.infer())[0] == 200


async def test_a_stopped_process_answers_nobody_and_goes_on_later(
    context: Any, artefacts: Path
) -> None:
    async with running(context, artefacts) as server:
        process = psutil.Process(server.process.pid)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await server.infer()
        process.send_signal(signal.SIGCONT)
        assert (await server.infer())[0] == 200


def test_a_taken_port_is_an_error_that_names_it(artefacts: Path) -> None:
    handlers = {sig: signal.getsignal(sig) for sig in (signal.SIGTERM, signal.SIGINT)}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = ServerSettings(
            name="a-1", pool="a", port=port, artefacts=artefacts, version="v2", chaos_token=""
        )
        try:
            with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
                serve(settings)
        finally:
            for sig, handler in handlers.items():
                signal.signal(sig, handler)
