"""The middleware: every request is counted once, whatever becomes of it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from homeostat_instrument import Middleware, Monitor, metrics_app, monitor
from homeostat_instrument.middleware import App, Receive, Scope, Send


def answering(status: int) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    return app


async def ask(
    app: App, path: str = "/infer", *, method: str = "GET", query: str = "", probe: bool = False
) -> tuple[int | None, bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"x-homeostat-probe", b"1")] if probe else [(b"accept", b"*/*")]
    scope = {
        "type": "http", "path": path, "method": method, "headers": headers,
        "query_string": query.encode(),
    }  # fmt: skip
    await app(scope, receive, send)
    status = next((m["status"] for m in sent if m["type"] == "http.response.start"), None)
    return status, b"".join(m.get("body", b"") for m in sent)


@pytest.fixture
def watched() -> Monitor:
    return monitor("m", "v1", recent=5)


@pytest.mark.parametrize("status", [200, 204, 404, 429, 500, 503])
async def test_each_status_is_counted_as_what_it_is(watched: Monitor, status: int) -> None:
    await ask(Middleware(answering(status), watched))
    assert watched.requests.pop((str(status), False)) == 1
    assert set(watched.requests.values()) <= {0}
    assert sum(watched.latency.counts) == 1
    assert watched.inflight == 0


async def test_a_probe_counts_under_its_label(watched: Monitor) -> None:
    app = Middleware(answering(200), watched)
    await ask(app, probe=True)
    await ask(app)
    assert watched.requests["200", True] == watched.requests["200", False] == 1


async def test_a_request_in_flight_is_seen_and_its_wait_counts_as_latency(
    watched: Monitor,
) -> None:
    release = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await answering(200)(scope, receive, send)

    task = asyncio.create_task(ask(Middleware(slow, watched)))
    await asyncio.sleep(0.03)
    assert watched.inflight == 1
    release.set()
    await task
    assert watched.inflight == 0
    assert watched.latency.total >= 0.02  # the task starts a moment after the wait does


async def _raise_value_error(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("broken")


async def _answer_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def _answer_then_raise(scope: Scope, receive: Receive, send: Send) -> None:
    await answering(200)(scope, receive, send)
    raise ValueError("too late")


@pytest.mark.parametrize(
    ("app", "code"),
    [(_raise_value_error, "500"), (_answer_nothing, "aborted"), (_answer_then_raise, "200")],
)
async def test_a_request_that_ends_badly_is_counted_once_and_its_error_goes_on(
    watched: Monitor, app: App, code: str
) -> None:
    wrapped = Middleware(app, watched)
    if app is _answer_nothing:
        await ask(wrapped)
    else:
        with pytest.raises(ValueError, match=r"broken|too late"):
            await ask(wrapped)
    assert watched.requests[code, False] == 1
    assert sum(watched.requests.values()) == 1
    assert watched.inflight == 0


async def test_a_caller_that_goes_away_leaves_nothing_in_flight(watched: Monitor) -> None:
    async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(ask(Middleware(hanging, watched)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watched.requests["aborted", False] == 1
    assert watched.inflight == 0


async def test_left_out_paths_reach_the_application_and_are_counted_apart(
    watched: Monitor,
) -> None:
    app = Middleware(answering(200), watched, uncounted=("/admin/", "/health"))
    for path in ("/admin/state", "/admin/drain", "/health", "/healthy", "/administrator"):
        assert (await ask(app, path))[1] == b"hello"
    assert watched.uncounted == {"/admin/": 2, "/health": 1}
    assert watched.requests["200", False] == 2


async def test_the_metrics_page_is_answered_and_does_not_count_itself(watched: Monitor) -> None:
    status, body = await ask(Middleware(answering(200), watched), "/metrics")
    assert status == 200
    assert b'ml_uncounted_requests_total{path="/metrics"} 1.0' in body
    assert b'ml_requests_total{code="200",probe="false"} 0.0' in body
    assert (await ask(metrics_app(watched), "/any", method="POST"))[0] == 405


async def test_recent_predictions_are_answered_from_a_number_on(watched: Monitor) -> None:
    app = Middleware(answering(200), watched)
    watched.observe_batch(["a", "b"], [0.1, 0.2])
    status, body = await ask(app, "/predictions", query="after=1")
    assert status == 200
    assert [row[1] for row in json.loads(body)["rows"]] == ["b"]
    assert len(json.loads((await ask(app, "/predictions"))[1])["rows"]) == 2


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "after=1e3", "after=" + "9" * 30, "after=²"]
)
async def test_a_row_number_that_is_none_is_refused(watched: Monitor, query: str) -> None:
    app = Middleware(answering(200), watched)
    assert (await ask(app, "/predictions", query=query.encode().decode("latin-1")))[0] == 400


async def test_a_monitor_without_a_ring_says_so() -> None:
    status, body = await ask(Middleware(answering(200), monitor("m", "v1")), "/predictions")
    assert (status, b"recent=" in body) == (404, True)


async def test_the_lifespan_passes_through_uncounted(watched: Monitor) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    nothing: Callable[..., Any] = answering
    await Middleware(app, watched)({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]
    assert sum(watched.requests.values()) == 0


async def test_a_websocket_is_counted_as_one(watched: Monitor) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def nowhere(message: Any) -> None:
        return

    scope = {"type": "websocket", "path": "/stream", "headers": []}
    await Middleware(app, watched)(scope, answering(200), nowhere)  # type: ignore[arg-type]
    assert watched.requests["websocket", False] == 1
