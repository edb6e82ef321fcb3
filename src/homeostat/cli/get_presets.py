"""What `homeostat get presets` shows: all, one with its queries, or which jobs of a server fit."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import typer

from homeostat.adapters.sources.presets_choose import AmbiguousError, discover
from homeostat.adapters.sources.presets_file import presets
from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_answer import QueryError
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.adapters.sources.prometheus_select import exact
from homeostat.cli import prometheus_reached as reached
from homeostat.cli.exits import Exit
from homeostat.cli.output import tell

_TIMEOUT_S: Final = 30.0


def listed() -> list[dict[str, Any]]:
    """Return a row for each preset."""
    return [
        {
            "name": name,
            "layer": known.entry.layer,
            "signals": len(known.entry.signals),
            "read": len({rule.signal for rule in known.rules.rules}),
            "needs": ", ".join(known.entry.needs),
        }
        for name, known in presets().items()
    ]


def fields(name: str) -> dict[str, str | Sequence[str]]:
    """Return what is shown of one preset."""
    known = presets()[name]
    entry, read = known.entry, len({rule.signal for rule in known.rules.rules})
    return {
        "name": name,
        "layer": entry.layer,
        "verified": entry.verified,
        "chosen where there is": list(entry.needs) or ["nothing: only by name"],
        "read by the loop": f"{read} raw signals",
        "signals": [f"{key} ({one.u}): {one.q}" for key, one in entry.signals.items()] or ["none"],
    }


def plain(name: str) -> dict[str, Any]:
    """Return one preset as its file has it."""
    return presets()[name].entry.model_dump(mode="json", by_alias=True) | {"name": name}


def found(url: str, **said: Any) -> list[dict[str, Any]]:
    """Return the jobs of a server that serve models; ends with its code where nobody answers.

    Args:
        url: Base of its API.
        said: How it is reached, as `prometheus_reached.access` takes it.

    Raises:
        ConfigError: An option that cannot be.
    """
    access = reached.access(url, _TIMEOUT_S, **said)
    try:
        jobs = asyncio.run(_jobs(access))
    except QueryError as error:
        tell(f"homeostat: {error}")
        raise typer.Exit(Exit.NO_DATA) from None
    return [row for job, names in jobs.items() for row in _row(job, names)]


def _row(job: str, names: Sequence[str]) -> list[dict[str, Any]]:
    try:
        chosen = discover({job: names})
    except AmbiguousError as error:
        return [{"job": job, "presets": "-", "note": str(error)}]
    return [{"job": job, "presets": ", ".join(fit), "note": ""} for fit in chosen.values()]


async def _jobs(access: Access) -> dict[str, tuple[str, ...]]:
    api = PrometheusApi(access)
    try:
        since = reached.recently()
        jobs = await api.label_values("job", since=since)
        return {job: await api.names([exact("job", job)], since=since) for job in jobs if job}
    finally:
        await api.close()
