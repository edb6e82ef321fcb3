"""`homeostat get WHAT [NAME]`: read from a running controller."""

from enum import StrEnum

import typer

from homeostat.cli.client import URL, call
from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, show


class What(StrEnum):
    """What can be read."""

    DEPLOYMENTS = "deployments"
    INCIDENTS = "incidents"
    DECISIONS = "decisions"
    ACTIONS = "actions"
    PARTS = "parts"


def get(
    what: What = typer.Argument(What.DEPLOYMENTS, help="What to read."),
    name: str | None = typer.Argument(None, help="One of them."),
    output: Output = OUTPUT,
    url: str = URL,
) -> None:
    """Show deployments, incidents, decisions, actions, or the plug-ins that are installed."""
    if what is What.PARTS:
        show(_parts(), output)
        return
    data = call("GET", url, f"/v1/{what}" + (f"/{name}" if name else ""))
    if isinstance(data, dict) and isinstance(data.get(what.value), list):
        data = data[what.value]
    show(data, output)
    if not data:
        raise typer.Exit(Exit.NO_DATA)


def _parts() -> list[dict[str, str]]:
    from homeostat import plugins

    kinds = ("detector", "source", "actuator", "notifier", "store")
    found = [part for kind in kinds for part in plugins.parts(kind).values()]
    return [{"kind": part.kind, "name": part.name, "summary": part.summary} for part in found]
