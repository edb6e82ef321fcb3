"""`homeostat run`: builds the controller from its configuration, serves it, and ends it well."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from homeostat.base.errors import ConfigError, HomeostatError, StoreError
from homeostat.base.events import Approval, Event, Reconfigured, UndoRequested
from homeostat.base.policy import Managed
from homeostat.base.ports import Notifier
from homeostat.base.state import LoopState
from homeostat.loop.step import THE_FILE
from homeostat.server import wiring
from homeostat.server.api.app import create_app
from homeostat.server.clock import Clock
from homeostat.server.config import Watcher
from homeostat.server.http import serve_app
from homeostat.server.kill import KillSwitch
from homeostat.server.labelling import Labelling
from homeostat.server.plan import ControllerPlan, PartPlan
from homeostat.server.planning import needs_restart, plan_of
from homeostat.server.runtime import Runtime, Shell
from homeostat.server.view import View
from homeostat.signals.codec import encode_frame

log = structlog.get_logger()
WATCH_S = 2.0  # a changed file takes effect within this long


def _stderr_logger(*_: Any) -> structlog.PrintLogger:
    """Return a logger on what stderr is now: a captured one may be closed by the next line."""
    return structlog.PrintLogger(sys.stderr)


def serve(files: tuple[Path, ...], *, once: bool, quiet: bool) -> list[dict[str, Any]]:
    """Run the controller until SIGTERM or SIGINT, or for one cycle.

    Returns:
        What was seen last, one row per deployment: see `_seen`.

    Raises:
        HomeostatError: The configuration, the journal or the port cannot be used.
    """
    # Data goes to stdout, talk to stderr.
    structlog.configure(logger_factory=_stderr_logger)
    watcher = Watcher(files, lambda text: log.warning("configuration", problem=text))
    return asyncio.run(_serve(_with_port(plan_of(watcher.config)), watcher, once=once, quiet=quiet))


async def _serve(
    plan: ControllerPlan, watcher: Watcher, *, once: bool, quiet: bool
) -> list[dict[str, Any]]:
    view = View()
    kill = KillSwitch(file=plan.kill_file)
    labellings = {
        entry.managed.name: Labelling(entry.managed.name, entry.labels_path)
        for entry in plan.deployments
        if entry.labels_path is not None
    }
    deployments = {
        entry.managed.name: wiring.deployment(entry, labellings.get(entry.managed.name))
        for entry in plan.deployments
    }
    told, token = _notifiers(plan, quiet=quiet), _token(plan.token_file)
    sense, sense_state = wiring.sense_step()
    journal = wiring.journal(plan)  # last: nothing is claimed before all settings have been tried
    shell = Shell(
        journal=journal,
        parts=wiring.loop_parts(),
        sense=sense,
        sense_state=sense_state,
        encode_frame=encode_frame if plan.keep_frames else None,
        kill=kill.level,
        observe=view.observe,
        notifiers=told,
        owner=f"{socket.gethostname()}:{os.getpid()}",
        retention_ns=plan.retention_ns,
        took=view.loop_took,
        deployments=deployments,
    )
    runtime = Runtime(shell, Clock())
    app = create_app(
        view=view,
        submit=_submitter(runtime),
        kill=kill,
        labels=_labels(labellings, runtime) if labellings else None,
        token=token,
        allowed_origins=_origins(plan),
        clock=runtime.clock.now,
    )
    try:
        async with serve_app(app, plan.api_host, plan.api_port) as url:
            log.info(
                "serving", url=url, files=watcher.config.files, token_file=str(plan.token_file)
            )
            await _run(runtime, watcher, plan, once=once)
        return [_seen(state) for _, state in sorted(runtime.states.items())]
    finally:
        await runtime.close()
        journal.close()


def _seen(state: LoopState) -> dict[str, Any]:
    """Return a deployment's last tick in a few words."""
    evidence = state.evidence
    met = None if evidence is None else evidence.slo_met
    first = evidence.suspicions[0] if evidence is not None and evidence.suspicions else None
    return {
        "deployment": state.managed.name,
        "mode": state.managed.mode.value,
        "objectives": {True: "met", False: "missed", None: "unknown"}[met],
        "suspected": f"{first.family} at {first.subject}" if first is not None else None,
        "because": list(first.because) if first is not None else [],
        "read": state.world is not None,
    }


