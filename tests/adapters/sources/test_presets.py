"""The presets against real pages: the instrument's own, and the words of the rules."""

import math
from collections import Counter as Tally

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from homeostat.adapters.sources._mapping import Mapper, Target
from homeostat.adapters.sources._page import PageReader
from homeostat.adapters.sources.presets import HOMEOSTAT_INSTRUMENT, PRESETS, Preset, Rule
from homeostat.base import raw
from homeostat.base.evidence import Kind
from homeostat_instrument import monitor


def targets(
    page: bytes, preset: Preset = HOMEOSTAT_INSTRUMENT
) -> dict[tuple[str, float | None], float]:
    mapper = Mapper(preset=preset, deployment="m", subject="replica:a-1")
    readings = PageReader(mapper, max_series=20_000).read("text/plain", page)
    flat: list[tuple[Target, float]] = [(t, v) for m, v, _ in readings for t in m.targets]
    counted = Tally((t.key.signal, t.le) for t, _ in flat if t.kind is Kind.GAUGE)
    assert all(count == 1 for count in counted.values())
    sums: dict[tuple[str, float | None], float] = {}
    for target, value in flat:
        slot = (target.key.signal, target.le)
        sums[slot] = sums.get(slot, 0.0) + value * target.scale
    return sums


def test_every_rule_finds_its_series_on_the_instruments_own_page() -> None:
    watched = monitor(
        "credit",
        "v2",
        features=["income", "größe (m²)"],
        feature_edges=[[1.0], [2.0]],
        activations={"head": [0.0, 1.0]},
    )
    watched.batch_max = 8
    watched.observe_activation("head", [0.5, 0.7])
    watched.observe_request("200", 0.02, probe=False)
    watched.observe_request("200", 0.02, probe=True)
    watched.observe_request("503", 0.001, probe=False)
    watched.observe_batch_run(8, 0.058, full=True)
    watched.observe("p-1", 0.7, [0.5, 3.0])
    watched.observe("p-2", math.nan, [0.5, 3.0])
    page = generate_latest(watched.registry)
    seen = targets(page)
    signals = {signal for signal, _ in seen}
    expected = {
        rule.signal
        + {"feature": "income", "layer": "head", "version": "v2", "": ""}[rule.name_label]
        for rule in HOMEOSTAT_INSTRUMENT.rules
    }
    assert signals == expected | {raw.feature("größe (m²)")}
    assert seen[raw.REQUESTS_ARRIVED, None] == 3.0
    assert seen[raw.REQUESTS_OK, None] == 2.0
    assert seen[raw.REQUESTS_5XX, None] == seen[raw.REQUESTS_REFUSED, None] == 1.0
    assert seen[raw.LATENCY, math.inf] >= 2.0
    assert seen[raw.DEVICE_SECONDS, None] == pytest.approx(0.058)
    assert seen[raw.BATCHES, None] == seen[raw.FULL_BATCHES, None] == 1.0
    assert seen[raw.PREDICTION, math.inf] == 1.0
    assert seen[raw.PREDICTIONS_INVALID, None] == 1.0
    assert seen[raw.feature("größe (m²)"), 2.0] == 0.0
    assert seen[raw.BATCH_MAX, None] == 8.0
    assert seen[raw.activation("mean:head"), 0.0] == 0.0
    assert seen[raw.activation("mean:head"), 1.0] == 1.0
    assert seen[raw.activation("active:head"), math.inf] == 1.0


def vllm_page() -> bytes:
    """Return a page with the names and labels of a vLLM server that has answered three requests."""
    page, own = CollectorRegistry(), ("model_name", "engine")
    for name, value in (
        ("vllm:num_requests_running", 6.0), ("vllm:num_requests_waiting", 98.0),
        ("vllm:kv_cache_usage_perc", 0.97),
    ):  # fmt: skip
        Gauge(name, "-", own, registry=page).labels("m", "0").set(value)
    for name, value in (
        ("vllm:num_preemptions", 2.0), ("vllm:prompt_tokens", 3000.0),
        ("vllm:generation_tokens", 390.0),
    ):  # fmt: skip
        Counter(name, "-", own, registry=page).labels("m", "0").inc(value)
    took = Histogram("vllm:e2e_request_latency_seconds", "-", own, registry=page, buckets=[1.0, 60])
    took.labels("m", "0").observe(2.5)
    asked = Counter("http_requests", "-", ("handler", "method", "status"), registry=page)
    asked.labels("/v1/completions", "POST", "2xx").inc(3)
    asked.labels("/v1/completions", "POST", "5xx").inc(1)
    for handler in ("/health", "/metrics"):
        asked.labels(handler, "GET", "2xx").inc(500)
    return generate_latest(page)


def test_a_page_of_vllm_says_its_tokens_its_memory_and_its_own_requests_only() -> None:
    seen = targets(vllm_page(), PRESETS["vllm"])
    assert seen[raw.REQUESTS_ARRIVED, None] == 4.0
    assert seen[raw.REQUESTS_OK, None] == 3.0
    assert seen[raw.REQUESTS_5XX, None] == 1.0
    assert seen[raw.QUEUE, None] == 98.0
    assert seen[raw.KV_USAGE, None] == pytest.approx(0.97)
    assert seen[raw.PREEMPTIONS, None] == 2.0
    assert seen[raw.PROMPT_TOKENS, None] / seen[raw.REQUESTS_OK, None] == 1000.0
    assert seen[raw.GENERATED_TOKENS, None] == 390.0
    assert seen[raw.LATENCY, 1000.0] == 0.0
    assert seen[raw.LATENCY, 60_000.0] == seen[raw.LATENCY, math.inf] == 1.0
    of_the_process = {raw.MEMORY, raw.STARTED_AT, raw.CPU_SECONDS}
    assert {signal for signal, _ in seen} == {
        rule.signal for rule in PRESETS["vllm"].rules
    } - of_the_process  # no process is behind this page


ALL_RULES = [(preset, rule) for preset in PRESETS.values() for rule in preset.rules]


@pytest.mark.parametrize(("preset", "rule"), ALL_RULES, ids=lambda x: getattr(x, "signal", None))
def test_a_rule_is_of_one_piece(preset: Preset, rule: Rule) -> None:
    assert rule.signal.startswith("raw_")
    assert rule.signal.endswith(":") == bool(rule.name_label)
    assert rule.sample.endswith("_bucket") == (rule.kind is Kind.BUCKET)
    assert rule.scale > 0
    if rule.zero_if:
        assert rule.kind is Kind.COUNTER
    kinds = {other.kind for other in preset.rules if other.signal == rule.signal}
    assert kinds == {rule.kind}
