"""From a scrape's rates and ratios back to the counters that a metrics page shows.

The controller reads cumulative counters and histogram buckets, as real pages have them, and makes
its own rates of them. A scrape of the twin holds means since the last one; adding them up gives the
counters those pages would show. What was not reported leaves its counters unreported, but they go
on counting at the last rate that was known: a page that was not read missed no request. A sample
that is no newer than the last one moves nothing, and neither does one that repeats itself to the
last bit: a page that is frozen shows counters that stand still. What is measured never repeats
itself, but a count does by chance, once in 35 scrapes where a hundred requests arrive in each: it
is taken for frozen with the latencies beside it, or the second time in a row.

All arrays are batched over `N` episodes; times are seconds since the episodes began.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S, VARIANTS, Phase

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Bucket bounds as shares of the promised p99: where the objective is missed they lie close.
BOUNDS: Final = np.array(
    (0.03, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.43, 0.51, 0.58, 0.65, 0.73, 0.85, 1.0,
     1.2, 1.5, 2.2, 4.0, 12.0, np.inf)
)  # fmt: skip
# A pool's page has no p99; in a batch queue it lies this far above the p95 (see controller_parts).
_P99_OF_P95: Final = 1.5
_G: Final = {name: place for place, name in enumerate(signals.GATEWAY_SIGNALS)}
_V: Final = {name: place for place, name in enumerate(signals.VARIANT_SIGNALS)}
_S: Final = {name: place for place, name in enumerate(signals.SLOT_SIGNALS)}
_T: Final = {name: place for place, name in enumerate(signals.TOKEN_SIGNALS)}
_SEQUENCES: Final = {
    "preempted": names.PREEMPTION_RATIO,
    "prompts": names.PROMPT_TOKENS,
    "generated": names.GENERATED_TOKENS,
}
"""Columns that count something of each request that is answered well, by the signal of its mean."""

REQUESTS: Final = ("arrived", "ok", "failed", "refused")
"""Columns of `Requests.total`; `failed` holds refused ones too, as on a page (see base.raw)."""
SLOT: Final = (
    "arrived",
    "ok",
    "failed",
    "batches",
    "batched",
    "full",
    "device_s",
    "cpu_s",
    "usual_predictions",
    "moved_predictions",
    "invalid",
    "usual_features",
    "moved_features",
    "answered_probes",
    "preempted",
    "prompts",
    "generated",
)
"""Columns of the slots' counters."""
COLUMN: Final = {name: place for place, name in enumerate(SLOT)}
_OWN: Final = ("cpu_s", "answered_probes")
_TRAFFIC: Final = [place for name, place in COLUMN.items() if name not in _OWN]
"""Columns that are worked out from the pool's arrivals."""
_OF_BATCHES: Final = (names.BATCH_FULL_SHARE, names.DEVICE_TIME)
_PAGE: Final = [_S[name] for name in (names.MEMORY_SHARE, names.CPU_SHARE, names.QUEUE_LENGTH)]
"""What every page of a server shows, also while nothing arrives."""


