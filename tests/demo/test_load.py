"""The load generator without a network: schedule, latency, retries, commands, labels."""

import asyncio
import io
import json
import random
import statistics
from collections import Counter
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.demo import load_labels
from homeostat.demo.load import Generator, LoadFile, Users, main
from homeostat.demo.load_client import Attempt, Client, RetryBudget, Told, _probability, now
from homeostat.demo.load_labels import LabelPost
from homeostat.demo.load_rows import WAITING_MAX, RowPost
from homeostat.demo.loadlog import LoadLog
from homeostat.demo.population import FEATURES, sample
from homeostat.demo.trainer_rows import RowStore


class Server:
    """Answers like a client of a server would see it, after a while."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[str] = []
        self.sent: dict[str, list[float]] = {}

    async def ask(self, request_id: str, body: bytes, truth: int) -> Told:
        self.asked.append(request_id)
        assert json.loads(body)["id"] == request_id
        await self.gate.wait()
        await asyncio.sleep(self.delay_s)
        attempt = Attempt("ok", 200, {"x-replica": "a-1", "x-version": "v2"}, probability=0.9)
        return Told(attempts=[attempt], outcome="ok", prediction_id=None, correct=truth == 1)


async def generate(
    server: Server, rate: float, seconds: float, *commands: bytes, seed: int = 1
) -> LoadLog:
    file = io.BytesIO()
    log = LoadFile(file)
    generator = Generator(server, log, rate=rate, seed=seed)  # type: ignore[arg-type]
    for command in commands:
        generator.command(command)
    asyncio.get_running_loop().call_later(seconds, generator.stop)
    await generator.run()
    log.flush()
    read = LoadLog()
    read.feed(file.getvalue())
    assert read.bad_lines == 0
    return read


@pytest.mark.slow
async def test_arrivals_are_a_poisson_process_of_the_given_rate() -> None:
    log = await generate(Server(), 400.0, 2.0)
    times = sorted(request.t for request in log.requests)
    gaps = [b - a for a, b in pairwise(times)]
    assert len(times) == pytest.approx(800, abs=5 * 800**0.5)
    # Exponential gaps: standard deviation equal to the mean (a clock's would be 0).
    assert statistics.stdev(gaps) / statistics.mean(gaps) == pytest.approx(1.0, abs=0.15)


async def test_a_stall_is_charged_to_everybody_who_was_due_in_it() -> None:
    """A closed loop would send one request into the stall and see one slow answer."""
    server = Server()
    server.gate.clear()
    asyncio.get_running_loop().call_later(0.5, server.gate.set)
    log = await generate(server, 200.0, 0.6)
    latencies = [
        request.latency_ms for request in log.requests if request.t < log.requests[0].t + 2
    ]
    waited = sorted(latency for latency in latencies if latency > 50.0)
    assert len(waited) > 60  # about 90 were due in the first 450 ms
    assert waited[-1] > 400.0
    assert statistics.median(waited) > 200.0  # 275, and more where the machine is late


async def test_a_generator_that_is_itself_late_charges_it_to_the_request() -> None:
    file = io.BytesIO()
    log = LoadFile(file)
    generator = Generator(Server(), log, rate=100.0, seed=1)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    import time  # noqa: PLC0415 - to block the loop, which nobody else may

    loop.call_later(0.1, time.sleep, 0.3)
    loop.call_later(0.6, generator.stop)
    await generator.run()
    generator.tick()
    log.flush()
    read = LoadLog()
    read.feed(file.getvalue())
    assert sum(request.latency_ms > 100.0 for request in read.requests) >= 10
    assert max(event.get("lag_ms", 0.0) for event in read.events) > 200.0


async def test_the_same_seed_asks_the_same_people_and_another_one_others() -> None:
    one, two, other = (Users(seed, 0.0).request(5, "x") for seed in (1, 1, 2))
    assert one == two != other


async def test_a_shift_moves_the_inputs_that_are_really_sent() -> None:
    def mean(users: Users) -> float:
        bodies = [json.loads(users.request(who, "x")[0]) for who in range(400)]
        return statistics.mean([float(body["inputs"][0]["data"][0]) for body in bodies])

    plain, shifted = mean(Users(1, 0.0)), mean(Users(1, 2.0))
    spread = sample(1_000, 1).inputs[:, 0].std()
    assert (shifted - plain) / spread == pytest.approx(1.0, abs=0.1)  # 2 x 0.5, its share
    body = json.loads(Users(1, 0.0).request(0, "x")[0])
    assert body["inputs"][0]["shape"] == [1, len(FEATURES)]


async def test_commands_take_effect_at_once_and_are_written_down() -> None:
    server = Server()
    file = io.BytesIO()
    log = LoadFile(file)
    generator = Generator(server, log, rate=0.01, seed=1)  # type: ignore[arg-type]
    run = asyncio.create_task(generator.run())
    await asyncio.sleep(0.05)
    assert server.asked == []
    generator.command(b'{"rate": 500}')
    await asyncio.sleep(0.3)
    assert len(server.asked) > 80
    generator.command(b'{"rate": 0}')
    await asyncio.sleep(0.02)
    before = len(server.asked)
    await asyncio.sleep(0.1)
    assert len(server.asked) == before
    generator.command(b'{"stop": true}')
    await asyncio.wait_for(run, 60.0)
    log.flush()
    read = LoadLog()
    read.feed(file.getvalue())
    assert [event["event"] for event in read.events] == ["rate", "rate", "stop", "stopped"]


@pytest.mark.parametrize(
    "command",
    [
        b"", b"{", b"[]", b"{}", b"7", b"\xff", b'{"rate": -1}', b'{"rate": 1e9}',
        b'{"rate": "x"}', b'{"rate": NaN}', b'{"rate": true}', b'{"shift": 99}', b'{"stop": false}',
        b'{"stop": 1}', b'{"rate": 1, "shift": 1}', b'{"explode": 1}', b'{"rate": null}',
        b"[" * 100_000,
    ],
)  # fmt: skip
async def test_a_command_that_makes_no_sense_changes_nothing(
    command: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    log = await generate(Server(), 200.0, 0.25, command)
    assert [event["event"] for event in log.events] == ["bad_command", "stopped"]
    assert log.total > 5
    assert "bad command" in capsys.readouterr().err


async def test_the_log_says_up_to_when_it_is_complete() -> None:
    server = Server()
    server.gate.clear()
    file = io.BytesIO()
    log = LoadFile(file)
    generator = Generator(server, log, rate=200.0, seed=1)  # type: ignore[arg-type]
    run = asyncio.create_task(generator.run())
    await asyncio.sleep(0.3)
    generator.tick()
    log.flush()
    server.gate.set()
    generator.stop()
    await run
    log.flush()
    read = LoadLog()
    read.feed(file.getvalue())
    tick, stopped = read.events
    assert tick["complete_until"] <= min(request.t for request in read.requests)
    assert stopped["complete_until"] >= max(request.end for request in read.requests) - 0.001


@given(requests=st.lists(st.booleans(), max_size=300))
def test_retries_never_exceed_a_fifth_of_the_requests(requests: list[bool]) -> None:
    budget, taken = RetryBudget(), 0
    for number, wants in enumerate(requests, start=1):
        budget.request()
        taken += wants and budget.take()
        assert taken <= number / 5 + 1e-9


class Answer:
    """One scripted answer of an HTTP session."""

    def __init__(self, status: int, body: Any = None, **headers: str) -> None:
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._body = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def read(self) -> bytes:
        return self._body


class Session:
    """Gives scripted answers, or raises them, in order."""

    def __init__(self, *script: Answer | Exception) -> None:
        self._script = list(script)
        self.sent = 0
        self.names: list[str] = []

    def post(self, url: str, data: bytes, headers: dict[str, str]) -> "Session":
        self.sent += 1
        self.names.append(headers["x-request-id"])
        return self

    async def __aenter__(self) -> Answer:
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def __aexit__(self, *_: object) -> None:
        return


def ok(value: float | None, request_id: str = "q") -> Answer:
    body = {"id": request_id, "outputs": [{"data": [value]}]}
    return Answer(200, body, x_replica="a-1", x_version="v2", x_prediction_id="a-1-7")


def limited() -> Answer:
    return Answer(503, b"", x_envoy_overloaded="true")


async def ask(*script: Answer | Exception, truth: int = 1, credit: int = 10) -> tuple[Told, int]:
    session = Session(*script)
    client = Client(session, "http://gateway", random.Random(1))  # type: ignore[arg-type]
    for _ in range(credit):
        client._budget.request()
    told = await client.ask("q", b"{}", truth)
    assert set(session.names) == {"q"}, "every attempt carries its request's id to the gateway"
    return told, session.sent


@pytest.mark.parametrize(
    ("script", "outcome", "attempts", "replicas"),
    [
        ([ok(0.9)], "ok", 1, ["a-1"]),
        ([Answer(500, b"", x_replica="a-2"), ok(0.9)], "ok", 2, ["a-2", "a-1"]),
        ([Answer(503, b""), ok(0.9)], "ok", 2, ["a-1"]),
        ([TimeoutError(), ok(0.9)], "ok", 2, ["a-1"]),
        ([aiohttp.ServerDisconnectedError(), ok(0.9)], "ok", 2, ["a-1"]),
        ([TimeoutError(), TimeoutError()], "timeout", 2, []),
        ([Answer(500, b""), Answer(500, b"")], "failed", 2, []),
        ([limited()], "refused", 1, []),
        ([Answer(429, b"")], "refused", 1, []),
        ([Answer(500, b""), limited()], "failed", 2, []),
        ([Answer(400, b"")], "failed", 1, []),
        ([Answer(200, b"<html>")], "failed", 1, []),
        ([ok(0.9, "another")], "failed", 1, ["a-1"]),
        ([ok(1.5)], "failed", 1, ["a-1"]),
        ([Answer(200, {"id": "q", "outputs": []})], "failed", 1, []),
        ([Answer(200, [1])], "failed", 1, []),
    ],
)
async def test_outcomes_and_who_gave_them(
    script: list[Answer | Exception], outcome: str, attempts: int, replicas: list[str]
) -> None:
    told, sent = await ask(*script)
    plain = told.to_plain()
    assert (plain["outcome"], plain["attempts"], sent) == (outcome, attempts, attempts)
    assert plain["replicas"] == replicas
    if outcome != "ok":
        assert (plain["finite"], plain["correct"]) == (None, None)


@pytest.mark.parametrize(
    ("value", "truth", "finite", "correct"),
    [
        (0.9, 1, True, True), (0.9, 0, True, False), (0.5, 1, True, True), (0.49, 0, True, True),
        (None, 1, False, False), (None, 0, False, False), (0.0, 0, True, True),
        (1.0, 1, True, True),
    ],
)  # fmt: skip
async def test_each_answer_is_checked_against_the_truth(
    value: float | None, truth: int, finite: object, correct: object
) -> None:
    told, _ = await ask(ok(value), truth=truth)
    plain = told.to_plain()
    assert (plain["finite"], plain["correct"], plain["outcome"]) == (finite, correct, "ok")
    assert told.prediction_id == "a-1-7"


async def test_without_credit_nothing_is_sent_twice() -> None:
    told, sent = await ask(Answer(500, b""), credit=0)
    assert (told.outcome, sent) == ("failed", 1)


def test_numbers_that_are_none_are_told_apart_from_answers_that_are_none() -> None:
    raw = b'{"id": "q", "outputs": [{"data": [NaN]}]}'
    assert _probability(raw, "q") is None
    with pytest.raises(ValueError, match="the answer is to"):
        _probability(raw, "p")


class Clock:
    """Monotonic seconds that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def learning(count: int = 4_000, seed: int = 1) -> tuple[LabelPost, Clock]:
    clock = Clock()
    post = LabelPost("http://nowhere", seed, lambda name, detail: None, clock)
    for k in range(count):
        post.learn(f"a-1-{k}", k % 2)
    return post, clock


