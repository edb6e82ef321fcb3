"""What the telemetry channel does to the truth, class by class, and what it leaves alone."""

from operator import attrgetter
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from homeostat.base import names
from homeostat.twin import params, signals, telemetry
from homeostat.twin.shapes import SCRAPE_S, SCRAPES_KEPT, TICK_S, VARIANTS, Phase, Variant
from homeostat.twin.signals import CLASSES, GATEWAY_SIGNALS, SLOT_SIGNALS

SLOTS = 4
SCRAPES = 120
PHASES = np.array([Phase.READY, Phase.READY, Phase.READY, Phase.EMPTY], np.int32)
VARIANT_OF = np.array([Variant.A, Variant.A, Variant.B, Variant.A], np.int32)


class World(NamedTuple):
    """The truth of every scrape; arrays over scrapes."""

    load: np.ndarray  # attempts per second, all variants
    p50_s: np.ndarray
    errors: np.ndarray  # ratio
    phase: np.ndarray
    busy: np.ndarray


def world(**changed: Any) -> World:
    base = {
        "load": 100.0 + np.arange(SCRAPES),
        "p50_s": 0.05 + 0.001 * np.arange(SCRAPES),
        "errors": np.full(SCRAPES, 0.02),
        "phase": np.broadcast_to(PHASES, (SCRAPES, SLOTS)),
        "busy": np.full(SCRAPES, 0.5),
    }
    return World(**(base | changed))


def _tick(world: World) -> telemetry.Tick:
    """One tick: nine tenths go to A's two replicas, one tenth to B's."""
    share = jnp.array([0.9, 0.1, 0.0])
    by_slot = jnp.array([0.45, 0.45, 0.1, 0.0]) * world.load
    each, slots = jnp.ones(VARIANTS), jnp.ones(SLOTS)
    one, p50_s = jnp.ones(()), jnp.asarray(world.p50_s)
    return telemetry.Tick(
        refused=0.0 * one, p50_s=p50_s, p95_s=2.0 * p50_s, p99_s=3.0 * p50_s,
        usd_per_hour=6.0 * one, variant_attempts=share * world.load,
        variant_errors=share * world.load * world.errors, variant_p50_s=each * p50_s,
        variant_p95_s=2.0 * each * p50_s, slot_attempts=by_slot, slot_answered=by_slot,
        slot_served=by_slot,
        slot_errors=by_slot * world.errors, slot_p95_s=2.0 * slots * p50_s,
        busy=slots * world.busy, batch=4.0 * slots, batch_full=0.1 * slots,
        device_s=0.028 * slots, contention=slots, preempted=0.02 * by_slot,
        prompts=1000.0 * by_slot, generated=100.0 * by_slot,
    )  # fmt: skip


def _gauges(world: World) -> telemetry.Gauges:
    slots, each = jnp.ones(SLOTS), jnp.ones(VARIANTS)
    return telemetry.Gauges(
        phase=jnp.asarray(world.phase), slot_variant=jnp.asarray(VARIANT_OF),
        queue=3.0 * slots, in_flight=7.0 * slots, memory_share=0.4 * slots,
        latency_s=0.06 * slots, slot_error_ratio=0.0 * slots, nan_share=0.0 * slots,
        frontend_rps=jnp.asarray(jnp.inf), prediction_shift=0.03 * each,
        feature_shift=0.0 * each, invalid_share=0.0 * each, accuracy=0.9 * each,
        label_coverage=0.2 * each, kv_usage=0.6 * slots,
    )  # fmt: skip


@jax.jit
def _play(
    deployment: params.Params, inputs: telemetry.Inputs, world: World, key: Array
) -> telemetry.Seen:
    def scrape(
        channel: telemetry.Channel, given: tuple[telemetry.Inputs, World]
    ) -> tuple[telemetry.Channel, telemetry.Seen]:
        inputs, now = given
        window = telemetry.open_window(SLOTS)
        for _ in range(3):  # three long ticks are a scrape
            window = telemetry.add(window, _tick(now), SCRAPE_S * TICK_S / 3)
        return telemetry.scrape(deployment, inputs, channel, window, _gauges(now), key)

    return jax.lax.scan(scrape, telemetry.init(key, SLOTS), (inputs, world))[1]


