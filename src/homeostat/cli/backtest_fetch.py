"""Histories from the Prometheus that a configuration names, by the same presets as `twin fetch`.

The signals of a preset that are no column of a recording are left out, as there; so is a deployment
of which nothing is found, and it is said.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence

import numpy as np

from homeostat.adapters.sources.presets_choose import AmbiguousError
from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_answer import QueryError
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.adapters.sources.prometheus_select import matchers
from homeostat.base.names import OBSERVED
from homeostat.base.units import SECOND
from homeostat.cli import twin_fetch
from homeostat.cli.output import tell
from homeostat.cli.twin_fetch import Column
from homeostat.server.config import Deployment
from homeostat.server.plan import PartPlan
from homeostat.twin.fit_frame import Frame, frame

_TIMEOUT_S = 60.0
REPLICAS = "replicas"
_FEWEST = 2  # rows that anything can be said of
_REACH = frozenset({
    "url", "reach", "ca_file", "token_file", "username", "password_file", "tenant",
})  # fmt: skip


def fetch(entries: Sequence[Deployment], *, since_ns: int, step_ns: int) -> dict[str, Frame]:
    """Return a history of each deployment that has one.

    Args:
        entries: Configured deployments, each with `metrics.prometheus`.
        since_ns: How far back from now.
        step_ns: Between two rows.
    """
    found = {}
    for entry in entries:
        try:
            columns = asyncio.run(_columns(entry, since_ns, step_ns))
        except (QueryError, AmbiguousError) as error:
            tell(f"homeostat: {entry.name} is left out: {error}")
            continue
        one = framed(columns, entry.name)
        if one is None:
            tell(f"homeostat: {entry.name} is left out: its Prometheus shows nothing of it")
        else:
            found[entry.name] = one
    return found


async def _columns(entry: Deployment, since_ns: int, step_ns: int) -> dict[str, Column]:
    """Return what a deployment's queries say; the first that knows a column is believed."""
    columns: dict[str, Column] = {}
    now_s = time.time()  # one for all, so that all have the same steps
    for source in entry.prometheus:
        said, _ = await twin_fetch.columns_of(_asked(source, since_ns, step_ns), now_s)
        columns = said | columns
    if REPLICAS not in columns and (up := await _scraped(entry, since_ns, step_ns, now_s)):
        columns[REPLICAS] = up
    if REPLICAS not in columns:
        tell(
            f"homeostat: {entry.name}: nothing says how many replicas there were, so nothing that "
            "would have been done can be told"
        )
    return columns


async def _scraped(entry: Deployment, since_ns: int, step_ns: int, now_s: float) -> Column:
    """Return how many targets answered, where those are the replicas as live (decision 20)."""
    if entry.managed.scale_actuator != OBSERVED:
        return {}
    source = next((one for one in entry.prometheus if one.settings["replica_label"]), None)
    if source is None:
        return {}
    wanted = _asked(source, since_ns, step_ns)
    api = PrometheusApi(wanted.access)
    try:
        query = f"sum(up{{{matchers(wanted.select)}}})"
        return await twin_fetch.values_of(api, query, wanted, now_s)
    finally:
        await api.close()


def _asked(source: PartPlan, since_ns: int, step_ns: int) -> twin_fetch.Asked:
    given = {key: value for key, value in source.settings.items() if key in _REACH}
    return twin_fetch.Asked(
        access=Access(**given, timeout_s=_TIMEOUT_S),
        select=dict(source.settings["select"]),
        presets=tuple(source.settings["presets"]),
        since_ns=since_ns,
        step_s=step_ns / SECOND,
    )


def framed(columns: Mapping[str, Column], name: str) -> Frame | None:
    """Return columns as a frame, None where there are too few rows.

    Args:
        columns: Values by time, as a Prometheus said them.
        name: Of the deployment.
    """
    times = np.array(sorted({at for values in columns.values() for at in values}))
    if len(times) < _FEWEST:
        return None
    table = {
        column: np.array([values.get(at, np.nan) for at in times.tolist()])
        for column, values in columns.items()
    }
    # What no recording may hold says nothing.
    table = {column: np.where(values >= 0.0, values, np.nan) for column, values in table.items()}
    digest = hashlib.sha256(times.tobytes() + b"".join(v.tobytes() for v in table.values()))
    return frame(
        source=f"Prometheus, {name}", sha256=digest.hexdigest(), time_s=times, columns=table
    )
