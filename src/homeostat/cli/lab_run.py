"""Carries out `lab run` and `lab episode`: plans, resumes, shows progress, writes what was found.

A run is many shards (see `lab.shards`). Each is kept in OUT/shards as soon as it is there, under
the digest of everything its result depends on, so the same command takes up where it ended.
"""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from homeostat import __version__
from homeostat.base.errors import HomeostatError
from homeostat.cli import lab_files, lab_trained
from homeostat.cli.lab_pool import Pool
from homeostat.cli.lab_work import Piece, Wanted, play_episode, play_shard
from homeostat.cli.output import tell
from homeostat.lab.metrics import summarise
from homeostat.lab.metrics_score import Scores
from homeostat.lab.shards import HOLD, ORACLE, Options, Shard, from_plain, merged, shards
from homeostat.lab.thresholds import FROZEN
from homeostat.report.lab_html import Film, page, standalone
from homeostat.report.lab_results import PolicyResults, Results, to_json, to_plain
from homeostat.report.lab_words import HEADLINE, Unit, between, meaning, written
from homeostat.report.markup import Markup

_START: Final = ("threshold", "hpa")  # from which the oracle of a single episode starts
_LONG_S: Final = 1800.0  # a shard must not take longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run.

    Attributes:
        catalogue: Scenarios.
        policies: Names, at least one.
        seeds: At least one.
        out: Folder.
        jobs: Workers.
        films: Worst episodes drawn for each policy.
        sensitivity: Whether the judge's sensitivity table is worked out.
        person_scale: Multiplies the human model's delays.
        shown: Policies that the oracle starts from; None = all others of the run.
    """

    catalogue: lab_files.Catalogue
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    out: Path
    jobs: int
    films: int
    sensitivity: bool = False
    person_scale: float = 1.0
    shown: tuple[str, ...] | None = None


class FailedRunError(HomeostatError):
    """Every policy of a run failed somewhere: there is nothing to compare."""

    def __init__(self, failed: Mapping[str, str]) -> None:
        first = next(iter(failed.values()), "no policy was named")
        super().__init__(
            f"no policy of {', '.join(failed)} could be played everywhere; the first: {first}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run wrote.

    Attributes:
        results: Of the policies that could be played everywhere.
        json_file: Where they are.
        html_file: The report.
        failed: The others, each with where and how it failed first.
        scores: Of the former and of HOLD, episode by episode.
    """

    results: Results
    json_file: Path
    html_file: Path
    failed: Mapping[str, str]
    scores: Mapping[str, Scores] = field(repr=False)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each policy: the headline metrics with their intervals."""
        return [
            {"policy": name} | {metric: _text(found, metric) for metric in HEADLINE}
            for name, found in self.results.policies.items()
        ]

    def plain(self) -> dict[str, Any]:
        """Return the results as plain values."""
        return dict(to_plain(self.results))


class Run:
    """A run of the lab."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        options = Options(code=code_of(plan.catalogue), trained=lab_trained.digests())
        self._options = replace(
            options, sensitivity=plan.sensitivity, person_scale=plan.person_scale
        )
        self._pieces = shards(
            plan.catalogue.scenarios, plan.policies, plan.seeds, self._options, shown=plan.shown
        )

    def go(self) -> Outcome:
        """Play what is missing, then write results and report.

        Raises:
            WorkerError: A worker process was ended from outside.
            FailedRunError: No policy could be played everywhere.
            ConfigError: Nothing can be written to the folder.
        """
        plan = self._plan
        lab_files.prepare(plan.out)
        kept = {piece.digest(): found for piece in self._pieces if (found := self._kept(piece))}
        missing = [piece for piece in self._pieces if piece.digest() not in kept]
        if kept and missing:
            tell(f"{len(kept)} of {len(self._pieces)} shards are there already")
        with Pool(plan.jobs, lab_files.compile_cache()) as pool:
            failed = self._play(pool, missing, kept)
            results = self._results(list(kept.values()), failed)
            films = self._films(pool, results.policies)
        json_file, html_file = plan.out / "results.json", plan.out / "report.html"
        lab_files.write(json_file, to_json(results))
        lab_files.write(html_file, page(results, films))
        scores = merged(one["result"] for one in kept.values())
        return Outcome(
            results=results,
            json_file=json_file,
            html_file=html_file,
            failed=failed,
            scores={name: found for name, found in scores.items() if name not in failed},
        )

    def _play(
        self, pool: Pool, missing: Sequence[Shard], kept: dict[str, dict[str, Any]]
    ) -> dict[str, str]:
        """Play what is missing and keep it; return each policy that failed with how it did."""
        failed: dict[str, str] = {}
        with progress("shards", len(self._pieces), len(kept)) as advance:
            for piece, done in self._played(pool, missing):
                if "error" in done:
                    self._tell_failed(piece, done, failed)
                else:
                    self._keep(piece, done)
                    kept[piece.digest()] = done
                advance(f"{piece.label} ({done['seconds']:.0f} s)")
        return failed

    def _played(self, pool: Pool, missing: Sequence[Shard]) -> Iterator[tuple[Shard, Any]]:
        """Yield what is missing as it is played: HOLD first, which all need, the oracle last."""
        later = [one for one in missing if one.policy != HOLD]
        stages = (
            [one for one in missing if one.policy == HOLD],
            [one for one in later if one.policy != ORACLE],
            [one for one in later if one.policy == ORACLE],
        )
        recorded, folder = self._plan.catalogue.recorded, self._folder
        for stage in stages:
            pieces = [Piece(shard=one, recorded=recorded, folder=folder) for one in stage]
            for piece, done in pool.each(play_shard, pieces):
                yield piece.shard, done

    def _tell_failed(self, piece: Shard, done: Mapping[str, Any], failed: dict[str, str]) -> None:
        """Say which policy failed where, and keep how."""
        failed.setdefault(piece.policy, f"{piece.label}: {done['error']}")
        file = self._file(piece).with_suffix(".error.txt")
        lab_files.write(file, done["trace"])
        tell(f"{piece.label} failed ({done['error']}); see {file}; the others go on")

    @property
    def _folder(self) -> Path:
        return self._plan.out / "shards"

    def _file(self, piece: Shard) -> Path:
        stem = f"{piece.scenario.id}_{piece.seeds[0]}-{piece.seeds[-1]}_{piece.policy}"
        return self._folder / f"{stem}_{piece.digest()[:16]}.json"

    def _kept(self, piece: Shard) -> dict[str, Any] | None:
        """Return a shard's kept result; None when there is none that can be used."""
        try:
            found = json.loads(self._file(piece).read_text(encoding="utf-8"))
            if found["result"]["digest"] != piece.digest():
                return None
            from_plain(found["result"]["scores"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            tell(f"{self._file(piece)} cannot be used ({error}); it is played again")
            return None
        return dict(found)

    def _keep(self, piece: Shard, done: dict[str, Any]) -> None:
        lab_files.write(self._file(piece), json.dumps(done, allow_nan=False))
        if done["seconds"] > _LONG_S:
            tell(
                f"{piece.label} took {done['seconds'] / 60:.0f} min; a shard should take 30 at most"
            )

    def _results(self, done: Sequence[dict[str, Any]], failed: Mapping[str, str]) -> Results:
        plan = self._plan
        whole = [name for name in plan.policies if name not in failed]
        if not whole:
            raise FailedRunError(failed)
        scores = merged(one["result"] for one in done)
        found = summarise({name: scores[name] for name in whole})
        return Results(
            version=__version__,
            made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            command=self._command(),
            wall_s=round(sum(one["seconds"] for one in done), 1),
            machine=lab_files.machine(),
            catalogue=plan.catalogue.name,
            catalogue_digest=plan.catalogue.digest,
            thresholds_digest=FROZEN.digest(),
            seed_first=plan.seeds[0],
            seeds=len(plan.seeds),
            scenarios=lab_files.scenario_lines(plan.catalogue),
            policies=found,
            commit=lab_files.commit(),
        )

    def _command(self) -> str:
        plan = self._plan
        words = ["homeostat", "lab", "run", *plan.catalogue.arguments]
        words += ["--policies", ",".join(plan.policies), "--seeds", str(len(plan.seeds))]
        words += ["--first-seed", str(plan.seeds[0])] if plan.seeds[0] else []
        words += ["--sensitivity"] if plan.sensitivity else []
        scale = plan.person_scale
        words += ["--person-scale", f"{scale:g}"] if scale != 1.0 else []
        return shlex.join(words)

    def _films(self, pool: Pool, policies: Mapping[str, PolicyResults]) -> list[Film]:
        """Return the worst episodes of every policy, played again for their pictures."""
        plan, wanted = self._plan, []
        for name, found in policies.items():
            wanted += [
                Wanted(
                    scenario=plan.catalogue.get(one.scenario),
                    seed=one.seed,
                    policy=name,
                    others=plan.policies if name == ORACLE else (),
                    options=self._options,
                    recorded=plan.catalogue.recorded,
                )
                for one in found.worst[: plan.films]
                if one.codes or one.violation_s > 0
            ]
        files = {self._film_file(one): one for one in wanted}
        kept = {file: plain for file in files if (plain := _read(file)) is not None}
        missing = [one for file, one in files.items() if file not in kept]
        with progress("pictures", len(files), len(kept)) as advance:
            for one, done in pool.each(play_episode, missing):
                file = self._film_file(one)
                lab_files.write(file, json.dumps(done))
                kept[file] = done
                advance(done["title"])
        return [_film(one, kept[file]) for file, one in files.items()]

    def _film_file(self, wanted: Wanted) -> Path:
        what = (wanted.scenario, wanted.seed, wanted.policy, wanted.others, wanted.options)
        key = sha256(repr((what, FROZEN.digest())).encode()).hexdigest()[:16]
        name = f"picture_{wanted.scenario.id}_{wanted.seed}_{wanted.policy}_{key}.json"
        return self._plan.out / "shards" / name


def play_one(
    catalogue: lab_files.Catalogue, scenario: str, policy: str, seed: int, out: Path
) -> dict[str, Any]:
    """Play one episode in a worker; write its trace and picture; return how it went.

    Args:
        catalogue: Where the scenario is from.
        scenario: Its id.
        policy: Who decides.
        seed: Of the episode.
        out: Folder.
    """
    lab_files.prepare(out)
    wanted = Wanted(
        scenario=catalogue.get(scenario),
        seed=seed,
        policy=policy,
        others=_START,
        options=Options(code=code_of(catalogue), trained=lab_trained.digests()),
        recorded=catalogue.recorded,
        trace=True,
    )
    with Pool(1, lab_files.compile_cache()) as pool:
        ((_, done),) = pool.each(play_episode, [wanted])
    stem = f"{scenario}_{policy}_{seed}"
    trace, picture = out / f"{stem}.csv", out / f"{stem}.svg"
    lab_files.write(trace, done["csv"])
    lab_files.write(picture, standalone(Markup(done["picture"])))
    return {**done["summary"], "trace": str(trace), "picture": str(picture)}


@contextmanager
def progress(what: str, total: int, done: int) -> Iterator[Callable[[str], None]]:
    """Show progress on stderr: a bar on a terminal, else a line now and then.

    Args:
        what: Is counted.
        total: Of them.
        done: Of them already.

    Yields:
        A function to call, with a few words, for each one that is done.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(what, total, done)
        return
    columns = (
        TextColumn(f"{what:>9}"), BarColumn(), MofNCompleteColumn(), Remaining(),
        TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda text: bar.update(task, advance=1, description=text)


def _lines(what: str, total: int, done: int) -> Callable[[str], None]:
    count, every = [done], max(1, total // 20)

    def advance(text: str) -> None:
        count[0] += 1
        if count[0] % every == 0 or count[0] == total:
            tell(f"{count[0]} of {total} {what}: {text}")
            sys.stderr.flush()

    return advance


def code_of(catalogue: lab_files.Catalogue) -> str:
    """Return what names the program, and the recorded loads that it replays."""
    return f"{lab_files.code_digest()} {catalogue.recorded_digest}".strip()


def _read(file: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _film(wanted: Wanted, done: dict[str, Any]) -> Film:
    summary = done["summary"]
    said = [
        " ".join(summary["caused"]),
        f"{written(summary['violation_s'], Unit.SECONDS)} violated",
    ]
    return Film(
        policy=wanted.policy,
        title=done["title"],
        why=", ".join(part for part in said if part),
        picture=Markup(done["picture"]),
    )


def _text(found: PolicyResults, metric: str) -> str:
    figure, unit = found.metrics.get(metric), meaning(metric).unit
    if figure is None or figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return written(figure.value, unit)
    return f"{written(figure.value, unit)} ({between(figure.low, figure.high, unit)})"
