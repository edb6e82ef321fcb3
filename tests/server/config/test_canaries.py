"""The `canary` section: what it comes to, what it refuses, and that without it there is none."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.base.policy import CanaryPolicy, OnUnproven
from homeostat.base.units import HOUR, SECOND
from homeostat.server.config import load

ENVOY: dict[str, Any] = {"admin": "http://127.0.0.1:2", "weights": {"b": "traffic.b"}}


def file(folder: Path, canary: dict[str, Any] | None, envoy: dict[str, Any] | None = None) -> Path:
    target: dict[str, Any] = {"process": {"host": "http://127.0.0.1:1"}}
    spec: dict[str, Any] = {
        "interval": "1s",
        "target": target if envoy is None else target | {"envoy": envoy},
        "metrics": {"scrape": [{"fromReplicas": True, "preset": "homeostat_instrument"}]},
        "slo": [
            {"name": "latency", "latency": {"below": "250ms"}},
            {"name": "errors", "errors": {"atMost": "1%"}},
        ],
    }
    document = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "ManagedModel",
        "metadata": {"name": "fraud"},
        "spec": spec if canary is None else spec | {"canary": canary},
    }
    path = folder / "model.json"
    path.write_text(json.dumps(document))
    return path


def test_without_the_section_there_is_no_canary(tmp_path: Path) -> None:
    assert load([file(tmp_path, None)]).managed()[0].canary is None


def test_a_pool_alone_takes_the_defaults(tmp_path: Path) -> None:
    found = load([file(tmp_path, {"pool": "b"}, ENVOY)]).managed()[0].canary
    assert found == CanaryPolicy(pool="b")
    assert (found.max_wait_ns, found.ramp[-1]) == (4 * HOUR, 100.0)


def test_what_is_said_is_what_the_core_sees(tmp_path: Path) -> None:
    said = {
        "pool": "b", "ramp": [5, 20], "bucket": "4s", "alpha": 0.1,
        "harm": {"errorRatio": 1.5, "slowRatio": 1.2, "wrongRatio": 1.3},
        "promoteWhen": {"errorRatioBelow": 3, "maxWait": "2m", "onUnproven": "keep",
                        "wrongRatioBelow": 1.5},
        "rungBuckets": 2, "missingBuckets": 5, "watch": "1m",
    }  # fmt: skip
    assert load([file(tmp_path, said, ENVOY)]).managed()[0].canary == CanaryPolicy(
        pool="b", ramp=(5.0, 20.0, 100.0), bucket_ns=4 * SECOND, alpha=0.1, error_ratio=1.5,
        slow_ratio=1.2, wrong_ratio=1.3, promote_ratio=3.0, wrong_promote_ratio=1.5,
        max_wait_ns=120 * SECOND, on_unproven=OnUnproven.KEEP, rung_buckets=2, missing_buckets=5,
        watch_ns=60 * SECOND,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("canary", "envoy", "word"),
    [
        ({"pool": "a"}, ENVOY, "is the stable one"),
        ({"pool": "b"}, None, "add target.envoy"),
        ({"pool": "c"}, ENVOY, "has no weight"),
        ({"pool": "b", "bucket": "1s"}, ENVOY, "two intervals"),
        ({"pool": "b", "ramp": [10, 5]}, ENVOY, "must rise"),
        ({"pool": "b", "ramp": [100]}, ENVOY, "compares nothing"),
        ({"pool": "b", "ramp": [0.5]}, ENVOY, "multiple of 1"),
        ({"pool": "b", "ramp": []}, ENVOY, "at least 1 item"),
        ({"pool": "b", "alpha": 0}, ENVOY, "alpha"),
        ({"pool": "b", "harm": {"errorRatio": 0.9}}, ENVOY, "greater than or equal to 1"),
        ({"pool": "b", "promoteWhen": {"errorRatioBelow": 1}}, ENVOY, "greater than 1"),
        ({"pool": "b", "promoteWhen": {"onUnproven": "hope"}}, ENVOY, "known: ask, keep, return"),
        ({"pool": "b", "promoteWhen": {"certify": []}}, ENVOY, "at least 1 item"),
        ({"pool": "b", "promoteWhen": {"certify": ["luck"]}}, ENVOY, "certify[0]: 'luck'"),
        ({"pool": "b", "promoteWhen": {"certify": ["answers"]}}, ENVOY, "nothing joins labels"),
        ({"pool": "b", "promoteWhen": {"wrongRatioBelow": 1}}, ENVOY, "greater than 1"),
        ({"pool": "b", "step": 3}, ENVOY, "step"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_is_wrong(
    tmp_path: Path, canary: dict[str, Any], envoy: dict[str, Any] | None, word: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load([file(tmp_path, canary, envoy)])
    assert word in str(refused.value)
