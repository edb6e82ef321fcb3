"""`homeostat twin live`: faults of the local deployment, in the twin and for real."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import typer

from homeostat.base.errors import ConfigError, UnknownPartError
from homeostat.cli.exits import Exit
from homeostat.cli.lab_pool import Pool
from homeostat.cli.output import Output, show, tell
from homeostat.demo import live_plan, live_run, place
from homeostat.demo.live_plan import Prediction
from homeostat.demo.live_run import Measured
from homeostat.demo.story import Story
from homeostat.lab import live_compare
from homeostat.lab.scenario import Scenario
from homeostat.server import compiled

FOLDER: Final = Path(place.__file__).parent / "scenarios"
FORMAT: Final = "homeostat-twin-live/1"
SHOWN: Final = ("median", "low", "high")

Work = tuple[str, Scenario]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asked for; see `homeostat twin live --help`."""

    faults: tuple[str, ...] = ()
    file: Path | None = None
    seeds: int = 20
    runs: int = 1
    twin_only: bool = False
    control: bool = False
    folder: Path | None = None
    out: Path | None = None

    @property
    def words(self) -> list[str]:
        """Faults and options that make the same comparison again."""
        words = [*self.faults, "--seeds", str(self.seeds), "--runs", str(self.runs)]
        words += ["--scenarios", str(self.file)] if self.file is not None else []
        return [*words, *["--control"] * self.control]


def predict(job: tuple[Scenario, Sequence[int]]) -> Prediction:
    """Return the twin's prediction; runs in a worker, the one process here that has JAX."""
    from homeostat.demo import live_predict

    return live_predict.predict(job)


def check(source: tuple[str, bytes]) -> tuple[Scenario, ...] | str:
    """Return a file's scenarios, or what is wrong with it; runs in a worker, as `predict`."""
    try:
        return live_plan.scenarios(source[1], source[0])
    except ConfigError as error:
        return str(error)


def sources(asked: Asked) -> list[tuple[str, bytes]]:
    """Return name and content of every scenario file that is asked for.

    Raises:
        ConfigError: A file cannot be read, or there is no such fault.
    """
    found = []
    for file in [asked.file] if asked.file is not None else _shipped(asked.faults):
        try:
            found.append((file.name, file.read_bytes()))
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}; check the name") from error
    return found


def chosen(
    asked: Asked, checked: Iterable[tuple[tuple[str, bytes], tuple[Scenario, ...] | str]]
) -> list[Work]:
    """Return file name and scenario of everything that is to be compared.

    Args:
        asked: By whom.
        checked: Every source with what `check` said of it, in any order.

    Raises:
        ConfigError: A file asks for what cannot be done, or holds no such scenario.
    """
    found: list[Work] = []
    for (file, _), said in checked:
        if isinstance(said, str):
            raise ConfigError(said)
        found += [(file, one) for one in said]
    names = dict.fromkeys(one.name for _, one in found)
    for name in asked.faults:
        if name not in names:
            raise UnknownPartError("scenario", name, names)
    mine = [(file, one) for file, one in found if not asked.faults or one.name in asked.faults]
    return sorted(mine, key=lambda work: work[1].id)


def shipped() -> list[str]:
    """Return the names of the faults that have a scenario file of their own."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def _shipped(names: Sequence[str]) -> list[Path]:
    for name in names:
        if name not in shipped():
            raise UnknownPartError("fault", name, shipped())
    return [FOLDER / f"{name}.yaml" for name in names or shipped()]


def compare(asked: Asked) -> list[dict[str, Any]]:
    """Play every fault in the twin, do it for real unless told otherwise, and compare.

    Raises:
        ConfigError: The local deployment could not be started.
    """
    work, said = _predicted(asked)
    if asked.twin_only:
        return [_plain(one, said[one[1].id], (), asked) for one in work]
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="homeostat-live-"))
    results = []
    for one in work:
        prediction = said[one[1].id]
        happened = _done(one[1], prediction, asked, folder)
        results.append(_plain(one, prediction, happened, asked))
    if asked.folder is None and all(one["signs_agree"] for one in results):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        tell(f"logs and journals are in {folder}")
    return results


def _predicted(asked: Asked) -> tuple[list[Work], dict[str, Prediction]]:
    """Return what is to be compared and the twin's half; its process ends before others start."""
    given = sources(asked)
    with Pool(1, compiled.folder(compiled.processor())) as pool:
        work = chosen(asked, pool.each(check, given))
        jobs = [(scenario, tuple(range(asked.seeds))) for _, scenario in work]
        tell(f"the twin plays {len(jobs)} faults with {asked.seeds} draws each; it compiles first")
        found: dict[str, Prediction] = {}
        for (scenario, _), prediction in pool.each(predict, jobs):
            found[scenario.id] = prediction
            tell(f"twin: {scenario.name} ({len(found)} of {len(jobs)})")
    return work, found