def faults(
    *, classes: tuple[str, ...] = CLASSES, start: int = 0, stop: int = SCRAPES, **changed: float
) -> telemetry.Inputs:
    """Faults of some classes over some scrapes."""
    found: telemetry.Inputs = jax.tree.map(
        lambda leaf: np.broadcast_to(np.asarray(leaf), (SCRAPES, len(CLASSES))).copy(),
        telemetry.neutral(),
    )
    where = [CLASSES.index(name) for name in classes]
    for name, value in changed.items():
        attrgetter(name)(found)[start:stop, where] = value
    return found


def play(
    deployment: params.Params,
    inputs: telemetry.Inputs | None = None,
    given: World | None = None,
    seed: int = 0,
) -> telemetry.Seen:
    found = _play(
        deployment,
        faults() if inputs is None else inputs,
        jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), given or world()),
        jax.random.key(seed),
    )
    seen: telemetry.Seen = jax.tree.map(np.asarray, found)
    return seen


def flat(seen: telemetry.Seen) -> np.ndarray:
    """All N signals over scrapes, in the channel's order [T, N]."""
    parts = (seen.gateway, seen.variant, seen.slot, seen.tokens)
    return np.concatenate([part.reshape(SCRAPES, -1) for part in parts], axis=1)


def of_class(*classes: str) -> np.ndarray:
    return np.isin(telemetry.class_of(SLOTS), [CLASSES.index(name) for name in classes])


def gateway(seen: telemetry.Seen, name: str) -> np.ndarray:
    return np.asarray(seen.gateway[:, GATEWAY_SIGNALS.index(name)])


def slot(seen: telemetry.Seen, name: str) -> np.ndarray:
    return np.asarray(seen.slot[:, :, SLOT_SIGNALS.index(name)])


def test_every_signal_has_a_class() -> None:
    named = {*GATEWAY_SIGNALS, *signals.VARIANT_SIGNALS, *SLOT_SIGNALS, *signals.TOKEN_SIGNALS}
    assert set(telemetry.CLASS_OF) == named
    assert set(telemetry.CLASS_OF.values()) == set(CLASSES)


def test_without_a_fault_readings_are_unbiased(deployment: params.Params) -> None:
    steady = world(load=np.full(SCRAPES, 60.0), p50_s=np.full(SCRAPES, 0.05))
    runs = [play(deployment, given=steady, seed=seed) for seed in range(60)]
    seen = jax.tree.map(lambda *leaves: np.stack(leaves), *runs)
    mean = {name: float(np.mean(seen.gateway[..., at])) for at, name in enumerate(GATEWAY_SIGNALS)}
    assert mean[names.ARRIVAL_RATE] == pytest.approx(60.0, rel=0.003)
    assert mean[names.ERROR_RATIO] == pytest.approx(0.02, rel=0.03)
    assert mean[names.REFUSED_RATIO] == 0.0
    assert mean[names.LATENCY_P50] == pytest.approx(50.0, rel=0.003)
    assert mean[names.LATENCY_P95] == pytest.approx(100.0, rel=0.003)
    assert mean[signals.LATENCY_P99] == pytest.approx(150.0, rel=0.003)
    assert mean[signals.USD_PER_HOUR] == pytest.approx(6.0, rel=1e-5)
    slots = {name: float(np.mean(seen.slot[..., :3, at])) for at, name in enumerate(SLOT_SIGNALS)}
    assert slots[names.MEMORY_SHARE] == pytest.approx(0.4, rel=0.001)
    assert slots[names.QUEUE_LENGTH] == pytest.approx(3.0, rel=0.02)
    assert slots[signals.IN_FLIGHT] == pytest.approx(7.0, rel=0.02)
    assert slots[names.DEVICE_TIME] == pytest.approx(28.0, rel=0.003)
    assert slots[names.ERROR_RATIO] == pytest.approx(0.02, rel=0.05)
    assert slots[names.BATCH_FULL_SHARE] == pytest.approx(0.1, rel=0.03)
    assert np.all(seen.age_s == 0.0)


def test_noise_shrinks_with_the_number_of_requests(deployment: params.Params) -> None:
    def scatter(load: float) -> tuple[float, float]:
        seen = play(
            deployment, given=world(load=np.full(SCRAPES, load), p50_s=np.full(SCRAPES, 0.05))
        )
        p95, rate = gateway(seen, names.LATENCY_P95), gateway(seen, names.ARRIVAL_RATE)
        return float(np.std(p95) / np.mean(p95)), float(np.std(rate) / np.mean(rate))

    few, many = scatter(2.0), scatter(200.0)
    assert few[0] == pytest.approx(10.0 * many[0], rel=0.35)
    # Poisson: 30 requests a scrape are off by 18 %, 3,000 by 2 %.
    assert few[1] == pytest.approx(1 / np.sqrt(30), rel=0.25)
    assert many[1] == pytest.approx(1 / np.sqrt(3000), rel=0.25)


