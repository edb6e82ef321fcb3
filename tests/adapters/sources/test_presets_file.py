"""The presets hold together, and are chosen by what is there: never two, never a stranger's."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.adapters.sources.presets_choose import AmbiguousError, choose, discover
from homeostat.adapters.sources.presets_file import LAYERS, Entry, presets
from homeostat.base import raw
from homeostat.base.evidence import Kind

_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABELS = re.compile(r"\{([^}]*)\}")
_ENDS = ("_bucket", "_sum", "_count")
# What a scrape adds: labels of the target, and of the sum that a quantile is taken of.
_ADDED = frozenset({"le", "job", "instance", "namespace", "pod"})


def stored(entry: Entry) -> set[str]:
    """Return the names that a preset's metrics are stored under."""
    names = set()
    for name, metric in entry.metrics.items():
        if metric.t in {"counter", "gauge"}:
            names.add(name)
        else:
            names |= {f"{name}{end}" for end in _ENDS if metric.t == "histogram" or end != _ENDS[0]}
    return names


def needs(*names: str) -> set[str]:
    return {one for name in names for one in presets()[name].entry.needs}


@pytest.mark.parametrize("name", list(presets()))
def test_what_a_preset_needs_and_reads_is_what_it_declares(name: str) -> None:
    known = presets()[name]
    there = stored(known.entry)
    assert set(known.entry.needs) <= there
    if known.entry.reads is not None:
        assert {rule.sample for rule in known.rules.rules} <= there
    assert known.entry.layer in LAYERS


@pytest.mark.parametrize("name", list(presets()))
def test_a_query_names_metrics_and_labels_that_the_preset_declares(name: str) -> None:
    """A misspelt label that must NOT match selects everything, and no answer would show it."""
    entry = presets()[name].entry
    labels = {label for metric in entry.metrics.values() for label in metric.l} | _ADDED
    for signal in entry.signals.values():
        named = set(re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{", signal.q))
        assert named, signal.q
        assert named <= stored(entry), signal.q
        for inside in _LABELS.findall(signal.q):
            used = {part.strip() for part in re.findall(r'([a-zA-Z_]+)\s*(?:=~|!~|!=|=)"', inside)}
            assert used <= labels, (signal.q, used - labels)


def test_a_servers_requests_latency_and_failures_are_read_of_most_of_them() -> None:
    asked = {raw.REQUESTS_ARRIVED, raw.REQUESTS_OK, raw.REQUESTS_5XX, raw.LATENCY}
    whole = {
        name
        for name, known in presets().items()
        if asked <= {rule.signal for rule in known.rules.rules}
    }
    assert whole == {
        "bentoml", "envoy", "fastapi", "homeostat_instrument", "ingress_nginx", "istio", "knative",
        "mlserver", "ray_serve", "sglang", "tfserving", "vllm",
    }  # fmt: skip


def test_buckets_are_read_in_milliseconds() -> None:
    scale = {
        name: rule.scale
        for name, known in presets().items()
        for rule in known.rules.rules
        if rule.signal == raw.LATENCY and rule.kind is Kind.BUCKET
    }
    assert scale["vllm"] == 1000.0  # its seconds
    assert scale["tfserving"] == 0.001  # its microseconds
    assert scale["ray_serve"] == scale["istio"] == 1.0  # their milliseconds


@pytest.mark.parametrize("name", [one for one, known in presets().items() if known.entry.needs])
def test_a_preset_is_chosen_by_its_own_metrics(name: str) -> None:
    assert choose(stored(presets()[name].entry)) == (name,)


def test_layers_are_composed_in_their_order() -> None:
    there = needs("dcgm", "kubernetes", "envoy", "vllm", "fastapi")
    assert choose(there) == ("vllm", "envoy", "kubernetes", "dcgm")


def test_two_of_one_layer_are_refused_and_named() -> None:
    with pytest.raises(AmbiguousError, match="triton, vllm all fit"):
        choose(needs("triton", "vllm"))


@pytest.mark.parametrize(
    "names",
    [
        ("up", "node_load1", "node_cpu_seconds_total"),
        ("http_requests_total", "http_request_duration_seconds_bucket", "go_goroutines"),
        ("prometheus_http_requests_total", "prometheus_tsdb_head_series"),
        ("kube_deployment_spec_replicas",),
        ("vllm:num_requests_running",),  # one of two: another version, or a proxy's copy
        (),
    ],
)
def test_what_lacks_a_needed_metric_is_nobodys(names: Sequence[str]) -> None:
    assert choose(names) == ()


def test_jobs_that_serve_no_model_are_left_out() -> None:
    jobs = {"gpu": needs("dcgm"), "edge": needs("envoy"), "llm": needs("vllm"), "node": {"up"}}
    assert discover(jobs) == {"llm": ("vllm",)}


def row(name: str) -> str:
    """Return a preset's row in the table of the docs."""
    known = presets()[name]
    needs = ", ".join(f"`{one}`" for one in known.entry.needs) or "only by name"
    read = {rule.signal.removeprefix("raw_").rstrip(":") for rule in known.rules.rules}
    signals = ", ".join(known.entry.signals) or "none"
    said = ", ".join(sorted(read)) or "nothing"
    return f"| `{name}` | {known.entry.layer} | {needs} | {said} | {signals} |"


def test_the_table_in_the_docs_is_what_the_file_says() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "presets.md"
    told = [one for one in page.read_text(encoding="utf-8").splitlines() if one.startswith("| `")]
    assert told == [row(name) for name in presets()]


_NAMES = sorted({name for known in presets().values() for name in stored(known.entry)})


@settings(max_examples=50)
@given(st.sets(st.sampled_from(_NAMES), max_size=40))
def test_whatever_is_there_each_layer_is_chosen_once_with_all_that_it_needs(
    there: set[str],
) -> None:
    try:
        found = choose(there)
    except AmbiguousError:
        return
    layers = [presets()[name].entry.layer for name in found]
    assert layers == sorted(set(layers), key=LAYERS.index)
    assert all(there.issuperset(presets()[name].entry.needs) for name in found)
