"""`homeostat twin record`: what a controller's journal shows, as a recording to fit a twin to."""

from collections.abc import Iterator
from pathlib import Path

import typer

from homeostat.base import codec
from homeostat.base.errors import ConfigError
from homeostat.base.events import Started, Ticked
from homeostat.base.evidence import Evidence
from homeostat.base.ports import Journal
from homeostat.cli.exits import Exit
from homeostat.cli.output import tell
from homeostat.server.replaying import open_read_only
from homeostat.twin import fit_record


def record(journal: Path, out: Path, deployment: str | None) -> None:
    """Write the recording; ends with the code for missing data if there is none.

    Raises:
        ConfigError: The file cannot be written, or the journal has several deployments.
        StoreError: The journal cannot be read.
    """
    opened = open_read_only(journal)
    try:
        name, pool = _which(opened, deployment)
        rows = list(fit_record.lines(_evidence(opened, name), pool))
    finally:
        opened.close()
    if not rows:
        tell(f"homeostat: {journal}: no window of {name} shows pool {pool} well and whole")
        raise typer.Exit(Exit.NO_DATA)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("\n".join([fit_record.header(), *rows]) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}; choose another place") from error
    tell(f"wrote {out}: {len(rows)} rows of pool {pool} of {name}")


def _which(journal: Journal, wanted: str | None) -> tuple[str, str]:
    """Return the deployment and its stable pool.

    Raises:
        ConfigError: There is none of that name, or several and none was named.
    """
    pools = {}
    for entry in journal.read(kinds=("event",)):
        if b'"$":"Started"' in entry.body:
            event = codec.decode(entry.body)
            if isinstance(event, Started):
                pools[event.managed.name] = event.managed.stable_pool
    if wanted is None and len(pools) == 1:
        return next(iter(pools.items()))
    if wanted in pools:
        return wanted, pools[wanted]
    known = ", ".join(sorted(pools)) or "none"
    raise ConfigError(f"name a deployment with --deployment; the journal has: {known}")


def _evidence(journal: Journal, name: str) -> Iterator[Evidence]:
    for entry in journal.read(kinds=("event",)):
        if b'"$":"Ticked"' not in entry.body:
            continue
        event = codec.decode(entry.body)
        if isinstance(event, Ticked) and event.evidence.deployment == name:
            yield event.evidence
