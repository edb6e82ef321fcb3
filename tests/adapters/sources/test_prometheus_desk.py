"""Several deployments in one query: each is told what it would be told alone, and no more."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
from prometheus_fake import ENOUGH_S, T0, labels_of, steps

from homeostat.adapters.sources.prometheus_answer import AbsurdAnswerError, QueryError, read_apart
from homeostat.adapters.sources.prometheus_desk import MOST, PATIENCE, Desk
from homeostat.adapters.sources.prometheus_select import together
from homeostat.adapters.sources.prometheus_source import (
    PrometheusSettings,
    PrometheusSource,
    build,
)
from homeostat.base.evidence import Quality, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.hostile import hostile_server, response

_JOB = re.compile(r'job=(~?)"([^"]*)"')
Answering = Callable[[frozenset[str]], bytes | None]
"""What is answered about these jobs; None: what is held of them."""


@dataclass
class Farm:
    """A server that knows who is asked for.

    Attributes:
        held: Series as they stand on a page, by job.
        answering: Answers in its stead.
        asked: The jobs of each query, oldest first.
    """

    held: dict[str, dict[str, Any]]
    answering: Answering = lambda _jobs: None
    asked: list[frozenset[str]] = field(default_factory=list)

    def answer(self, request: bytes) -> bytes:
        line, _, rest = request.decode().partition("\r\n")
        form = line.split(" ")[1].partition("?")[2] or rest.partition("\r\n\r\n")[2]
        pattern, value = _JOB.findall(parse_qs(form)["query"][0])[0]
        jobs = frozenset(
            job
            for job in self.held
            if (re.fullmatch(value.replace("\\\\", "\\"), job) if pattern else job == value)
        )
        self.asked.append(jobs)
        own = self.answering(jobs)
        return own if own is not None else self.page(jobs)

    def page(self, jobs: frozenset[str], **more: Any) -> bytes:
        result = [
            {
                "metric": labels_of(text) | {"job": job},
                "values": [[T0 + at, str(value)] for at, value in points],
            }
            for job in sorted(jobs)
            for text, points in self.held[job].items()
        ]
        data = {"resultType": "matrix", "result": result}
        body = json.dumps({"status": "success", "data": data} | more).encode()
        return response(body, content_type="application/json")


class Round:
    """The sources of several jobs, asked at once."""

    def __init__(self, sources: Sequence[PrometheusSource]) -> None:
        self.sources = sources

    async def at(self, seconds: float) -> list[SourceReport]:
        now = TimeNs(round((T0 + seconds) * SECOND))
        return list(await asyncio.gather(*(one.observe(now) for one in self.sources)))


def page(place: int) -> dict[str, Any]:
    lives = {"vllm:num_requests_running": steps([float(place)] * 3)}
    work = 'http_requests_total{handler="/v1/a",status="2xx"}'
    return lives | {work: steps([10 * place, 11 * place, 12 * place])}


@asynccontextmanager
async def farm(
    jobs: Sequence[str], selects: Sequence[dict[str, str]] = (), **settings: Any
) -> AsyncIterator[tuple[Farm, Round]]:
    held = Farm({job: page(place) for place, job in enumerate(jobs, start=1)})

    async def respond(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(held.answer(request))

    async with hostile_server(respond) as server:
        desk, sources = Desk(), []
        for place, select in enumerate(selects or [{"job": job} for job in jobs]):
            said: dict[str, Any] = {
                "name": "prom",
                "url": server.url(),
                "deployment": f"d{place}",
                "timeout_s": ENOUGH_S,
                "subject": "model",
                "select": tuple(select.items()),
                "presets": ("vllm",),
            }
            sources.append(build(PrometheusSettings.model_validate(said | settings), desk))
        try:
            yield held, Round(sources)
        finally:
            for one in sources:
                await one.close()


def numbers(report: SourceReport) -> list[tuple[str, float, int]]:
    return [(one.key.signal, one.value, one.observed_at) for one in report.observations]


async def test_a_round_of_many_is_few_queries_and_tells_each_what_it_would_be_told_alone() -> None:
    jobs = [f"job-{place}" for place in range(MOST + 3)]
    async with farm(jobs) as (held, ask):
        await ask.at(30.0)
        reports = await ask.at(45.0)
        assert [len(asked) for asked in held.asked] == [MOST, 3] * 2
        assert {report.quality for report in reports} == {Quality.GOOD}
        alone = []
        for one in ask.sources[:4]:
            own = build(one._settings, Desk())
            told = [await own.observe(TimeNs(round((T0 + at) * SECOND))) for at in (30.0, 45.0)]
            alone.append(told[-1])
            await own.close()
        assert [numbers(one) for one in alone] == [numbers(one) for one in reports[:4]]
        assert [one.observations[0].key.deployment for one in reports[:2]] == ["d0", "d1"]


async def test_what_one_says_wrong_costs_no_other() -> None:
    async with farm(["a", "b", "c"]) as (held, ask):
        held.held["b"]["vllm:num_requests_running"] = steps(["many", 1, 1])
        reports = await ask.at(30.0)
    assert [one.quality for one in reports] == [Quality.GOOD, Quality.ABSURD, Quality.GOOD]
    assert "data.result[" in reports[1].detail
    assert len(held.asked) == 1


async def test_who_is_not_there_is_missing_and_says_so() -> None:
    selects = [{"job": "a"}, {"job": "gone"}]
    async with farm(["a"], selects) as (held, ask):
        reports = await ask.at(30.0)
    assert [one.quality for one in reports] == [Quality.GOOD, Quality.MISSING]
    assert held.asked == [frozenset({"a"})]


def _refused() -> bytes:
    said = {"status": "error", "errorType": "execution", "error": "too many samples"}
    body = json.dumps(said).encode()
    return response(body, content_type="application/json", status=422)


async def test_one_for_whom_a_query_is_refused_is_asked_alone_and_the_others_together() -> None:
    async with farm(["a", "b", "heavy"]) as (held, ask):
        held.answering = lambda jobs: _refused() if "heavy" in jobs else None
        first = await ask.at(30.0)
        counts = [sum(job in asked for asked in held.asked) for job in ("a", "b", "heavy")]
        held.asked.clear()
        second = await ask.at(45.0)
    for reports in (first, second):
        assert [one.quality for one in reports] == [
            Quality.GOOD, Quality.GOOD, Quality.UNREACHABLE,
        ]  # fmt: skip
    assert counts == [2, 2, 2]
    assert sorted(held.asked, key=len) == [frozenset({"heavy"}), frozenset({"a", "b"})]


async def test_one_who_failed_alone_is_taken_back_after_a_while() -> None:
    async with farm(["a", "b"]) as (held, ask):
        held.answering = lambda jobs: _refused() if "b" in jobs else None
        await ask.at(30.0)
        held.answering = lambda _jobs: None
        for _ in range(PATIENCE + 1):
            held.asked.clear()
            await ask.at(30.0)
    assert held.asked == [frozenset({"a", "b"})]


async def test_groups_that_are_too_large_are_made_smaller_and_cost_nobody_a_round() -> None:
    jobs = [f"j{place}" for place in range(8)]
    async with farm(jobs) as (held, ask):
        held.answering = lambda asked: _refused() if len(asked) > 2 else None
        rounds = [await ask.at(30.0 + place) for place in range(4)]
        held.asked.clear()
        await ask.at(60.0)
    assert {one.quality for reports in rounds for one in reports} == {Quality.GOOD}
    assert {len(asked) for asked in held.asked} == {2}


async def test_a_partial_answer_is_of_those_whose_stores_are_gone() -> None:
    async with farm(["a", "gone"]) as (held, ask):
        held.answering = lambda jobs: (
            held.page(jobs, warnings=["store is gone"]) if "gone" in jobs else None
        )
        reports = await ask.at(30.0)
    assert [one.quality for one in reports] == [Quality.GOOD, Quality.UNREACHABLE]
    assert "partial" in reports[1].detail


async def test_a_server_that_is_too_slow_is_asked_once_and_for_less_the_next_time() -> None:
    asked: list[int] = []

    async def respond(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request.count(b"%7Cj") + 1)
        await asyncio.sleep(ENOUGH_S)

    async with hostile_server(respond) as server:
        desk = Desk()
        said = {"name": "p", "url": server.url(), "timeout_s": 0.1, "subject": "model"}
        sources = [
            build(
                PrometheusSettings.model_validate(
                    said | {"deployment": f"d{n}", "select": (("job", f"j{n}"),)}
                    | {"presets": ("vllm",)}
                ),
                desk,
            )
            for n in range(4)
        ]  # fmt: skip
        asker = sources[0]._asked()
        first = await Round(sources).at(15.0)
        assert {one.quality for one in first} == {Quality.UNREACHABLE}
        assert len(asked) == 1
        await asyncio.gather(*asker._tasks)
        assert asker._size == 2
        for one in sources:
            await one.close()


async def test_patterns_and_those_who_differ_in_two_labels_are_not_put_together() -> None:
    selects = [
        {"job": "~a|b"}, {"job": "~a|b"}, {"job": "a"}, {"job": "b"},
        {"job": "a", "zone": "x"}, {"job": "b", "zone": "y"}, {"job": "c", "zone": "y"},
    ]  # fmt: skip
    async with farm(["a", "b", "c"], selects) as (held, ask):
        await ask.at(30.0)
    asked = sorted(tuple(sorted(jobs)) for jobs in held.asked)
    assert asked == [("a",), ("a", "b"), ("a", "b"), ("a", "b"), ("b", "c")]


async def test_the_last_to_leave_closes_the_connections() -> None:
    async with farm(["a", "b"]) as (_, ask):
        await ask.at(30.0)
        desk, access = ask.sources[0]._desk, ask.sources[0]._access
        assert desk is not None
        await ask.sources[0].close()
        assert desk._askers[access].users == 1
        await ask.sources[1].close()
        assert not desk._askers


def test_values_are_matched_as_they_are() -> None:
    query = together(["up"], {"zone": "x"}, "job", ['a.b"c', "a|b", "ü b"])
    assert query == (
        '{__name__=~"up",zone="x",job=~"a\\\\.b\\"c|a\\\\|b|ü\\\\ b"}'
    )  # fmt: skip


def apart(*entries: Any, **more: Any) -> Any:
    data = {"resultType": "matrix", "result": list(entries)}
    body = json.dumps({"status": "success", "data": data} | more).encode()
    return read_apart("http://p", body, label="job", most_series=4, most_samples=4)


def entry(job: str, *values: Any, name: str = "up") -> dict[str, Any]:
    return {"metric": {"__name__": name, "job": job}, "values": list(values)}


def test_parts_are_judged_apart() -> None:
    parted = apart(
        entry("a", [1, "1"]), entry("b", [1, "x"]), entry("b", [1, "1"], name="z"),
        entry("c", [2, "1"], [1, "1"]),
    )  # fmt: skip
    assert [one.samples for one in parted.parts["a"]] == [((1.0, 1.0),)]
    for job in "bc":
        assert isinstance(parted.parts[job], AbsurdAnswerError)
    twice = apart(entry("a", [1, "1"]), entry("a", [1, "2"]), entry("b", [1, "1"]))
    assert isinstance(twice.parts["a"], AbsurdAnswerError)
    assert len(twice.parts["b"]) == 1


@pytest.mark.parametrize(
    ("entries", "more", "why"),
    [
        ([{"metric": {"__name__": "up"}, "values": [[1, "1"]]}], {}, "has no label 'job'"),
        ([5], {}, "not an object"),
        ([entry("a", *([n, "1"] for n in range(5)))], {}, "more than 4 samples"),
        ([entry("a", [1, "1"], name=f"n{n}") for n in range(5)], {}, "more than 4"),
        ([entry("a", [1, "1"])], {"isPartial": True}, "partial"),
        ([entry("a", [1, "1"])], {"warnings": ["w"]}, "partial"),
    ],
)
def test_what_is_nobodys_or_too_much_refuses_the_answer_whole(
    entries: list[Any], more: dict[str, Any], why: str
) -> None:
    with pytest.raises(QueryError, match=why):
        apart(*entries, **more)
