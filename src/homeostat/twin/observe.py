"""What an honest exporter would report at a scrape: rates, quantiles and gauges, with their noise.

Poisson arrivals (scaled by their burstiness), binomial errors, order statistics for quantiles. NaN
where nothing can be told, as a latency without a request. What breaks on the way to a controller is
in `telemetry`, the signals of replica slots in `observe_slots`.
"""

from collections.abc import Mapping
from typing import Final

import jax.numpy as jnp
from jax import Array

from homeostat.base import names
from homeostat.twin import counts, histograms, noise, params
from homeostat.twin import observe_slots as slots
from homeostat.twin.apart import apart
from homeostat.twin.counts import Counts
from homeostat.twin.signals import GATEWAY_SIGNALS, LATENCY_P99, USD_PER_HOUR, VARIANT_SIGNALS
from homeostat.twin.windows import Gauges, Observed, Window

_SCRAPES_OF_FEATURES: Final = 4.0  # a minute's histograms, as for predictions (`scores`)


def observe(
    deployment: params.Params, window: Window, gauges: Gauges, uniform: Observed
) -> Observed:
    """Return the signals of one scrape.

    Args:
        deployment: Its parameters.
        window: Since the last scrape.
        gauges: Read now.
        uniform: A draw in 0..1 for each signal; the same draws give the same luck.
    """
    draws = noise.draws(uniform)
    counted = apart(lambda: counts.count(deployment, window, gauges, draws))
    return Observed(
        gateway=_gateway(window, counted, draws.gateway),
        variant=_variants(window, gauges, counted, draws.variant),
        slot=slots.observe(deployment, window, gauges, counted, draws.slot),
        tokens=slots.tokens(window, gauges, draws.tokens),
    )


def _variants(window: Window, gauges: Gauges, counted: Counts, draw: Mapping[str, Array]) -> Array:
    """Return the signals of variants."""
    sums, arrived = window.sums, counted.arrived
    p50 = noise.per(sums.variant_p50_s, sums.variant_attempts)
    p95 = noise.per(sums.variant_p95_s, sums.variant_attempts)
    spread = noise.spread(p50, p95)
    found = {
        names.ARRIVAL_RATE: arrived / jnp.maximum(window.seconds, 1e-9),
        names.ERROR_RATIO: noise.per(counted.failed, arrived),
        names.LATENCY_P50: noise.quantile(names.LATENCY_P50, p50, spread, arrived, draw),
        names.LATENCY_P95: noise.quantile(names.LATENCY_P95, p95, spread, arrived, draw),
        names.PREDICTION_SHIFT: gauges.prediction_shift,
        names.FEATURE_SHIFT: _feature_shift(draw, gauges.feature_shift, arrived),
        names.INVALID_SHARE: noise.per(counted.invalid, counted.answered),
        names.ACCURACY: gauges.accuracy,
        names.LABEL_COVERAGE: gauges.label_coverage,
    }
    return jnp.stack([found[name] for name in VARIANT_SIGNALS], axis=-1)


def _feature_shift(draw: Mapping[str, Array], true: Array, arrived: Array) -> Array:
    """Return a measured distance of histograms: also without a shift it is not nothing.

    So many events in `GROUPS` bins are apart by 0.4 sqrt(GROUPS / events) from chance alone.
    """
    chance = 0.4 * jnp.sqrt(histograms.GROUPS / jnp.maximum(arrived * _SCRAPES_OF_FEATURES, 1.0))
    chance = chance * jnp.maximum(1.0 + 0.25 * draw[names.FEATURE_SHIFT], 0.1)
    return jnp.where(arrived > 0.0, jnp.minimum(jnp.hypot(true, chance), 1.0), jnp.nan)


def _gateway(window: Window, counted: Counts, draw: Mapping[str, Array]) -> Array:
    """Return the signals of the gateway; its counts are the sums of the variants'."""
    sums = window.sums
    through, refused = counted.arrived.sum(), counted.refused
    weight = sums.variant_attempts.sum()
    p50, p95, p99 = (noise.per(each, weight) for each in (sums.p50_s, sums.p95_s, sums.p99_s))
    spread = noise.spread(p50, p95)
    seconds = jnp.maximum(window.seconds, 1e-9)
    found = {
        names.ARRIVAL_RATE: (through + refused) / seconds,
        names.ERROR_RATIO: noise.per(counted.failed.sum(), through),
        names.REFUSED_RATIO: noise.per(refused, through + refused),
        names.LATENCY_P50: noise.quantile(names.LATENCY_P50, p50, spread, through, draw),
        names.LATENCY_P95: noise.quantile(names.LATENCY_P95, p95, spread, through, draw),
        LATENCY_P99: noise.quantile(LATENCY_P99, p99, spread, through, draw),
        USD_PER_HOUR: sums.usd_per_hour / seconds,
    }
    return jnp.stack([found[name] for name in GATEWAY_SIGNALS])
