"""`homeostat report`: what was seen and would have been done, from the controller's own record."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.kept import ANCHOR, PASSWORD_FILE, SCHEMA
from homeostat.cli.output import OUTPUT, Output, show, tell

if TYPE_CHECKING:
    from homeostat.base.units import TimeNs
    from homeostat.report.shadow import Watch
    from homeostat.server.replaying import Kept


def report(
    journal: str = typer.Argument("", help="The journal; default: that of the configuration."),
    file: list[Path] = typer.Option(
        [Path("homeostat.yaml")], "--file", "-f", help="Configuration that names the journal."
    ),
    since: str = typer.Option("7d", "--since", help="How far back, for example 12h."),
    out: Path | None = typer.Option(None, "--out", help="Also write it as a page (HTML)."),
    anchor: Path | None = ANCHOR,
    password_file: Path | None = PASSWORD_FILE,
    schema: str = SCHEMA,
    output: Output = OUTPUT,
) -> None:
    """Tell what was abnormal over the time watched, and what would have been done about it.

    Also while the controller runs. Exits 6 if nothing was watched.
    """
    import time

    from homeostat.base.errors import ConfigError
    from homeostat.base.units import TimeNs
    from homeostat.report.shadow import plain, watches
    from homeostat.server.config.units import duration_ns
    from homeostat.server.replaying import Kept, open_read_only
    from homeostat.server.watched import watched

    try:
        back = duration_ns(since)
    except ValueError as error:
        raise ConfigError(f"--since: {error}") from None
    if journal:
        kept = Kept(place=journal, anchor=anchor, password_file=password_file, schema=schema)
    else:
        kept = _configured(file)
    opened = open_read_only(kept)
    try:
        found = watches(watched(opened, TimeNs(time.time_ns() - back)))
    finally:
        opened.close()
    if not found:
        tell(f"homeostat: nothing was watched in the last {since}; `homeostat run` watches")
        raise typer.Exit(Exit.NO_DATA)
    if output is Output.TABLE:
        _tables(found)
    else:
        show([plain(one) for one in found], output)
    if out is not None:
        _write(found, out)


def _configured(files: list[Path]) -> "Kept":
    """Return where the journal of a configuration lies."""
    from homeostat.server.config import load
    from homeostat.server.replaying import Kept

    settings = load(tuple(files)).controller
    database = settings.postgres
    if database is None:
        return Kept(place=str(settings.store_path))
    return Kept(
        place=database.url,
        anchor=settings.store_path,
        password_file=database.password_file,
        schema=database.schema,
    )


def _tables(found: list["Watch"]) -> None:
    from homeostat.report.shadow import counts, length, plain

    rows: list[dict[str, Any]] = []
    for one in found:
        shares = {key: plain(one)[key] for key in ("met", "missed", "unknown")}
        came_to = {key: value for key, value in counts(one).items() if value}
        rows.append(
            {"deployment": one.managed.name, "watched": length(one.watched_ns)}
            | {key: None if v is None else f"{v:.1%}" for key, v in shares.items()}
            | {"incidents": len(one.lasting)}
            | {"did not last": len(one.troubles) - len(one.lasting), "came to": came_to}
        )
    show(rows, Output.TABLE)
    typer.echo("")
    listed = [row for one in found for row in _incidents(one)]
    if listed:
        show(listed, Output.TABLE)


def _incidents(watch: "Watch") -> list[dict[str, Any]]:
    from homeostat.report.shadow import came_to, length

    rows = []
    for one in watch.lasting:
        incident = one.incident
        end = one.closed_at or watch.ended or incident.opened_at
        rows.append({
            "deployment": incident.deployment,
            "incident": incident.id,
            "from": _when(incident.opened_at),
            "lasted": length(max(0, end - incident.opened_at))
            + ("" if one.closed_at is not None else ", open"),
            "suspected": f"{incident.family.value} at {incident.subject}",
            "came to": [
                " ".join(part for part in (verdict, action, *(f"({w})" for w in why[:1])) if part)
                for verdict, action, why in came_to(one)
            ]
            or None,
        })
    return rows


def _write(found: list["Watch"], out: Path) -> None:
    """Write the page.

    Raises:
        ConfigError: It cannot be written.
    """
    from homeostat import __version__
    from homeostat.base.errors import ConfigError
    from homeostat.report.shadow_page import page

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page(found, __version__, _when), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}; choose another place") from error
    tell(f"wrote {out}")


def _when(at: "TimeNs") -> str:
    """Return a time in UTC, to the second."""
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
