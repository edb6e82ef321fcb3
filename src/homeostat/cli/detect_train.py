"""`homeostat detect --train`: a model of recordings that are believed normal, for later runs.

What is in the recordings is played through the stack first, and what it calls an incident teaches
nothing: HASH trains on historical normal data, and nobody's past is only that. Of a controller's
journal neither does what it suspected something on or did something on (`cli.detect_journal`), and
what people called nothing does; of an NPZ file with `train` that part alone is learnt from. Several
files of the same columns are one past; no window reaches from one into the next. A model that is to
follow another one is held against it first (`cli.detect_refine`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from homeostat import __version__
from homeostat.base.errors import ConfigError
from homeostat.cli import detect_model, detect_open, detect_past, detect_refine
from homeostat.cli.detect_block import Table
from homeostat.cli.detect_layout import InputError, ModelFile, Wanted
from homeostat.cli.detect_past import Past
from homeostat.cli.detect_run import FORMAT, progress
from homeostat.cli.output import tell
from homeostat.detect import vae_file
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import Fitted, fit

_LEAST_KEPT: Final = 0.5  # of the known ticks: where the stack flags more, nothing is believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What a person wants learnt.

    Attributes:
        source: File or folder.
        output: Where the model goes.
        wanted: What is said of the columns.
        config: Settings of the autoencoder.
        before: The model that the new one would follow; None = there is none.
    """

    source: Path
    output: Path
    wanted: Wanted
    config: Config = field(default_factory=Config)
    before: ModelFile | None = None


def train(asked: Learning) -> dict[str, Any]:
    """Fit, train and write a model; return the summary as it is written.

    A model that is worse than the one before it is not written; `compared` says in what.

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
    pasts = [
        detect_past.past(table, path, asked.wanted)
        for table, path in zip(tables, paths, strict=True)
    ]
    past = detect_past.joined(pasts, len(columns))
    with progress("training", asked.config.rounds, "rounds") as advance:
        fitted = _fitted(asked, past, lambda *_: advance(1))
    saved = vae_file.save(fitted, asked.config, columns)
    compared = None if asked.before is None else _compared(asked.before, saved, columns, past)
    taken = compared is None or compared.taken
    if taken:
        detect_model.write(asked.output, saved)
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
        "touched": past.touched,
        "called_nothing": past.told,
        "taken": taken,
        "compared": None if compared is None else compared.facts(),
    }


def _compared(
    before: ModelFile, saved: vae_file.Saved, columns: tuple[str, ...], past: Past
) -> detect_refine.Compared:
    """Return how a model would have done on what it was learnt from, beside the one before."""
    models = (detect_model.read(before.path), vae_file.load(saved))
    with progress("comparing", 2 * len(past.values), "ticks") as advance:
        return detect_refine.compare(
            *models, columns, past.values, past.believed, past.stretches, advance
        )


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
