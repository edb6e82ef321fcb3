"""Closed forms against published numbers, each other, and limits known by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.twin import closed_forms as forms

ORACLES = Path(__file__).parents[1] / "oracles" / "queues.json"


@pytest.fixture(scope="module")
def oracles() -> dict[str, list[dict[str, Any]]]:
    return dict(json.loads(ORACLES.read_text()))


@pytest.mark.parametrize(
    ("servers", "rate", "waits", "wait_s", "p99_s"),
    [
        (1, 0.8, 0.8, 4.0, 21.910),
        (2, 1.6, 0.71111, 1.77778, 10.661),
        (4, 3.2, 0.59643, 0.74554, 5.110),
        (8, 7.2, 0.70153, 0.87692, 5.313),
        (32, 30.4, 0.69571, 0.43482, 2.651),
    ],
)
def test_many_servers_wait_as_erlang_says(
    servers: int, rate: float, waits: float, wait_s: float, p99_s: float
) -> None:
    found = forms.mmc(rate, 1.0, servers)
    assert found.waits == pytest.approx(waits, rel=1e-4)
    assert found.wait_s == pytest.approx(wait_s, rel=1e-4)
    assert found.latency_s == pytest.approx(wait_s + 1.0, rel=1e-4)
    assert found.queue == pytest.approx(rate * wait_s, rel=1e-4)
    assert found.wait_quantile(0.99) == pytest.approx(p99_s, rel=3e-4)


def test_nobody_waits_at_a_quantile_below_the_share_that_does_not_wait() -> None:
    assert forms.mmc(0.8, 1.0, 8).wait_quantile(0.5) == 0.0


def test_erlang_b_agrees_with_its_sum() -> None:
    load, servers = 28.8, 32
    terms = [load**k / math.factorial(k) for k in range(servers + 1)]
    assert forms.erlang_b(servers, load) == pytest.approx(terms[-1] / sum(terms), rel=1e-12)


def test_a_batch_of_one_is_a_server_with_fixed_service() -> None:
    for load in (0.3, 0.8, 0.95):
        found = forms.batch_queue(load / 0.022, 0.02, 0.002, 1)
        assert found.latency_s == pytest.approx(
            0.022 + forms.md1_wait(load / 0.022, 0.022), rel=1e-6
        )
        assert found.utilisation == pytest.approx(load, rel=1e-6)
        assert found.mean_batch == pytest.approx(1.0)


@given(load=st.floats(0.05, 0.7), cv2=st.floats(0.05, 1.0))
def test_noisy_service_waits_as_pollaczek_and_khinchine_say(load: float, cv2: float) -> None:
    wait = load * (1 + cv2) / (2 * (1 - load))
    assert forms.batch_queue(load, 1.0, 0.0, 1, cv2).latency_s == pytest.approx(1 + wait, rel=1e-5)


@pytest.mark.parametrize(
    ("rate", "tau0", "alpha", "limit", "latency"),
    [
        (50, 0.02, 0.002, None, 0.03282),
        (200, 0.02, 0.002, None, 0.05285),
        (400, 0.02, 0.002, None, 0.15778),
        (450, 0.02, 0.002, None, 0.31526),
        (100, 0.01, 0.005, None, 0.03750),
        (180, 0.01, 0.005, None, 0.18816),
        (200, 0.02, 0.002, 8, 0.06433),
        (350, 0.02, 0.002, 32, 0.10738),
    ],
)
def test_batches_take_as_long_as_the_exact_chain_says(
    rate: float, tau0: float, alpha: float, limit: int | None, latency: float
) -> None:
    assert forms.batch_queue(rate, tau0, alpha, limit).latency_s == pytest.approx(latency, rel=2e-4)


@given(
    load=st.floats(0.02, 0.9),
    alpha=st.floats(0.001, 0.01),
    tau0=st.floats(0.001, 0.03),
)
def test_no_queue_of_batches_is_slower_than_the_bound(
    load: float, alpha: float, tau0: float
) -> None:
    rate = load / alpha
    exact = forms.batch_queue(rate, tau0, alpha, None).latency_s
    assert exact <= forms.inoue_bound(rate, tau0, alpha) * (1 + 1e-9)
    assert exact >= tau0 + alpha


@given(rate=st.floats(20, 300), limit=st.integers(4, 40))
def test_a_larger_limit_never_makes_batches_slower(rate: float, limit: int) -> None:
    try:
        small = forms.batch_queue(rate, 0.02, 0.002, limit).latency_s
    except (forms.UnstableQueueError, ValueError):
        return
    large = forms.batch_queue(rate, 0.02, 0.002, limit + 4).latency_s
    assert large <= small * (1 + 1e-9)


def test_flow_is_conserved_in_a_queue_of_batches() -> None:
    found = forms.batch_queue(200.0, 0.02, 0.002, 16)
    service = 0.02 + 0.002 * found.mean_batch
    # Batches per second x requests per batch = arrivals per second.
    assert found.utilisation / service * found.mean_batch == pytest.approx(200.0, rel=1e-6)


def test_a_queue_that_grows_for_ever_is_refused() -> None:
    with pytest.raises(forms.UnstableQueueError, match=r"load 1\.125"):
        forms.batch_queue(250.0, 0.02, 0.002, 8, 0.0)
    with pytest.raises(forms.UnstableQueueError):
        forms.mmc(4.0, 1.0, 4)
    with pytest.raises(forms.UnstableQueueError):
        forms.md1_wait(1.0, 1.0)
    with pytest.raises(forms.UnstableQueueError):
        forms.inoue_bound(500.0, 0.02, 0.002)
    with pytest.raises(ValueError, match="use a lower one"):
        forms.batch_queue(0.9999, 1.0, 0.0, 1)


def test_the_finite_queue_stands_any_load() -> None:
    assert forms.mm1k(1.0, 1.0, 10).refused == pytest.approx(1 / 11)
    assert forms.mm1k(50.0, 1.0, 400).throughput == pytest.approx(1.0, rel=1e-3)


def test_every_oracle_number_is_met(oracles: dict[str, list[dict[str, Any]]]) -> None:
    for row in oracles["mmc"]:
        found = forms.mmc(row["lam"], row["mu"], row["c"])
        assert found.wait_s == pytest.approx(row["Wq"], rel=1e-9)
        assert found.wait_quantile(0.95) == pytest.approx(row["Wq_p95"], rel=1e-9)
        assert found.wait_quantile(0.99) == pytest.approx(row["Wq_p99"], rel=1e-9)
    for row in oracles["erlang_b"]:
        assert forms.erlang_b(row["c"], row["a"]) == pytest.approx(row["B"], rel=1e-9)
    for row in oracles["allen_cunneen"]:
        found_wait = forms.allen_cunneen(row["lam"], row["mu"], row["c"], row["ca2"], row["cs2"])
        assert found_wait == pytest.approx(row["Wq"], rel=1e-9)
    for row in oracles["mm1k"]:
        finite = forms.mm1k(row["lam"], row["mu"], row["K"])
        assert finite.refused == pytest.approx(row["P_block"], rel=1e-9)
        assert finite.latency_s == pytest.approx(row["W_accepted"], rel=1e-9)
        assert finite.jobs == pytest.approx(row["L"], rel=1e-9)
    for row in oracles["md1"]:
        assert forms.md1_wait(row["rho"], 1.0) == pytest.approx(row["Wq_over_S"], rel=1e-9)


def test_every_oracle_batch_queue_is_met(oracles: dict[str, list[dict[str, Any]]]) -> None:
    for row in oracles["batch"]:
        args = row["lam"], row["tau0"], row["alpha"], row["bmax"]
        if row.get("unstable"):
            with pytest.raises(forms.UnstableQueueError):
                forms.batch_queue(*args)
            continue
        found = forms.batch_queue(*args)
        assert found.latency_s == pytest.approx(row["W"], rel=1e-6)
        assert found.mean_batch == pytest.approx(row["mean_batch"], rel=1e-6)
        assert found.utilisation == pytest.approx(row["utilisation"], rel=1e-6)
        assert found.load == pytest.approx(row["rho"])
        if row["bmax"] is None:
            bound = forms.inoue_bound(row["lam"], row["tau0"], row["alpha"])
            assert bound == pytest.approx(row["inoue_min"], rel=1e-9)
