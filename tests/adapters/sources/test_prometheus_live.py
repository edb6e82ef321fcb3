"""A real Prometheus, with every preset's metrics and decoys on it, is asked by the real source."""

import asyncio
import itertools
import json
import math
import string
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import prometheus_server
import pytest
from prometheus_server import ask, until

from homeostat.adapters.sources.presets_choose import discover
from homeostat.adapters.sources.presets_file import Entry, Metric, presets
from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.adapters.sources.prometheus_source import PrometheusSettings, build
from homeostat.base import raw
from homeostat.base.evidence import Quality, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.source import check_source

pytestmark = [pytest.mark.live, prometheus_server.needed]

_BOUNDS = ("0.1", "0.5", "1", "5", "100", "5000", "100000000", "+Inf")
_USUAL = {"container": "main", "deployment": "d", "namespace": "ns", "pod": "p-1"}
BEGAN = time.time()
DECOYS: Mapping[str, str] = {
    # Names as these programs expose them; none of them serves models.
    "node": 'node_load1 0.2\nnode_cpu_seconds_total{cpu="0",mode="idle"} 5\n',
    "grafana": 'http_request_duration_seconds_bucket{handler="/",le="+Inf"} 5\n'
    "grafana_http_request_in_flight 1\n",
    "web": 'http_requests_total{code="200",method="get"} 7\nhttp_requests_total{code="500"} 1\n',
    "alertmanager": 'alertmanager_alerts{state="active"} 0\n'
    'alertmanager_http_request_duration_seconds_count{handler="/"} 3\n',
    "apiserver": 'apiserver_request_total{code="200",verb="GET"} 9\n'
    'apiserver_request_duration_seconds_count{verb="GET"} 9\n',
}


def lines(name: str, metric: Metric, passed_s: float) -> Iterator[str]:
    """Return a metric's lines after some time: counters grow, gauges stay at 3."""
    choices = [metric.v.get(label, (_USUAL.get(label, "x"),)) for label in metric.l]
    for values in itertools.product(*choices):
        pairs = dict(zip(metric.l, values, strict=True))
        if metric.t in {"counter", "gauge"}:
            yield f"{name}{shown(pairs)} {10 * passed_s if metric.t == 'counter' else 3:f}"
            continue
        bounds = enumerate(_BOUNDS if metric.t == "histogram" else (), start=1)
        yield from (
            f"{name}_bucket{shown(pairs | {'le': le})} {passed_s * n:f}" for n, le in bounds
        )
        yield f"{name}_sum{shown(pairs)} {passed_s * 3:f}"
        yield f"{name}_count{shown(pairs)} {passed_s * len(_BOUNDS):f}"


def shown(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{k}={json.dumps(v)}" for k, v in labels.items()) + "}"


def page(entry: Entry) -> str:
    passed_s = time.time() - BEGAN + 5.0
    made = [line for name, one in entry.metrics.items() for line in lines(name, one, passed_s)]
    return "\n".join([*made, ""])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    jobs = {
        name: (lambda entry=known.entry: page(entry))
        for name, known in presets().items()
        if known.entry.metrics
    } | {name: (lambda text=text: text) for name, text in DECOYS.items()}
    with prometheus_server.scraping(tmp_path_factory.mktemp("prometheus"), jobs) as server:
        address = server.url
        until(
            lambda: (
                all(
                    one["value"][1] == "1"
                    for one in ask(address, "/api/v1/query", query="up")["result"]
                )
                and len(
                    ask(address, "/api/v1/query", query="count_over_time(up[1m]) > 3")["result"]
                )
                == len(jobs) + 1
            )
        )
        yield address


def settings(url: str, job: str, **more: object) -> PrometheusSettings:
    defaults = {
        "name": "live",
        "deployment": job,
        "url": url,
        "timeout_s": 30.0,
        "subject": "model",
        "select": (("job", job),),
        "window_s": 30.0,
    }
    return PrometheusSettings.model_validate(defaults | more)


async def told(url: str, names: Sequence[str]) -> dict[str, SourceReport]:
    """Return each preset's second round, some scrapes after its first."""
    # Devices are told of replicas alone.
    of = {name: "replica:x" if name in ("dcgm", "triton") else "model" for name in names}
    sources = {name: build(settings(url, name, presets=(name,), subject=of[name])) for name in of}
    for source in sources.values():
        await source.observe(TimeNs(time.time_ns()))
    await asyncio.sleep(2.5 * prometheus_server.SCRAPE_S)
    reports = {
        name: await source.observe(TimeNs(time.time_ns())) for name, source in sources.items()
    }
    for source in sources.values():
        await source.close()
    return reports


async def test_every_preset_is_chosen_by_its_names_and_no_decoy_is(url: str) -> None:
    api = PrometheusApi(Access(url=url, timeout_s=30.0))
    jobs = [name for name, known in presets().items() if known.entry.metrics]
    asked = [*jobs, *DECOYS, "prometheus"]  # its own page is a decoy that nobody wrote for this
    found = discover({job: await api.names([f'{{job="{job}"}}']) for job in asked})
    await api.close()
    serving = {"server", "engine", "generic"}
    wanted = {job: (job,) for job in jobs if presets()[job].entry.layer in serving}
    assert found == wanted


