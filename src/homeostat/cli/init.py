"""`homeostat init`: from a Prometheus that is there already to a first file, all in shadow."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from homeostat.cli import prometheus_reached as reached
from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, show, tell

if TYPE_CHECKING:
    from homeostat.adapters.sources.prometheus_access import Access
    from homeostat.cli.init_find import Found, Group
    from homeostat.cli.init_measure import Measured

_TIMEOUT_S = 30.0
_COLUMNS = ("deployment", "job", "presets", "replicas", "latency_p95_ms", "failed", "lacks")


def init(
    prometheus: str = typer.Option(..., "--prometheus", help="Base of its API."),
    out: Path = typer.Option(Path("homeostat.yaml"), "--out", help="File to write; `-`: print it."),
    job: list[str] = typer.Option([], "--job", help="Only this scrape job; may be repeated."),
    token_file: Path | None = reached.TOKEN_FILE,
    username: str = reached.USERNAME,
    password_file: Path | None = reached.PASSWORD_FILE,
    tenant: str = reached.TENANT,
    reach: str = reached.REACH,
    ca_file: Path | None = typer.Option(None, "--ca-file", help="Certificates to trust instead."),
    output: Output = OUTPUT,
) -> None:
    """Find the model servers of a Prometheus, and write a file that watches them in shadow.

    Reads only. Nothing is overwritten. What it did not understand is named, and left alone.
    """
    from homeostat.base.errors import ConfigError

    printed = str(out) == "-"
    if not printed and out.exists():
        raise ConfigError(f"{out} is there already; move it away, or name another with --out")
    access = reached.access(
        prometheus,
        _TIMEOUT_S,
        token_file=token_file,
        username=username,
        password_file=password_file,
        tenant=tenant,
        reach=reach,
        ca_file=ca_file,
    )
    found, measured = _look(access, job)
    _say(found, job)
    if not measured:
        tell("homeostat: no job serves models that a preset knows; see `homeostat get presets`")
        raise typer.Exit(Exit.NO_DATA)
    text = _checked(access, measured, out)
    if printed:
        typer.echo(text, nl=False)
        return
    _write(out, text)
    show([_row(group, one) for group, one in measured], output, _COLUMNS)
    tell(f"wrote {out}: {len(measured)} deployments, all in shadow")
    tell(f"next: homeostat doctor -f {out}")


def _look(access: "Access", only: list[str]) -> tuple["Found", list[tuple["Group", "Measured"]]]:
    """Return what there is; ends with the code for missing data where nobody answers."""
    import asyncio

    from homeostat.adapters.sources.prometheus_answer import QueryError

    try:
        return asyncio.run(_found(access, only))
    except QueryError as error:
        tell(f"homeostat: {error}")
        raise typer.Exit(Exit.NO_DATA) from None


async def _found(
    access: "Access", only: list[str]
) -> tuple["Found", list[tuple["Group", "Measured"]]]:
    from homeostat.adapters.sources.prometheus_api import PrometheusApi
    from homeostat.cli.init_find import find
    from homeostat.cli.init_measure import measure

    api = PrometheusApi(access)
    try:
        found = await find(api, only)
        # One after the other: somebody else's server is asked for no more than it must.
        return found, [
            (group, await measure(api, group.select, group.presets)) for group in found.groups
        ]
    finally:
        await api.close()


def _checked(access: "Access", measured: list[tuple["Group", "Measured"]], out: Path) -> str:
    """Return the file's text after our own reader has read it.

    Raises:
        ConfigError: It is too large for one file.
    """
    from datetime import UTC, datetime

    from homeostat.base.errors import ConfigError
    from homeostat.cli.init_write import Reached, text
    from homeostat.server.config.loader import assemble, parse
    from homeostat.server.config.reader import MAX_BYTES

    server = Reached(url=access.url.rstrip("/"), more=reached.files(access))
    written = text(server, measured, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    if len(written.encode()) > MAX_BYTES:
        raise ConfigError(
            f"{len(measured)} deployments are too many for one file; write several, each with --job"
        )
    assemble(parse(written.encode(), str(out)))
    return written


def _write(out: Path, text: str) -> None:
    """Write the file and, if there is none beside it, the schema that its first line names.

    Raises:
        ConfigError: It cannot be written, or is there by now.
    """
    import json

    from homeostat.base.errors import ConfigError
    from homeostat.cli.init_write import SCHEMA
    from homeostat.server import config

    schema = out.parent / SCHEMA
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
        if not schema.exists():
            body = json.dumps(config.schema(), indent=2, sort_keys=True)
            schema.write_text(body + "\n", encoding="utf-8")
    except FileExistsError:
        raise ConfigError(f"{out} is there by now; nothing is overwritten") from None
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}; choose another place") from error


def _row(group: "Group", measured: "Measured") -> dict[str, Any]:
    import math

    p95 = measured.p95_ms
    return {
        "deployment": group.name,
        "job": group.job,
        "select": dict(group.select),
        "presets": list(group.presets),
        "replicas": group.targets,
        "up": group.up,
        "scrape_s": measured.scrape_s,
        "latency_p95_ms": p95 if p95 is not None and math.isfinite(p95) else None,
        "failed": measured.failed,
        "models": list(measured.models),
        "lacks": list(measured.lacks),
    }


def _say(found: "Found", only: list[str]) -> None:
    """Tell what is left over, in words: nothing is passed over in silence."""
    jobs = {group.job for group in found.groups}
    left = [*found.unclear, *found.beside]
    count = len(jobs) + len(left) + len(found.others)
    tell(f"{count} jobs, {len(jobs)} of them serve models")
    for job, why in found.unclear:
        tell(f"  {job}: not understood: {why}")
    for job, presets in found.beside:
        tell(
            f"  {job}: {', '.join(presets)}; not bound to a deployment: where it stands in front "
            "of one, an entry with `subject: gateway` says what users see"
        )
    if found.others:
        tell(f"  left alone, no preset knows them: {', '.join(found.others)}")
    for name in sorted(set(only) - jobs - {job for job, _ in left} - set(found.others)):
        tell(f"  {name}: no such job is scraped")
