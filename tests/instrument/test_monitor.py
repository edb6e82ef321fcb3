"""The monitor: what it counts, what it leaves absent, and that it never hurts its server."""

import json
import logging
import math
import threading

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from homeostat_instrument import Monitor, monitor


def page(watched: Monitor) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(watched.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def names(watched: Monitor) -> set[str]:
    return {name for name, _ in page(watched)}


def test_predictions_are_counted_and_invalid_ones_apart() -> None:
    watched = monitor("credit", "v2")
    watched.observe_batch(["a", "b", "c", "d"], [0.05, 0.5, math.nan, math.inf])
    seen = page(watched)
    assert seen["ml_prediction_bucket", (("le", "0.05"),)] == 1.0
    assert seen["ml_prediction_bucket", (("le", "0.5"),)] == 2.0
    assert seen["ml_prediction_count", ()] == 2.0
    assert seen["ml_prediction_sum", ()] == pytest.approx(0.55)
    assert seen["ml_prediction_invalid_total", ()] == 2.0


def test_features_with_given_edges_are_counted_from_the_first_row() -> None:
    watched = monitor("m", "v1", features=["x", "y"], feature_edges=[[0.0, 1.0], [10.0]])
    watched.observe("p", 0.5, [0.5, 11.0])
    seen = page(watched)
    assert seen["ml_feature_bucket", (("feature", "x"), ("le", "0.0"))] == 0.0
    assert seen["ml_feature_bucket", (("feature", "x"), ("le", "1.0"))] == 1.0
    assert seen["ml_feature_bucket", (("feature", "y"), ("le", "10.0"))] == 0.0
    assert seen["ml_feature_bucket", (("feature", "y"), ("le", "+Inf"))] == 1.0
    assert seen["ml_feature_sum", (("feature", "y"),)] == 11.0


def test_features_are_absent_while_edges_are_learnt_and_then_none_is_lost() -> None:
    watched = monitor("m", "v1", features=["x"], learn_rows=10)
    for k in range(9):
        watched.observe(str(k), 0.5, [float(k)])
    assert "ml_feature_bucket" not in names(watched)
    watched.observe("9", 0.5, [9.0])
    assert page(watched)["ml_feature_count", (("feature", "x"),)] == 10.0


def test_unnamed_features_get_names_from_the_first_row() -> None:
    watched = monitor("m", "v1", learn_rows=1)
    watched.observe("p", 0.5, np.array([1.0, 2.0]))
    assert watched.feature_names == ("f0", "f1")


def test_missing_inputs_are_invalid_and_not_zero() -> None:
    watched = monitor("m", "v1", features=["x", "y"], feature_edges=[[0.0], [0.0]])
    watched.observe("p", 0.5, [None, math.nan])
    seen = page(watched)
    assert seen["ml_feature_count", (("feature", "x"),)] == 0.0
    assert seen["ml_feature_invalid_total", (("feature", "x"),)] == 1.0
    assert seen["ml_feature_invalid_total", (("feature", "y"),)] == 1.0


@pytest.mark.parametrize(
    ("ids", "predictions", "features", "what"),
    [
        (["a"], [0.1, 0.2], None, "batch"),
        (["a"], ["high"], None, "prediction"),
        (["a"], [object()], None, "prediction"),
        (["a"], [0.1], [[1.0, 2.0]], "features"),
        (["a"], [0.1], ["x"], "features"),
        (["a"], [0.1], 7, "features"),
        (["a"], [0.1], [[[1.0]]], "features"),
    ],
)
@pytest.mark.parametrize("edges", [[[0.0]], None], ids=["fixed", "learning"])
def test_what_cannot_be_recorded_is_counted_and_never_raised(
    ids: list[str],
    predictions: list[object],
    features: object,
    what: str,
    edges: list[list[float]] | None,
) -> None:
    watched = monitor("m", "v1", features=["x"], feature_edges=edges)
    watched.observe_batch(ids, predictions, features)  # type: ignore[arg-type]
    assert watched.errors == {what: 1}
    watched.observe("next", 0.5, [1.0])
    assert watched.predictions.counts.count(1) >= 1
    assert watched.errors == {what: 1}


def test_trouble_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    watched = monitor("m", "v1")
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            watched.observe("p", "x")  # type: ignore[arg-type]
    assert len(caplog.records) == 1
    assert watched.errors == {"prediction": 5}


def test_a_bad_row_in_a_batch_counts_none_of_it() -> None:
    watched = monitor("m", "v1", features=["x"], learn_rows=3)
    watched.observe_batch(["a", "b"], [0.1, 0.2], [[1.0], [1.0, 2.0]])
    assert watched.errors == {"features": 1}
    for k in range(3):
        watched.observe(str(k), 0.5, [1.0])
    assert page(watched)["ml_feature_count", (("feature", "x"),)] == 3.0


def test_activations_give_a_mean_and_the_share_of_active_units() -> None:
    watched = monitor("m", "v1", activations={"hidden": [0.0, 1.0, 2.0]})
    watched.observe_activation("hidden", np.array([[3.0, 0.0], [0.0, 0.0]]))
    seen = page(watched)
    assert seen["ml_activation_sum", (("layer", "hidden"),)] == pytest.approx(0.75)
    assert seen["ml_activation_active_sum", (("layer", "hidden"),)] == pytest.approx(0.25)
    watched.observe_activation("hidden", [])
    watched.observe_activation("other", [1.0])
    assert watched.errors == {"activation": 2}
    assert page(watched)["ml_activation_count", (("layer", "hidden"),)] == 1.0


def test_the_info_follows_the_version_and_is_absent_without_one() -> None:
    watched = monitor("credit", None)
    assert "ml_info" not in names(watched)
    watched.version = "v1"
    watched.version = "v2"
    infos = [labels for name, labels in page(watched) if name == "ml_info"]
    assert infos == [(("model", "credit"), ("version", "v2"))]


def test_requests_that_did_not_happen_yet_are_a_zero_that_can_be_read() -> None:
    seen = page(monitor("m", "v1"))
    assert seen["ml_requests_total", (("code", "500"), ("probe", "false"))] == 0.0
    assert "process_resident_memory_bytes" in {name for name, _ in seen}


def test_batches_queue_and_device_are_counted() -> None:
    watched = monitor("m", "v1")
    assert "ml_batch_max" not in names(watched)
    watched.batch_max, watched.queue_length = 8, 3
    watched.observe_batch_run(8, 0.058, full=True)
    watched.observe_batch_run(2, 0.037, full=False)
    seen = page(watched)
    assert seen["ml_batches_total", ()] == seen["ml_batch_size_count", ()] == 2.0
    assert seen["ml_batch_size_sum", ()] == 10.0
    assert seen["ml_full_batches_total", ()] == 1.0
    assert seen["ml_device_seconds_total", ()] == pytest.approx(0.095)
    assert (seen["ml_queue_length", ()], seen["ml_batch_max", ()]) == (3.0, 8.0)


def test_the_ring_keeps_the_latest_and_says_what_is_missing() -> None:
    watched = monitor("m", "v1", recent=3)
    for k in range(5):
        watched.observe(f"p{k}", math.nan if k == 4 else k / 10)
    body = json.loads(watched.ring.page(0))
    assert body["missed"] == 2
    assert body["last"] == 5
    assert [row[:3] for row in body["rows"]] == [[3, "p2", 0.2], [4, "p3", 0.3], [5, "p4", None]]
    assert {row[4] for row in body["rows"]} == {"v1"}
    later = json.loads(watched.ring.page(4))
    assert (later["missed"], [row[1] for row in later["rows"]]) == (0, ["p4"])
    assert json.loads(watched.ring.page(99))["rows"] == []


def test_a_ring_is_read_page_by_page_without_a_gap() -> None:
    watched = monitor("m", "v1", recent=10_000)
    watched.observe_batch([f"p{k}" for k in range(5_000)], [0.5] * 5_000)
    after, seen = 0, []
    while rows := json.loads(watched.ring.page(after))["rows"]:
        seen += [row[1] for row in rows]
        after = rows[-1][0]
    assert seen == [f"p{k}" for k in range(5_000)]


def test_later_versions_keep_the_first_edges_and_other_features_are_refused() -> None:
    watched = monitor("m", None)
    watched.watch_features(["x"], [[0.0]])
    watched.watch_features(["x"], [[5.0]])
    watched.observe("p", 0.5, [1.0])
    assert page(watched)["ml_feature_bucket", (("feature", "x"), ("le", "0.0"))] == 0.0
    with pytest.raises(ValueError, match="are watched"):
        watched.watch_features(["y"], [[0.0]])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"features": ["x", "x"]}, "different"),
        ({"features": []}, "different"),
        ({"features": [f"f{k}" for k in range(513)]}, "512"),
        ({"features": ["x"], "feature_edges": [[0.0], [1.0]]}, "one per feature"),
        ({"features": ["x"], "feature_edges": [[1.0, 0.0]]}, "ascending"),
        ({"feature_edges": [[0.0]]}, "without features"),
        ({"prediction_edges": []}, "ascending"),
        ({"learn_rows": 0}, "learn_rows"),
        ({"recent": -1}, "recent"),
    ],
)
def test_a_monitor_that_makes_no_sense_is_refused_at_the_start(
    arguments: dict[str, object], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        monitor("m", "v1", **arguments)  # type: ignore[arg-type]


def test_a_registry_of_the_servers_own_gets_no_second_process_metrics() -> None:
    registry = CollectorRegistry()
    watched = monitor("m", "v1", registry=registry)
    assert "process_resident_memory_bytes" not in names(watched)
    assert "ml_inflight" in names(watched)


def test_threads_lose_no_observation() -> None:
    watched = monitor("m", "v1", features=["x"], feature_edges=[[0.0]], recent=10)

    def work() -> None:
        for _ in range(2_000):
            watched.observe("p", 0.5, [1.0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = page(watched)
    assert seen["ml_prediction_count", ()] == 8_000.0
    assert seen["ml_feature_count", (("feature", "x"),)] == 8_000.0
    assert json.loads(watched.ring.page(0))["last"] == 8_000
