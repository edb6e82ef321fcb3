"""Five model servers and five decoys as a Prometheus would find them; one of them can be broken.

Counters follow the clock, so that what is scraped is what such a load would have shown.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from prometheus_server import SELF, Page, Server, exposed

DECOYS: Final[Mapping[str, str]] = {
    "node": 'node_load1 0.2\nnode_cpu_seconds_total{cpu="0",mode="idle"} 5\n',
    "grafana": 'http_request_duration_seconds_bucket{handler="/",le="+Inf"} 5\n',
    "web": 'http_requests_total{code="200",method="get"} 7\n',
    "alertmanager": 'alertmanager_alerts{state="active"} 0\n',
}
"""With the Prometheus' own page, five that serve no model."""
_BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, math.inf)
_STEP_S: Final = 0.05


@dataclass
class Load:
    """What one replica has answered so far, on a clock that tests may not stop.

    Attributes:
        rate: Requests per second.
        median_s: Of its latencies, which are exponential around it.
        failing: Share of answers that fail.
    """

    rate: float = 40.0
    median_s: float = 0.08
    failing: float = 0.0
    began: float = field(default_factory=lambda: time.time() - 60.0)
    until: float = 0.0
    answered: float = 0.0
    failed: float = 0.0
    sum_s: float = 0.0
    within: list[float] = field(default_factory=lambda: [0.0] * len(_BOUNDS_S))

    def now(self) -> "Load":
        """Catch up with the clock."""
        now = time.time()
        self.until = self.until or self.began
        count = self.rate * (now - self.until)
        mean = self.median_s / math.log(2.0)
        self.answered += count
        self.failed += count * self.failing
        self.sum_s += count * mean
        for place, bound in enumerate(_BOUNDS_S):
            self.within[place] += count * -math.expm1(-bound / mean)
        self.until = now
        return self


def _histogram(name: str, load: Load, labels: str) -> Iterator[str]:
    for bound, count in zip(_BOUNDS_S, load.within, strict=True):
        edge = "+Inf" if math.isinf(bound) else f"{bound:g}"
        yield f'{name}_bucket{{{labels},le="{edge}"}} {count:.0f}'
    yield f"{name}_sum{{{labels}}} {load.sum_s:.3f}"
    yield f"{name}_count{{{labels}}} {load.within[-1]:.0f}"


def _vllm(load: Load) -> Iterator[str]:
    one = 'model_name="llama",engine="0"'
    ok = load.answered - load.failed
    yield f'http_requests_total{{handler="/v1/completions",method="POST",status="2xx"}} {ok:.0f}'
    yield (
        'http_requests_total{handler="/v1/completions",method="POST",status="5xx"} '
        f"{load.failed:.0f}"
    )
    yield from _histogram("vllm:e2e_request_latency_seconds", load, one)
    yield f"vllm:num_requests_running{{{one}}} 3"
    yield f"vllm:num_requests_waiting{{{one}}} 0"
    yield f"vllm:kv_cache_usage_perc{{{one}}} 0.4"


def _sglang(load: Load) -> Iterator[str]:
    one = 'model_name="qwen",engine_type="unified"'
    for status, count in (("200", load.answered - load.failed), ("500", load.failed)):
        labels = f'endpoint="/v1/chat/completions",status_code="{status}",method="POST"'
        yield f"sglang:http_responses_total{{{labels}}} {count:.0f}"
    yield from _histogram("sglang:e2e_request_latency_seconds", load, one)
    yield f"sglang:num_running_reqs{{{one}}} 2"
    yield f"sglang:num_queue_reqs{{{one}}} 0"


def _triton(load: Load) -> Iterator[str]:
    one = 'model="fraud",version="1"'
    yield f"nv_inference_request_success{{{one}}} {load.answered - load.failed:.0f}"
    yield f'nv_inference_request_failure{{{one},reason="BACKEND"}} {load.failed:.0f}'
    yield f"nv_inference_count{{{one}}} {load.answered:.0f}"
    yield f"nv_inference_exec_count{{{one}}} {load.answered / 4:.0f}"
    yield f"nv_inference_request_duration_us{{{one}}} {1e6 * load.sum_s:.0f}"
    yield f"nv_inference_pending_request_count{{{one}}} 0"


