"""Plays the cycles of the HASH table and works out its lines, with intervals.

An hour with a given number of incidents is played once, whatever density asks for it. Hours are
played in pieces of one size of deployment, as many side by side as the run's width; a piece is
plain, so that whoever calls may spread pieces over processes and keep their rows. The interval of
a line resamples hours: they are independent of each other.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from homeostat.lab.cycles import CYCLE_S, Cycle, Placed, hour, place, size_among
from homeostat.lab.intervals import NOTHING, Statistic, figure
from homeostat.lab.judge_view import Floats, view
from homeostat.lab.metrics_service import service
from homeostat.lab.policies import make
from homeostat.lab.run import world_for
from homeostat.lab.scenario import Scenario
from homeostat.lab.shards import Options
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import Trace
from homeostat.report.lab_cycles import Line
from homeostat.report.lab_results import Figure
from homeostat.stats import survival
from homeostat.stats.bootstrap import ratio, resamples

COLUMNS: Final = (
    "counted_s", "up_s", "offered", "failed", "latency_s", "recovery_s", "recovered",
)  # fmt: skip
_SUMS: Final = COLUMNS[:5]
Key = tuple[str, int, int]
"""Policy, number of the cycle, incidents."""
Rows = dict[Key, tuple[float, ...]]
"""One number for each of `COLUMNS`; NaN where a time does not apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Hours to be played side by side.

    Attributes:
        policy: Who decides.
        pairs: Cycles with their number of incidents, at most the width.
        scenarios: That the cycles were drawn from.
        options: Width, and the scale of the human model.
    """

    policy: str
    pairs: tuple[tuple[Cycle, int], ...]
    scenarios: tuple[Scenario, ...] = field(repr=False)
    options: Options


Play = Callable[[Sequence[Piece]], Iterable[Rows]]
"""Plays pieces, in any order and any processes."""


def play_piece(piece: Piece, trained: Mapping[str, bytes] | None = None) -> Rows:
    """Play one piece in this process.

    Args:
        piece: What is to be played.
        trained: Files of trained policies by name, for the learners.

    Raises:
        FloatingPointError: An hour's sums are not numbers: the twin has failed in it.
    """
    episodes = [hour(piece.scenarios, cycle, count) for cycle, count in piece.pairs]
    world = world_for(episodes, piece.options.width)
    scale = piece.options.person_scale
    chosen = make(piece.policy, person_scale=scale, trained=trained)
    rows = _rows(world.play(chosen, episodes).trace)
    keys = [(piece.policy, cycle.number, count) for cycle, count in piece.pairs]
    for (cycle, count), row in zip(piece.pairs, rows, strict=True):
        sums = dict(zip(COLUMNS, row, strict=True))
        if bad := [name for name in _SUMS if not math.isfinite(sums[name])]:
            raise FloatingPointError(
                f"cycle {cycle.number} with {count} incidents of {cycle.incidents}: "
                f"{', '.join(bad)} are not finite; mend the twin, then run again"
            )
    return dict(zip(keys, rows, strict=True))


class Table:
    """Plays the cycles at any density; what was played once is kept.

    Args:
        scenarios: The catalogue's, without the benign ones.
        cycles: From `draw_cycles` over as many scenarios.
        options: Width, and the scale of the human model.
        play: Plays pieces; by default here, one after the other.
        kept: What was played before, of the same cycles and options.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        cycles: Sequence[Cycle],
        options: Options | None = None,
        *,
        play: Play | None = None,
        kept: Mapping[Key, tuple[float, ...]] | None = None,
    ) -> None:
        self._scenarios = tuple(scenarios)
        self._cycles = tuple(cycles)
        self._options = options or Options()
        self._play: Play = play or (lambda pieces: map(play_piece, pieces))
        self._rows: Rows = dict(kept or {})
        # Of each cycle: the most incidents that were asked for, and those that have room.
        self._placed: dict[int, tuple[int, tuple[Placed, ...]]] = {}

    def digest(self) -> str:
        """Return the SHA-256 of all that an hour's row depends on but its key."""
        parts = (self._scenarios, self._cycles, self._options, FROZEN.digest(), COLUMNS)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def pieces(self, policy: str, per_hour: float) -> Iterator[Piece]:
        """Yield what is still to be played for a line."""
        by_size: dict[tuple[int, float], list[tuple[Cycle, int]]] = {}
        for cycle in self._cycles:
            count = cycle.count(per_hour)
            if (policy, cycle.number, count) not in self._rows:
                size = size_among(self._among(cycle, max(count, 1)))
                by_size.setdefault(size, []).append((cycle, count))
        width = self._options.width
        for _, pairs in sorted(by_size.items()):
            for first in range(0, len(pairs), width):
                yield Piece(
                    policy=policy,
                    pairs=tuple(pairs[first : first + width]),
                    scenarios=self._scenarios,
                    options=self._options,
                )

    def line(self, policy: str, per_hour: float) -> Line:
        """Return a policy's line of the table at a density; play what is missing."""
        for rows in self._play(list(self.pieces(policy, per_hour))):
            self._rows |= rows
        counts = [(cycle, cycle.count(per_hour)) for cycle in self._cycles]
        found = np.array([self._rows[policy, cycle.number, count] for cycle, count in counts])
        return Line(
            policy=policy,
            per_hour=per_hour,
            incidents=sum(len(self._among(*pair)) for pair in counts),
            **_measured(dict(zip(COLUMNS, found.T, strict=True))),
        )

    def alone(self, policy: str) -> dict[str, Figure]:
        """Return the minutes down in an hour with one incident, by its family, as far as played."""
        families: dict[str, list[tuple[float, ...]]] = {}
        for cycle in self._cycles:
            if (row := self._rows.get((policy, cycle.number, 1))) is not None:
                family = self._among(cycle, 1)[0].scenario.family
                families.setdefault(family, []).append(row)
        return {family: _down(np.array(rows)) for family, rows in sorted(families.items())}

    def _among(self, cycle: Cycle, count: int) -> tuple[Placed, ...]:
        """Return an hour's incidents; those of a cycle are placed once for all its densities."""
        asked, placed = self._placed.get(cycle.number, (0, ()))
        if asked < count:
            placed = place(self._scenarios, cycle, count)
            self._placed[cycle.number] = count, placed
        return placed[:count]


