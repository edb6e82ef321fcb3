"""Carries out `lab cycles`: finds the density, plays the HASH table's hours, writes what it found.

Every piece's rows are kept in OUT/cycles as soon as they are there, under the digest of all that
they depend on, so the same command takes up where it ended and other densities or policies use
what there is.
"""

import json
import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any, Final

from homeostat import __version__
from homeostat.base.errors import ConfigError
from homeostat.cli import lab_files
from homeostat.cli.lab_pool import Pool
from homeostat.cli.lab_run import code_of, progress
from homeostat.cli.lab_trained import digests, shipped
from homeostat.cli.output import tell
from homeostat.lab import cycles
from homeostat.lab.cycles_table import COLUMNS, Piece, Rows, Table, play_piece
from homeostat.lab.shards import Options
from homeostat.lab.thresholds import FROZEN
from homeostat.report.lab_cycles import Cycles, Line, Step, every, to_json

BASELINE: Final = "threshold"
SEED: Final = 0
SEARCH_SEED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be played.

    Attributes:
        catalogue: Scenarios.
        policies: Names; the baseline is always among those played.
        cycles: Hours in each line.
        search_cycles: Hours on which the density is searched.
        every_h: Hours between two incidents, for the lines beside the one found.
        out: Folder.
        jobs: Workers.
    """

    catalogue: lab_files.Catalogue
    policies: tuple[str, ...]
    cycles: int
    search_cycles: int
    every_h: tuple[float, ...]
    out: Path
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A piece's rows and the seconds that they took."""

    rows: Rows
    seconds: float


def play_timed(piece: Piece) -> Timed:
    """Play one piece in a worker."""
    begun = monotonic()
    rows = play_piece(piece, shipped())
    return Timed(rows=rows, seconds=monotonic() - begun)


class Run:
    """A run of the cycles."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._scenarios = tuple(one for one in plan.catalogue.scenarios if not one.benign)
        if not self._scenarios:
            raise ConfigError(f"{plan.catalogue.name}: no scenario has a fault; bring one that has")
        self._options = Options(code=code_of(plan.catalogue), trained=digests())
        self._wall_s = 0.0

    def go(self) -> Cycles:
        """Search the density, play every line, and write cycles.json.

        Raises:
            DensityError: No density gives the baseline so little uptime.
            ConfigError: Nothing can be written to the folder.
            WorkerError: A worker process was ended from outside.
        """
        plan = self._plan
        lab_files.prepare(plan.out)
        with Pool(plan.jobs, lab_files.compile_cache()) as pool:
            search = self._table(pool, plan.search_cycles, SEARCH_SEED)
            steps = [
                Step(per_hour=density, uptime=uptime)
                for density, uptime in cycles.bisect(lambda d: self._uptime(search, d))
            ]
            table = self._table(pool, plan.cycles, SEED)
            densities = [*(1.0 / hours for hours in plan.every_h), steps[-1].per_hour]
            names = dict.fromkeys((BASELINE, *plan.policies))
            lines = [table.line(name, density) for density in densities for name in names]
        found = self._found(steps, lines, table)
        lab_files.write(plan.out / "cycles.json", to_json(found))
        return found

    def _uptime(self, table: Table, per_hour: float) -> float:
        uptime = table.line(BASELINE, per_hour).uptime.value or 0.0
        tell(f"{every(per_hour)}: {uptime:.1%} uptime")
        return uptime

    def _table(self, pool: Pool, count: int, seed: int) -> Table:
        drawn = cycles.draw_cycles(len(self._scenarios), cycles=count, seed=seed)
        digest = Table(self._scenarios, drawn, self._options).digest()
        folder = self._plan.out / "cycles" / digest[:16]
        kept, seconds = _kept(folder)
        self._wall_s += seconds

        def play(pieces: Sequence[Piece]) -> Iterator[Rows]:
            if not pieces:
                return
            with progress(f"pieces of {pieces[0].policy}", len(pieces), 0) as advance:
                for piece, done in pool.each(play_timed, pieces):
                    _keep(folder, done)
                    self._wall_s += done.seconds
                    advance(f"{len(piece.pairs)} hours ({done.seconds:.0f} s)")
                    yield done.rows

        return Table(self._scenarios, drawn, self._options, play=play, kept=kept)

    def _found(self, steps: Sequence[Step], lines: Sequence[Line], table: Table) -> Cycles:
        plan = self._plan
        return Cycles(
            version=__version__,
            made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            commit=lab_files.commit(),
            command=self._command(),
            wall_s=round(self._wall_s, 1),
            machine=lab_files.machine(),
            catalogue=plan.catalogue.name,
            catalogue_digest=plan.catalogue.digest,
            thresholds_digest=FROZEN.digest(),
            cycles=plan.cycles,
            search_cycles=plan.search_cycles,
            target=cycles.TARGET,
            tolerance=cycles.TOLERANCE,
            steps=tuple(steps),
            lines=tuple(lines),
            alone=table.alone(BASELINE),
        )

    def _command(self) -> str:
        plan = self._plan
        words = ["homeostat", "lab", "cycles", *plan.catalogue.arguments]
        words += ["--policies", ",".join(plan.policies), "--cycles", str(plan.cycles)]
        words += ["--search-cycles", str(plan.search_cycles)]
        words += ["--every", ",".join(f"{hours:g}" for hours in plan.every_h)]
        return shlex.join(words)


def _keep(folder: Path, done: Timed) -> None:
    keys = sorted(done.rows)
    name = sha256(repr(keys).encode()).hexdigest()[:16]
    plain = {
        "seconds": done.seconds,
        "rows": [[*key, [None if math.isnan(x) else x for x in done.rows[key]]] for key in keys],
    }
    lab_files.write(folder / f"{name}.json", json.dumps(plain, allow_nan=False))


def _kept(folder: Path) -> tuple[Rows, float]:
    """Return the rows kept in a folder and the seconds that they took."""
    rows: Rows = {}
    seconds = 0.0
    for file in sorted(folder.glob("*.json")):
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
            found = {(str(p), int(n), int(k)): _row(row) for p, n, k, row in plain["rows"]}
            took = float(plain["seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            tell(f"{file} cannot be used ({error}); its hours are played again")
            continue
        rows |= found
        seconds += took
    return rows, seconds


def _row(plain: Sequence[Any]) -> tuple[float, ...]:
    if len(plain) != len(COLUMNS):
        raise ValueError(f"{len(plain)} numbers in a row; needs {len(COLUMNS)}")
    return tuple(math.nan if x is None else float(x) for x in plain)
