"""A controller's journal as a recording: a row a tick, a deployment's portrait as its columns.

What an autoencoder of the loop learns from is what the loop saw (`detect.portrait`). Rows on which
a rule suspected something, an objective was missed or an action of ours was under way, and the
`fused.BELONGS` after them, are no normal past: they are shown, and teach nothing. What people said
of incidents counts, too (`learn.normal_past`). Columns that were known on fewer than nine ticks in
ten are left out and told, for a model says nothing where one of its columns is not known;
`--columns` takes them in.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from homeostat.base.errors import HomeostatError
from homeostat.base.units import SECOND
from homeostat.cli.detect_block import Block
from homeostat.cli.detect_journal_said import Held, held
from homeostat.cli.detect_layout import EmptyError, InputError, Wanted
from homeostat.detect.fused import BELONGS
from homeostat.detect.portrait import portrait
from homeostat.learn.normal_past import normal_past
from homeostat.server.replaying import open_read_only

KNOWN: Final = 0.9
"""Share of the ticks on which a column is known at least, if nobody names it."""
_ROWS: Final = 4096


class JournalTable:
    """A journal; see `detect_block.Table`. `past` says which of its rows are a normal past.

    Args:
        path: The journal.
        wanted: What a person says of its columns and deployment.

    Raises:
        InputError: It cannot be read, or a name is not in it.
        EmptyError: It shows no tick of the deployment.
    """

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.path, self.timed = path, True
        try:
            held = _held(path, wanted.deployment)
        except HomeostatError as error:
            raise InputError(f"{path}: {error}") from error
        seen = held.seen
        if not seen:
            raise EmptyError(f"{path}: shows no tick; give the journal of a controller that ran")
        rows = [portrait(one.readings) for one in seen]
        names = sorted({name for row in rows for name in row})
        table = np.array([[row.get(name, np.nan) for name in names] for row in rows])
        self.columns, self.notes = _chosen(names, table.reshape(len(rows), -1), wanted, path)
        places = [names.index(name) for name in self.columns]
        at = np.array([one.at for one in seen], dtype=np.int64)
        texts = [f"{one.at / SECOND:.3f}" for one in seen]
        number = np.arange(len(rows))
        shown = np.ones(len(rows), dtype=bool)
        self._rows = Block(texts, at, table[:, places], shown, number + 1)
        self.past = normal_past(seen, held.spoken(), held.acted(), belongs=BELONGS)

    def blocks(self) -> Iterator[Block]:
        """Yield all rows; see `detect_block.Table`."""
        for start in range(0, len(self._rows.at), _ROWS):
            yield self._rows.rows(slice(start, start + _ROWS))


def _held(path: Path, wanted: str | None) -> Held:
    """Return what is held of one deployment."""
    journal = open_read_only(path)
    try:
        found = held(journal)
    finally:
        journal.close()
    if wanted is None and len(found) > 1:
        raise InputError(f"has several deployments ({', '.join(sorted(found))}); say --deployment")
    if wanted is not None and wanted not in found:
        raise InputError(
            f"no deployment is called {wanted!r} (there are: {', '.join(sorted(found)) or 'none'})"
            "; correct --deployment"
        )
    return next(iter(found.values()), Held()) if wanted is None else found[wanted]


def _chosen(
    names: list[str], table: np.ndarray, wanted: Wanted, path: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns to judge, and what to say of the others."""
    for one in wanted.columns:
        if one not in names:
            raise InputError(
                f"{path}: no column is called {one!r} (there are: {', '.join(names)}); "
                "correct --columns"
            )
    if wanted.columns:
        return wanted.columns, ()
    share = np.isfinite(table).mean(axis=0) if names else np.empty(0)
    kept = tuple(name for name, known in zip(names, share.tolist(), strict=True) if known >= KNOWN)
    if not kept:
        raise InputError(
            f"{path}: no column is known on {KNOWN:.0%} of the ticks; name some with --columns"
        )
    return kept, tuple(
        f"{name!r} is known on {known:.0%} of the ticks and left out; take it in with --columns"
        for name, known in zip(names, share.tolist(), strict=True)
        if known < KNOWN
    )
