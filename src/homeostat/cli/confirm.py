"""`homeostat confirm`: what an incident was; detection learns from it, the guards do not."""

import time
from pathlib import Path

import typer

from homeostat.base.evidence import Family
from homeostat.cli.client import TOKEN_FILE, URL, call, token_from
from homeostat.cli.exits import Exit
from homeostat.cli.output import tell


def confirm(
    deployment: str = typer.Argument(help="The managed model's name."),
    incident: str | None = typer.Argument(
        None, help="The incident's id, for example i-0007; none with --missed or --forget."
    ),
    real: bool = typer.Option(False, "--real", help="There was trouble."),
    nothing: bool = typer.Option(False, "--nothing", help="There was none."),
    normal: bool = typer.Option(
        False,
        "--normal",
        help="It is the new normal: its levels begin anew; with --why.",
    ),
    missed: str | None = typer.Option(
        None, "--missed", help="Nobody was told of trouble that was felt this long ago: 20m."
    ),
    family: Family | None = typer.Option(None, "--family", help="What it was, where you know."),
    forget: bool = typer.Option(False, "--forget", help="Forget all that was ever said."),
    resume: bool = typer.Option(
        False, "--resume", help="Learn on, where the answers had changed too much."
    ),
    why: str = typer.Option("", "--why", help="The reason; it is kept."),
    by: str | None = typer.Option(
        None, "--by", help="Who says so; a token of your own says it by itself."
    ),
    url: str = URL,
    token_file: Path | None = TOKEN_FILE,
) -> None:
    """Say what an incident is: real, nothing, or the new normal; or that something was missed."""
    asked = [incident is not None, missed is not None, forget, resume]
    words = real + nothing + normal
    lacks = normal and (incident is None or family is not None or not why)
    if sum(asked) != 1 or (incident is not None and words != 1) or lacks:
        tell(
            "homeostat: say one thing: INCIDENT with --real or --nothing, or with --normal --why "
            "REASON, or --missed 20m, or --forget, or --resume"
        )
        raise typer.Exit(Exit.USAGE)
    body = {name: text for name, text in (("by", by), ("why", why)) if text}
    token = token_from(token_file)
    if forget or resume:
        word = "all that was said is forgotten" if forget else "learning goes on"
        body |= {"why": why or "asked for with homeostat confirm"}
        reset = body | {"everything": forget}
        call("POST", url, "deployments", deployment, "feedback", "reset", body=reset, token=token)
        tell(f"{deployment}: {word}")
        return
    if normal:
        asked_for = body | {"incident": incident or ""}
        call("POST", url, "deployments", deployment, "normal", body=asked_for, token=token)
        tell(f"{deployment}: what is off in {incident} is normal from the next tick on")
        return
    said = _about(incident, missed) | {"real": not nothing} | body
    said |= {"family": family.value} if family is not None else {}
    call("POST", url, "deployments", deployment, "confirm", body=said, token=token)
    tell(f"{deployment}: heard; `homeostat get feedback -d {deployment}` shows what it moved")


def _about(incident: str | None, missed: str | None) -> dict[str, str | float]:
    from homeostat.server.config.units import duration_ns

    if missed is None:
        return {"incident": incident or ""}
    try:
        return {"at": time.time() - duration_ns(missed) / 1e9}
    except ValueError as error:
        tell(f"homeostat: --missed: {error}")
        raise typer.Exit(Exit.USAGE) from error