def _down(rows: Floats) -> Figure:
    minutes = (rows[:, COLUMNS.index("counted_s")] - rows[:, COLUMNS.index("up_s")]) / 60.0
    rows = _resampled(len(minutes))
    return _figure(lambda drawn: ratio(drawn, minutes, np.ones(len(minutes))), rows)


def _measured(columns: Mapping[str, Floats]) -> dict[str, Figure]:
    """Return a line's figures; ratios are ratios of sums over hours."""
    offered = columns["offered"]
    rows = _resampled(len(offered))
    # Sums of float32 rates may leave less than nothing.
    failed = np.maximum(columns["failed"], 0.0)
    hurt = np.isfinite(columns["recovery_s"])
    times, events = columns["recovery_s"][hurt], columns["recovered"][hurt] > 0.0

    def recovery(drawn: Floats) -> Floats:
        part = drawn[:, hurt]
        mean = survival.restricted_mean(times, events, float(CYCLE_S), part)
        return np.where(part.any(axis=1), mean, np.nan)

    return {
        "uptime": _figure(lambda d: ratio(d, columns["up_s"], columns["counted_s"]), rows),
        "latency_ms": _figure(lambda d: ratio(d, 1e3 * columns["latency_s"], offered), rows),
        "error_rate": _figure(lambda d: ratio(d, failed, offered), rows),
        "recovery_s": _figure(recovery, rows, int(hurt.sum())),
    }


def _resampled(hours: int) -> Floats:
    """Return the plain sample of so many hours, then its resamples; all figures share them."""
    drawn = resamples(["hour"] * hours, round(FROZEN.resamples), seed=0)
    return np.vstack([np.ones((1, hours)), drawn])


def _figure(statistic: Statistic, rows: Floats, n: int | None = None) -> Figure:
    n = rows.shape[1] if n is None else n
    return NOTHING if n == 0 else figure(statistic, rows, n, FROZEN.confidence)


def _rows(trace: Trace) -> list[tuple[float, ...]]:
    served = service(view(trace), FROZEN)
    columns = np.stack([np.asarray(getattr(served, name), float) for name in COLUMNS], axis=1)
    return [tuple(row) for row in columns.tolist()]
