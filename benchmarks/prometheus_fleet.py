"""What a round of 1,000 deployments costs us that are read from one Prometheus, asked two ways.

`together` shares queries (`prometheus_desk`); `alone` is one query and one client a deployment, as
it was before. Each runs in a process of its own and they take turns, round by round; the server is
a third process that writes answers of 20 series of five samples a deployment. Own time is what the
asking process computes in a round, HTTP included and the server's left out. Not measured: the
senses that judge what was read, and a real Prometheus' own time.
`python benchmarks/prometheus_fleet.py [DEPLOYMENTS] [ROUNDS]`; prints a line each.
"""

import asyncio
import json
import multiprocessing as mp
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, Final
from urllib.parse import parse_qs

from homeostat.adapters.sources.prometheus_desk import Desk
from homeostat.adapters.sources.prometheus_source import (
    PrometheusSettings,
    PrometheusSource,
    build,
)
from homeostat.base.evidence import Quality
from homeostat.base.units import SECOND, TimeNs

T0: Final = 1_800_000_000.0
STEP_S: Final = 15.0
SAMPLES: Final = 5
_JOB: Final = re.compile(r'job=~?"([^"]*)"')
_BOUNDS: Final = ("0.3", "0.5", "1", "2.5", "5", "10", "60", "+Inf")


def series() -> Iterator[dict[str, str]]:
    """Yield the labels of the 20 series that every deployment shows."""
    own = {"model_name": "m", "engine": "0"}
    yield {"__name__": "up"}
    for status in ("2xx", "4xx", "5xx"):
        labels = {"handler": "/v1/completions", "method": "POST", "status": status}
        yield {"__name__": "http_requests_total"} | labels
    for le in _BOUNDS:
        yield {"__name__": "vllm:e2e_request_latency_seconds_bucket", "le": le} | own
    for name in (
        "e2e_request_latency_seconds_sum", "num_requests_running", "num_requests_waiting",
        "kv_cache_usage_perc", "prompt_tokens_total", "generation_tokens_total",
        "num_preemptions_total",
    ):  # fmt: skip
        yield {"__name__": f"vllm:{name}"} | own
    yield {"__name__": "process_start_time_seconds"}


def serve(told: Connection, deployments: int) -> None:
    """Answer queries until the process is ended."""
    heads: dict[str, list[str]] = {}
    for place in range(deployments):
        job = f"deployment-{place}"
        where = {"job": job, "instance": f"{job}:8000", "namespace": "prod", "pod": f"{job}-0"}
        heads[job] = [json.dumps(labels | where) for labels in series()]

    def answer(form: str) -> bytes:
        asked = parse_qs(form)
        at = float(asked["time"][0])
        found = _JOB.findall(asked["query"][0])[0].replace("\\", "")
        values = json.dumps([
            [at - STEP_S * back, str(round(at - STEP_S * back - T0, 3))]
            for back in reversed(range(SAMPLES))
        ])
        result = ",".join(
            f'{{"metric":{head},"values":{values}}}'
            for job in found.split("|")
            for head in heads[job]
        )
        said = f'{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}'
        return said.encode()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                size = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                sent = (await reader.readexactly(int(size[1]))).decode() if size else ""
                body = answer(head.split(" ", 2)[1].partition("?")[2] or sent)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(one, "127.0.0.1", 0, backlog=2048)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def ask(told: Connection, port: int, deployments: int, *, shared: bool) -> None:
    """Do a round whenever told to, and say how long it took."""
    desk = Desk()
    sources = [_source(place, port, desk if shared else Desk()) for place in range(deployments)]
    with asyncio.Runner() as runner:
        while (place := told.recv()) is not None:
            now = TimeNs(round((T0 + 600.0 + STEP_S * place) * SECOND))
            computed, began = time.process_time(), time.monotonic()
            good = runner.run(_round(sources, now))
            spent = time.process_time() - computed
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            told.send((good, spent, time.monotonic() - began, peak))


async def _round(sources: list[PrometheusSource], now: TimeNs) -> int:
    reports = await asyncio.gather(*(one.observe(now) for one in sources))
    return sum(one.quality is Quality.GOOD for one in reports)


def _source(place: int, port: int, desk: Desk) -> PrometheusSource:
    said: dict[str, Any] = {
        "name": "prom",
        "url": f"http://127.0.0.1:{port}",
        "deployment": f"d{place}",
        "timeout_s": 120.0,
        "subject": "model",
        "select": (("job", f"deployment-{place}"),),
        "presets": ("vllm",),
    }
    return build(PrometheusSettings.model_validate(said), desk)


def main(deployments: int, rounds: int) -> None:
    """Measure, and print."""
    spawn = mp.get_context("spawn")
    ours, theirs = spawn.Pipe()
    processes = [spawn.Process(target=serve, args=(theirs, deployments), daemon=True)]
    processes[0].start()
    port, ends = ours.recv(), {}
    for form in ("together", "alone"):
        ends[form], other = spawn.Pipe()
        more = {"shared": form == "together"}
        one = spawn.Process(target=ask, args=(other, port, deployments), kwargs=more, daemon=True)
        one.start()
        processes.append(one)
    seen: dict[str, list[tuple[int, float, float, int]]] = {form: [] for form in ends}
    for place in range(rounds + 1):
        for form, end in ends.items():
            end.send(place)
            seen[form].append(end.recv())
    for form, end in ends.items():
        end.send(None)
        told = seen[form][1:]  # the first round connects
        own = sorted(spent for _, spent, _, _ in told)
        wall = sorted(took for _, _, took, _ in told)
        worst = min(len(own) - 1, int(0.99 * len(own)))
        print(
            f"{form}: {min(one[0] for one in told)} of {deployments} read in every round; own time "
            f"a round p50 {own[len(own) // 2]:.2f} s, p99 {own[worst]:.2f} s; wall p50 "
            f"{wall[len(wall) // 2]:.2f} s, p99 {wall[worst]:.2f} s; peak {told[-1][3]} MiB"
        )
    processes[0].terminate()
    print(
        f"{deployments} deployments of {len(list(series()))} series and {SAMPLES} samples, "
        f"{rounds} rounds; {platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    main(*given, *(1000, 20)[len(given) :])