async def test_every_signal_that_a_preset_reads_is_read(url: str) -> None:
    names = [name for name, known in presets().items() if known.rules.rules]
    for name, report in (await told(url, names)).items():
        assert report.quality is Quality.GOOD, report.detail
        signals = {one.key.signal: one.value for one in report.observations}
        declared = set(presets()[name].entry.metrics)
        families = {f"{one}{end}" for one in declared for end in ("", "_bucket", "_sum", "_count")}
        wanted = {rule.signal for rule in presets()[name].rules.rules if rule.sample in families}
        if raw.DEVICE_FREE in wanted:
            wanted = wanted - {raw.DEVICE_FREE} | {raw.DEVICE_TOTAL}  # used + free
        assert set(signals) >= wanted, name
        assert signals.get(raw.REQUESTS_ARRIVED, 1.0) > 0.0, name
        assert all(math.isfinite(value) for value in signals.values()), name


async def test_a_live_source_keeps_the_promises(url: str) -> None:
    now = TimeNs(time.time_ns() - 2 * SECOND)  # two rounds, none of them in the future
    last = await check_source(lambda: build(settings(url, "vllm")), now=now, within_s=30.0)
    assert last.quality is Quality.GOOD


def test_every_query_of_every_preset_returns_one_finite_number(url: str) -> None:
    """Each without its `or vector(0)`: a misspelt metric cannot hide behind a zero."""
    bad = []
    for name, known in presets().items():
        words = ("sel", "app", "http", "host", "pods", "gpu", "rev", "dep", "hpa")
        said = dict.fromkeys(words, f'job="{name}"') | {"w": "10s"}
        for signal, one in known.entry.signals.items():
            query = string.Template(one.q.replace(" or vector(0)", "")).substitute(said)
            result = ask(url, "/api/v1/query", query=query)["result"]
            if len(result) != 1 or not math.isfinite(float(result[0]["value"][1])):
                bad.append((name, signal, result))
    assert bad == []


def devices() -> str:
    """Return dcgm-exporter's page: two devices of one pod, one that two share, one of nobody."""
    cards = (("0", "a-1", 10), ("1", "a-1", 60), ("2", "a-1", 90), ("2", "a-2", 90), ("3", "", 99))
    return "".join(
        f'DCGM_FI_DEV_{name}{{gpu="{chip}",UUID="GPU-{chip}",pod="{pod}"}} {value}\n'
        for chip, pod, used in cards
        for name, value in (("FB_USED", used), ("FB_FREE", 100 - used), ("GPU_UTIL", used))
    )


async def test_devices_are_told_of_the_pods_that_have_them_alone(tmp_path: Path) -> None:
    with prometheus_server.scraping(tmp_path, {"gpus": devices}) as server:
        until(
            lambda: bool(ask(server.url, "/api/v1/query", query="DCGM_FI_DEV_GPU_UTIL")["result"])
        )
        source = build(settings(server.url, "gpus", subject="", replica_label="pod"))
        report = await source.observe(TimeNs(time.time_ns()))
        await source.close()
    mib = 1048576.0
    assert {(one.key.subject, one.key.signal): one.value for one in report.observations} == {
        ("replica:a-1", raw.DEVICE_USED): 60 * mib,
        ("replica:a-1", raw.DEVICE_TOTAL): 100 * mib,
        ("replica:a-1", raw.DEVICE_BUSY): pytest.approx(0.35),
    }


class Model:
    """A page that counts while it lives; it may be taken away, and start again."""

    def __init__(self) -> None:
        self.count, self.lives = 100, True

    def page(self) -> str:
        if not self.lives:
            return "this is { no page"
        self.count += 1
        return (
            f'http_requests_total{{handler="/v1/a",status="2xx"}} {self.count}\n'
            "vllm:num_requests_running 3\n"
        )


async def test_a_database_that_dies_and_a_page_that_fails_cost_no_request_and_make_no_zero(
    tmp_path: Path,
) -> None:
    model = Model()
    with prometheus_server.scraping(tmp_path, {"llm": model.page}) as server:
        source = build(settings(server.url, "llm", presets=("vllm",), attempts=1))

        async def round_(wanted: Callable[[dict[str, float]], bool]) -> dict[str, float]:
            """Return the first round that is as wanted; each is GOOD or says nothing."""
            seen: dict[str, float] = {}
            for _ in range(100):
                report = await source.observe(TimeNs(time.time_ns()))
                seen = {one.key.signal: one.value for one in report.observations}
                assert (report.quality is Quality.GOOD) == bool(seen), report.detail
                if wanted(seen):
                    break
                await asyncio.sleep(0.5)
            assert wanted(seen)
            return seen

        arrived, running = raw.REQUESTS_ARRIVED, raw.INFLIGHT
        await round_(lambda seen: running in seen)
        first = model.count
        server.kill()
        assert await round_(lambda seen: not seen) == {}
        server.start()
        back = await round_(lambda seen: seen.get(arrived, 0.0) > 0.0)
        assert back[arrived] <= model.count - first + 2  # what was scraped, and never the total
        model.lives = False
        down = await round_(lambda seen: running not in seen)
        assert arrived not in down  # nobody knows what a target that is down is asked
        model.count, model.lives = 0, True
        again = await round_(lambda seen: running in seen)
        await source.close()
    assert back[arrived] <= again[arrived] <= back[arrived] + 60