def _done(
    scenario: Scenario, prediction: Prediction, asked: Asked, folder: Path
) -> tuple[Measured, ...]:
    """Return what really happened, run by run."""
    found = []
    for number, plan in enumerate(prediction.plans[: asked.runs]):
        tell(f"live: {scenario.name}, run {number + 1} of {asked.runs}")
        here = folder / scenario.name / f"run-{number:02d}"
        story = Story(quiet=not sys.stderr.isatty())
        found.append(live_run.run(plan, here, story, control=asked.control))
    return tuple(found)


def _plain(
    work: Work, prediction: Prediction, happened: Sequence[Measured], asked: Asked
) -> dict[str, Any]:
    """Return one fault's comparison as plain values."""
    (file, scenario), said = work, prediction.predicted
    objective = (prediction.bound.p95_ms, prediction.bound.error_ratio)
    believed = [one for one in happened if not one.starved]
    acted = sorted(one.acted_s for one in believed if one.acted_s is not None)
    side = live_compare.side(
        said.hold,
        said.hold if asked.control else said.acting,
        said.onsets,
        objective,
        must_hurt=live_plan.way_of(scenario).ends,
        shown_s=acted[(len(acted) - 1) // 2] if acted else None,
    )
    found = live_compare.rows(side, believed, objective, place.BASE_RATE)
    return {
        "format": FORMAT,
        "fault": scenario.name,
        "scenario": scenario.id,
        "file": file,
        "controller": not asked.control,
        "draws": len(said.onsets),
        "rows": live_compare.to_plain(found),
        "signs_agree": live_compare.signs_agree(found, acting=not asked.control),
        "first_writes_in_twin": live_compare.commonest(said.acting.actions),
        "recovers_if_nobody_acts": float((side.hold_recovery_s < float("inf")).mean()),
        "plans": [asdict(plan) for plan in prediction.plans],
        "live": [asdict(one) for one in happened],
    }


def table(results: Sequence[dict[str, Any]], *, live: bool) -> None:
    """Print the comparisons for people."""
    rows = []
    for result in results:
        for row in result["rows"]:
            ends = row["quantity"] in {"recovery_s", "acted_s"}
            line = {"fault": result["fault"], "quantity": row["quantity"]}
            line |= {name: "never" if ends and row[name] is None else row[name] for name in SHOWN}
            if live:
                never = ends and row["measured"] is None and row["inside"] is not None
                line |= {name: row[name] for name in ("measured", "inside", "agrees")}
                line |= {"measured": "never"} if never else {}
            rows.append(line)
    show(rows, Output.TABLE)


def exit_code(results: Sequence[dict[str, Any]]) -> Exit:
    """Return 0 if every sign agrees, 1 if one does not, 6 if something was not measured."""
    if any(one["signs_agree"] is False for one in results):
        return Exit.FAILED
    return Exit.NO_DATA if any(one["signs_agree"] is None for one in results) else Exit.OK


def main(asked: Asked, output: Output) -> None:
    """Compare, print, and end with the code that says whether the signs agree.

    Raises:
        typer.Exit: Always; 0 for predictions alone.
    """
    if asked.runs > asked.seeds:
        tell(f"homeostat: {asked.runs} runs need as many draws; use --seeds {asked.runs}")
        raise typer.Exit(Exit.USAGE)
    began = time.monotonic()
    results = compare(asked)
    if asked.out is not None:
        from homeostat.cli import twin_live_kept  # needs JAX, which no starter of processes may

        spent_s = time.monotonic() - began
        found = twin_live_kept.figures(results, sources(asked), asked.words, spent_s)
        twin_live_kept.write(asked.out, found)
    if output is Output.TABLE:
        table(results, live=not asked.twin_only)
    else:
        show(results, output)
    for one in results:
        if any(run["starved"] for run in one["live"]):
            tell(f"{one['fault']}: this machine was too busy for a run to be judged; run it alone")
    raise typer.Exit(Exit.OK if asked.twin_only else exit_code(results))
