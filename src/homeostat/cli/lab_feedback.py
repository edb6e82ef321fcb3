"""Carries out `lab feedback`: records hours, learns from the first ones, measures on the rest.

Every piece of the recording is kept in OUT/feedback as soon as it is there: the same command takes
up where it ended. A piece says which version of the program made it; another version's is played
again, unless it is asked for: learning can then be studied on a recording that is there.
"""

import io
import json
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Final

import numpy as np

from homeostat import __version__
from homeostat.cli import lab_files
from homeostat.cli.lab_pool import Pool
from homeostat.cli.lab_run import code_of, progress
from homeostat.cli.output import tell
from homeostat.lab.cycles import draw_cycles
from homeostat.lab.feedback_learn import hours
from homeostat.lab.feedback_measure import measure
from homeostat.lab.feedback_record import (
    WIDTH,
    Piece,
    Recording,
    by_name,
    compositions,
    joined,
    pieces,
    record,
)
from homeostat.learn.feedback import Config
from homeostat.learn.feedback_channels import CHANNELS
from homeostat.report.lab_feedback import Feedback, to_json

# Compositions of the two parts, apart from each other and from those of tests and other runs.
_FIRST_SEEDS: Final = (610_000, 620_000)
_CYCLE_SEEDS: Final = (61_000, 62_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be played.

    Attributes:
        cycles: Hours with feedback.
        unseen: Other hours, on which is measured.
        per_hour: Incidents an hour.
        out: Folder.
        jobs: Workers.
        recorded: A recording is used as it is, whichever version of the program made it.
    """

    cycles: int
    unseen: int
    per_hour: float
    out: Path
    jobs: int
    recorded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A piece's recording and the seconds that it took."""

    recording: Recording
    seconds: float


def record_timed(piece: Piece) -> Timed:
    """Record one piece in a worker."""
    begun = monotonic()
    found = record(piece)
    return Timed(recording=found, seconds=monotonic() - begun)


class Run:
    """A run of the whole experiment.

    Args:
        plan: What is to be played.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def go(self) -> Feedback:
        """Record what is not there yet, learn, measure, and write feedback.json.

        Raises:
            WorkerError: A worker process was ended from outside.
        """
        plan, recorded = self._plan, Hours(self._plan)
        lab_files.prepare(plan.out)
        first, unseen = recorded.both()
        found = Feedback(
            version=__version__,
            made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            commit=lab_files.commit(),
            command=self._command(),
            wall_s=round(recorded.seconds, 1),
            machine=lab_files.machine(),
            catalogue="random compositions",
            catalogue_digest="",
            cycles=len(first),
            unseen=len(unseen),
            per_hour=plan.per_hour,
            budget=Config().budget.per_day,
            same_code=recorded.same_code,
            found=measure(list(hours(first)), list(hours(unseen))),
        )
        lab_files.write(plan.out / "feedback.json", to_json(found))
        return found

    def _command(self) -> str:
        plan = self._plan
        words = ["homeostat", "lab", "feedback", "--cycles", str(plan.cycles)]
        words += ["--unseen", str(plan.unseen), "--per-hour", f"{plan.per_hour:g}"]
        return shlex.join(words)


class Hours:
    """The recordings of a plan: played where they are not there yet.

    Args:
        plan: What is to be played.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._code = code_of(lab_files.catalogue(()))
        self.seconds = 0.0
        self.same_code = True
        """Whether this version of the program made all of it."""

    def both(self) -> tuple[Recording, Recording]:
        """Return the hours with feedback, and the unseen ones.

        Raises:
            WorkerError: A worker process was ended from outside.
        """
        learnt = self._pieces(self._plan.cycles, 0)
        unseen = self._pieces(self._plan.unseen, 1)
        found = self._played([*learnt, *unseen])
        first, second = found[: len(learnt)], found[len(learnt) :]
        return joined(first), joined(second)

    def _pieces(self, count: int, which: int) -> list[Piece]:
        """Return the pieces of a part: blocks of hours, so that more hours only add some."""
        found: list[Piece] = []
        for first in range(0, count, WIDTH):
            size = min(WIDTH, count - first)
            scenarios = compositions(WIDTH, first_seed=_FIRST_SEEDS[which] + first)
            drawn = draw_cycles(WIDTH, cycles=WIDTH, seed=_CYCLE_SEEDS[which] + first)[:size]
            cycles = [replace(cycle, number=cycle.number + first) for cycle in drawn]
            found += pieces(scenarios, cycles, self._plan.per_hour)
        return found

    def _played(self, every: Sequence[Piece]) -> list[Recording]:
        files = [self._file(piece) for piece in every]
        found = {file: self._kept(file) for file in files}
        todo = [piece for file, piece in zip(files, every, strict=True) if found[file] is None]
        if todo:
            with (
                Pool(self._plan.jobs, lab_files.compile_cache()) as pool,
                progress("pieces of hours", len(every), len(every) - len(todo)) as advance,
            ):
                for piece, done in pool.each(record_timed, todo):
                    file = self._file(piece)
                    self._keep(file, done)
                    self.seconds += done.seconds
                    found[file] = done.recording
                    advance(f"{len(piece.pairs)} hours ({done.seconds:.0f} s)")
        return [one for file in files if (one := found[file]) is not None]

    def _file(self, piece: Piece) -> Path:
        digest = sha256(repr((piece.pairs, piece.scenarios)).encode()).hexdigest()
        return self._plan.out / "feedback" / f"{digest[:24]}.npz"

    def _kept(self, file: Path) -> Recording | None:
        if not file.exists():
            return None
        try:
            with np.load(file, allow_pickle=False) as data:
                arrays = {one.name: data[one.name] for one in fields(Recording)}
                made = json.loads(str(data["made"]))
                arrays["strength"] = by_name(arrays["strength"], made["channels"])
                found = Recording(**arrays)
                seconds, code = float(made["seconds"]), str(made["code"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            tell(f"{file} cannot be used ({error}); its hours are played again")
            return None
        if code != self._code and not self._plan.recorded:
            return None
        self.seconds += seconds
        self.same_code &= code == self._code
        return found

    def _keep(self, file: Path, done: Timed) -> None:
        every = {one.name: getattr(done.recording, one.name) for one in fields(Recording)}
        made = {"seconds": done.seconds, "code": self._code, "channels": CHANNELS}
        data = io.BytesIO()
        np.savez_compressed(data, made=np.array(json.dumps(made)), **every)
        lab_files.write_bytes(file, data.getvalue())
