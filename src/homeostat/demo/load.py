"""The load generator: users who ask at random times and do not wait for each other.

    python -m homeostat.demo.load --url URL --rate 100 --log FILE --seed N
        [--labels-url URL [--rows-url URL]]

Open loop: arrivals are a Poisson process on a schedule of its own, and latency counts from the
scheduled time, so that a stalled server is charged for everybody who waited (no coordinated
omission). Commands arrive on stdin as JSON lines: `{"rate": 460}`, `{"shift": 2.5}`,
`{"stop": true}`. The end of stdin stops it too, unless `--duration` says how long to run.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import aiohttp
import numpy as np
import uvloop
from numpy.typing import NDArray

from homeostat.demo.load_client import ATTEMPT_S, Client, now
from homeostat.demo.load_labels import LabelPost
from homeostat.demo.load_rows import RowPost
from homeostat.demo.population import FEATURES, sample

RATE_MAX: Final = 2_000.0  # requests/s; twice that many connections still fit the usual limits
_SHIFT_MAX: Final = 10.0
_PEOPLE: Final = 4_096
_FLUSH_S: Final = 0.1
_TICK_S: Final = 1.0
_LAG_S: Final = 0.05  # the generator itself was late by this much: its numbers carry that
_PATH: Final = "/v2/models/credit/infer"
# Keeps the users' draw apart from the training data, which is drawn with small seeds.
_USERS: Final = 1_000_000_007


class Users:
    """People to ask about, with requests encoded ahead as they are first needed."""

    def __init__(self, seed: int, shift: float) -> None:
        people = sample(_PEOPLE, _USERS + seed, shift)
        self._rows = people.inputs
        self._truth = people.defaulted.tolist()
        self._encoded: list[str] = [""] * _PEOPLE

    def request(self, who: int, request_id: str) -> tuple[bytes, int]:
        """Return one person's request and the right answer to it."""
        text = self._encoded[who]
        if not text:
            text = self._encoded[who] = json.dumps(self._rows[who].tolist())
        body = (
            f'{{"id":"{request_id}","inputs":[{{"name":"features","shape":[1,{len(FEATURES)}],'
            f'"datatype":"FP64","data":{text}}}]}}'
        )
        return body.encode(), self._truth[who]

    def inputs(self, who: int) -> NDArray[np.float64]:
        """Return one person's inputs `[feature]`."""
        return np.asarray(self._rows[who])