def test_labels_come_for_some_predictions_some_of_them_twice_and_are_true() -> None:
    post, clock = learning()
    clock.now += 60.0
    posted = [item for batch in post._take() for item in batch]
    times = Counter(item["prediction_id"] for item in posted)
    assert len(times) / 4_000 == pytest.approx(0.60, abs=0.04)
    assert sum(count == 2 for count in times.values()) / len(times) == pytest.approx(0.03, abs=0.02)
    assert set(times.values()) == {1, 2}
    assert all(item["label"] == int(item["prediction_id"][4:]) % 2 for item in posted)


def test_labels_come_after_one_to_three_seconds_and_a_few_much_later() -> None:
    post, clock = learning()
    begin, came = clock.now, {}
    for step in range(140):
        clock.now = begin + step / 10
        came[step / 10] = sum(map(len, post._take()))
    total = sum(came.values())
    assert sum(n for after, n in came.items() if after < 1.0) == 0
    assert sum(n for after, n in came.items() if 3.1 < after < 11.0) == 0
    late = sum(n for after, n in came.items() if after >= 11.0)
    assert late / total == pytest.approx(0.05, abs=0.02)
    assert not post._due


def test_batches_fit_the_api_and_say_when_the_truth_was_known() -> None:
    post, clock = learning(5_000)
    assert post._take() == []
    clock.now += 60.0
    batches = post._take()
    assert max(map(len, batches)) == 1_000
    known = [item["observed_at"] for batch in batches for item in batch]
    assert known == sorted(known)
    assert 9.0 < known[-1] - known[0] < 12.0  # from one second to thirteen