def test_replays_with_other_loads_see_the_same_draws(deployment: params.Params) -> None:
    one, other = play(deployment), play(deployment, given=world(load=np.full(SCRAPES, 300.0)))
    np.testing.assert_array_equal(slot(one, names.MEMORY_SHARE), slot(other, names.MEMORY_SHARE))
    np.testing.assert_array_equal(flat(one), flat(play(deployment)))
    another = play(deployment, seed=1)
    assert np.nanmax(np.abs(flat(one) - flat(another))) > 0.0


def test_a_latency_without_a_request_is_not_reported_and_ages(deployment: params.Params) -> None:
    load = np.full(SCRAPES, 50.0)
    load[60:] = 0.0
    seen = play(deployment, given=world(load=load))
    quiet = gateway(seen, names.LATENCY_P95)
    assert not np.isnan(quiet[:60]).any()
    assert np.isnan(quiet[60:]).all()
    assert np.all(gateway(seen, names.ARRIVAL_RATE)[60:] == 0.0)
    ages = seen.age_s[:, GATEWAY_SIGNALS.index(names.LATENCY_P95)]
    np.testing.assert_allclose(ages[60:], SCRAPE_S * np.arange(1, 61))
    at = signals.VARIANT_SIGNALS.index(names.LATENCY_P50)  # nobody asks the canary anything
    assert np.isnan(seen.variant[:, Variant.CANARY, at]).all()


def test_probes_pass_on_a_hung_replica_and_inference_does_not(deployment: params.Params) -> None:
    phases = np.array([Phase.READY, Phase.HUNG, Phase.DEAD, Phase.LOADING])
    busy = np.full(SCRAPES, 0.0)
    seen = play(
        deployment,
        given=world(phase=np.broadcast_to(phases, (SCRAPES, SLOTS)), busy=busy),
    )
    np.testing.assert_array_equal(slot(seen, names.PROCESS_UP)[5], [1, 1, 0, 1])
    np.testing.assert_array_equal(slot(seen, names.PROBE_HEALTH)[5], [1, 1, 0, 0])
    np.testing.assert_array_equal(slot(seen, names.PROBE_INFERENCE)[5], [1, 0, 0, 0])
    deadline_ms = 1000.0 * float(deployment.client.timeout_s)
    np.testing.assert_allclose(slot(seen, names.PROBE_LATENCY)[5, 1:], deadline_ms)
    assert slot(seen, names.PROBE_LATENCY)[5, 0] < 0.1 * deadline_ms
    # A hung one answers for itself; of one that works on nothing there is no device time.
    assert not np.isnan(slot(seen, names.QUEUE_LENGTH)[5, 1])
    assert slot(seen, signals.GPU_SHARE)[5, 1] == 0.0


def test_what_is_gone_vanishes_from_averages(deployment: params.Params) -> None:
    phase = np.broadcast_to(PHASES, (SCRAPES, SLOTS)).copy()
    phase[50:, 0] = Phase.DEAD
    seen = play(deployment, given=world(phase=phase))
    for name in SLOT_SIGNALS:
        if telemetry.CLASS_OF[name] != "probes":
            assert not np.isnan(slot(seen, name)[:50, 0]).any(), name
            assert np.isnan(slot(seen, name)[50:, 0]).all(), name
        assert np.isnan(slot(seen, name)[:, 3]).all(), name  # an empty slot has no signals at all
    assert np.all(slot(seen, names.PROCESS_UP)[50:, 0] == 0.0)


def test_a_device_can_be_saturated_at_forty_percent(deployment: params.Params) -> None:
    """A server bound by fixed work per batch shows 38-40 % while its queue grows."""
    each = jnp.ones(VARIANTS, jnp.float32)
    law = attrgetter("service.tau0_s", "service.alpha_s")
    fixed = eqx.tree_at(law, deployment, (each * 0.028, each * 1e-6))
    lean = eqx.tree_at(law, deployment, (each * 1e-4, each * 0.007))
    full = world(busy=np.full(SCRAPES, 1.0))
    assert np.nanmean(slot(play(fixed, given=full), signals.GPU_SHARE)) == pytest.approx(
        0.39, abs=0.01
    )
    assert np.nanmean(slot(play(lean, given=full), signals.GPU_SHARE)) == pytest.approx(
        1.0, abs=0.02
    )