@dataclass(slots=True, kw_only=True)
class Requests:
    """Counters of a gateway or of pools, leading axes `[N]` or `[N, V]`.

    Attributes:
        total: `[..., REQUESTS]`.
        buckets: Cumulative over `BOUNDS`, `[..., bucket]`.
        sampled: When arrivals, errors and latencies were last sampled, `[..., 3]`.
        known: Which of the three this scrape reported, `[..., 3]`.
        rate: Last known arrivals per second.
        refused: Last known refused share.
        said: Arrivals, errors and quantiles as last reported, `[..., 5]`.
        again: Whether arrivals and errors were the same as before them, `[..., 2]`.
        stands: Whether this scrape's arrivals are taken for frozen.
    """

    total: Floats
    buckets: Floats
    sampled: Floats
    known: Bools
    rate: Floats
    refused: Floats
    said: Floats
    again: Bools
    stands: Bools

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> "Requests":
        """Return counters that counted nothing."""
        return cls(
            total=np.zeros((*shape, len(REQUESTS))),
            buckets=np.zeros((*shape, len(BOUNDS))),
            sampled=np.zeros((*shape, 3)),
            known=np.zeros((*shape, 3), bool),
            rate=np.zeros(shape),
            refused=np.zeros(shape),
            said=np.full((*shape, 5), np.nan),
            again=np.zeros((*shape, 2), bool),
            stands=np.zeros(shape, bool),
        )

    def count(
        self,
        sampled: Floats,
        rate: Floats,
        errors: Floats,
        refused: Floats,
        quantiles: Floats,
        bounds_ms: Floats,
    ) -> None:
        """Add one scrape.

        Args:
            sampled: When arrivals, errors and latencies were sampled `[..., 3]`, s.
            rate: Arrivals, 1/s; NaN = not reported.
            errors: Failed / answered.
            refused: Refused / arrived; NaN = none are counted here.
            quantiles: p50, p95 and p99 `[..., 3]`, ms.
            bounds_ms: Bucket bounds `[..., bucket]`, ms.
        """
        self.known = np.stack(
            [np.isfinite(rate), np.isfinite(errors), np.isfinite(quantiles).all(-1)], axis=-1
        )
        self.rate = np.where(self.known[..., 0], rate, self.rate)
        self.refused = np.where(np.isfinite(refused), refused, self.refused)
        passed = np.where(self.known, np.maximum(sampled - self.sampled, 0.0), 0.0)
        self.sampled = self.sampled + passed
        frozen = self._frozen(np.concatenate([rate[..., None], errors[..., None], quantiles], -1))
        arrived, answered, timed = np.moveaxis(np.where(frozen, 0.0, passed), -1, 0)
        through = self.rate * (1.0 - self.refused)
        bad = np.nan_to_num(errors) * through * answered
        turned_away = self.rate * self.refused * answered
        self.total[..., 0] += self.rate * arrived
        self.total[..., 1] += through * answered - bad
        self.total[..., 2] += bad + turned_away
        self.total[..., 3] += turned_away
        self.buckets += _shares(quantiles, bounds_ms) * (through * timed)[..., None]

    def _frozen(self, said: Floats) -> Bools:
        """Return where arrivals, errors and latencies are frozen, `[..., 3]`.

        No errors, nothing but errors, and latencies that all end at the deadline may well repeat;
        only together with frozen arrivals do they say anything.
        """
        same, self.said = said == self.said, said
        often = same[..., :2] & self.again
        self.again = same[..., :2]
        some = (said[..., 1] > 0.0) & (said[..., 1] < 1.0)
        apart = said[..., 2] != said[..., 4]
        whole = same[..., 2:].all(-1)
        page = whole & apart
        self.stands = same[..., 0] & (said[..., 0] != 0.0) & (often[..., 0] | page)
        errors = same[..., 1] & ((some & (often[..., 1] | page)) | self.stands)
        latencies = whole & (apart | self.stands)
        return np.stack([self.stands, errors, latencies], axis=-1)


