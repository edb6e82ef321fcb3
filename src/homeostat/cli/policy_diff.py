"""What `homeostat policy diff` does: compares, prints a witness for each difference, exits."""

from pathlib import Path
from typing import Any

import typer

from homeostat.base.errors import ConfigError
from homeostat.cli.exits import Exit
from homeostat.cli.output import Output, show, tell
from homeostat.proof.diff import Widening, widened
from homeostat.report.policy_words import plain_step, sentence
from homeostat.safety.guard import guard
from homeostat.server.prover import setting
from homeostat.server.proving import Subject, subjects


def diff(old: Path, new: Path, interval_ns: int | None, timeout_s: float, output: Output) -> None:
    """Compare two policies.

    Args:
        old: The policy in force.
        new: The policy that would take its place.
        interval_ns: Scrape interval of policies that no deployment uses.
        timeout_s: For one answer of the solver.
        output: How to print.
    """
    before, after = _only(old, interval_ns), _only(new, interval_ns)
    timeout_ms = max(1, round(timeout_s * 1000))
    found = list(widened(setting(before), setting(after), guard, timeout_ms))
    if output is Output.TABLE:
        if found:
            show([_row(one) for one in found], output)
    else:
        show({"differences": [_plain(one) for one in found]}, output)
    changes = {one.change for one in found}
    if not found:
        tell(f"homeostat: {after.name} allows nothing that {before.name} does not")
    elif changes != {"unknown"}:
        raise typer.Exit(Exit.FAILED)
    else:
        raise typer.Exit(Exit.NO_DATA)


def _only(file: Path, interval_ns: int | None) -> Subject:
    found = subjects([file], interval_ns)
    if len(found) != 1:
        raise ConfigError(f"{file} holds {len(found)} policies; name a file with one")
    return found[0]


def _row(one: Widening) -> dict[str, Any]:
    return {
        "action": one.kind,
        "change": one.change,
        "for example": sentence(one.witness[0]) if one.witness else "no state could be built",
        "before": "; ".join(one.before),
    }


def _plain(one: Widening) -> dict[str, Any]:
    return {
        "action": one.kind,
        "change": one.change,
        "lever": one.lever or None,
        "witness": plain_step(one.witness[0]) if one.witness else None,
        "replayed": bool(one.witness),
        "before": list(one.before),
    }
