"""What `homeostat twin live --out` keeps for the documentation: its figures, and how they came."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import homeostat
from homeostat.base.errors import ConfigError
from homeostat.cli import lab_files
from homeostat.report import lab_live


def figures(
    results: Sequence[Mapping[str, Any]],
    sources: Sequence[tuple[str, bytes]],
    asked: Sequence[str],
    wall_s: float,
) -> lab_live.Live:
    """Return a comparison's figures.

    Args:
        results: Of `twin_live.compare`, not empty.
        sources: Name and content of the scenario files.
        asked: Names of faults and options, as they were given.
        wall_s: How long it took.
    """
    digest = sha256(b"".join(content for _, content in sorted(sources)))
    fields = ("quantity", "median", "low", "high", "measured", "inside", "agrees")
    return lab_live.Live(
        version=homeostat.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        commit=lab_files.commit(),
        command=shlex.join(["homeostat", "twin", "live", *asked]),
        wall_s=round(wall_s, 1),
        machine=lab_files.machine(),
        catalogue=f"{len(sources)} scenario files",
        catalogue_digest=digest.hexdigest(),
        draws=results[0]["draws"],
        runs=max(len(one["live"]) for one in results),
        starved=sum(run["starved"] for one in results for run in one["live"]),
        faults=len(results),
        signs=sum(one["signs_agree"] is True for one in results),
        lines=tuple(
            lab_live.Line(fault=one["fault"], **{name: row[name] for name in fields})
            for one in results
            for row in one["rows"]
        ),
    )


def write(out: Path, found: lab_live.Live) -> None:
    """Write the file.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(lab_live.to_json(found), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}; choose another place") from error
