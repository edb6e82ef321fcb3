"""Plays scenarios under HOLD and keeps, scrape by scrape, what is seen and what is true.

What a scenario's text says of its signals is asked of what a controller sees (`Play.seen`); what it
says of the outcome, of the truth. Faults are compared with the same episode before its onset.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from typing_extensions import override

from homeostat.base import names
from homeostat.lab.baselines.hold import Hold
from homeostat.lab.baselines.levers import changed, move, quiet, standing
from homeostat.lab.draw import draw
from homeostat.lab.judge import CODES, judge
from homeostat.lab.judge_view import view, violated
from homeostat.lab.run import world_of
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.types import Episode, Move
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S, VARIANTS, Phase

SLOTS = 16  # one program for all; the few draws that do not fit are left out
Series = np.ndarray


class Recorder(Hold):
    """HOLD that keeps every scrape."""

    @override
    def start(self, episodes: Sequence[Episode]) -> None:
        super().start(episodes)
        self.scrapes: list[Scrape] = []

    @override
    def act(self, now_s: float, scrape: Scrape) -> Move:
        self.scrapes.append(scrape)
        return super().act(now_s, scrape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One episode under HOLD.

    Attributes:
        episode: Which.
        onset: Scrape within which the first fault begins.
        seen: As scraped, by a scenario's names for signals and a few more [scrapes, ...].
        true: Means over each scrape of the truth's fields [scrapes, ...].
        violated: Share of each scrape in which a promise was broken.
        codes: Seen, whoever caused them.
        finite: Whether every number of the truth is one (but of variants without traffic).
    """

    episode: Episode
    onset: int
    seen: Mapping[str, Series]
    true: Mapping[str, Series]
    violated: Series
    codes: frozenset[str]
    finite: bool

    @property
    def name(self) -> str:
        return f"{self.episode.scenario}/{self.episode.seed}"

    def before(self, signal: str) -> float:
        """The usual value, by scrape 2 a deployment has settled."""
        return float(np.nanmedian(self.seen[signal][2 : max(self.onset, 3)]))

    def after(self, signal: str) -> Series:
        """From the onset on."""
        return self.seen[signal][self.onset :]

    def peak(self, signal: str, scrapes: int = 4) -> float:
        """Greatest value that lasts some scrapes (their median) after the onset."""
        return float(np.nanmax(_medians(self.after(signal), scrapes)))

    def trough(self, signal: str, scrapes: int = 4) -> float:
        """Least value that lasts some scrapes after the onset."""
        return float(np.nanmin(_medians(self.after(signal), scrapes)))


def _medians(series: Series, width: int) -> Series:
    """Medians of every so many neighbours, of those that are known."""
    windows = np.lib.stride_tricks.sliding_window_view(series, min(width, len(series)))
    known = windows[~np.isnan(windows).all(axis=1)]
    return np.nanmedian(known, axis=1) if len(known) else np.array([np.nan])


def plays(cases: Iterable[tuple[Scenario, int]], width: int) -> Iterator[Play]:
    """Play scenarios with seeds, `width` side by side, and yield them.

    Episodes of one batch have ticks of one length and run as long as the longest of them; each is
    cut to its own length.
    """
    episodes = sorted(_drawn(cases), key=lambda e: (e.tick_s, e.length_s, e.scenario, e.seed))
    for group in _batches(episodes, width):
        longest = max(episode.length_s for episode in group)
        recorder = Recorder()
        played = world_of(SLOTS, width, group[0].tick_s).play(
            recorder, [replace(episode, length_s=longest) for episode in group]
        )
        trace = replace(played.trace, episodes=group)
        found = judge(trace, trace, orders=played.orders)
        bad = violated(view(trace))
        for row, episode in enumerate(group):
            truth = {
                name: np.asarray(getattr(trace.truth, name))[row][: episode.length_s]
                for name in trace.truth.__dataclass_fields__
            }
            scrapes = episode.length_s // SCRAPE_S
            yield Play(
                episode=episode,
                onset=int(float(np.min(episode.faults.start_s)) / SCRAPE_S),
                seen=_seen(recorder.scrapes[:scrapes], row),
                true={name: _by_scrape(values, scrapes) for name, values in truth.items()},
                violated=_by_scrape(bad[row][: episode.length_s], scrapes),
                codes=frozenset(
                    code for code, hit in zip(CODES, found.any[row], strict=True) if hit
                ),
                finite=all(
                    np.isfinite(np.asarray(values, np.float64)).all()
                    for name, values in truth.items()
                    if name != "variant_p99_s"  # nobody is served by a variant without traffic
                ),
            )


def _batches(episodes: Sequence[Episode], width: int) -> Iterator[tuple[Episode, ...]]:
    for _, alike in groupby(episodes, key=lambda e: e.tick_s):
        rest = list(alike)
        for first in range(0, len(rest), width):
            yield tuple(rest[first : first + width])


def _drawn(cases: Iterable[tuple[Scenario, int]]) -> Iterator[Episode]:
    for scenario, seed in cases:
        try:
            yield draw(scenario, seed, slots=SLOTS)
        except DrawError:
            continue  # more replicas than these slots hold


