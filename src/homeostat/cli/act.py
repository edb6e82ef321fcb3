"""`homeostat approve, reject, undo, freeze, mode`: a person's word to a running controller."""

from pathlib import Path

import typer

from homeostat.base.policy import KillLevel, Mode
from homeostat.cli.act_freeze import freeze_for
from homeostat.cli.client import DEPLOYMENT, TOKEN_FILE, URL, call, token_from
from homeostat.cli.output import tell

_BY = typer.Option(None, "--by", help="Who says so; a token of your own says it by itself.")
_WHY = typer.Option("", "--why", help="The reason; it is kept.")
_ID = typer.Argument(help="The decision's id, for example d-0007.")


def approve(
    decision: str = _ID,
    why: str = _WHY,
    by: str | None = _BY,
    deployment: str | None = DEPLOYMENT,
    url: str = URL,
    token_file: Path | None = TOKEN_FILE,
) -> None:
    """Say yes to a question as it stands; the guards are asked again before anything is done."""
    token = token_from(token_file)
    asked = call("GET", url, "decisions", decision, token=token, params=_of(deployment) or None)
    question = asked["question"] or {}
    for line in question.get("changed", ()):
        tell(f"{decision}: {line}")
    bound = {name: question[name] for name in ("action_hash", "evidence_hash") if question}
    _answer(decision, "approve", _said(by, why) | _of(deployment) | bound, url, token_file)


def reject(
    decision: str = _ID,
    why: str = typer.Option(..., "--why", help="The reason; it is kept."),
    by: str | None = _BY,
    deployment: str | None = DEPLOYMENT,
    url: str = URL,
    token_file: Path | None = TOKEN_FILE,
) -> None:
    """Say no to a question."""
    _answer(decision, "reject", _said(by, why) | _of(deployment), url, token_file)


def undo(
    decision: str = _ID,
    why: str = _WHY,
    by: str | None = _BY,
    deployment: str | None = DEPLOYMENT,
    url: str = URL,
    token_file: Path | None = TOKEN_FILE,
) -> None:
    """Take a finished action back, if what it set has not been changed since."""
    _answer(decision, "undo", _said(by, why) | _of(deployment), url, token_file)


def freeze(
    level: KillLevel = typer.Argument(KillLevel.NO_NEW, help="How much is stopped."),
    why: str = _WHY,
    by: str | None = _BY,
    file: Path | None = typer.Option(
        None, "--file", help="Write the switch file itself: works when the controller does not."
    ),
    lasts: str | None = typer.Option(
        None, "--for", help="Instead of the switch: a freeze of this length, 2h; needs --into."
    ),
    into: Path | None = typer.Option(
        None, "--into", help="With --for: the folder of configuration that the controller reads."
    ),
    url: str = URL,
    token_file: Path | None = TOKEN_FILE,
) -> None:
    """Throw the kill switch (no new actions, nothing at all, or off), or freeze for a while."""
    if lasts is not None or into is not None:
        freeze_for(lasts, into, why, by)
        return
    if file is not None:
        from homeostat.server.kill import throw_file

        throw_file(file, level, ": ".join(one for one in (by or "cli", why) if one))
    else:
        body = {"level": level.value} | _said(by, why)
        call("POST", url, "freeze", body=body, token=token_from(token_file))
    tell(f"kill switch is at {level}")


def mode(
    deployment: str = typer.Argument(help="The managed model's name."),
    to: Mode = typer.Argument(help="shadow, approve or auto."),
    why: str = _WHY,
    by: str | None = _BY,
    url: str = URL,
    token_file: Path | None = TOKEN_FILE,
) -> None:
    """Change how much a deployment trusts the controller; more needs an approver."""
    body = {"mode": to.value} | _said(by, why)
    token = token_from(token_file)
    call("POST", url, "deployments", deployment, "mode", body=body, token=token)
    tell(f"{deployment}: mode {to} is on its way")


def canary(
    deployment: str = typer.Argument(help="The managed model's name."),
    why: str = _WHY,
    by: str | None = _BY,
    url: str = URL,
    token_file: Path | None = TOKEN_FILE,
) -> None:
    """Ask for traffic for the canary's pool, rung by rung, each compared with what serves."""
    body = _said(by, why)
    call("POST", url, "deployments", deployment, "canary", body=body, token=token_from(token_file))
    tell(f"{deployment}: the canary's ramp is asked for; `homeostat get actions` shows it")


def _answer(
    decision: str, verb: str, body: dict[str, str], url: str, token_file: Path | None
) -> None:
    token = token_from(token_file)
    done = call("POST", url, "decisions", decision, verb, body=body, token=token)
    tell(f"{decision}: {done.get('note') or f'{verb} is on its way'}")


def _said(by: str | None, why: str) -> dict[str, str]:
    return {name: text for name, text in (("by", by), ("why", why)) if text}


def _of(deployment: str | None) -> dict[str, str]:
    return {"deployment": deployment} if deployment else {}
