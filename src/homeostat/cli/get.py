"""`homeostat get WHAT [NAME]`: read from a running controller."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from homeostat.cli import prometheus_reached as reached
from homeostat.cli.client import URL, call
from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, show, show_fields, tell


class What(StrEnum):
    """What can be read."""

    DEPLOYMENTS = "deployments"
    INCIDENTS = "incidents"
    DECISIONS = "decisions"
    ACTIONS = "actions"
    ALERTS = "alerts"
    AUTONOMY = "autonomy"
    FEEDBACK = "feedback"
    LINEAGE = "lineage"
    PARTS = "parts"
    PRESETS = "presets"
    SHARED = "shared"


def get(
    what: What = typer.Argument(What.DEPLOYMENTS, help="What to read."),
    name: str | None = typer.Argument(None, help="One of them: its name or id."),
    deployment: str | None = typer.Option(None, "--deployment", "-d", help="Only this one's."),
    prometheus: str | None = typer.Option(
        None, "--prometheus", help="With presets: which jobs of this server serve models."
    ),
    token_file: Path | None = typer.Option(None, "--token-file", help="Its bearer token."),
    username: str = reached.USERNAME,
    password_file: Path | None = reached.PASSWORD_FILE,
    tenant: str = reached.TENANT,
    reach: str = reached.REACH,
    output: Output = OUTPUT,
    url: str = URL,
) -> None:
    """Show what a running controller knows, the plug-ins or the presets; see WHAT."""
    if what is What.PRESETS:
        said = {"token_file": token_file, "username": username, "password_file": password_file}
        _presets(name, prometheus, said | {"tenant": tenant, "reach": reach}, output)
        return
    if what is What.PARTS:
        rows = _parts()
        show(rows if name is None else _named(rows, "name", name, "part"), output)
        return
    params = {"deployment": deployment} if deployment and what is not What.DEPLOYMENTS else None
    if what is What.AUTONOMY:
        from homeostat.cli import tables

        rows = _rows(what, call("GET", url, what.value))
        chosen = [row for row in rows if name is None or name in {row["deployment"], row["kind"]}]
        show(tables.autonomy(chosen) if output is Output.TABLE else chosen, output)
        return
    if what is What.ALERTS:
        from homeostat.cli import tables_alerts

        rows = _rows(what, call("GET", url, what.value, params=params))
        chosen = [row for row in rows if name in {None, row["name"], row["fingerprint"]}]
        show(tables_alerts.alerts(chosen) if output is Output.TABLE else chosen, output)
        return
    if what is What.FEEDBACK:
        _feedback(name or deployment, output, url)
        return
    if what is What.LINEAGE:
        _lineage(name or deployment, output, url)
        return
    if what is What.SHARED:
        _shared(name or deployment, output, url)
        return
    if name is None:
        _list(what, _rows(what, call("GET", url, what.value, params=params)), output)
    elif what in {What.DEPLOYMENTS, What.DECISIONS}:
        _one(what, call("GET", url, what.value, name, params=params), output)
    else:
        rows = _rows(what, call("GET", url, what.value, params=(params or {}) | {"limit": "500"}))
        _one(what, _named(rows, "id", name, what.value.removesuffix("s"))[0], output)


def _feedback(deployment: str | None, output: Output, url: str) -> None:
    from homeostat.cli import tables_feedback

    if deployment is None:
        tell("homeostat: whose? write `homeostat get feedback NAME`")
        raise typer.Exit(Exit.USAGE)
    row = call("GET", url, "deployments", deployment, "feedback")
    if output is Output.TABLE:
        show_fields(tables_feedback.feedback(row))
    else:
        show(row, output)


def _lineage(deployment: str | None, output: Output, url: str) -> None:
    from homeostat.cli import tables_lineage

    names = [deployment]
    if deployment is None:
        fleet = _rows(What.DEPLOYMENTS, call("GET", url, "deployments"))
        names = [row["deployment"] for row in fleet]
    found = [call("GET", url, "deployments", str(name), "lineage") for name in names]
    rows = [row for one in found for row in _rows(What.LINEAGE, one)]
    if output is not Output.TABLE:
        show(rows, output)
        return
    show(tables_lineage.lineage(rows), output)
    for one in found:
        tell(f"homeostat: {one['deployment']}: {tables_lineage.serving(one['serving'])}")


def _shared(deployment: str | None, output: Output, url: str) -> None:
    from homeostat.cli import tables_shared

    answer = call("GET", url, "shared")
    if output is not Output.TABLE:
        show(answer, output)
        return
    rows = [row for row in answer["deployments"] if deployment in {None, row["deployment"]}]
    show(tables_shared.shared(rows), output)
    tell(f"homeostat: {tables_shared.summary(answer)}")


def _list(what: What, rows: list[dict[str, Any]], output: Output) -> None:
    from homeostat.cli import tables

    as_table: dict[What, Callable[..., list[dict[str, Any]]]] = {
        What.DEPLOYMENTS: tables.deployments,
        What.INCIDENTS: tables.incidents,
        What.DECISIONS: tables.decisions,
        What.ACTIONS: tables.actions,
    }
    show(as_table[what](rows) if output is Output.TABLE else rows, output)
    if not rows and what is What.DEPLOYMENTS:
        raise typer.Exit(Exit.NO_DATA)  # no incident is good news; no deployment is no news


def _one(what: What, row: dict[str, Any], output: Output) -> None:
    from homeostat.cli import tables

    as_fields: dict[What, Callable[..., dict[str, str | list[str]]]] = {
        What.DEPLOYMENTS: tables.deployment,
        What.INCIDENTS: tables.incident,
        What.DECISIONS: tables.decision,
        What.ACTIONS: tables.action,
    }
    if output is Output.TABLE:
        show_fields(as_fields[what](row))
    else:
        show(row, output)


def _rows(what: What, answer: Any) -> list[dict[str, Any]]:
    found = answer.get(what.value) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        tell("homeostat: the answer is not a controller's; is --url right?")
        raise typer.Exit(Exit.NO_DATA)
    return found


def _named(rows: list[dict[str, Any]], key: str, name: str, kind: str) -> list[dict[str, Any]]:
    from difflib import get_close_matches

    found = [row for row in rows if row[key] == name]
    if not found:
        known = [str(row[key]) for row in rows]
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        listed = ", ".join(known[:10]) or "none yet"
        tell(f"homeostat: there is no {kind} {name!r}; {hint}known: {listed}")
        raise typer.Exit(Exit.NO_DATA)
    return found


def _parts() -> list[dict[str, Any]]:
    from homeostat import plugins

    detect = ("detector", "method", "histogram")
    kinds = (*detect, "source", "actuator", "notifier", "trainer", "store")
    found = [part for kind in kinds for part in plugins.parts(kind).values()]
    return [{"kind": part.kind, "name": part.name, "summary": part.summary} for part in found]


def _presets(
    name: str | None, prometheus: str | None, said: dict[str, Any], output: Output
) -> None:
    from homeostat.cli import get_presets

    if prometheus is not None:
        rows = get_presets.found(prometheus, **said)
        show(rows, output)
        if not rows:
            raise typer.Exit(Exit.NO_DATA)
        return
    rows = get_presets.listed()
    if name is None:
        show(rows, output)
        return
    _named(rows, "name", name, "preset")
    if output is Output.TABLE:
        show_fields(get_presets.fields(name))
    else:
        show(get_presets.plain(name), output)
