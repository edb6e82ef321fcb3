"""`homeostat freeze --for LENGTH --into FOLDER`: nothing is changed for a while, except back."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from homeostat.cli.exits import Exit
from homeostat.cli.output import tell


def freeze_for(lasts: str | None, into: Path | None, why: str, by: str | None) -> None:
    """Write a freeze that ends by itself.

    Args:
        lasts: How long.
        into: The folder of configuration.
        why: The reason.
        by: Who asks for it.

    Raises:
        typer.Exit: Half of it is missing, or it cannot be written.
    """
    from homeostat.base.errors import ConfigError
    from homeostat.server.config.oneoff import write_freeze
    from homeostat.server.config.units import duration_ns

    if lasts is None or into is None:
        tell("homeostat: --for and --into belong together: --for 2h --into conf.d")
        raise typer.Exit(Exit.USAGE)
    try:
        length = duration_ns(lasts)
        file = write_freeze(into, datetime.now(UTC), length, why=why, by=by or "cli")
    except (ConfigError, ValueError) as error:
        tell(f"homeostat: {error}")
        raise typer.Exit(Exit.USAGE) from error
    tell(f"frozen for {lasts}, except back; {file} says so, remove it to end the freeze sooner")
