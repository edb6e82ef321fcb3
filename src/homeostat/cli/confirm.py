"""`homeostat confirm`: what an incident was; detection learns from it, the guards do not."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    about = {
        "INCIDENT": incident is not None,
        "--missed": missed is not None,
        "--forget": forget,
        "--resume": resume,
    }
    words = {"--real": real, "--nothing": nothing, "--normal": normal}
    fault = _fault([one for one in about if about[one]], [one for one in words if words[one]])
    if normal and fault is None:
        fault = _normal(family, why)
    if fault is not None:
        tell(f"homeostat: {fault}")
        raise typer.Exit(Exit.USAGE)
    body: dict[str, Any] = {name: text for name, text in (("by", by), ("why", why)) if text}
    said: dict[str, Any] = {} if missed is None else {"at": _ago(missed)}
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
    said |= {"incident": incident or ""} if missed is None else {}
    said |= {"real": not nothing} | body
    said |= {"family": family.value} if family is not None else {}
    call("POST", url, "deployments", deployment, "confirm", body=said, token=token)
    tell(f"{deployment}: heard; `homeostat get feedback -d {deployment}` shows what it moved")


def _fault(about: Sequence[str], words: Sequence[str]) -> str | None:
    """Return what is wrong with what was said, and of what; None if nothing is.

    Args:
        about: What it is of: INCIDENT, or an option that stands for it.
        words: Which of --real, --nothing and --normal were given.
    """
    if len(about) > 1:
        return f"{' and '.join(about)} do not go together; say one thing at a time"
    if len(words) > 1:
        return f"{' and '.join(words)} exclude each other; give one of them"
    if not about and words:
        return (
            f"{words[0]} of which INCIDENT? name it, for example i-0007; "
            "`homeostat get incidents` lists them"
        )
    if not about:
        return (
            "there is nothing said; give INCIDENT with --real, --nothing or --normal, or "
            "--missed 20m, --forget or --resume"
        )
    if about == ["INCIDENT"] and not words:
        return "what was it? give --real, --nothing, or --normal --why REASON with the incident"
    said = [one for one in words if one != "--real"] if about == ["--missed"] else words
    if about != ["INCIDENT"] and said:
        return f"{said[0]} is said of an INCIDENT, and {about[0]} is of none; leave one of them out"
    return None


def _normal(family: Family | None, why: str) -> str | None:
    """Return what is wrong with the words beside --normal; None if nothing is."""
    if not why:
        return "--normal needs --why REASON: its levels begin anew, and why that was done is kept"
    if family is not None:
        return "--family names a fault, and --normal says that there is none; leave one of them out"
    return None


def _ago(missed: str) -> float:
    """Return when it was, seconds since the epoch."""
    from homeostat.server.config.units import duration_ns

    try:
        return time.time() - duration_ns(missed) / 1e9
    except ValueError as error:
        tell(f"homeostat: --missed: {error}")
        raise typer.Exit(Exit.USAGE) from error
