"""Brings what the files say now into force while the controller runs, freezes included.

Guards, objectives, modes and freezes; what needs a restart is only named (see `planning`). A freeze
is written in calendar time, so it begins and ends by the machine's clock, not by the controller's
own time, which a journal from the future pushes ahead for as long as the process lives.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import structlog

from homeostat.base.errors import ConfigError, StoreError
from homeostat.base.events import Reconfigured
from homeostat.base.policy import Managed
from homeostat.loop.step import THE_FILE
from homeostat.server import snapshots
from homeostat.server.config import Config, Watcher
from homeostat.server.plan import ControllerPlan
from homeostat.server.planning import needs_restart, plan_of
from homeostat.server.proof_gate import ProofGate
from homeostat.server.runtime import Runtime

log = structlog.get_logger()
WATCH_S = 2.0  # a changed file takes effect within this long


async def keep_in_force(
    runtime: Runtime, watcher: Watcher, plan: ControllerPlan, gate: ProofGate | None = None
) -> None:
    """Look every two seconds until cancelled; a bad file changes nothing."""
    known = {entry.managed.name: entry.managed for entry in plan.deployments}
    while True:
        known = bring_into_force(runtime, watcher, plan, known, gate)
        await asyncio.sleep(WATCH_S)


def bring_into_force(
    runtime: Runtime,
    watcher: Watcher,
    plan: ControllerPlan,
    known: Mapping[str, Managed],
    gate: ProofGate | None = None,
) -> dict[str, Managed]:
    """Bring a changed file, a freeze that begins or ends, or a proof into force.

    What a person set through the API (the mode) stays until the file itself says otherwise. What
    cannot change while the controller runs is named, once per change of the files.

    Args:
        runtime: The running controller.
        watcher: The files.
        plan: What the process was built from.
        known: What is in force already, by deployment.
        gate: Makes shadows of deployments whose policy is not proved; None = nobody asks.

    Returns:
        What is in force now; what the journal refused is not among it and is tried again.
    """
    in_force = dict(known)
    fresh = watcher.poll()
    for problem in () if fresh is None else needs_restart(plan, plan_of(fresh)):
        log.warning("configuration", effect="not in force before a restart", problem=problem)
    if fresh is not None and gate is not None:
        gate.heed(fresh.deployments)
    if fresh is not None:
        _keep_copies(plan, fresh)
    for said in watcher.config.managed(runtime.clock.wall()):
        entry = said if gate is None else gate.judged(said)
        state = runtime.states.get(entry.name)
        if entry == in_force.get(entry.name) or state is None:
            continue
        mode = entry.mode if _mode_changed(in_force, entry) else state.managed.mode
        managed = replace(entry, mode=mode)
        now = runtime.clock.now()
        event = Reconfigured(at=now, managed=managed, by=THE_FILE, file_mode=entry.mode)
        try:
            runtime.take(entry.name, event)
        except StoreError as error:  # not in force yet; a freeze must not be lost for good
            log.warning("configuration", effect="tried again", problem=str(error))
            continue
        in_force[entry.name] = entry
    return in_force


def _keep_copies(plan: ControllerPlan, fresh: Config) -> None:
    """Keep a copy of trained policies that are new; without one it goes on, and says so."""
    try:
        snapshots.keep(plan.journal.parent, fresh.managed())
    except ConfigError as error:
        log.warning("configuration", effect="a replay may not find it", problem=str(error))


def _mode_changed(known: Mapping[str, Managed], entry: Managed) -> bool:
    before = known.get(entry.name)
    return before is None or before.mode is not entry.mode