def test_rows_are_of_what_was_asked_once_each_and_only_when_the_truth_is_known() -> None:
    clock, people = Clock(), sample(2_000, 5)
    rows = RowPost("http://nowhere", lambda name, detail: None)
    post = LabelPost("http://nowhere", 1, lambda name, detail: None, clock, rows)
    for k in range(2_000):
        post.learn(f"a-1-{k}", int(people.defaulted[k]), (float(k), people.inputs[k]))
    assert post._take() == []
    assert rows.take() == [], "no row before its truth is known"
    clock.now += 60.0
    told = {item["prediction_id"]: item for batch in post._take() for item in batch}
    posted = [row for _ in range(5) for row in rows.take()]
    assert {row["prediction_id"] for row in posted} == set(told)
    assert len(posted) == len(told), "once, however often the label comes"
    for row in posted:
        k = int(row["prediction_id"][4:])
        assert (row["at"], row["label"]) == (k, people.defaulted[k])
        assert row["features"] == people.inputs[k].tolist()
    assert not post._asked
    assert RowStore(len(FEATURES)).take(json.loads(json.dumps(posted[:500]))).refused == 0


def test_rows_that_nobody_takes_are_bounded() -> None:
    rows = RowPost("http://nowhere", lambda name, detail: None)
    for k in range(WAITING_MAX + 10):
        rows.add({"number": k})
    assert rows._lost == 10
    assert rows.take()[0] == {"number": 0}