def _by_scrape(values: Series, scrapes: int) -> Series:
    shaped = np.asarray(values, np.float64)[: scrapes * SCRAPE_S]
    with np.errstate(invalid="ignore"):
        return np.asarray(shaped.reshape(scrapes, SCRAPE_S, *shaped.shape[1:]).mean(axis=1))


def _seen(scrapes: Sequence[Scrape], row: int) -> dict[str, Series]:
    gateway = np.stack([np.asarray(s.gateway)[row] for s in scrapes])
    variant = np.stack([np.asarray(s.variant)[row] for s in scrapes])
    slot = np.stack([np.asarray(s.slot)[row] for s in scrapes])
    phase = np.stack([np.asarray(s.phase)[row] for s in scrapes])
    at = signals.GATEWAY_SIGNALS.index
    a = dict(zip(signals.VARIANT_SIGNALS, variant[:, 0].T, strict=True))
    each = {name: slot[:, :, i] for i, name in enumerate(signals.SLOT_SIGNALS)}
    found = {
        "p50": gateway[:, at(names.LATENCY_P50)],
        "p99": gateway[:, at(signals.LATENCY_P99)],
        "err": gateway[:, at(names.ERROR_RATIO)],
        "load": gateway[:, at(names.ARRIVAL_RATE)],
        "cost": gateway[:, at(signals.USD_PER_HOUR)],
        "pred": a[names.PREDICTION_SHIFT],
        "inputs": a[names.FEATURE_SHIFT],
        "invalid": a[names.INVALID_SHARE],
        "acc": a[names.ACCURACY],
        "cpu": _over_slots(np.nanmean, each[names.CPU_SHARE]),
        "mem": _over_slots(np.nanmax, each[names.MEMORY_SHARE]),
        "gpu": _over_slots(np.nanmean, each[signals.GPU_SHARE]),
        "least_gpu": _over_slots(np.nanmin, each[signals.GPU_SHARE]),
        "queue": _over_slots(np.nansum, each[signals.IN_FLIGHT]),
        "most_queue": _over_slots(np.nanmax, each[signals.IN_FLIGHT]),
        "slowest": _over_slots(np.nanmax, each[names.LATENCY_P95]),
        "worst_err": _over_slots(np.nanmax, each[names.ERROR_RATIO]),
        "inference": _over_slots(np.nanmin, each[names.PROBE_INFERENCE]),
        "ready": (phase == Phase.READY).sum(axis=1).astype(np.float64),
        "age": np.max(np.stack([np.asarray(s.age_s)[row, :6] for s in scrapes]), axis=1),
        "gaps": np.isnan(gateway[:, :3]).mean(axis=1),
        "zeros": (gateway[:, [at(names.ARRIVAL_RATE), at(names.LATENCY_P50)]] == 0).mean(axis=1),
        "slot_cpu": each[names.CPU_SHARE],
    }
    found["thr"] = found["load"] * (1.0 - np.nan_to_num(found["err"]))
    return found


def _over_slots(how: object, values: Series) -> Series:
    """A figure over the slots that report; NaN where none does."""
    known = ~np.isnan(values).all(axis=1)
    out = np.full(len(values), np.nan)
    out[known] = how(values[known], axis=1)  # type: ignore[operator]
    return out


class Once(Recorder):
    """Acts once: one more replica of A for some episodes, a rollback of A for others.

    Args:
        at: Scrape after which it acts, of each episode [N].
        more: Which get a replica [N].
        back: Which are rolled back [N].
    """

    def __init__(self, at: Series, more: Series, back: Series) -> None:
        self._at, self._more, self._back = at, more, back

    @override
    def start(self, episodes: Sequence[Episode]) -> None:
        super().start(episodes)
        self._orders = standing(episodes)

    @override
    def act(self, now_s: float, scrape: Scrape) -> Move:
        super().act(now_s, scrape)
        now = np.asarray(len(self.scrapes) == self._at)
        replicas, rollback = np.array(self._orders.replicas), np.zeros((len(now), VARIANTS), bool)
        replicas[:, 0] += now & self._more
        rollback[:, 0] = now & self._back
        self._orders = changed(quiet(self._orders), replicas=replicas, rollback=rollback)
        return move(self._orders, intervened=now & (self._more | self._back))


class Retrains(Recorder):
    """Promotes a model trained on what it meets, without a gate, once.

    Args:
        at: Scrape after which, of each episode [N].
    """

    def __init__(self, at: Series) -> None:
        self._at = at

    @override
    def start(self, episodes: Sequence[Episode]) -> None:
        super().start(episodes)
        self._orders = standing(episodes)

    @override
    def act(self, now_s: float, scrape: Scrape) -> Move:
        super().act(now_s, scrape)
        now = np.asarray(len(self.scrapes) == self._at)
        orders = changed(quiet(self._orders), retrain_ungated=now, by_us=now)
        return move(orders, intervened=now)
