"""Carries out `lab tune`: the same search for every autoscaler, piece by piece, and its record."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any, Final

from homeostat import __version__
from homeostat.cli import lab_files
from homeostat.cli.lab_pool import Pool
from homeostat.cli.lab_run import code_of, progress
from homeostat.cli.output import tell
from homeostat.lab import tuning
from homeostat.lab.shards import Options
from homeostat.lab.thresholds import FROZEN
from homeostat.report.lab_tuning import Setting, Tuning, to_json

KINDS: Final = ("hpa", "keda")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be searched.

    Attributes:
        catalogue: Scenarios, all of which every setting is tried on.
        budget: Settings of each autoscaler.
        seeds: Episodes of each scenario.
        out: Folder.
        jobs: Workers.
    """

    catalogue: lab_files.Catalogue
    budget: int
    seeds: int
    out: Path
    jobs: int


def play(part: tuning.Part) -> dict[str, Any]:
    """Play one piece in a worker."""
    begun = monotonic()
    return {"sums": list(tuning.play_part(part)), "seconds": monotonic() - begun}


class Run:
    """A run of the search."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._code = code_of(plan.catalogue)
        width = Options().width
        self._parts = {
            kind: tuning.parts(
                plan.catalogue.scenarios,
                tuning.trials(kind, budget=plan.budget),
                plan.seeds,
                width,
            )
            for kind in KINDS
        }

    def go(self) -> Tuning:
        """Play what is missing, and write tuning.json.

        Raises:
            WorkerError: A worker process was ended from outside.
        """
        lab_files.prepare(self._plan.out)
        pieces = [part for parts in self._parts.values() for part in parts]
        kept = {self._file(part): self._kept(part) for part in pieces}
        done = {file: found for file, found in kept.items() if found is not None}
        missing = [part for part in pieces if self._file(part) not in done]
        with (
            Pool(self._plan.jobs, lab_files.compile_cache()) as pool,
            progress("pieces", len(pieces), len(done)) as advance,
        ):
            for part, found in pool.each(play, missing):
                lab_files.write(self._file(part), json.dumps(found, allow_nan=False))
                done[self._file(part)] = found
                advance(f"{len(part.pairs)} episodes ({found['seconds']:.0f} s)")
        result = self._found(done)
        lab_files.write(self._plan.out / "tuning.json", to_json(result))
        return result

    def _file(self, part: tuning.Part) -> Path:
        key = repr((part.configs, part.pairs, part.width, self._code, FROZEN.digest()))
        return self._plan.out / "tuning" / f"{sha256(key.encode()).hexdigest()[:16]}.json"

    def _kept(self, part: tuning.Part) -> dict[str, Any] | None:
        file = self._file(part)
        try:
            found = dict(json.loads(file.read_text(encoding="utf-8")))
            if len([float(x) for x in found["sums"]]) != len(part.configs):
                return None
            float(found["seconds"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            tell(f"{file} cannot be used ({error}); it is played again")
            return None
        return found

    def _found(self, done: dict[Path, dict[str, Any]]) -> Tuning:
        plan = self._plan
        words = ["homeostat", "lab", "tune", *plan.catalogue.arguments]
        words += ["--budget", str(plan.budget), "--seeds", str(plan.seeds)]
        ranks = {
            kind: tuning.ranked([(part, done[self._file(part)]["sums"]) for part in parts])
            for kind, parts in self._parts.items()
        }
        return Tuning(
            version=__version__,
            made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            commit=lab_files.commit(),
            command=shlex.join(words),
            wall_s=round(sum(found["seconds"] for found in done.values()), 1),
            machine=lab_files.machine(),
            catalogue=plan.catalogue.name,
            catalogue_digest=plan.catalogue.digest,
            budget=plan.budget,
            seed_first=tuning.FIRST_SEED,
            episodes=len(plan.catalogue.scenarios) * plan.seeds,
            policies={kind: _settings(kind, ranks[kind]) for kind in KINDS},
        )


def _settings(kind: str, trials: Sequence[tuning.Trial]) -> tuple[Setting, ...]:
    stock = tuning.trials(kind, budget=1)[0]
    return tuple(
        Setting(config=tuning.words(one.config), value=one.value, stock=one.config == stock)
        for one in trials
    )