async def test_a_request_is_a_row_with_its_own_inputs_also_after_a_shift() -> None:
    class Answers(Server):
        async def ask(self, request_id: str, body: bytes, truth: int) -> Told:  # type: ignore[explicit-override]
            self.sent[request_id] = json.loads(body)["inputs"][0]["data"]
            told = await super().ask(request_id, body, truth)
            told.prediction_id = request_id
            return told

    server, kept = Answers(0.05), []
    file = LoadFile(io.BytesIO())
    generator = Generator(server, file, rate=300.0, seed=1)  # type: ignore[arg-type]
    generator.labels = LabelPost("http://nowhere", 1, lambda name, detail: None)
    generator.labels.learn = lambda *said: kept.append(said)  # type: ignore[method-assign]
    loop = asyncio.get_running_loop()
    loop.call_later(0.1, generator.command, b'{"shift": 3.0}')
    loop.call_later(0.2, generator.stop)
    await generator.run()
    assert len(kept) > 20
    for name, _, (at, inputs) in kept:
        assert inputs.tolist() == server.sent[name]
        assert abs(at - file.wall(now())) < 5.0


def test_what_nobody_takes_is_bounded() -> None:
    post, _ = learning(100_000)
    assert len(post._due) == load_labels._WAITING_MAX
    assert post._lost > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "-1"],
        ["--rate", "nan"],
        ["--rate", "1e9"],
        ["--rate", "10", "--log", "/nowhere/x"],
        ["--rate", "10", "--rows-url", "http://127.0.0.1:9/rows"],
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    known = ["--url", "http://127.0.0.1:9", "--log", str(tmp_path / "log"), *arguments]
    with pytest.raises(SystemExit) as refused:
        main(known)
    assert refused.value.code == 2
    assert capsys.readouterr().err
