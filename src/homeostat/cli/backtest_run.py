"""What `homeostat backtest` does: read histories, replay them, show what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final

import typer

from homeostat import __version__
from homeostat.base.errors import ConfigError
from homeostat.base.policy import GuardPolicy, LeverLimit, Managed, Mode, Objective
from homeostat.base.units import HOUR, MILLISECOND, MINUTE, SECOND
from homeostat.cli import backtest_fetch, backtest_pool, backtest_show
from homeostat.cli.exits import Exit
from homeostat.cli.output import Output, tell
from homeostat.server.backtest import told
from homeostat.server.backtest.recorded import grid_of
from homeostat.server.config import Deployment, load
from homeostat.twin.fit_frame import MAX_BYTES, Frame, NotIdentifiedError, from_csv

FORMAT: Final = "homeostat-backtest/1"
MOST_STEPS: Final = 10_080
"""Steps of a default replay: a week of minutes, or five weeks of five minutes."""
_STEPS_NS: Final = tuple(
    ns
    for ns in (
        *(SECOND * s for s in (15, 30)),
        *(MINUTE * m for m in (1, 2, 5, 10, 15, 30)),
        HOUR,
    )
)
_MOST_REPLICAS: Final = 10_000
_LIKE_LIVE_NS: Final = 15 * SECOND
_STEP_OF_QUERIES_NS: Final = MINUTE  # four scrapes at the usual interval: fewer make no rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for.

    Attributes:
        recordings: CSV files; a file's stem is its deployment's name.
        files: Configuration.
        since_ns: How far back.
        step_ns: Between two looks; None = by what the histories resolve.
        only: Deployments; empty for all.
        p95_ns: Promised p95 of recordings that no configuration speaks of.
        errors: Promised share of errors of those.
        replicas: LOW:HIGH, replicas that may be set of those.
        report: The page; None = none.
        saved: Whether a twin is fitted to each history.
        jobs: Processes; None = one for each core.
        seed: Equal seeds give equal intervals.
    """

    recordings: tuple[Path, ...]
    files: tuple[Path, ...]
    since_ns: int
    step_ns: int | None
    only: tuple[str, ...]
    p95_ns: int | None
    errors: float
    replicas: str | None
    report: Path | None
    saved: bool
    jobs: int | None
    seed: int


def main(asked: Asked, output: Output) -> None:
    """Replay and show; ends with the code for missing data where there is no history.

    Raises:
        ConfigError: Something that was asked for cannot be.
    """
    began = monotonic()
    entries = {one.name: one for one in load(asked.files).deployments} if asked.files else {}
    try:
        frames = _read(asked.recordings)
        named = {name: _managed(name, entries, asked) for name in frames}
        rest = [e for e in entries.values() if e.name not in frames and e.prometheus]
        wanted = _only([*named, *(e.name for e in rest)], asked.only)
        rest = [e for e in rest if e.name in wanted]
        named |= {e.name: e.managed for e in rest}
        step_ns = _step(asked, [f for name, f in frames.items() if name in wanted], fetched=rest)
        frames |= backtest_fetch.fetch(rest, since_ns=asked.since_ns, step_ns=step_ns)
    except NotIdentifiedError as error:
        tell(f"homeostat: {error}")
        raise typer.Exit(Exit.NO_DATA) from None
    pairs = [(named[name], frames[name]) for name in wanted if name in frames]
    if not pairs:
        tell("homeostat: no history: name CSV files, or a configuration with metrics.prometheus")
        raise typer.Exit(Exit.NO_DATA)
    grid = grid_of([frame for _, frame in pairs], step_ns, asked.since_ns)
    found = backtest_pool.replay(pairs, grid, jobs=asked.jobs, saved=asked.saved, seed=asked.seed)
    plain = {
        "format": FORMAT,
        "version": __version__,
        "step_s": grid.step_s,
        "steps": grid.ticks,
        "replayed": sum(one["steps"] for one, _ in found),
        "took_s": round(monotonic() - began, 1),
        "total": told.totals([one for one, _ in found]),
        "deployments": [one for one, _ in found],
        "premises": list(PREMISES),
    }
    if asked.report is not None:
        _page(asked.report, plain, [course for _, course in found])
    backtest_show.show_all(plain, output)
    if asked.report is not None:
        tell(f"wrote {asked.report}")