def _bentoml(load: Load) -> Iterator[str]:
    one = 'endpoint="/predict",runner_name="r",service_name="ranker",service_version="1"'
    for status, count in (("200", load.answered - load.failed), ("500", load.failed)):
        name = "bentoml_service_request_total"
        yield f'{name}{{{one},http_response_code="{status}"}} {count:.0f}'
    yield from _histogram(
        "bentoml_service_request_duration_seconds", load, f'{one},http_response_code="200"'
    )
    yield f"bentoml_service_request_in_progress{{{one}}} 1"


def _fastapi(load: Load) -> Iterator[str]:
    for status, count in (("2xx", load.answered - load.failed), ("5xx", load.failed)):
        labels = f'handler="/predict",method="POST",status="{status}"'
        yield f"http_requests_total{{{labels}}} {count:.0f}"
    for bound, count in zip(_BOUNDS_S, load.within, strict=True):
        edge = "+Inf" if math.isinf(bound) else f"{bound:g}"
        yield f'http_request_duration_highr_seconds_bucket{{le="{edge}"}} {count:.0f}'
    yield f"http_request_duration_highr_seconds_sum {load.sum_s:.3f}"
    yield f"http_request_duration_highr_seconds_count {load.within[-1]:.0f}"


_SHAPES: Final[Mapping[str, tuple[Callable[[Load], Iterator[str]], int]]] = {
    "chat": (_vllm, 3),
    "qwen": (_sglang, 1),
    "fraud": (_triton, 2),
    "ranker": (_bentoml, 2),
    "scores": (_fastapi, 1),
}
"""Job to how it writes its page, and how many replicas it has."""


@dataclass
class Farm:
    """What is scraped.

    Attributes:
        loads: By job and replica.
    """

    loads: dict[str, list[Load]] = field(
        default_factory=lambda: {
            job: [Load() for _ in range(count)] for job, (_, count) in _SHAPES.items()
        }
    )

    def pages(self) -> dict[str, Page]:
        """Return each replica's page by its path."""
        made = {name: _fixed(text) for name, text in DECOYS.items()}
        for job, (shape, _) in _SHAPES.items():
            for place, load in enumerate(self.loads[job], start=1):
                made[f"{job}-{place}"] = _page(shape, load)
        return made


def _fixed(text: str) -> Page:
    return lambda: text


def _page(shape: Callable[[Load], Iterator[str]], load: Load) -> Page:
    def page() -> str:
        lines = list(shape(load.now()))
        lines.append(f"process_start_time_seconds {load.began:.2f}")
        lines.append("process_resident_memory_bytes 2e9")
        return "\n".join([*lines, ""])

    return page


def _job(name: str, paths: Sequence[str], port: int) -> dict[str, Any]:
    return {
        "job_name": name,
        "static_configs": [
            {
                "targets": [f"127.0.0.1:{port}"],
                "labels": {"__metrics_path__": f"/{path}", "instance": path},
            }
            for path in paths
        ],
    }


@contextmanager
def serving(folder: Path, scrape_s: float = 1.0) -> Iterator[tuple[Farm, Server]]:
    """Serve the pages and scrape them."""
    farm = Farm()
    with exposed(farm.pages()) as port:
        jobs = [
            _job(job, [f"{job}-{n}" for n in range(1, count + 1)], port)
            for job, (_, count) in _SHAPES.items()
        ]
        jobs += [_job(name, [name], port) for name in DECOYS]
        jobs.append({"job_name": "prometheus", "static_configs": [{"targets": [SELF]}]})
        config = {"global": {"scrape_interval": f"{scrape_s:g}s"}, "scrape_configs": jobs}
        server = Server(folder, config)
        try:
            server.start()
            yield farm, server
        finally:
            server.kill()