class LoadFile:
    """The log: lines are kept for a tenth of a second and written at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lines: list[str] = []
        # The wall clock is read once, so that times in the log never go back.
        self._epoch = time.time() - now()

    def wall(self, moment: float) -> float:
        """Return a monotonic time as epoch seconds."""
        return round(self._epoch + moment, 6)

    def add(self, plain: dict[str, Any]) -> None:
        """Keep one line."""
        self._lines.append(json.dumps(plain, separators=(",", ":")))

    def event(self, name: str, detail: dict[str, Any]) -> None:
        """Keep one control line, stamped with the time."""
        self.add({"event": name, "t": self.wall(now()), **detail})

    def flush(self) -> None:
        """Write what was kept."""
        if self._lines:
            self._file.write("\n".join([*self._lines, ""]).encode())
            self._file.flush()
            self._lines.clear()


class Generator:
    """Sends requests on schedule and writes down what came of them."""

    def __init__(self, client: Client, log: LoadFile, *, rate: float, seed: int) -> None:
        """Prepare.

        Args:
            client: Sends one request.
            log: Is told.
            rate: Mean requests per second.
            seed: Seed of the arrival times and of the people.
        """
        self._client, self._log, self._seed = client, log, seed
        self._rate = rate
        self._chance = random.Random(f"load-{seed}")
        self._users = Users(seed, 0.0)
        self._news = asyncio.Event()
        self._stopping = False
        self._sent = 0
        self._open: dict[int, float] = {}
        self._next = now()  # when the next request is due
        self._tasks: set[asyncio.Task[None]] = set()
        self._worst_lag_s = 0.0
        self.labels: LabelPost | None = None

    def stop(self) -> None:
        """Send no more."""
        self._stopping = True
        self._news.set()

    def command(self, line: bytes) -> None:
        """Carry out one command; one that makes no sense is written down and changes nothing."""
        try:
            self._carry_out(*_command(line))
        except (ValueError, RecursionError) as error:
            text = line[:200].decode("utf-8", "replace")
            self._log.event("bad_command", {"command": text, "why": str(error)})
            print(f"bad command {text!r}: {error}", file=sys.stderr)  # noqa: T201 - the other end

    def _carry_out(self, name: str, value: bool | float) -> None:  # noqa: FBT001 - as it came
        """Carry out one command.

        Raises:
            ValueError: It is unknown or out of range.
        """
        if isinstance(value, bool):
            if name != "stop" or not value:
                raise ValueError(f"{name}: {value!r} is unknown")
            self.stop()
        elif name == "rate" and 0.0 <= value <= RATE_MAX:
            self._rate = float(value)
            self._news.set()  # exponential gaps have no memory: draw anew from now on
        elif name == "shift" and abs(value) <= _SHIFT_MAX:
            self._users = Users(self._seed, float(value))
        else:
            raise ValueError(f"{name}: {value!r} is unknown or out of range")
        self._log.event(name, {name: value})

    async def run(self) -> None:
        """Send until stopped, then wait for what is on its way."""
        due = now()
        while not self._stopping:
            gap_s = self._chance.expovariate(self._rate) if self._rate > 0.0 else math.inf
            self._next = due + gap_s
            if await self._changed_before(self._next):
                due = now()
                continue
            due = self._next
            self._worst_lag_s = max(self._worst_lag_s, now() - due)
            self._start(due)
        self._next = math.inf
        while self._tasks:
            await asyncio.wait(self._tasks)
        self.tick("stopped")

    async def _changed_before(self, due: float) -> bool:
        """Wait until a time; True if a command came first."""
        left_s = due - now()
        if left_s > 0.0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, 3600.0)):
                    await self._news.wait()
        if not self._news.is_set():
            return left_s == math.inf
        self._news.clear()
        return True

    def _start(self, due: float) -> None:
        self._sent += 1
        self._open[self._sent] = due
        task = asyncio.create_task(self._one(self._sent, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, number: int, due: float) -> None:
        name = f"{self._seed}-{number}"
        users, who = self._users, self._chance.randrange(_PEOPLE)
        body, truth = users.request(who, name)
        told = await self._client.ask(name, body, truth)
        latency_ms = round((now() - due) * 1_000.0, 3)
        line = {"t": self._log.wall(due), "id": name, "latency_ms": latency_ms}
        self._log.add(line | told.to_plain())
        del self._open[number]
        if self.labels is not None and told.prediction_id is not None:
            self.labels.learn(told.prediction_id, truth, (self._log.wall(due), users.inputs(who)))

    def tick(self, name: str = "tick") -> None:
        """Write down up to when the log is complete, and how late the generator itself was."""
        complete = min(now(), self._next, *self._open.values())
        detail: dict[str, Any] = {"complete_until": self._log.wall(complete), "sent": self._sent}
        if self._worst_lag_s > _LAG_S:
            detail["lag_ms"] = round(self._worst_lag_s * 1_000.0, 1)
        self._worst_lag_s = 0.0
        self._log.event(name, detail)


async def _write(generator: Generator, log: LoadFile) -> None:
    """Flush and tick, until cancelled."""
    ticked = now()
    while True:
        await asyncio.sleep(_FLUSH_S)
        if now() - ticked >= _TICK_S:
            ticked = now()
            generator.tick()
        log.flush()


def _listen(generator: Generator, loop: asyncio.AbstractEventLoop, *, stop_at_end: bool) -> None:
    """Read commands in a thread: stdin may be a pipe, a terminal or a file."""
    rest = b""
    with contextlib.suppress(RuntimeError):  # the loop was closed: nobody is left to tell
        while data := os.read(sys.stdin.fileno(), 65_536):
            *lines, rest = (rest + data).split(b"\n")
            for line in filter(bytes.strip, lines):
                loop.call_soon_threadsafe(generator.command, line)
        if stop_at_end:
            loop.call_soon_threadsafe(generator.stop)


async def _main(arguments: argparse.Namespace, file: BinaryIO) -> None:
    log = LoadFile(file)
    url = arguments.url.rstrip("/") + _PATH
    log.event("start", {"url": url, "rate": arguments.rate, "seed": arguments.seed})
    log.flush()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=ATTEMPT_S),
        headers={"content-type": "application/json"},
        skip_auto_headers=("user-agent", "accept-encoding", "accept"),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        client = Client(session, url, random.Random(f"client-{arguments.seed}"))
        generator = Generator(client, log, rate=arguments.rate, seed=arguments.seed)
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, generator.stop)
        if arguments.duration is not None:
            loop.call_later(arguments.duration, generator.stop)
        helpers = [asyncio.create_task(_write(generator, log))]
        if arguments.labels_url:
            rows = RowPost(arguments.rows_url, log.event) if arguments.rows_url else None
            generator.labels = LabelPost(arguments.labels_url, arguments.seed, log.event, rows=rows)
            helpers.append(asyncio.create_task(generator.labels.run()))
            if rows is not None:
                helpers.append(asyncio.create_task(rows.run()))
        threading.Thread(
            target=_listen,
            args=(generator, loop),
            kwargs={"stop_at_end": arguments.duration is None},
            daemon=True,
        ).start()
        await generator.run()
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
    log.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the load generator from the command line."""
    parser = argparse.ArgumentParser(prog="homeostat.demo.load", description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True, help="where requests go, for example the gateway")
    parser.add_argument("--rate", type=_rate, required=True, help="mean requests per second")
    parser.add_argument("--log", type=Path, required=True, help="JSON lines are appended here")
    parser.add_argument("--seed", type=int, default=0, help="seed of arrivals, people and labels")
    parser.add_argument("--labels-url", default="", help="the controller's /v1/labels")
    parser.add_argument("--rows-url", default="", help="a trainer's /rows; needs --labels-url")
    parser.add_argument("--duration", type=float, help="seconds to run; default: until stdin ends")
    given = parser.parse_args(arguments)
    if given.rows_url and not given.labels_url:
        parser.error("--rows-url needs --labels-url: what nobody labels teaches nobody")
    try:
        file = given.log.open("ab")
    except OSError as error:
        parser.exit(2, f"cannot write {given.log} ({error.strerror}); choose another --log\n")
    with file, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(given, file))


def _command(line: bytes) -> tuple[str, bool | float]:
    """Return a command's name and value.

    Raises:
        ValueError: It is not an object with one key and a number or true.
    """
    plain = json.loads(line)
    if not isinstance(plain, dict) or len(plain) != 1:
        raise ValueError("a command is an object with one key")
    name, value = next(iter(plain.items()))
    if not isinstance(value, int | float):
        raise ValueError(f"{name}: {value!r} is neither a number nor true")  # noqa: TRY004 - of text
    return name, value


def _rate(text: str) -> float:
    rate = float(text)
    if not 0.0 <= rate <= RATE_MAX:
        raise argparse.ArgumentTypeError(f"must be in 0..{RATE_MAX:g}, got {text}")
    return rate


if __name__ == "__main__":
    main()