class Counters:
    """Every counter of a batch of episodes.

    Args:
        promised_s: p99 promised `[N]`.
        slots: Slots of an episode.
    """

    def __init__(self, promised_s: Floats, slots: int) -> None:
        n = len(promised_s)
        self.bounds_ms: Floats = 1000.0 * promised_s[:, None] * BOUNDS
        self.gateway = Requests.empty((n,))
        self.pools = Requests.empty((n, VARIANTS))
        self.slots = np.zeros((n, slots, len(SLOT)))
        self.slot_known = np.zeros((n, slots, len(SLOT)), bool)
        self._rates = np.zeros((n, slots, len(SLOT)))
        self._now = 0.0

    def take(self, now_s: float, scrape: Scrape) -> None:
        """Add one scrape.

        Args:
            now_s: When it was taken.
            scrape: Batched, NumPy.
        """
        gateway = np.asarray(scrape.gateway, np.float64)
        variant = np.asarray(scrape.variant, np.float64)
        sampled = _sampled(now_s, np.asarray(scrape.age_s, np.float64))
        self.gateway.count(
            sampled,
            gateway[:, _G[names.ARRIVAL_RATE]],
            gateway[:, _G[names.ERROR_RATIO]],
            gateway[:, _G[names.REFUSED_RATIO]],
            gateway[:, [_G[names.LATENCY_P50], _G[names.LATENCY_P95], _G[signals.LATENCY_P99]]],
            self.bounds_ms,
        )
        p95 = variant[..., _V[names.LATENCY_P95]]
        self.pools.count(
            np.repeat(sampled[:, None], VARIANTS, axis=1),
            variant[..., _V[names.ARRIVAL_RATE]],
            variant[..., _V[names.ERROR_RATIO]],
            np.full(p95.shape, np.nan),
            np.stack([variant[..., _V[names.LATENCY_P50]], p95, _P99_OF_P95 * p95], axis=-1),
            self.bounds_ms[:, None],
        )
        self._count_slots(now_s - self._now, scrape, variant)
        self._now = now_s

    def restart(self, which: Bools) -> None:
        """Start the counters of some slots afresh: another process counts there now `[N, S]`."""
        # The prober counts its own answers: it did not restart.
        own = np.arange(len(SLOT)) != COLUMN["answered_probes"]
        self.slots[which[..., None] & own] = 0.0
        self._rates[which[..., None] & own] = 0.0

    def _count_slots(self, passed_s: float, scrape: Scrape, variant: Floats) -> None:
        slot = np.asarray(scrape.slot, np.float64)
        rates = slot_rates(
            slot,
            variant,
            np.asarray(scrape.phase),
            np.asarray(scrape.slot_variant),
            tokens_of(scrape),
        )
        self.slot_known = np.isfinite(rates)
        frozen = (rates == self._rates) & (rates != 0.0)
        stands = np.take_along_axis(self.pools.stands, np.asarray(scrape.slot_variant), axis=1)
        frozen[..., _TRAFFIC] &= stands[..., None]
        frozen[..., COLUMN["batched"]] = frozen[..., COLUMN["batches"]]  # what they held
        frozen[..., COLUMN["answered_probes"]] = False
        self._rates = np.where(self.slot_known, rates, self._rates)
        self.slots = self.slots + passed_s * np.where(frozen, 0.0, self._rates)


def tokens_of(scrape: Scrape) -> Floats:
    """Return what servers of tokens show `[N, S, TOKEN_SIGNALS]`; NaN where there are none."""
    if scrape.tokens is None:
        return np.full((*np.shape(scrape.phase), len(_T)), np.nan)
    return np.asarray(scrape.tokens, np.float64)


