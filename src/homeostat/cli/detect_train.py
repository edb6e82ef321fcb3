"""`homeostat detect --train`: a model of recordings that are believed normal, for later runs.

What is in the recordings is played through the stack first, and what it calls an incident teaches
nothing: HASH trains on historical normal data, and nobody's past is only that. Of a controller's
journal neither does what it suspected something on (`cli.detect_journal`); of an NPZ file with
`train` that part alone is learnt from. Several files of the same columns are one past; no window
reaches from one into the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat import __version__
from homeostat.base.errors import ConfigError
from homeostat.cli import detect_model, detect_open, detect_scan
from homeostat.cli.detect_block import Table
from homeostat.cli.detect_cells import Floats
from homeostat.cli.detect_feed import Feed
from homeostat.cli.detect_layout import InputError, Wanted
from homeostat.cli.detect_run import FORMAT, progress
from homeostat.cli.output import tell
from homeostat.detect import stack_play, vae_file
from homeostat.detect.stack import Stack
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import Fitted, fit

_TICKS: Final = 512  # played at a time
_LEAST_KEPT: Final = 0.5  # of the known ticks: where the stack flags more, nothing is believed


class Past(NamedTuple):
    """What is learnt from.

    Attributes:
        values: `[tick, column]`, NaN where nothing is known.
        believed: Bool `[tick]`.
    """

    values: Floats
    believed: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What a person wants learnt.

    Attributes:
        source: File or folder.
        output: Where the model goes.
        wanted: What is said of the columns.
        config: Settings of the autoencoder.
    """

    source: Path
    output: Path
    wanted: Wanted
    config: Config = field(default_factory=Config)


def train(asked: Learning) -> dict[str, Any]:
    """Fit, train and write a model; return the summary as it is written.

    Raises:
        InputError: An input cannot be read, or is too little to learn from.
        ConfigError: The model cannot be written, or what training needs is not installed.
    """
    if asked.output.is_dir():
        raise InputError(f"{asked.output}: is a folder; name a file for the model")
    paths = detect_open.inputs(asked.source, asked.output)
    detect_open.outputs(paths[:1], paths[0], asked.output)  # a model over an input is refused
    tables = [detect_open.table(path, asked.wanted) for path in paths]
    columns = _same_columns(tables, paths)
    pasts = [_past(table, path, asked) for table, path in zip(tables, paths, strict=True)]
    past = _joined(pasts, len(columns))
    with progress("training", asked.config.rounds, "rounds") as advance:
        fitted = _fitted(asked, past, lambda *_: advance(1))
    detect_model.write(asked.output, vae_file.save(fitted, asked.config, columns))
    known = np.isfinite(past.values).all(axis=1)
    return {
        "format": FORMAT,
        "version": __version__,
        "input": str(asked.source),
        "output": str(asked.output),
        "files": [str(path) for path in paths],
        "columns": list(columns),
        "ticks": len(past.values),
        "unknown": int((~known).sum()),
        "flagged": int((known & ~past.believed).sum()),
        "windows_taught": fitted.taught,
        "windows_held_out": fitted.held_out,
        "rounds": len(fitted.elbo) - 1,
        "elbo_before": fitted.elbo[0],
        "elbo_held_out": fitted.elbo[fitted.best],
        "active_latent": fitted.active,
    }


def _same_columns(tables: Sequence[Table], paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the names that all tables have."""
    first = tables[0].columns
    for table, path in zip(tables, paths, strict=True):
        if table.columns != first:
            raise InputError(
                f"{path}: has the columns {', '.join(table.columns)}, and {paths[0]} "
                f"{', '.join(first)}: one model is of the same columns; choose them with --columns"
            )
    return first


def _past(table: Table, path: Path, asked: Learning) -> Past:
    """Return one file's ticks, and which of them are believed normal."""
    counters = detect_scan.counters(table.columns, asked.wanted, str(path))
    table, scan = detect_scan.look(table, str(path))
    feed, stack = Feed(table, counters), Stack()
    part = scan.shown < scan.rows  # the rest is what the file has to learn from
    calm = getattr(table, "calm", None)  # a journal knows when something was suspected
    state = stack.init(len(table.columns))
    values, believed = [np.empty((0, len(table.columns)))], [np.empty(0, dtype=bool)]
    with progress("playing", scan.rows, "rows") as advance:
        while len((taken := feed.take(_TICKS)).values):
            said, state = stack_play.play(stack, taken.values[:, None], state=state)
            may = np.ones(len(taken.values), dtype=bool)
            if part and taken.block is not None:
                may[taken.place] = ~taken.block.shown
            if calm is not None and taken.block is not None:
                may[taken.place] = calm[taken.block.line - 1]
            values.append(taken.values)
            believed.append(may & ~said.active[:, 0])
            advance(0 if taken.block is None else len(taken.place))
    return Past(np.concatenate(values), np.concatenate(believed))


def _joined(pasts: Sequence[Past], columns: int) -> Past:
    """Return several pasts as one, with an unknown tick after each."""
    gap: Floats = np.full((1, columns), np.nan)
    return Past(
        np.concatenate([part for past in pasts for part in (past.values, gap)]),
        np.concatenate([part for past in pasts for part in (past.believed, [False])]),
    )


def _fitted(asked: Learning, past: Past, told: Any) -> Fitted:
    """Return what was learnt.

    Raises:
        InputError: It is too little, or the columns are too many.
        ConfigError: What training needs is not installed.
    """
    known = np.isfinite(past.values).all(axis=1)
    if known.any() and (past.believed & known).sum() < _LEAST_KEPT * known.sum():
        raise InputError(
            f"{asked.source}: of {known.sum():,} known ticks only "
            f"{(past.believed & known).sum():,} are outside incidents that the stack sees; that is "
            "no normal past, give another one"
        )
    try:
        return fit(asked.config, past.values, past.believed, told)
    except ValueError as error:
        raise InputError(f"{asked.source}: {error}") from error
    except ImportError as error:
        tell(f"homeostat: {error}")
        raise ConfigError(
            "training needs JAX and optax; `pip install 'homeostat[twin]'` brings them "
            "(judging with a model does not need them)"
        ) from error
