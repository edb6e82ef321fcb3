"""A controller's journal as a recording: a row a tick, a deployment's portrait as its columns.

What an autoencoder of the loop learns from is what the loop saw (`detect.portrait`). Rows on which
a rule suspected something or an objective was missed, and the `fused.BELONGS` after them, are no
normal past: they are shown, and teach nothing. Columns that were known on fewer than nine ticks in
ten are left out and told, for a model says nothing where one of its columns is not known;
`--columns` takes them in.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from homeostat.base import codec
from homeostat.base.errors import HomeostatError
from homeostat.base.events import Ticked
from homeostat.base.evidence import UNLIKE_ITSELF, Evidence
from homeostat.base.units import SECOND
from homeostat.cli.detect_block import Block
from homeostat.cli.detect_layout import EmptyError, InputError, Wanted
from homeostat.detect.fused import BELONGS
from homeostat.detect.portrait import portrait
from homeostat.server.replaying import open_read_only

KNOWN: Final = 0.9
"""Share of the ticks on which a column is known at least, if nobody names it."""
_ROWS: Final = 4096


class JournalTable:
    """A journal; see `detect_block.Table`. `calm` says which of its rows are a normal past.

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
            seen = _ticks(path, wanted.deployment)
        except HomeostatError as error:
            raise InputError(f"{path}: {error}") from error
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
        self.calm = _calm(seen)

    def blocks(self) -> Iterator[Block]:
        """Yield all rows; see `detect_block.Table`."""
        for start in range(0, len(self._rows.at), _ROWS):
            yield self._rows.rows(slice(start, start + _ROWS))


def _ticks(path: Path, wanted: str | None) -> list[Evidence]:
    """Return one deployment's evidence, tick by tick."""
    found: dict[str, list[Evidence]] = {}
    journal = open_read_only(path)
    try:
        for entry in journal.read(kinds=("event",)):
            event = codec.decode(entry.body) if b'"$":"Ticked"' in entry.body else None
            if isinstance(event, Ticked):
                found.setdefault(event.evidence.deployment, []).append(event.evidence)
    finally:
        journal.close()
    if wanted is None and len(found) > 1:
        raise InputError(f"has several deployments ({', '.join(sorted(found))}); say --deployment")
    if wanted is not None and wanted not in found:
        raise InputError(
            f"no deployment is called {wanted!r} (there are: {', '.join(sorted(found)) or 'none'})"
            "; correct --deployment"
        )
    return next(iter(found.values()), []) if wanted is None else found[wanted]


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


def _calm(seen: list[Evidence]) -> np.ndarray:
    """Return which ticks are a normal past; see the module. Bool `[row]`."""
    out, since = np.zeros(len(seen), dtype=bool), BELONGS
    for place, one in enumerate(seen):
        known = any(each.confidence > UNLIKE_ITSELF for each in one.suspicions)
        trouble = known or one.slo_met is False
        since = 0 if trouble else since + 1
        out[place] = since >= BELONGS and one.ready
    return out