def test_a_delay_shows_the_truth_of_then_and_never_goes_back(deployment: params.Params) -> None:
    plain = play(deployment)
    seen = play(deployment, faults(classes=("latency",), start=40, stop=90, metric_delay_s=150.0))
    mine, late = of_class("latency"), 10
    np.testing.assert_array_equal(flat(seen)[:, ~mine], flat(plain)[:, ~mine])
    np.testing.assert_array_equal(flat(seen)[:40, mine], flat(plain)[:40, mine])
    # First it looks like a freeze, for as long as the delay; then the truth of ten scrapes ago.
    for at in range(40, 49):
        np.testing.assert_array_equal(flat(seen)[at, mine], flat(plain)[39, mine])
    np.testing.assert_array_equal(flat(seen)[49:90, mine], flat(plain)[49 - late : 90 - late, mine])
    np.testing.assert_array_equal(flat(seen)[90:, mine], flat(plain)[90:, mine])
    at = GATEWAY_SIGNALS.index(names.LATENCY_P95)
    np.testing.assert_allclose(seen.age_s[40:50, at], SCRAPE_S * np.arange(1, 11))
    assert np.all(seen.age_s[50:90, at] == 150.0)
    assert np.all(seen.age_s[:, GATEWAY_SIGNALS.index(names.ARRIVAL_RATE)] == 0.0)


def test_the_longest_delay_fits_the_ring(deployment: params.Params) -> None:
    longest = (SCRAPES_KEPT - 1) * SCRAPE_S
    plain = play(deployment)
    seen = play(deployment, faults(metric_delay_s=float(longest)))
    np.testing.assert_array_equal(flat(seen)[60:], flat(plain)[60 - 47 : -47])


def test_a_frozen_series_repeats_the_value_of_the_onset_with_a_new_time_stamp(
    deployment: params.Params,
) -> None:
    plain = play(deployment)
    seen = play(deployment, faults(classes=("cpu", "latency"), start=40, stop=100, metric_freeze=1))
    mine = of_class("cpu", "latency")
    there = mine & ~np.isnan(flat(plain)[39])
    assert np.all(flat(seen)[40:100, there] == flat(plain)[39, there])
    np.testing.assert_array_equal(flat(seen)[100:, mine], flat(plain)[100:, mine])
    np.testing.assert_array_equal(flat(seen)[:, ~mine], flat(plain)[:, ~mine])
    assert np.all(seen.age_s == 0.0)


def test_half_a_freeze_hits_half_of_the_series_for_all_of_its_time(
    deployment: params.Params,
) -> None:
    frozen = []
    for seed in range(6):
        seen = play(deployment, faults(start=40, metric_freeze=0.5), seed=seed)
        moving = flat(seen)[40:, of_class("latency", "cpu", "memory", "gpu")]
        moving = moving[:, ~np.isnan(moving).any(axis=0)]
        still = np.ptp(moving, axis=0) == 0.0
        # Either all of the time or none of it: a series that froze halfway would have runs.
        changes = (np.diff(moving, axis=0) != 0.0).mean(axis=0)
        assert np.all(still | (changes > 0.9))
        frozen.append(still.mean())
    assert np.mean(frozen) == pytest.approx(0.5, abs=0.12)


def test_lost_samples_are_not_reported_and_zero_only_where_missing_reads_as_zero(
    deployment: params.Params,
) -> None:
    plain = flat(play(deployment))
    mine = of_class("throughput", "queue")
    there = ~np.isnan(plain)
    gone = play(deployment, faults(classes=("throughput", "queue"), start=40, metric_drop=1.0))
    assert np.isnan(flat(gone)[40:, mine]).all()
    np.testing.assert_array_equal(flat(gone)[:40], plain[:40])
    np.testing.assert_array_equal(flat(gone)[:, ~mine], plain[:, ~mine])
    zero = play(
        deployment,
        faults(classes=("throughput", "queue"), start=40, metric_drop=1.0, missing_as_zero=1.0),
    )
    assert np.all(flat(zero)[40:, mine][there[40:, mine]] == 0.0)
    # An empty slot has no series that could read as zero.
    assert np.isnan(flat(zero)[40:, mine][~there[40:, mine]]).all()
    at = GATEWAY_SIGNALS.index(names.ARRIVAL_RATE)
    for seen in (gone, zero):
        np.testing.assert_allclose(seen.age_s[40:, at], SCRAPE_S * np.arange(1, SCRAPES - 39))


