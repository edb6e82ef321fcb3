"""Runs the demo: a deployment, a fault, a controller that is told nothing, and a judgement.

One `Round` is a fresh deployment and one fault. `--fault all` is one round for each fault in a
seeded order; several names joined by commas, and the short story without `--fault`, share one
deployment.
"""

import json
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeostat.base.errors import ConfigError, HomeostatError
from homeostat.demo.faults import FAULTS, Fault, fault_named
from homeostat.demo.judge import Judged
from homeostat.demo.round import Round
from homeostat.demo.setup import TwinFiles
from homeostat.demo.story import Story

# The canary is last: the pool that it is tried in is no good older version afterwards.
STORY: Final = ("killed_replica", "bad_release_errors", "slow_replica", "bad_canary")
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for; see `homeostat demo --help`."""

    headless: bool = False
    fault: str | None = None
    seed: int = 0
    control: bool = False
    duration_s: float | None = None
    json_file: Path | None = None
    folder: Path | None = None
    evidence_rules: bool = True
    twin: TwinFiles | None = None


def list_rows() -> list[dict[str, Any]]:
    """Return the faults for `--list`."""
    return [
        {"fault": fault.name, "outcome": fault.expected, "what": fault.summary}
        for fault in FAULTS.values()
    ]


def run_demo(options: Options) -> int:
    """Run the demo and return the exit code: 0 if every outcome was as expected, else 1.

    Ended by hand before every fault was judged it is 130, as of any program ended by Ctrl-C.

    Raises:
        HomeostatError: The deployment could not be started, or an unknown fault was asked for.
    """
    chance = random.Random(options.seed)
    plan = _plan(options, chance)
    story = Story()
    started = time.time()
    _check_places(options)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="homeostat-demo-"))
    results: list[Judged] = []
    requests = errors = 0
    interrupted = False
    keep = options.folder is not None
    try:
        for number, faults in enumerate(plan):
            round_ = Round(
                folder=folder / f"round-{number:02d}",
                seed=options.seed * 1000 + number,
                control=options.control,
                evidence_rules=options.evidence_rules,
                story=story,
                started=started,
                twin=options.twin,
            )
            judged, totals = round_.run(faults, chance, stay_s=_stay(options, started))
            results += judged
            requests, errors = requests + totals[0], errors + totals[1]
    except KeyboardInterrupt:
        story.say("stopped", "everything is being ended")
        interrupted = len(results) < sum(map(len, plan))
    except HomeostatError:
        keep = True
        raise
    finally:
        _write(options, results, requests, errors)
        if not keep and all(result.as_expected for result in results):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            story.say("kept", f"logs and journal are in {folder}")
    if len(plan) > 1:
        story.table(summary(results))
    if interrupted:
        return INTERRUPTED
    good = all(result.as_expected for result in results) or options.control
    return 0 if good else 1


def _check_places(options: Options) -> None:
    """See that results can be kept and the twin be read, before minutes are spent on them.

    Raises:
        ConfigError: A folder or file cannot be written, or a twin's file not be read.
    """
    try:
        if options.folder is not None:
            options.folder.mkdir(parents=True, exist_ok=True)
        if options.json_file is not None:
            options.json_file.touch()
        if options.twin is not None:
            for file in filter(None, (options.twin.fit, options.twin.check)):
                file.open("rb").close()
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: {error.strerror}; give --dir and --json places that can be "
            "written, and --twin and --twin-check files that are there"
        ) from error


def _plan(options: Options, chance: random.Random) -> list[list[Fault]]:
    """Return the rounds: faults that share a deployment are in one list."""
    if options.fault == "all":
        faults = list(FAULTS.values())
        chance.shuffle(faults)
        return [[fault] for fault in faults]
    if options.fault is not None:
        return [[fault_named(name.strip()) for name in options.fault.split(",")]]
    return [[FAULTS[name] for name in STORY]]


def _stay(options: Options, started: float) -> float | None:
    """Return how long a watched demo stays up after its story; None = until Ctrl-C."""
    if options.duration_s is not None:
        return max(0.0, started + options.duration_s - time.time())
    interactive = options.fault is None and not options.headless
    return None if interactive and _is_terminal() else 0.0


def _is_terminal() -> bool:
    import sys  # noqa: PLC0415 - the one place that asks

    return sys.stderr.isatty()


def _write(options: Options, results: list[Judged], requests: int, errors: int) -> None:
    if options.json_file is None:
        return
    heals = [r.recovered_at for r in results if r.actions and r.recovered_at is not None]
    plain = {
        "incidents": [result.to_plain() for result in results],
        "first_heal_s": heals[0] if heals else None,
        "requests": requests,
        "errors": errors,
        "seed": options.seed,
        "control": options.control,
    }
    options.json_file.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def summary(results: list[Judged]) -> Iterator[str]:
    """Yield one line per fault for the end of a run over several deployments."""
    for result in results:
        mark = "ok " if result.as_expected else "NOT"
        took = (
            f"{result.recovered_at - result.injected_at:.1f} s"
            if result.recovered_at is not None
            else "-"
        )
        said = "too busy to be judged" if result.starved else result.diagnosis
        lost = f"lost {result.lost_requests}"
        yield f"{mark} {result.fault:<24}{result.outcome:<10} {took:>7} {lost:>8}  {said}"
