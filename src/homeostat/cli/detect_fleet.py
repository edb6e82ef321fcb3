"""`homeostat detect --false-share`: a folder as one fleet, of whose alarms few are false.

All files are played tick by tick on one clock, since an alarm of one depends on what the fleet has
shown before, and on nothing that comes later (`detect.fleet_told`, which says what is promised).
So rows must lie on one grid of times, the same for all files; they may begin and end when they
like, and miss rows. What else a file may be is as without the option.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from homeostat import __version__
from homeostat.cli import (
    detect_fleet_clock,
    detect_fleet_state,
    detect_open,
    detect_run,
    detect_scan,
)
from homeostat.cli.detect_done import code_digest
from homeostat.cli.detect_fleet_state import Kept, Seat
from homeostat.cli.detect_job import Job
from homeostat.cli.detect_layout import InputError, Wanted, made_by
from homeostat.cli.output import tell
from homeostat.detect import fleet_checkpoint
from homeostat.detect.fleet_told import Config, Fleet, Told
from homeostat.detect.stack import Said, scale

_TICKS: Final = 512  # played before what was said is written; bounds memory
_MOST: Final = 0.5
"""Largest share that may be false: beyond it an alarm is more likely false than not."""


def refuse(share: float, *, budget: bool, stream: bool, plot: bool) -> str | None:
    """Return why a share cannot be kept with the other options; None where it can.

    Args:
        share: Of the alarms told that may be false.
        budget: `--false-incidents` is asked for too.
        stream: Rows come on standard input.
        plot: Pages are asked for.
    """
    if not 0.0 < share <= _MOST:
        return f"--false-share {share:g}: must be above 0 and at most {_MOST:g}; 0.05 is one in 20"
    if budget:
        return "--false-share and --false-incidents are two promises; give one of them"
    if stream:
        return "--false-share is about a fleet; give a folder of files as --input"
    if plot:
        return (
            "--plot draws the detectors' bands, and --false-share has none; leave one of them out"
        )
    return None


def detect(asked: detect_run.Asked, share: float) -> dict[str, Any]:
    """Judge all files of a folder as one fleet; return the summary as it is written.

    Args:
        asked: As for `detect_run.detect`.
        share: Of the alarms told that may be false, in expectation.

    Raises:
        InputError: It is no folder, or files lie on no common grid, or do not go on from the state.
        ConfigError: An output or the state cannot be written, or was made in another way.
    """
    if not asked.source.is_dir():
        raise InputError(
            f"--false-share: {asked.source} is one file, and a fleet is many; give their folder"
        )
    jobs, failed = _looked(asked)
    made = made_by(asked.wanted, code_digest())
    made["how"] = f"--false-share {share!r}, {made['how']}"
    made["options"] |= {"--false-share": f"{share:g}"}
    kept = None if asked.state is None else detect_fleet_state.read(asked.state, made)
    run = _Run(asked, jobs, share, kept)
    run.foretell()
    rows = sum(job.scan.rows for job in jobs)
    with detect_run.progress("judging", rows, "rows") as advance:
        run.play(advance)
    if asked.state is not None:
        detect_fleet_state.write(asked.state, run.kept(made))
    return {
        "format": detect_run.FORMAT,
        "version": __version__,
        "input": str(asked.source),
        "output": str(asked.output),
        "files": [job.summary() for job in jobs],
        "failed": failed,
        "fleet": run.summary(),
    }


def _looked(asked: detect_run.Asked) -> tuple[list[Job], list[dict[str, str]]]:
    """Return the files, each looked at, and those that cannot be read, which are told."""
    paths = detect_open.inputs(asked.source, asked.output)
    outputs = detect_open.outputs(paths, asked.source, asked.output)
    jobs, failed = list[Job](), list[dict[str, str]]()
    for path, output in zip(paths, outputs, strict=True):
        try:
            jobs.append(_opened(path, output, asked.wanted))
        except InputError as error:
            tell(f"homeostat: {error}")
            failed.append({"input": str(path), "error": str(error)})
    if not jobs:
        raise InputError(f"{asked.source}: holds no file that can be read; see above")
    return jobs, failed


def _opened(path: Path, output: Path, wanted: Wanted) -> Job:
    table = detect_open.table(path, wanted)
    counters = detect_scan.counters(table.columns, wanted, str(path))
    table, scan = detect_scan.look(table, str(path))
    return Job(path, output, table, scan, counters)


def settings(share: float) -> Config:
    """Return the settings of a fleet of which so much may be false."""
    return Config(rate=share)


@dataclass(slots=True)
class _Place:
    """One file of the fleet in this run.

    Attributes:
        job: The file; None where this run does not have it.
        number: Its number in the fleet.
        series: Which series of the fleet are its columns.
        at: Tick of the fleet that its next one is.
        owed: An alarm is told at its next row: there was none where it fell.
    """

    job: Job | None
    number: int
    series: slice
    at: int = 0
    owed: bool = False


class _Run:
    """Files on their way, side by side."""

    def __init__(
        self, asked: detect_run.Asked, jobs: Sequence[Job], share: float, before: Kept | None
    ) -> None:
        self.share, self.before = share, before
        mine = {str(job.source.relative_to(asked.source)): job for job in jobs}
        if before is None:
            self.clock, self.names = detect_fleet_clock.clock_of(jobs), list(mine)
            columns = [len(job.columns) for job in jobs]
        else:
            self.clock, self.names = before.clock, [seat.name for seat in before.seats]
            columns = [len(seat.kept["columns"]) for seat in before.seats]
        self.fleet = Fleet(columns, settings(share))
        self.places = self._placed(mine, columns)
        self.state, self.told, self.late = self.fleet.init(), 0, 0
        if before is not None:
            self.state, self.told = before.state_of(self.fleet), before.told

    def _placed(self, jobs: dict[str, Job], columns: Sequence[int]) -> list[_Place]:
        """Return the place of each file of the fleet.

        Raises:
            InputError: A file is not of the fleet, or its rows do not go on, or lie on no grid.
        """
        new = sorted(set(jobs) - set(self.names))
        if new:
            raise InputError(
                f"{new[0]}: is not in the state, which is of a fleet of {len(self.names)} files; "
                "judge it elsewhere, or remove the state to begin anew with all of them"
            )
        ends = np.cumsum([0, *columns]).tolist()
        out = []
        for number, name in enumerate(self.names):
            job, seat = jobs.get(name), None
            place = _Place(job, number, slice(ends[number], ends[number + 1]))
            if self.before is not None:
                seat = self.before.seats[number]
                place.at, place.owed = seat.at, seat.owed
            if job is not None:
                start = detect_fleet_clock.begun(self.clock, job)
                if self.before is not None and seat is not None:
                    start = detect_fleet_state.go_on(self.before, seat, job)
                detect_fleet_clock.check(self.clock, job, start)
                place.at = start.at
            out.append(place)
        return out

    def foretell(self) -> None:
        """Say what is ahead, and what is promised, before it starts."""
        config, series = self.fleet.config, sum(self.fleet.columns)
        blocks = -(-config.past.fleet // series) + config.past.least
        ticks = max(config.warm, blocks * config.block)
        tell(
            f"judging {len(self.names):,} files as one fleet of {series:,} series; of the alarms "
            f"told at most {self.share:.2g} are false in expectation, if healthy series go on as "
            f"the fleet's have; nothing is told before about {ticks:,} ticks"
        )

    def play(self, advance: Callable[[int], None]) -> None:
        """Play all files to their ends; each output gets its name when it is whole."""
        going = [place for place in self.places if place.job is not None]
        starts = [place.at for place in going]
        tick = min(starts if self.before is None else [*starts, self.before.tick])
        try:
            while going:
                going = self._round(going, tick, advance)
                tick += _TICKS
        except BaseException:
            for place in self.places:
                if place.job is not None:
                    place.job.abandon(keep=False)
            raise

    def _round(
        self, going: Sequence[_Place], tick: int, advance: Callable[[int], None]
    ) -> list[_Place]:
        """Play ticks from one on; return the files that go on."""
        values = np.full((_TICKS, sum(self.fleet.columns)), np.nan)
        taken: list[tuple[_Place, Job, slice]] = []
        later = []
        for place in going:
            begin = place.at - tick
            if place.job is None or begin >= _TICKS:
                later.append(place)
                continue
            own = place.job.take(_TICKS - begin)
            rows = slice(begin, begin + len(own))
            values[rows, place.series] = own
            taken.append((place, place.job, rows))
            place.at += len(own)
            if rows.stop == _TICKS:
                later.append(place)
        count = _TICKS if later else max(rows.stop for _, _, rows in taken)
        known, told = self._judged(values[:count], tick)
        for place, job, rows in taken:
            said = _said(told[rows], known[rows, place.series], place, self.fleet.config.stay)
            advance(job.give(said))
            if rows.stop < _TICKS:
                job.finish()
        return later

    def _judged(self, values: Any, tick: int) -> tuple[Any, list[Told]]:
        """Return which values were judged, and what was said of each tick."""
        done = 0 if self.before is None else self.before.tick
        late = min(max(done - tick, 0), len(values))
        known = np.isfinite(values)
        # The fleet's clock has passed these: what was told of later ticks did not know them.
        self.late += int(known[:late].any(axis=1).sum())
        known[:late] = False
        told = [_nothing(self.fleet)] * late
        for row in values[late:]:
            self.state, said = self.fleet.step(self.state, row)
            self.told += int(said.alarm.sum())
            told.append(said)
        return known, told

    def summary(self) -> dict[str, Any]:
        """Return what is written of the fleet as a whole."""
        return {
            "false_share": self.share,
            "files": len(self.names),
            "series": sum(self.fleet.columns),
            "told": self.told,
            "late_ticks": self.late,
        }

    def kept(self, made: dict[str, Any]) -> Kept:
        """Return what a later run needs to go on; all files must have come to their ends."""
        seats = []
        for place, name in zip(self.places, self.names, strict=True):
            if place.job is None:
                assert self.before is not None  # noqa: S101 - else it would have no place
                seats.append(self.before.seats[place.number])
            else:
                job = place.job
                seats.append(Seat(name, job.kept(), job.past, place.at, place.owed))
        tick = max([0 if self.before is None else self.before.tick, *(one.at for one in seats)])
        state = fleet_checkpoint.to_bytes(self.fleet, self.state)
        return Kept(made, self.clock, tick, self.told, tuple(seats), state)


def _nothing(fleet: Fleet) -> Told:
    """Return what is said of a tick that was not judged."""
    entities = len(fleet.columns)
    no = np.zeros(entities, dtype=bool)
    unknown = np.full(entities, np.nan)
    return Told(unknown, no, no, np.full(sum(fleet.columns), np.nan), None, None)


def _said(told: Sequence[Told], known: Any, place: _Place, stay: float) -> Said:
    """Return what was said of one file's ticks, as the stack says it.

    Args:
        told: Of these ticks.
        known: Which of its values were judged, bool `[tick, column]`.
        place: The file; what it is owed is brought up to date.
        stay: Evidence of a block at or above which an incident goes on.
    """
    there = known.any(axis=1)
    evidence = np.array([one.neg_log10_p[place.number] for one in told])
    active = np.array([one.active[place.number] for one in told], dtype=bool)
    shares = np.array([one.shares[place.series] for one in told]).reshape(known.shape)
    alarm = np.zeros_like(active)
    for tick, one in enumerate(told):
        place.owed |= bool(one.alarm[place.number])
        if place.owed and there[tick]:
            alarm[tick], place.owed = True, False
    unknown = ~there | np.isnan(evidence)
    score = scale(np.nan_to_num(evidence), alarm, np.zeros_like(alarm))
    return Said(
        neg_log10_p=np.where(unknown, np.nan, evidence),
        anomaly_score=np.where(unknown, np.nan, score),
        alarm=alarm,
        active=active,
        unknown=unknown,
        contributions=shares,
        low=np.full(shares.shape, np.nan),
        high=np.full(shares.shape, np.nan),
        each=np.empty((len(told), 0, 4)),  # nothing is said apart
        # Of the last whole block: it is what goes on or is quiet.
        spoke=active & (alarm | (np.nan_to_num(evidence) >= stay)),
    )
