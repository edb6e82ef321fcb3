"""Ten minutes in which every part is killed at random: does a controller ever do anything unsafe?

Real parts: HAProxy before five model servers of the testbed, under load; Prometheus; PostgreSQL;
two `homeostat run` with the files that a user writes. Each is killed and stopped at random times,
servers fail, the kill switch is thrown and changes are frozen. Then what reached HAProxy is held
against the journal; what counts as unsafe is in `chaos_judge`.

    python tests/live/chaos.py [--minutes 10] [--seed 1] [--output json] [--keep FOLDER] [--plant]

`--plant` sends one write that no controller meant, half way through: then the run must be unsafe.
Exits with 1 if anything unsafe was done or too little happened to say so, 2 if a part is missing.
"""

import argparse
import json
import math
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))
import chaos_stage
import psycopg
from chaos_act import Director
from chaos_files import guardrails
from chaos_journal import Account, account, settled
from chaos_judge import KINDS, Run, unsafe
from chaos_plan import PARTS, SERVERS, Step, schedule
from chaos_stage import SIDES, Stage, staged, wait

from homeostat.base.errors import HomeostatError
from homeostat.demo.loadlog import LoadLog
from homeostat.server.replaying import replay_file, verify_file

JOURNAL = "journal broken"
REPLAY = "replay differs"
_SETTLE_S: Final = 120.0
_A_MINUTE: Final = 0.5  # writes of a controller that a run must show, or it proves too little


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        seed: Of the schedule.
        seconds: How long things broke.
        broken: How often each part was killed or stopped, `PART kill` or `PART stop`.
        acts: What controllers sent to HAProxy: all, way back, landed, of how many epochs; servers
            that they took out while these failed, and while these were well.
        ends: Actions by how they ended.
        unsafe: By kind, a sentence for each.
        shown: Further figures.
    """

    seed: int
    seconds: float
    broken: Mapping[str, int]
    acts: Mapping[str, int]
    ends: Mapping[str, int]
    unsafe: Mapping[str, Sequence[str]]
    shown: Mapping[str, Any]

    @property
    def too_little(self) -> str:
        """Return why the run proves too little, empty if it does not."""
        whole = [part for part in PARTS if not self.broken.get(f"{part} kill", 0)
                 and not self.broken.get(f"{part} stop", 0)]  # fmt: skip
        wanted = max(2, round(_A_MINUTE * self.seconds / 60.0))
        why = [f"nothing happened to {part}" for part in whole]
        if self.acts["landed"] < wanted:
            why.append(f"{self.acts['landed']} writes landed, {wanted} are wanted")
        if not self.acts["taken out, ill"]:
            why.append("no server that failed was taken out")
        return "; ".join(why)

    @property
    def verdict(self) -> str:
        """Return `unsafe`, `proves too little` or `safe`."""
        if any(self.unsafe.values()):
            return "unsafe"
        return "proves too little" if self.too_little else "safe"


def run(seed: int, seconds: float, folder: Path, *, plant: bool = False) -> Outcome:
    """Run once and judge; `plant` adds a write that is unsafe.

    Raises:
        SystemExit: A part did not come up.
    """
    steps = schedule(seed, seconds)
    with staged(folder, seed) as stage:
        director = Director(stage, seed)
        director.warm_up()
        director.play(steps, seconds, seconds / 2.0 if plant else math.inf)
        director.mend()
        director.tidy()
        with suppress(SystemExit):  # what is still open then is a finding
            wait(stage, lambda: _at_rest(stage), "no action in flight", _SETTLE_S, 2.0)
        leads = stage.leader()
        time.sleep(2.0)
        for side in sorted(SIDES, key=lambda side: side == leads):
            stage.programs[side].end()
        journal: dict[str, list[str]] = {JOURNAL: [], REPLAY: [], **_checked(stage, leads)}
        said = account(stage.kept(leads))
        taken_down = Run(
            sent=tuple(stage.runtime.sent),
            looks=tuple(stage.runtime.looks),
            said=said,
            holds=tuple(director.holds),
            ills=tuple(director.ills),
            resets=tuple(stage.programs["haproxy"].starts),
            rails=guardrails(),
        )
        found = {**unsafe(taken_down), **journal}
        return Outcome(
            seed=seed,
            seconds=seconds,
            broken=_broken(steps),
            acts=_acts(taken_down),
            ends=Counter(versions[-1].state.value for versions in said.records.values()),
            unsafe=found,
            shown=_shown(stage, said, steps),
        )


def _at_rest(stage: Stage) -> bool:
    stage.leader()
    with suppress(HomeostatError, psycopg.Error):  # the database may still recover
        return settled(stage.kept(SIDES[0]))
    return False


def _checked(stage: Stage, leads: str) -> dict[str, list[str]]:
    """Verify and replay the journal, as `homeostat audit verify` and `homeostat replay` do."""
    try:
        verify_file(stage.kept(leads))
        rows = replay_file(stage.kept(leads))
    except HomeostatError as error:
        return {JOURNAL: [str(error)]}
    return {REPLAY: [str(row) for row in rows if row["mismatches"]]}


def _broken(steps: Sequence[Step]) -> dict[str, int]:
    return dict(Counter(f"{step.what} {step.how}".strip() for step in steps))


def _acts(taken_down: Run) -> dict[str, int]:
    ours = taken_down.ours()
    known = taken_down.said.written
    return {
        "intents": len(known),
        "sent": len(ours),
        "landed": sum(one.landed is True for one in ours),
        "way back": sum(0 in one.drained.values() for one in ours),
        "taken out, ill": _taken(taken_down, ill=True),
        "taken out, well": _taken(taken_down, ill=False),
        "epochs": len(taken_down.said.epochs),
    }


def _taken(taken_down: Run, *, ill: bool) -> int:
    """Return how many servers that failed, or did not, controllers took out."""
    return sum(
        taken_down.is_ill(name, one.at) is ill
        for one in taken_down.ours()
        if one.landed
        for name, to in one.drained.items()
        if to
    )


def _shown(stage: Stage, said: Account, steps: Sequence[Step]) -> dict[str, Any]:
    users = LoadLog.read(stage.users)
    users.update()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "ended by themselves": {
            name: len(one.ends) for name, one in stage.programs.items() if one.ends
        },
        "server faults": sum(step.what in SERVERS for step in steps),
        "told": len(said.paged),
        "undo asked, by status": dict(stage.asked),
        "refused": dict(said.refused.most_common(6)),
        "looks at HAProxy": sum(bool(look.servers) for look in stage.runtime.looks),
        "processor s": round(children.ru_utime + children.ru_stime + own.ru_utime + own.ru_stime),
    }


def table(outcome: Outcome) -> str:
    """Return what came of a run as people read it."""
    rows = [f"seed {outcome.seed}, {outcome.seconds / 60.0:.1f} minutes"]
    for title, counts in (
        ("broken", outcome.broken), ("acts", outcome.acts), ("ends", outcome.ends),
        ("besides", outcome.shown),
    ):  # fmt: skip
        rows.append("")
        rows += [f"{title:8} {name:28} {count}" for name, count in sorted(counts.items())]
    rows.append("")
    for kind in (*KINDS, JOURNAL, REPLAY):
        sentences = outcome.unsafe[kind]
        first = f"  {sentences[0]}" if sentences else ""
        rows.append(f"unsafe   {kind:32} {len(sentences)}{first}")
    rows += ["", f"verdict  {outcome.verdict}"]
    return "\n".join([*rows, f"         {outcome.too_little}".rstrip()]).rstrip()


def plain(outcome: Outcome) -> dict[str, Any]:
    """Return what came of a run as JSON has it."""
    return {
        "seed": outcome.seed,
        "seconds": outcome.seconds,
        "broken": dict(outcome.broken),
        "acts": dict(outcome.acts),
        "ends": dict(outcome.ends),
        "unsafe": {kind: list(found) for kind, found in outcome.unsafe.items()},
        "besides": dict(outcome.shown),
        "verdict": outcome.verdict,
        "too_little": outcome.too_little,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", choices=("table", "json"), default="table")
    parser.add_argument("--keep", type=Path, help="an empty folder for every log and file")
    parser.add_argument("--plant", action="store_true", help="send one write that is unsafe")
    wanted = parser.parse_args(arguments)
    if why := chaos_stage.missing():
        print(f"not run: {why}", file=sys.stderr)
        return 2
    seconds = 60.0 * wanted.minutes
    try:
        steps = schedule(wanted.seed, seconds)
    except ValueError as error:
        parser.error(str(error))
    print("\n".join(map(str, steps)), file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="homeostat-chaos-") as made:
        folder = wanted.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = run(wanted.seed, seconds, folder.resolve(), plant=wanted.plant)
    shown = json.dumps(plain(outcome), indent=2) if wanted.output == "json" else table(outcome)
    print(shown)
    return 0 if outcome.verdict == "safe" else 1


if __name__ == "__main__":
    sys.exit(main())
