"""Carries out `lab safe-set`: forced replays of every scenario, kept one by one, and the gate."""

import json
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

from homeostat import __version__
from homeostat.cli import lab_files
from homeostat.cli.lab_pool import Pool
from homeostat.cli.lab_run import code_of, progress
from homeostat.cli.output import tell
from homeostat.lab.safe_set import Finding
from homeostat.lab.safe_set_plain import from_plain, gate, to_plain
from homeostat.lab.safe_set_replay import examine_all
from homeostat.lab.scenario import Scenario
from homeostat.lab.thresholds import FROZEN
from homeostat.report.lab_safe_set import SafeSetCheck, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be examined.

    Attributes:
        catalogue: Scenarios; rows are of the product's own.
        seeds: Replays of each action.
        out: Folder.
        jobs: Workers.
    """

    catalogue: lab_files.Catalogue
    seeds: int
    out: Path
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One scenario to examine."""

    scenario: Scenario
    seeds: int
    code: str

    @property
    def name(self) -> str:
        """Name the file that its findings are kept in."""
        parts = (self.scenario, self.seeds, self.code, FROZEN.digest())
        return f"{self.scenario.id}_{sha256(repr(parts).encode()).hexdigest()[:16]}.json"


def examine(piece: Piece) -> dict[str, Any]:
    """Examine one scenario in a worker; return its findings as plain values."""
    begun = monotonic()
    ((_, found),) = examine_all([piece.scenario], piece.seeds)
    return {"findings": [to_plain(one) for one in found], "seconds": monotonic() - begun}


class Run:
    """A run of the forced replays."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        code = code_of(plan.catalogue)
        scenarios = plan.catalogue.scenarios
        self._pieces = [Piece(scenario=one, seeds=plan.seeds, code=code) for one in scenarios]

    def go(self) -> SafeSetCheck:
        """Examine what is missing, and write safe-set.json.

        Raises:
            WorkerError: A worker process was ended from outside.
        """
        plan = self._plan
        lab_files.prepare(plan.out)
        kept = {piece.name: done for piece in self._pieces if (done := self._kept(piece))}
        missing = [piece for piece in self._pieces if piece.name not in kept]
        with (
            Pool(plan.jobs, lab_files.compile_cache()) as pool,
            progress("scenarios", len(self._pieces), len(kept)) as advance,
        ):
            for piece, done in pool.each(examine, missing):
                lab_files.write(self._file(piece), json.dumps(done, allow_nan=False))
                kept[piece.name] = done
                advance(f"{piece.scenario.id} ({done['seconds']:.0f} s)")
        found = self._found([kept[piece.name] for piece in self._pieces])
        lab_files.write(plan.out / "safe-set.json", to_json(found))
        return found

    def _file(self, piece: Piece) -> Path:
        return self._plan.out / "safe-set" / piece.name

    def _kept(self, piece: Piece) -> dict[str, Any] | None:
        file = self._file(piece)
        try:
            done = dict(json.loads(file.read_text(encoding="utf-8")))
            _findings(done)
            float(done["seconds"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            tell(f"{file} cannot be used ({error}); the scenario is examined again")
            return None
        return done

    def _found(self, done: list[dict[str, Any]]) -> SafeSetCheck:
        plan = self._plan
        findings = [finding for one in done for finding in _findings(one)]
        words = ["homeostat", "lab", "safe-set", *plan.catalogue.arguments]
        return SafeSetCheck(
            version=__version__,
            made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            commit=lab_files.commit(),
            command=shlex.join([*words, "--seeds", str(plan.seeds)]),
            wall_s=round(sum(one["seconds"] for one in done), 1),
            machine=lab_files.machine(),
            catalogue=plan.catalogue.name,
            catalogue_digest=plan.catalogue.digest,
            thresholds_digest=FROZEN.digest(),
            seeds=plan.seeds,
            **gate(findings, [piece.scenario.id for piece in self._pieces]),
        )


def _findings(done: dict[str, Any]) -> list[Finding]:
    return [from_plain(one) for one in done["findings"]]