def test_a_partial_loss_loses_that_share_of_whole_scrapes(deployment: params.Params) -> None:
    told = ~of_class("errors", "predictions", "queue", "probes")  # zero may be true of these
    there = (np.nan_to_num(flat(play(deployment))) != 0.0) & told
    lossy = faults(metric_drop=0.4, missing_as_zero=0.25)
    seen = np.stack([flat(play(deployment, lossy, seed=seed)) for seed in range(12)])
    for lost, expected in ((np.isnan(seen), 0.3), (seen == 0.0, 0.1)):
        share = (lost & there).sum(axis=2) / there.sum(axis=1)
        assert set(share.flat) <= {0.0, 1.0}  # one replica's value never goes alone
        assert share.mean() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", CLASSES)
def test_a_scale_and_a_bias_bend_one_class_only(deployment: params.Params, name: str) -> None:
    plain = flat(play(deployment))
    seen = flat(play(deployment, faults(classes=(name,), metric_scale=1000.0, metric_bias=5.0)))
    mine = of_class(name)
    np.testing.assert_allclose(seen[:, mine], 1000.0 * plain[:, mine] + 5.0, rtol=1e-5)
    np.testing.assert_array_equal(seen[:, ~mine], plain[:, ~mine])


def test_a_counter_taken_for_a_gauge_grows_from_its_onset(deployment: params.Params) -> None:
    plain, seen = (
        gateway(play(deployment, given), names.ARRIVAL_RATE)
        for given in (faults(), faults(classes=("throughput",), start=40, metric_cumulative=1.0))
    )
    np.testing.assert_array_equal(seen[:40], plain[:40])
    np.testing.assert_allclose(seen[40:], SCRAPE_S * np.cumsum(plain[40:]), rtol=1e-5)


def test_resets_show_as_nothing_or_as_a_spike_for_one_scrape_and_as_often_as_said(
    deployment: params.Params,
) -> None:
    odd: list[float] = []
    for seed in range(6):
        plain = gateway(play(deployment, seed=seed), names.ARRIVAL_RATE)
        seen = gateway(
            play(deployment, faults(classes=("throughput",), metric_reset=20.0), seed=seed),
            names.ARRIVAL_RATE,
        )
        hit = seen != plain
        ratio = seen[hit] / plain[hit]
        assert np.all(np.isclose(ratio, 0.0) | np.isclose(ratio, 10.0))
        odd += ratio.tolist()
    assert 40 <= len(odd) <= 80  # 20 an hour over half an hour, six times
    assert 0.25 < np.mean(np.isclose(odd, 0.0)) < 0.75


def test_a_reset_starts_a_running_sum_anew(deployment: params.Params) -> None:
    inputs = faults(classes=("throughput",), metric_cumulative=1.0, metric_reset=60.0)
    seen = gateway(play(deployment, inputs), names.ARRIVAL_RATE)
    falls = np.flatnonzero(np.diff(seen) < 0.0)
    assert falls.size > 10
    assert np.all(seen[falls + 1] < seen[falls])


def test_nothing_is_reported_by_what_is_too_busy_to_be_scraped(deployment: params.Params) -> None:
    busy = np.where(np.arange(SCRAPES) < 60, 0.5, 0.95)
    given = world(busy=busy)
    seen = play(deployment, faults(classes=("cpu", "queue"), scrape_fail_when_rho_gt=0.9), given)
    plain = play(deployment, given=given)
    mine = of_class("cpu", "queue")
    np.testing.assert_array_equal(flat(seen)[:60], flat(plain)[:60])
    assert np.isnan(flat(seen)[60:, mine]).all()
    np.testing.assert_array_equal(flat(seen)[:, ~mine], flat(plain)[:, ~mine])


def test_without_a_loss_whatever_is_true_is_reported(deployment: params.Params) -> None:
    """A delay, a freeze, a scale: none of them makes a reading vanish."""
    there = ~np.isnan(flat(play(deployment)))
    bent = faults(start=30, metric_delay_s=300.0, metric_scale=0.001, metric_freeze=0.5)
    seen = flat(play(deployment, bent))
    assert not np.isnan(seen[there]).any()
    assert np.isnan(seen[~there]).all()
