"""What `homeostat twin` reads, writes and shows."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import typer

from homeostat.base.errors import ConfigError
from homeostat.cli.exits import Exit
from homeostat.cli.output import Output, cell, show, show_fields, tell
from homeostat.twin import check as checking
from homeostat.twin import fit as fitting
from homeostat.twin import fit_file
from homeostat.twin.fit import Options as Asked
from homeostat.twin.fit_frame import Frame, NotIdentifiedError, from_csv, joined
from homeostat.twin.fit_predict import LEVELS

T = TypeVar("T")

SHOWN: Final = (
    "format", "input", "parameters", "interval", "not_identifiable", "batch_limit", "region",
    "plans", "notes",
)  # fmt: skip


def or_no_data(work: Callable[[], T]) -> T:
    """Return what the work returns; what the recording does not say ends with the code for it."""
    try:
        return work()
    except NotIdentifiedError as error:
        tell(f"homeostat: {error}")
        raise typer.Exit(Exit.NO_DATA) from None


def fit(sources: Sequence[Path], asked: Asked) -> dict[str, Any]:
    """Return the fit of recordings as it is written."""
    return fit_file.to_plain(fitting.fit(_frame(sources), asked))


def check(fitted: Path, later: Sequence[Path]) -> dict[str, Any]:
    """Return the check of a fit file against later recordings.

    Raises:
        ConfigError: The fit file cannot be read.
    """
    try:
        plain = json.loads(_bytes(fitted))
    except ValueError as error:
        raise ConfigError(f"{fitted}: no JSON ({error}); make one with `twin fit`") from error
    found = fit_file.from_plain(plain, fitted.name)
    return dict(checking.to_plain(checking.check(found, _frame(later))))


def write_json(path: Path, plain: dict[str, Any]) -> None:
    """Write a fit file.

    Raises:
        ConfigError: It cannot be written.
    """
    _write(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_page(path: Path, plain: dict[str, Any]) -> None:
    """Write the page with pictures."""
    from homeostat import __version__
    from homeostat.report.fit_page import page

    _write(path, page(plain, __version__))


def show_fit(plain: dict[str, Any]) -> None:
    """Print parameters, region and plans for people."""
    columns = ("name", "value", "low", "high", "unit", "known", "why")
    show([{name: one[name] for name in columns} for one in plain["parameters"]], Output.TABLE)
    rows = [_plan_row(plan) for plan in plain["plans"]]
    if rows:
        typer.echo("")
        show(rows, Output.TABLE)
    region = plain["region"] or {}
    said: dict[str, str | Sequence[str]] = {
        "seen": [f"{name} {cell(region[name])}" for name in ("rho", "batch", "replicas") if region],
        "never seen": plain["not_identifiable"],
        "notes": plain["notes"] or ["none"],
    }
    typer.echo("")
    show_fields(said)


def show_check(plain: dict[str, Any]) -> None:
    """Print a check for people."""
    names = [f"in {level:.0%}" for level in LEVELS]
    rows = []
    for signal in plain["signals"]:
        for cover in signal["coverage"]:
            shares = [f"{share:.0%}" for share in cover["shares"]]
            first = cover["group"] == "all"
            row = {"signal": signal["name"], "rows of": cover["group"], "rows": cover["rows"]}
            row |= dict(zip(names, shares, strict=True))
            scores = ("median_error", "bias", "crps", "crps_persistence", "crps_seasonal")
            rows.append(row | {name: signal[name] if first else None for name in scores})
    show(rows, Output.TABLE)
    if plain["effects"]:
        typer.echo("")
        show(plain["effects"], Output.TABLE)
    typer.echo("")
    outside = plain["outside_region"]
    show_fields({
        "intervals hold": plain["missed"] or cell(True),
        "it shows enough": plain["lacks"] or cell(True),
        "outside the region seen": "-" if outside is None else f"{outside:.0%} of the rows",
    })


def _plan_row(plan: dict[str, Any]) -> dict[str, Any]:
    best = plan["best"] or {}
    names = ("batch", "replicas", "low", "high", "usd_per_hour", "seen")
    row = {"demand_rps": plan["demand_rps"], "p99_s": plan["p99_s"]}
    row |= {name: best.get(name) for name in names}
    return row | {"so": "cheapest" if best else "no batch and no number of replicas keeps it"}


def _frame(paths: Sequence[Path]) -> Frame:
    return joined([from_csv(_bytes(path), path.name) for path in paths])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; check the name") from error


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; choose another place") from error
