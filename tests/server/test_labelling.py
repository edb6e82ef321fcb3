"""Labels joined to predictions that replicas tell of; replicas that lie, babble or say nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from typing_extensions import override

from homeostat.base import names, raw
from homeostat.base.evidence import SourceReport
from homeostat.base.units import MINUTE, SECOND, TimeNs
from homeostat.base.world import Release
from homeostat.server import labelling as module
from homeostat.server.labelling import Labelling
from homeostat.testing import build

NOW = build.at(100)
COLUMNS = ["seq", "id", "prediction", "at_ns"]
Answer = Callable[[httpx2.Request], httpx2.Response]


def page(count: int, *, process: str = "p", first: int = 1, value: float = 0.9) -> dict[str, Any]:
    rows = [[first + n, f"{process}-{first + n}", value, NOW - SECOND] for n in range(count)]
    return {"process": process, "columns": COLUMNS, "rows": rows, "last": first + count - 1}


def made(answer: Answer, *addresses: str) -> Labelling:
    """Return one that reads these replicas (default one) through `answer`."""
    one = Labelling("m")
    one._client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), timeout=30.0)
    slots = addresses or ("10.0.0.1:80",)
    replicas = tuple(
        replace(build.replica(f"a-{n}"), address=slot) for n, slot in enumerate(slots, 1)
    )
    one.follow(build.world(replicas=replicas))
    return one


def saying(body: Any, status: int = 200) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: httpx2.Response(status, content=content)


def value(report: SourceReport, signal: str) -> float | None:
    return next((o.value for o in report.observations if o.key.signal == signal), None)


def label_all(one: Labelling, count: int, *, right: int, process: str = "p") -> dict[str, int]:
    rows = [
        {"prediction_id": f"{process}-{n}", "label": int(n <= right)} for n in range(1, count + 1)
    ]
    return one.add(rows, NOW)


async def test_accuracy_is_right_over_labelled_and_coverage_says_how_many() -> None:
    one = made(saying(page(100)))
    await one.observe(NOW)
    label_all(one, 50, right=40)
    report = await one.observe(NOW)
    assert value(report, names.ACCURACY) == pytest.approx(0.8)
    assert value(report, names.LABEL_COVERAGE) == pytest.approx(0.5)
    assert value(report, raw.LABELLED) == 50.0
    assert report.subjects == (names.MODEL, names.model_of("a"))
    await one.close()


async def test_no_labels_and_few_labels_are_unknown_and_never_good() -> None:
    one = made(saying(page(100)))
    assert value(await one.observe(NOW), names.ACCURACY) is None
    label_all(one, module.LABELLED_MIN - 1, right=100)
    assert value(await one.observe(NOW), names.ACCURACY) is None
    label_all(one, module.LABELLED_MIN, right=100)
    assert value(await one.observe(NOW), names.ACCURACY) == 1.0
    await one.close()


async def test_labels_that_come_before_their_predictions_are_joined() -> None:
    one = made(saying(page(40)))
    label_all(one, 40, right=40)
    assert value(await one.observe(NOW), names.ACCURACY) == 1.0
    await one.close()


async def test_what_was_long_ago_is_not_todays_accuracy() -> None:
    one = made(saying(page(40)))
    await one.observe(NOW)
    label_all(one, 40, right=40)
    later = TimeNs(NOW + 2 * MINUTE)
    one._addresses = ()
    assert value(await one.observe(later), names.ACCURACY) is None
    await one.close()


async def test_only_what_is_new_is_asked_for_and_a_new_process_is_asked_from_the_start() -> None:
    asked: list[str] = []
    pages = [page(40), page(0, first=41), page(5, process="q")]

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.params["after"])
        return httpx2.Response(200, content=json.dumps(pages[min(len(asked), 3) - 1]).encode())

    one = made(answer)
    for _ in range(3):
        await one.observe(NOW)
    assert asked == ["0", "40", "40", "0"]
    assert one._read["10.0.0.1:80"] == ("q", 5)
    await one.close()


async def test_a_new_release_starts_over() -> None:
    one = made(saying(page(40)))
    await one.observe(NOW)
    label_all(one, 40, right=0)
    assert value(await one.observe(NOW), names.ACCURACY) == 0.0
    one.follow(build.world(releases=(Release(pool="a", version="v3", since=NOW),)))
    assert value(await one.observe(NOW), names.ACCURACY) is None
    await one.close()


async def test_labels_are_counted_on_over_a_release_and_say_since_when() -> None:
    one = made(saying(page(40)))
    first = await one.observe(NOW)
    assert (value(first, raw.LABELS_TOLD), value(first, raw.LABELS_RIGHT)) == (0.0, 0.0)
    label_all(one, 40, right=30)
    one.follow(build.world(releases=(Release(pool="a", version="v3", since=NOW),)))
    later = await one.observe(TimeNs(NOW + SECOND))
    assert (value(later, raw.LABELS_TOLD), value(later, raw.LABELS_RIGHT)) == (40.0, 30.0)
    epochs = {o.epoch for o in later.observations if o.key.signal == raw.LABELS_TOLD}
    assert epochs == {NOW / SECOND}
    await one.close()


async def test_labels_are_counted_by_the_pool_that_answered_over_a_release_of_one() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return saying(page(40, process="p" if request.url.host == "10.0.0.1" else "q"))(request)

    one = made(answer)
    replicas = tuple(
        replace(build.replica(slot), address=f"10.0.0.{n}:80")
        for n, slot in enumerate(("a-1", "b-1"), 1)
    )
    one.follow(build.world(replicas=replicas))
    one._client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), timeout=30.0)
    report = await one.observe(NOW)
    assert by_pool(report) == {"model:a": (0.0, 0.0), "model:b": (0.0, 0.0)}
    label_all(one, 40, right=30)
    label_all(one, 20, right=5, process="q")
    expected = {"model:a": (40.0, 30.0), "model:b": (20.0, 5.0)}
    assert by_pool(await one.observe(NOW)) == expected
    new = (Release(pool="b", version="v3", since=NOW),)
    one.follow(build.world(releases=new, replicas=replicas[:1]))
    report = await one.observe(TimeNs(NOW + SECOND))
    assert by_pool(report) == expected, "what was counted is not taken back when a replica goes"
    assert report.subjects == (names.MODEL, "model:a", "model:b")
    await one.close()


def by_pool(report: SourceReport) -> dict[str, tuple[float, ...]]:
    """Return told and right of each pool."""
    found: dict[str, list[float]] = {}
    for seen in report.observations:
        if seen.key.signal in {raw.LABELS_TOLD, raw.LABELS_RIGHT}:
            found.setdefault(seen.key.subject, []).append(seen.value)
    return {who: tuple(two) for who, two in found.items() if who != names.MODEL}


HOSTILE: dict[str, bytes | dict[str, Any] | list[Any]] = {
    "not JSON": b"<html>502 Bad Gateway</html>",
    "empty": b"",
    "a list": [],
    "a number": b"7",
    "no columns": {"process": "p", "rows": [[1, "x", 0.5, 1]], "last": 1},
    "no last": {"process": "p", "columns": COLUMNS, "rows": []},
    "a short row": {**page(1), "rows": [[1, "x"]]},
    "rows of null": {**page(1), "rows": [None]},
    "columns of null": {**page(1), "columns": None},
    "an id that is a list": {**page(1), "rows": [[1, ["x"], 0.5, 1]]},
    "a time that is text": {**page(1), "rows": [[1, "x", 0.5, "yesterday"]]},
    "a time in the far future": {**page(1), "rows": [[1, "x", 0.5, 10**30]]},
    "a number that no float holds": {**page(1), "rows": [[1, "x", 10**400, NOW]]},
    "an infinite sequence": b'{"process":"p","columns":[],"rows":[],"last":Infinity}',
    "a nest": b"[" * 200_000,
    "not UTF-8": b'{"process": "\xff\xfe"}',
    "huge": b" " * (module._BYTES_MAX + 1),
}


@pytest.mark.parametrize("what", sorted(HOSTILE))
async def test_a_hostile_page_is_a_problem_and_the_other_replica_is_heard(what: str) -> None:
    body = HOSTILE[what]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(request: httpx2.Request) -> httpx2.Response:
        bad = request.url.host == "10.0.0.9"
        return httpx2.Response(200, content=content if bad else json.dumps(page(40)).encode())

    one = made(answer, "10.0.0.9:80", "10.0.0.1:80")
    label_all(one, 40, right=40)
    report = await one.observe(NOW)
    assert report.detail.startswith("10.0.0.9:80: ")
    assert len(report.detail) < 300
    assert value(report, names.ACCURACY) == 1.0
    assert "10.0.0.9:80" not in one._read  # nothing of it counts as read
    assert one._join.window(NOW).predictions == 40
    await one.close()


@pytest.mark.parametrize("status", [301, 404, 500])
async def test_an_error_status_is_a_problem(status: int) -> None:
    one = made(saying(page(40), status))
    report = await one.observe(NOW)
    assert f"status {status}" in report.detail
    assert report.observations == ()
    await one.close()


class Unread(httpx2.AsyncByteStream):
    """A body that must not be looked at."""

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield pytest.fail("a packed page was read")


async def test_a_packed_page_is_refused_unread() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["accept-encoding"] == "identity"
        return httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Unread())

    one = made(answer)
    assert "packed" in (await one.observe(NOW)).detail
    await one.close()


async def test_a_page_without_an_end_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, the page never does: the limit is for the whole."""
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.2)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    one = Labelling("m")
    port = server.sockets[0].getsockname()[1]
    one.follow(build.world(replicas=(build.replica("a-1", address=f"127.0.0.1:{port}"),)))
    report = await asyncio.wait_for(one.observe(NOW), 60.0)
    assert "no whole page" in report.detail
    await one.close()
    server.close()
    await asyncio.sleep(0.1)


async def test_a_prediction_without_a_number_counts_as_wrong_and_not_as_absent() -> None:
    one = made(saying({**page(40), "rows": [[n, f"p-{n}", None, NOW] for n in range(1, 41)]}))
    await one.observe(NOW)
    label_all(one, 40, right=40)
    assert value(await one.observe(NOW), names.ACCURACY) == 0.0
    await one.close()