async def _run(runtime: Runtime, watcher: Watcher, plan: ControllerPlan, *, once: bool) -> None:
    await runtime.start()
    work = asyncio.create_task(runtime.run(once=once))
    watch = asyncio.create_task(_watch(runtime, watcher, plan))
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopping", effect="the deployments serve on as they are")
    finally:
        watch.cancel()


async def _watch(runtime: Runtime, watcher: Watcher, plan: ControllerPlan) -> None:
    """Bring a changed file, or a freeze that begins or ends, into force; a bad one changes nothing.

    What a person set through the API (the mode) stays until the file itself says otherwise. What
    cannot change while the controller runs is named, once per change of the files.
    """
    known = {entry.name: entry for entry in watcher.config.managed(None)}
    while True:
        fresh = watcher.poll()
        for problem in () if fresh is None else needs_restart(plan, plan_of(fresh)):
            log.warning("configuration", effect="not in force before a restart", problem=problem)
        for entry in watcher.config.managed(runtime.clock.now()):
            state = runtime.states.get(entry.name)
            if entry == known.get(entry.name) or state is None:
                continue
            mode = entry.mode if _mode_changed(known, entry) else state.managed.mode
            managed = replace(entry, mode=mode)
            event = Reconfigured(at=runtime.clock.now(), managed=managed, by=THE_FILE)
            try:
                runtime.take(entry.name, event)
            except StoreError as error:  # not in force yet; a freeze must not be lost for good
                log.warning("configuration", effect="tried again", problem=str(error))
                continue
            known[entry.name] = entry
        await asyncio.sleep(WATCH_S)


def _mode_changed(known: Mapping[str, Managed], entry: Managed) -> bool:
    before = known.get(entry.name)
    return before is None or before.mode is not entry.mode


def _submitter(runtime: Runtime) -> Any:
    async def submit(event: Event) -> str | None:
        match event:
            case Reconfigured(managed=managed):
                name = managed.name
            case Approval(deployment=named) | UndoRequested(deployment=named):
                name = named
            case _:
                return f"{type(event).__name__} does not come from outside"
        if name not in runtime.states:
            return f"{name} is not managed by this controller"
        try:
            runtime.take(name, event)
        except HomeostatError as error:
            return str(error)
        return None

    return submit


def _labels(labellings: Mapping[str, Labelling], runtime: Runtime) -> Any:
    def take(rows: list[dict[str, Any]]) -> dict[str, int]:
        total: dict[str, int] = {}
        by_name: dict[str, list[dict[str, Any]]] = {}
        only = next(iter(labellings)) if len(labellings) == 1 else ""
        for row in rows:
            by_name.setdefault(row.get("deployment") or only, []).append(row)
        for name, batch in by_name.items():
            if name not in labellings:
                counts = {"refused": len(batch)}
            else:
                counts = labellings[name].add(batch, runtime.clock.now())
            for what, count in counts.items():
                total[what] = total.get(what, 0) + count
        return total

    return take


def _notifiers(plan: ControllerPlan, *, quiet: bool) -> tuple[Notifier, ...]:
    printed = plan.terminal and not quiet
    terminal = (PartPlan(part="terminal", settings={}),) if printed else ()
    entries = (*terminal, *plan.notifiers)
    return tuple(wiring.build("notifier", entry) for entry in entries)


def _origins(plan: ControllerPlan) -> tuple[str, ...]:
    own = f"[{plan.api_host}]" if ":" in plan.api_host else plan.api_host
    return tuple(f"http://{host}:{plan.api_port}" for host in ("127.0.0.1", "localhost", own))


def _with_port(plan: ControllerPlan) -> ControllerPlan:
    """Choose the port now if any free one will do: the console's origin must name it."""
    if plan.api_port != 0:
        return plan
    family = socket.AF_INET6 if ":" in plan.api_host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((plan.api_host, 0))
        return replace(plan, api_port=probe.getsockname()[1])


def _token(file: Path | None) -> str:
    """Read the token, or make one and keep it where only its owner can read it.

    Raises:
        ConfigError: The file cannot be read or made.
    """
    if file is None:
        return secrets.token_urlsafe(32)
    try:
        if file.exists() and file.stat().st_mode & 0o077:
            log.warning("token", file=str(file), problem="others can read it: chmod 600 it")
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
        try:
            file.touch(mode=0o600)
            file.write_text(token + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"token file {file}: {error.strerror}") from error
        log.info("token", made=str(file))
        return token
    except OSError as error:
        raise ConfigError(f"token file {file}: {error.strerror}") from error
