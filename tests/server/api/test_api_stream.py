"""The event stream: in order, resumable, and never slowed by a slow client."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from homeostat.base.types import KillLevel, TimeNs
from homeostat.server.api import stream
from homeostat.server.api.stream import EventStream, Streams
from homeostat.server.http import serve_app
from homeostat.server.view import View

Message = MutableMapping[str, Any]


class Client:
    """An ASGI caller of one stream; `reads` says whether it takes what it is sent."""

    def __init__(self, streams: Streams, *, after: int | None = 0, **wanted: Any) -> None:
        chosen = {"deployment": "", "kinds": frozenset[str]()} | wanted
        self.response = EventStream(streams, after=after, **chosen)
        self.text = ""
        self.ended = False
        self.reads = asyncio.Event()
        self.reads.set()
        self.gone = asyncio.Event()

    async def run(self) -> None:
        await self.response({"type": "http"}, self._receive, self._send)

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.body":
            self.text += message["body"].decode()
            self.ended = not message["more_body"]

    def events(self) -> list[tuple[str, str, Any]]:
        """Return (id, kind, data) of what came."""
        found = []
        for block in self.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "event" in fields:
                found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
        return found

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.events() if kind != "beat"]


@asynccontextmanager
async def following(client: Client) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(client.run())
    await asyncio.sleep(0)
    yield task
    client.gone.set()
    client.reads.set()
    await asyncio.wait_for(task, 60)


async def until(holds: Any, limit_s: float = 5.0) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.005)


def throw(view: View, times: int) -> None:
    for _ in range(times):
        view.throw(KillLevel.NO_NEW if view.kill is KillLevel.OFF else KillLevel.OFF)


def made(feed: int = 4096) -> tuple[View, Streams]:
    view = View(feed=feed)
    return view, Streams(view, lambda: TimeNs(5_000_000_000))


async def test_changes_arrive_in_order_with_ids_that_resume_exactly_there() -> None:
    view, streams = made()
    throw(view, 3)
    client = Client(streams)
    async with following(client):
        throw(view, 2)
        await until(lambda: len(client.kinds()) == 5)
    ids = [streams.position(cursor) for cursor, kind, _ in client.events() if kind == "kill"]
    assert ids == [1, 2, 3, 4, 5]
    again = Client(streams, after=ids[2])
    async with following(again):
        await until(lambda: len(again.kinds()) == 2)
    assert [e for e in again.events() if e[1] == "kill"] == client.events()[-2:]


@pytest.mark.parametrize("cursor", ["", "deadbeef-3", "x", "00000000-0", "-1", "\n", "9" * 400])
async def test_a_position_of_another_run_is_told_to_read_again(cursor: str) -> None:
    view, streams = made()
    throw(view, 3)
    client = Client(streams, after=streams.position(cursor))
    async with following(client):
        await until(lambda: "reset" in client.kinds())
        throw(view, 1)
        await until(lambda: len(client.kinds()) == 2)
    assert client.kinds() == ["reset", "kill"]
    reset_id = client.events()[0][0]
    assert streams.position(reset_id) == 3


async def test_a_position_that_is_no_longer_kept_is_told_to_read_again() -> None:
    view, streams = made(feed=4)
    throw(view, 10)
    client = Client(streams, after=3)
    async with following(client):
        await until(lambda: client.kinds() == ["reset"])


async def test_a_client_that_falls_out_of_the_feed_is_cut_off_and_nobody_waits() -> None:
    view, streams = made(feed=8)
    slow, quick = Client(streams), Client(streams)
    async with following(slow) as task, following(quick):
        await until(lambda: quick.text != "")
        slow.reads.clear()
        for _ in range(12):
            throw(view, 1)  # returns at once: publishing never waits
            await asyncio.sleep(0.002)
        await until(lambda: len(quick.kinds()) == 12)
        slow.reads.set()
        await asyncio.wait_for(task, 60)
        assert slow.ended
        assert len(slow.kinds()) < 12
        assert streams.count == 1


async def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_SECONDS", 0.05)
    view, streams = made()
    client = Client(streams)
    task = asyncio.create_task(client.run())
    await until(lambda: client.text != "")
    client.reads.clear()
    throw(view, 1)
    await asyncio.wait_for(task, 60)
    assert streams.count == 0


async def test_a_client_that_leaves_is_forgotten() -> None:
    view, streams = made()
    client = Client(streams)
    async with following(client):
        await until(lambda: streams.count == 1)
    assert streams.count == 0
    throw(view, 1)
    assert "kill" not in client.kinds()


async def test_a_quiet_stream_still_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.02)
    _, streams = made()
    client = Client(streams)
    async with following(client):
        await until(lambda: len(client.events()) >= 3)
    assert {kind for _, kind, _ in client.events()} == {"beat"}
    assert client.events()[0][2]["at"] == 5.0
    assert all(cursor == "" for cursor, _, _ in client.events())  # a beat moves no position


async def test_a_filter_keeps_the_deployments_own_and_the_fleets_changes(bench: Any) -> None:
    bench.tell("fraud", ticks=30)
    streams = Streams(bench.view, lambda: bench.now)
    client = Client(streams, deployment="fraud", kinds=frozenset({"tick", "kill"}))
    async with following(client):
        bench.view.throw(KillLevel.NOTHING)
        await until(lambda: "kill" in client.kinds())
    assert set(client.kinds()) == {"tick", "kill"}
    ticks = [data for _, kind, data in client.events() if kind == "tick"]
    assert {data["deployment"] for data in ticks} == {"fraud"}


async def test_closing_ends_every_stream_at_once() -> None:
    _, streams = made()
    clients = [Client(streams) for _ in range(3)]
    tasks = [asyncio.create_task(client.run()) for client in clients]
    await until(lambda: streams.count == 3)
    streams.close()
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    assert all(client.ended for client in clients)


def test_streams_are_counted_and_bounded(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app = bench.app()
    waiting = [asyncio.Event() for _ in range(stream.STREAMS)]
    for wake in waiting:
        app.state.streams.join(wake)
    with TestClient(app) as client:
        answer = client.get("/v1/events")
        assert answer.status_code == 503
        assert str(stream.STREAMS) in answer.json()["detail"]
        assert f"homeostat_event_streams {float(stream.STREAMS)}" in client.get("/metrics").text


async def test_over_real_sockets_a_reader_that_stops_reading_slows_nobody(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SEND_SECONDS", 0.2)
    app = bench.app()
    async with serve_app(app) as url, httpx2.AsyncClient(base_url=url) as web:
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        cursor = (await web.get("/v1/health")).json()["cursor"].rpartition("-")[0] + "-0"
        writer.write(f"GET /v1/events?after={cursor} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await reader.readline()
        await until(lambda: app.state.streams.count == 1)
        slowest = 0.0
        end = time.monotonic() + 20
        while app.state.streams.count and time.monotonic() < end:
            for _ in range(20):  # 20 x 50 kB: socket buffers fill up
                bench.view._feed.publish("notice", "credit", {"pad": "x" * 50_000})
            start = time.perf_counter()
            assert (await web.get("/v1/incidents")).status_code == 200
            slowest = max(slowest, time.perf_counter() - start)
        assert app.state.streams.count == 0
        assert slowest < 1.0
        writer.close()


async def take(web: httpx2.AsyncClient, after: str, wanted: int) -> list[str]:
    """Read this many ids from the stream, then hang up."""
    got: list[str] = []
    async with web.stream("GET", "/v1/events", headers={"last-event-id": after}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        while len(got) < wanted:
            line = await anext(lines)
            got += [line[4:]] if line.startswith("id: ") else []
    return got


async def test_over_real_sockets_a_reconnect_gets_exactly_what_it_missed(bench: Any) -> None:
    async with serve_app(bench.app()) as url, httpx2.AsyncClient(base_url=url) as web:
        cursor = (await web.get("/v1/health")).json()["cursor"]
        got = [cursor]
        for _ in range(3):
            throw(bench.view, 2)
            got += await take(web, got[-1], 2)
    start = int(cursor.rpartition("-")[2])
    assert [int(g.rpartition("-")[2]) for g in got] == list(range(start, start + 7))
