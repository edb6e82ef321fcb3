"""What rounds of probes add up to: how often in a row each replica failed them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.base import names
from homeostat.base.world import Snapshot
from homeostat.signals import table
from homeostat.signals.derive import Derived
from homeostat.signals.order import Rows
from homeostat.signals.plan import Plan
from homeostat.signals.quality import FEW, GOOD, Bools, Ints
from homeostat.signals.table import RawTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRun:
    """Consecutive failed probe rounds of one replica.

    Attributes:
        failures: So many in a row, up to now.
        at: Time of the last round counted.
        incarnation: The process they were about, -1 for unknown.
    """

    failures: float
    at: int
    incarnation: int


_NEVER_PROBED: Final = ProbeRun(failures=0.0, at=table.NEVER, incarnation=-1)


def probe_failures(
    runs: dict[tuple[str, str], ProbeRun],
    raw_table: RawTable,
    layout: Plan,
    found: Derived,
    world: Sequence[Snapshot],
) -> tuple[dict[tuple[str, str], ProbeRun], Rows]:
    """Count consecutive failed rounds; a round fails when either of its probes does."""
    incarnation = {
        (snapshot.deployment, names.replica(replica.name)): replica.incarnation
        for snapshot in world
        for replica in snapshot.replicas
    }
    at, fails = _rounds(raw_table, layout, found)
    # Of each subject's probes the first that is believed speaks for it, else the first.
    code = np.where(layout.probes >= 0, found.code[layout.probes], FEW + 1)
    first = layout.probes[np.arange(len(at)), (code == GOOD).argmax(axis=1)]
    out: dict[tuple[str, str], ProbeRun] = {}
    count: list[float] = []
    for subject, when, failed, why in zip(
        layout.probed, at.tolist(), fails.tolist(), found.code[first].tolist(), strict=True
    ):
        run = runs.get(subject, _NEVER_PROBED)
        process = incarnation.get(subject, run.incarnation)
        failures, last = run.failures, run.at
        if process != run.incarnation:
            failures = 0.0
        if why == GOOD and when > last:
            failures, last = failures + 1.0 if failed else 0.0, when
        if (failures, last, process) != (run.failures, run.at, run.incarnation):
            run = ProbeRun(failures=failures, at=last, incarnation=process)
        out[subject] = run
        count.append(run.failures if why == GOOD else np.nan)
    return out, Rows(
        keys=list(layout.failures),
        value=count,
        age_ns=found.age_ns[first].tolist(),
        samples=[1.0] * len(count),
        code=found.code[first].tolist(),
    )


def _rounds(raw_table: RawTable, layout: Plan, found: Derived) -> tuple[Ints, Bools]:
    """Return when each subject was probed last, and whether any believed probe of it failed."""
    there = layout.probes >= 0
    at = np.append(raw_table.at, table.NEVER)[np.where(there, layout.probe_raw, -1)]
    with np.errstate(invalid="ignore"):
        failed = there & (found.code[layout.probes] == GOOD) & (found.value[layout.probes] < 1.0)
    return at.max(axis=1), failed.any(axis=1)