def slot_rates(
    slot: Floats, variant: Floats, phase: Floats, slot_variant: Floats, tokens: Floats
) -> Floats:
    """Return what each slot's counters gain in a second, NaN where it is not reported.

    A slot's share of its pool's traffic is not reported; it is taken to be that of its peers in
    rotation, which is what a random choice of a replica gives. A slot that shows nothing of its own
    has no page, whatever is known of its pool.

    Args:
        slot: `[N, S, SLOT_SIGNALS]`.
        variant: `[N, V, VARIANT_SIGNALS]`.
        phase: `[N, S]`.
        slot_variant: `[N, S]`.
        tokens: `[N, S, TOKEN_SIGNALS]`.
    """
    place = slot_variant.astype(int)
    own = np.take_along_axis(variant, place[..., None], axis=1)
    rotating = np.isin(phase, (Phase.READY, Phase.HUNG))
    peers = np.stack([(rotating & (place == v)).sum(1) for v in range(VARIANTS)], axis=1)
    share = rotating / np.maximum(np.take_along_axis(peers, place, axis=1), 1)
    shows = np.isfinite(slot[..., _PAGE]).any(axis=-1)
    rate = np.where(shows, own[..., _V[names.ARRIVAL_RATE]] * share, np.nan)
    errors, size = slot[..., _S[names.ERROR_RATIO]], slot[..., _S[names.BATCH_SIZE]]
    with np.errstate(divide="ignore", invalid="ignore"):
        batches = np.where(size > 0.0, rate / size, np.where(size == 0.0, 0.0, np.nan))
    # A server that shows its queue and no batch has run none: its counters stand still.
    idle = np.isnan(size) & np.isfinite(slot[..., _S[names.QUEUE_LENGTH]])
    batches, batched = np.where(idle, 0.0, batches), np.where(idle, 0.0, batches * size)
    per_batch = np.where(idle[..., None], 0.0, slot[..., [_S[name] for name in _OF_BATCHES]])
    predictions = rate * (1.0 - np.nan_to_num(errors))
    invalid = own[..., _V[names.INVALID_SHARE]]
    said, asked = own[..., _V[names.PREDICTION_SHIFT]], own[..., _V[names.FEATURE_SHIFT]]
    valid = predictions * (1.0 - np.nan_to_num(invalid))
    columns = {
        "arrived": rate,
        "ok": rate * (1.0 - errors),
        "failed": rate * errors,
        "batches": batches,
        "batched": batched,
        "full": batches * per_batch[..., 0],
        "device_s": batches * per_batch[..., 1] / 1000.0,
        "cpu_s": slot[..., _S[names.CPU_SHARE]],
        "usual_predictions": valid * (1.0 - said),
        "moved_predictions": valid * said,
        "invalid": predictions * invalid,
        "usual_features": predictions * (1.0 - asked),
        "moved_features": predictions * asked,
        "answered_probes": slot[..., _S[names.PROBE_INFERENCE]] / SCRAPE_S,  # one a scrape
    }
    # Who serves tokens shows them also while idle; who serves none never does.
    serves = np.isfinite(tokens[..., _T[names.KV_USAGE]])
    still = idle & serves
    for column, name in _SEQUENCES.items():
        columns[column] = np.where(still, 0.0, columns["ok"] * tokens[..., _T[name]])
    return np.stack([columns[name] for name in SLOT], axis=-1)


def _sampled(now_s: float, age_s: Floats) -> Floats:
    """Return when arrivals, errors and latencies were sampled `[N, 3]`, s.

    An unknown age says nothing of a sample; the sample's own absence does.
    """
    signals_of = (names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P95)
    ages = np.stack([age_s[:, _G[name]] for name in signals_of], axis=-1)
    out: Floats = now_s - np.where(np.isfinite(ages), ages, 0.0)
    return out


def _shares(quantiles: Floats, bounds: Floats) -> Floats:
    """Return the share of requests at or below each bound, `[..., bucket]`.

    Straight lines between what is known: a fifth of the p50 (the fastest), p50, p95, p99, and half
    as much again (the slowest). NaN gives zeros: the caller adds nothing of them.
    """
    p50, p95, p99 = np.moveaxis(np.nan_to_num(quantiles), -1, 0)
    p95 = np.maximum(p95, p50)
    p99 = np.maximum(p99, p95)
    knots = [0.2 * p50, p50, p95, p99, 1.5 * p99]
    levels = (0.0, 0.5, 0.95, 0.99, 1.0)
    share = np.zeros(np.broadcast_shapes((*p50.shape, 1), bounds.shape))
    for (low, high), (before, after) in zip(pairwise(knots), pairwise(levels), strict=True):
        width = np.maximum(high - low, 1e-9)[..., None]
        share += (after - before) * np.clip((bounds - low[..., None]) / width, 0.0, 1.0)
    return share
