"""`homeostat release` and `homeostat grant`: hand deployments back, and give autonomy by name."""

from pathlib import Path
from typing import Any

import typer

from homeostat.base.actions import ActionKind
from homeostat.cli.client import TOKEN_FILE, URL, call, token_from
from homeostat.cli.exits import Exit
from homeostat.cli.output import OUTPUT, Output, show, tell

_BY = typer.Option(None, "--by", help="Who says so; a token of your own says it by itself.")


def release(
    deployment: str | None = typer.Argument(None, help="One of them; without it, all."),
    why: str = typer.Option(..., "--why", help="The reason; it is kept."),
    by: str | None = _BY,
    output: Output = OUTPUT,
    url: str = URL,
    token_file: Path | None = TOKEN_FILE,
) -> None:
    """Hand deployments back: mode shadow, nothing new is written, no open question counts.

    What is in flight is finished or taken back first; exits 3 while anything is. The levers stay
    as they are: they are printed, so that whoever takes over knows what was set.
    """
    token = token_from(token_file)
    rows = call("GET", url, "deployments", token=token)["deployments"]
    names = [row["deployment"] for row in rows]
    if deployment is not None and deployment not in names:
        tell(f"homeostat: there is no deployment {deployment!r}; known: {', '.join(names)}")
        raise typer.Exit(Exit.NO_DATA)
    body = {"mode": "shadow", "why": f"released: {why}"} | ({"by": by} if by else {})
    left = []
    for name in [deployment] if deployment is not None else names:
        call("POST", url, "deployments", name, "mode", body=body, token=token)
        left.append(_left(call("GET", url, "deployments", name, token=token)))
    show(left, output)
    if any(row["in_flight"] for row in left):
        tell("homeostat: what is in flight is finished or taken back first; run this again")
        raise typer.Exit(Exit.UNHEALTHY)


def _left(row: dict[str, Any]) -> dict[str, Any]:
    """Return how a deployment is left."""
    return {
        "deployment": row["deployment"],
        "mode": row["mode"],
        "in_flight": row["in_flight"],
        "levers": (row["world"] or {}).get("levers"),
    }


def grant(
    deployment: str = typer.Argument(help="The managed model's name."),
    kind: ActionKind = typer.Argument(help="The kind of action, for example restart_replica."),
    why: str = typer.Option(..., "--why", help="The reason; it is kept."),
    take_back: bool = typer.Option(False, "--take-back", help="Make it ask instead."),
    by: str | None = _BY,
    url: str = URL,
    token_file: Path | None = TOKEN_FILE,
) -> None:
    """Let a kind of action that the policy names run unasked again after a harm, or make it ask."""
    body: dict[str, Any] = {"kind": kind.value, "given": not take_back, "why": why}
    body |= {"by": by} if by else {}
    token = token_from(token_file)
    call("POST", url, "deployments", deployment, "autonomy", body=body, token=token)
    tell(f"{deployment}: {kind.value} {'asks' if take_back else 'runs unasked'} from now on")
