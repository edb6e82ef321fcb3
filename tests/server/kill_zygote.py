"""Forks controllers: each life is `homeostat run` in a process of its own, without its imports.

A hundred lives have to fit into a minute or two, and importing takes longer than most of them
last. Everything from reading the files on is `server.main.serve`; only what the senses say is
scripted, so that there is always something to act on.

Commands on stdin: `start LOG` answers a pid, `reap PID` answers its wait status.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from homeostat.base import names
from homeostat.base.errors import HomeostatError
from homeostat.base.evidence import Evidence, Family
from homeostat.server import main, wiring
from homeostat.testing import build

QUIET = "quiet"  # a file of this name: nothing is suspected any more
ANSWERS = os.dup(1)  # what controllers print goes to their logs
PERIOD, CALM = 8, 4  # ticks of a round, and of its calm beginning


def script(evidence: Evidence, *, busy: bool, quiet: bool) -> Evidence:
    """Return what this tick shall look like: calm, then a fault until something is done about it.

    By the epoch: a replica that must be restarted, or a bad version; every fourth controller
    sees its action do harm, and has to take it back.
    """
    world = evidence.world
    if world is None:
        return replace(evidence, suspicions=(), slo_met=None)
    stamp = world.stamp("process")
    turn = (stamp.epoch or 0) % 4 if stamp is not None else 0
    values: dict[tuple[str, str], float | None] = {}
    suspicions: tuple[Any, ...] = ()
    harmed = busy and turn == 3 and not quiet
    if harmed:
        values[names.GATEWAY, names.ERROR_RATIO] = 0.5
    elif not busy and not quiet and evidence.tick % PERIOD >= CALM:
        if turn == 0:
            subject = names.replica("a-1")
            values[subject, names.PROBE_FAILURES] = 3.0
            values[subject, names.PROCESS_UP] = 0.0
            suspicions = (build.suspicion(Family.REPLICA, subject, urgent=True),)
        else:
            suspicions = (build.suspicion(Family.RELEASE, names.pool("a"), urgent=True),)
    return build.evidence(
        evidence.at,
        evidence.tick,
        deployment=evidence.deployment,
        world=world,
        values=values,
        suspicions=suspicions,
        slo_met=not suspicions and not harmed,
    )


def scripted(folder: Path) -> Callable[..., tuple[Any, Any]]:
    """Return `wiring.sense_step` with the evidence replaced by the script's."""
    real = wiring.sense_step

    def sense_step(plan: Any = None) -> tuple[Any, Any]:
        step, first = real(plan)

        def sense(
            state: Any, reports: Any, worlds: Any, managed: Any, busy: Any, *when: Any
        ) -> Any:
            state, signals, seen = step(state, reports, worlds, managed, busy, *when)
            quiet = (folder / QUIET).exists()
            scripts = (script(e, busy=e.deployment in busy, quiet=quiet) for e in seen)
            return state, signals, tuple(scripts)

        return sense, first

    return sense_step


def live(files: tuple[Path, ...], log: str) -> int:
    """Be one controller, and return its exit code."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        main.serve(files, once=False, quiet=True, unproved_by="a test")
    except HomeostatError as error:
        print(f"homeostat: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def say(answer: int) -> None:
    os.write(ANSWERS, f"{answer}\n".encode())


def obey(folder: Path, warm: Path, files: tuple[Path, ...]) -> None:
    """Fork and reap until stdin ends; one cycle first, for what is imported late."""
    os.dup2(2, 1)
    main.serve((warm,), once=True, quiet=True)
    wiring.sense_step = scripted(folder)
    for line in sys.stdin:
        word, what = line.split()
        if word == "start":
            pid = os.fork()
            if pid == 0:
                sys.stdin.close()
                os._exit(live(files, what))
            say(pid)
        else:
            say(os.waitpid(int(what), 0)[1])


if __name__ == "__main__":
    scratch, *rest = (Path(name) for name in sys.argv[2:])
    obey(Path(sys.argv[1]), scratch, tuple(rest))