PREMISES: Final = (
    "Nothing was done: an action is the first that would have been, at the moment shown.",
    "What would have followed it is in no history.",
    "Each step is one look: what must last is seen on two steps. Live it looks every scrape.",
    "Each deployment is replayed alone: what the guards forbid because of others is not.",
    "Nobody recorded who else may write, freezes, or the kill switch: taken to be none.",
    "What was recorded of a pool is said of each of its replicas: no single one can be blamed.",
    "A gap is unknown: nothing is carried over it, and nothing is counted in it.",
)


def _read(paths: Sequence[Path]) -> dict[str, Frame]:
    """Return recordings by their deployments' names.

    Raises:
        ConfigError: A file cannot be read, or two have one name.
        NotIdentifiedError: One holds too little.
    """
    frames: dict[str, Frame] = {}
    for path in paths:
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ConfigError(f"{path}: more than {MAX_BYTES} bytes; cut it")
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; check the name") from error
        if path.stem in frames:
            raise ConfigError(f"{path}: a second recording of {path.stem!r}; rename it")
        frames[path.stem] = from_csv(data, path.name)
    return frames


def _managed(name: str, entries: dict[str, Deployment], asked: Asked) -> Managed:
    """Return the configuration of a recording.

    Raises:
        ConfigError: Nobody says what was promised.
    """
    if name in entries:
        return entries[name].managed
    if asked.p95_ns is None:
        known = ", ".join(sorted(entries)) or "none"
        raise ConfigError(
            f"nobody says what {name!r} was promised: name it in a configuration (-f; known: "
            f"{known}), or give --p95"
        )
    if not 0.0 < asked.errors <= 1.0:
        raise ConfigError(f"--errors {asked.errors:g} cannot be; a share above 0 and at most 1")
    return Managed(
        name=name,
        mode=Mode.SHADOW,
        scrape_ns=_LIKE_LIVE_NS,
        objective=Objective(latency_p95_ms=asked.p95_ns / MILLISECOND, error_ratio=asked.errors),
        stable_pool="a",
        fallback_pool=None,
        scale_actuator="history",
        traffic_actuator=None,
        replica_usd_per_hour=0.0,
        guard=GuardPolicy(limits=_limits(asked.replicas)),
        policy_digest="0" * 64,
    )


def _limits(replicas: str | None) -> tuple[LeverLimit, ...]:
    """Return the bounds of the number of replicas; none, and nothing may set it, without.

    Raises:
        ConfigError: They are no bounds.
    """
    if replicas is None:
        return ()
    low, _, high = replicas.partition(":")
    if not (low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high) <= _MOST_REPLICAS):
        raise ConfigError(f"--replicas {replicas!r}: write LOW:HIGH, as 2:8")
    return (LeverLimit(lever="replicas.", low=int(low), high=int(high)),)


def _only(known: Sequence[str], only: tuple[str, ...]) -> list[str]:
    missing = [name for name in only if name not in known]
    if missing:
        raise ConfigError(
            f"--deployment {missing[0]!r}: there is no history of it; known: "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    return sorted(name for name in known if not only or name in only)


def _step(asked: Asked, frames: Sequence[Frame], *, fetched: Sequence[Deployment]) -> int:
    """Return the step: as asked, else the finest that the histories have and that is not too many.

    Raises:
        ConfigError: Nothing that may be chosen is long enough.
    """
    if asked.step_ns is not None:
        return asked.step_ns
    usual = [round(frame.usual_step_s * SECOND) for frame in frames]
    if fetched:
        usual.append(_STEP_OF_QUERIES_NS)
    spans = [round((f.time_s[-1] - f.time_s[0]) * SECOND) for f in frames]
    span = min(asked.since_ns, max([asked.since_ns] if fetched else spans, default=0))
    least = max(usual, default=_STEP_OF_QUERIES_NS)
    for step_ns in _STEPS_NS:
        if step_ns >= least and span // step_ns <= MOST_STEPS:
            return step_ns
    return max(least, _STEPS_NS[-1])


def _page(path: Path, plain: dict[str, Any], courses: Sequence[dict[str, Any]]) -> None:
    from homeostat.report.backtest_page import page

    made = datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(plain, courses, made), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; choose another place") from error
