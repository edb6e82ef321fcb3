"""`homeostat run`: builds the controller from its configuration, serves it, and ends it well."""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from homeostat.base.errors import ConfigError, HomeostatError
from homeostat.base.events import Approval, Command, Event, Reconfigured, UndoRequested
from homeostat.base.ports import Notifier
from homeostat.server import wiring
from homeostat.server.api.app import create_app
from homeostat.server.clock import Clock
from homeostat.server.http import serve_app
from homeostat.server.kill import KillSwitch
from homeostat.server.labelling import Labelling
from homeostat.server.plan import ControllerPlan
from homeostat.server.runtime import Runtime, Shell
from homeostat.server.view import View
from homeostat.signals.codec import encode_frame

log = structlog.get_logger()


def serve(files: tuple[Path, ...], *, once: bool, quiet: bool) -> None:
    """Run the controller until SIGTERM or SIGINT, or for one cycle.

    Raises:
        HomeostatError: The configuration, the journal or the port cannot be used.
    """
    from homeostat.server.planning import plan_from  # noqa: PLC0415 - config is slow to import

    asyncio.run(_serve(plan_from(files), files, once=once, quiet=quiet))


async def _serve(plan: ControllerPlan, files: Sequence[Path], *, once: bool, quiet: bool) -> None:
    journal = wiring.journal(plan)
    view = View()
    kill = KillSwitch(file=plan.kill_file)
    labellings = {
        entry.managed.name: Labelling(entry.managed.name, entry.labels_path)
        for entry in plan.deployments
        if entry.labels_path is not None
    }
    sense, sense_state = wiring.sense_step()
    shell = Shell(
        journal=journal,
        parts=wiring.loop_parts(),
        sense=sense,
        sense_state=sense_state,
        encode_frame=encode_frame if plan.keep_frames else None,
        kill=kill.level,
        observe=_observer(view),
        notifiers=_notifiers(plan, quiet=quiet),
        owner=f"{socket.gethostname()}:{os.getpid()}",
        deployments={
            entry.managed.name: wiring.deployment(entry, labellings.get(entry.managed.name))
            for entry in plan.deployments
        },
    )
    runtime = Runtime(shell, Clock())
    app = create_app(
        view=view,
        submit=_submitter(runtime),
        kill=kill,
        labels=_labels(labellings, runtime) if labellings else None,
        token=_token(plan.token_file),
        allowed_origins=_origins(plan),
        clock=runtime.clock.now,
    )
    try:
        async with serve_app(app, plan.api_host, plan.api_port) as url:
            log.info("serving", url=url, files=[str(file) for file in files])
            await _run(runtime, once=once)
    finally:
        await runtime.close()
        journal.close()


async def _run(runtime: Runtime, *, once: bool) -> None:
    await runtime.start()
    work = asyncio.create_task(runtime.run(once=once))
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopping", effect="the deployments serve on as they are")


def _observer(view: View) -> Any:
    def observe(name: str, item: Event | Command) -> None:
        if isinstance(item, Event):
            view.event(item, deployment=name)
        else:
            view.command(item, deployment=name)

    return observe


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
    from homeostat.server.plan import PartPlan  # noqa: PLC0415 - one use

    entries = plan.notifiers if quiet else (PartPlan(part="terminal", settings={}), *plan.notifiers)
    return tuple(wiring.build("notifier", entry) for entry in entries)


def _origins(plan: ControllerPlan) -> tuple[str, ...]:
    return tuple(
        f"http://{host}:{plan.api_port}" for host in ("127.0.0.1", "localhost", plan.api_host)
    )


def _token(file: Path | None) -> str:
    """Read the token, or make one and keep it where only its owner can read it.

    Raises:
        ConfigError: The file cannot be read or made.
    """
    if file is None:
        return secrets.token_urlsafe(32)
    try:
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
