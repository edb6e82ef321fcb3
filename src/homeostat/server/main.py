"""`homeostat run`: builds the controller from its configuration, serves it, and ends it well."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from homeostat.base.errors import ConfigError, HomeostatError, OutOfStepError
from homeostat.base.events import (
    Approval,
    CanaryRequested,
    Confirmed,
    Event,
    FeedbackReset,
    Granted,
    Reconfigured,
    UndoRequested,
)
from homeostat.base.ports import Notifier
from homeostat.base.state import LoopState
from homeostat.base.words import CalledNormal
from homeostat.server import in_cluster, open_pages, snapshots, wiring
from homeostat.server.api.app import create_app
from homeostat.server.auditing import Audit
from homeostat.server.bearer import token_in
from homeostat.server.clock import Clock
from homeostat.server.config import Watcher
from homeostat.server.fleet import Fleet
from homeostat.server.http import serve_app
from homeostat.server.kill import KillSwitch
from homeostat.server.kill_noted import NotedKill
from homeostat.server.labelling import Labelling
from homeostat.server.ladder import Ladder, rows, with_ladder
from homeostat.server.lease import Lead
from homeostat.server.outside import Outside
from homeostat.server.people_file import People
from homeostat.server.plan import ControllerPlan, PartPlan
from homeostat.server.planning import plan_of
from homeostat.server.proof_gate import ProofGate
from homeostat.server.reloading import keep_in_force
from homeostat.server.runtime import Runtime, Shell
from homeostat.server.shown import alike_of, books_of, freeze_of
from homeostat.server.sizes import SERIES, of_series
from homeostat.server.telemetry.own import Own
from homeostat.server.telemetry.tracing import Tracing
from homeostat.server.view import View
from homeostat.signals.codec import encode_frame

log = structlog.get_logger()


def _stderr_logger(*_: Any) -> structlog.PrintLogger:
    """Return a logger on what stderr is now: a captured one may be closed by the next line."""
    return structlog.PrintLogger(sys.stderr)


def serve(
    files: tuple[Path, ...], *, once: bool, quiet: bool, unproved_by: str = ""
) -> list[dict[str, Any]]:
    """Run the controller until SIGTERM or SIGINT, or for one cycle.

    Args:
        files: Configuration.
        once: One cycle, then stop.
        quiet: Print no notices.
        unproved_by: Who answers for acting under policies that are not proved; empty = nobody, and
            then they are shadows.

    Returns:
        What was seen last, one row per deployment: see `_seen`.

    Raises:
        HomeostatError: The configuration, the journal or the port cannot be used.
    """
    # Data goes to stdout, talk to stderr.
    structlog.configure(logger_factory=_stderr_logger)
    more = in_cluster.resources(files)
    watcher = Watcher(files, lambda text: log.warning("configuration", problem=text), more)
    gate = ProofGate(watcher.config.deployments, accepted_by=unproved_by)
    plan = gate.planned(_with_port(plan_of(watcher.config)))
    return asyncio.run(_serve(plan, watcher, gate, once=once, quiet=quiet))


async def _serve(
    plan: ControllerPlan, watcher: Watcher, gate: ProofGate, *, once: bool, quiet: bool
) -> list[dict[str, Any]]:
    view, ladder = View(), Ladder()
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
    told, token = _notifiers(plan, quiet=quiet), token_in(plan.token_file)
    outside = Outside(plan, told)
    sense, sense_state = wiring.sense_step(plan)
    clock, owner = Clock(), f"{socket.gethostname()}:{os.getpid()}"
    tracing = Tracing(plan.traces, owner)
    twins = wiring.twins(plan, clock.now)
    journal = wiring.journal(plan)  # last: nothing is claimed before all settings have been tried
    snapshots.recall(plan.journal.parent)
    snapshots.keep(plan.journal.parent, [entry.managed for entry in plan.deployments])
    shell = Shell(
        journal=journal,
        parts=wiring.loop_parts(),
        sense=sense,
        sense_state=sense_state,
        encode_frame=encode_frame if plan.keep_frames else None,
        kill=kill.level,
        observe=tracing.observing(outside.observing(with_ladder(ladder, view.observe))),
        notifiers=outside.notifiers,
        owner=owner,
        retention_ns=plan.retention_ns,
        took=view.loop_took,
        stage=tracing.stage,
        deployments=deployments,
        rehearse=twins,
    )
    runtime = Runtime(shell, clock)
    view.accounts_of, view.freeze_of = books_of(runtime), freeze_of(watcher, clock)
    view.alike_of = alike_of(runtime)
    lead = Lead(journal, shell.owner, clock.now, plan.lease_ns)
    app = create_app(
        view=view,
        submit=submitter(runtime, lead),
        kill=NotedKill(kill, journal, runtime.clock.now, runtime.end),
        labels=_labels(labellings, runtime) if labellings else None,
        token=token,
        allowed_origins=_origins(plan),
        clock=runtime.clock.now,
        people=People(plan.people_file),
        states=runtime.states.get,
        autonomy=lambda: rows(ladder.ledger, runtime.states),
        audit=Audit(journal),
        proofs=gate.shown,
        doors=outside.doors(journal, runtime),
        standby=lambda: not runtime.epoch,
        own=Own(
            pulse=shell.pulse,
            epoch=lambda: runtime.epoch,
            problem=lambda: watcher.problem,
            notifiers=tuple(sorted({type(one).__name__ for one in shell.notifiers})),
            spans=tracing.counts,
        ),
        shared=plan.shared,
    )
    try:
        async with (
            open_pages.served(app, token, partial(open_pages.place, runtime, lead), plan.pages),
            serve_app(app, plan.api_host, plan.api_port) as url,
        ):
            keeps = of_series()
            log.info(
                "detection keeps",
                bytes_a_series=round(keeps.score + keeps.charts),
                more_where_foretold=round(keeps.forecasts),
                more_with_fleet_tests=round(keeps.fleet),
                series_of_a_deployment=SERIES,
            )
            log.info(
                "serving",
                url=url,
                files=watcher.config.files,
                token_file=str(plan.token_file),
                people_file=str(plan.people_file),
            )
            tracing.start()
            if twins is not None:
                twins.start()
            await _run(runtime, watcher, plan, gate, lead, ladder, outside, once=once)
        return [_seen(state) for _, state in sorted(runtime.states.items())]
    finally:
        if twins is not None:
            await twins.close()
        await runtime.close()
        await outside.close()
        await tracing.close()
        await lead.leave()
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


async def _run(
    runtime: Runtime,
    watcher: Watcher,
    plan: ControllerPlan,
    gate: ProofGate,
    lead: Lead,
    ladder: Ladder,
    outside: Outside,
    *,
    once: bool,
) -> None:
    force = partial(keep_in_force, runtime, watcher, plan, gate)
    work = asyncio.create_task(_lead_and_work(runtime, force, lead, ladder, outside, once=once))
    beside = () if once else (gate.work(), in_cluster.keep_looking(watcher, runtime, plan))
    tasks = [asyncio.create_task(one) for one in beside]
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopping", effect="the deployments serve on as they are")
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _lead_and_work(
    runtime: Runtime,
    force: Callable[[], Coroutine[Any, Any, None]],
    lead: Lead,
    ladder: Ladder,
    outside: Outside,
    *,
    once: bool,
) -> None:
    """Wait for the lead and work until it ends; begin again where the record is not our memory."""
    while True:
        epoch = await lead.take(wait=not once)
        keep = asyncio.create_task(lead.keep(runtime.end))
        watch: list[asyncio.Task[None]] = []
        try:
            await runtime.start(epoch)
            await asyncio.to_thread(ladder.load, runtime.shell.journal)  # the lease is kept
            ladder.bring_into_force(runtime)
            watch.append(asyncio.create_task(ladder.keep(runtime)))
            watch.append(asyncio.create_task(force()))
            watch.append(asyncio.create_task(outside.keep(runtime)))
            await runtime.run(once=once)
            if once:
                await outside.catch_up()
        except OutOfStepError as error:
            log.warning("beginning again", problem=str(error))
            await runtime.begin_again()
        else:
            return
        finally:
            keep.cancel()
            for task in watch:
                task.cancel()


def submitter(runtime: Runtime, lead: Lead | None = None) -> Any:
    """Return what takes an event from outside to its deployment, and answers why not if not."""

    async def submit(event: Event) -> str | None:
        match event:
            case Reconfigured(managed=managed):
                name = managed.name
            case Granted(grant=grant):
                name = grant.deployment
            case (
                Approval(deployment=named)
                | UndoRequested(deployment=named)
                | CanaryRequested(deployment=named)
                | Confirmed(deployment=named)
                | CalledNormal(deployment=named)
                | FeedbackReset(deployment=named)
            ):
                name = named
            case _:
                return f"{type(event).__name__} does not come from outside"
        if lead is not None and not runtime.epoch:
            return f"this controller is a standby; {lead.leader or 'another one'} leads: ask it"
        if name not in runtime.states:
            return f"{name} is not managed by this controller"
        # What has begun elsewhere since the last tick counts.
        if isinstance(event, Approval | CanaryRequested):
            event = replace(event, fleet=Fleet(runtime.states, (), event.at).view(name))
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
    """Choose the port now if any free one will do: the console's origin must name it.

    Raises:
        ConfigError: The address is none of this machine.
    """
    if plan.api_port != 0:
        return plan
    family = socket.AF_INET6 if ":" in plan.api_host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((plan.api_host, 0))
            return replace(plan, api_port=probe.getsockname()[1])
    except OSError as error:
        raise ConfigError(
            f"cannot serve on {plan.api_host} ({error.strerror}): "
            "set spec.api.host of the Controller document to 127.0.0.1"
        ) from error
