"""How a command that asks a Prometheus reaches it: its options, and what they come to."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from homeostat.adapters.sources.prometheus_access import Access
    from homeostat.base.units import TimeNs

TOKEN_FILE = typer.Option(None, "--token-file", help="Holds a bearer token for it.")
USERNAME = typer.Option("", "--username", help="For basic authentication there.")
PASSWORD_FILE = typer.Option(None, "--password-file", help="Holds that user's password.")
TENANT = typer.Option("", "--tenant", help="X-Scope-OrgID of Mimir or Cortex.")
REACH = typer.Option("any", "--reach", help="Its name may resolve to any, public or private.")
_RECENT_S = 3600.0  # what ended before that is not there; a restart is shorter


def access(url: str, timeout_s: float, **said: Any) -> "Access":
    """Return how the server is reached.

    Args:
        url: Base of its API.
        timeout_s: Deadline of a query. Seconds.
        said: Other settings of `Access`, as the options have them.

    Raises:
        ConfigError: An option that cannot be; names it.
    """
    from pydantic import ValidationError

    from homeostat.adapters.sources.prometheus_access import Access
    from homeostat.base.errors import ConfigError

    try:
        return Access(url=url, timeout_s=timeout_s, **said)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "url"
        option = "prometheus" if key == "url" else key.replace("_", "-")
        raise ConfigError(f"--{option}: {first['msg']}") from None


def files(found: "Access") -> dict[str, str]:
    """Return the settings that a file needs beside the address, by its keys; paths are absolute."""
    named: dict[str, Path | None] = {
        "tokenFile": found.token_file,
        "passwordFile": found.password_file,
        "caFile": found.ca_file,
    }
    said = {key: str(path.absolute()) for key, path in named.items() if path is not None}
    words = {"username": found.username, "tenant": found.tenant}
    said |= {key: word for key, word in words.items() if word}
    return said if found.reach == "any" else said | {"reach": found.reach}


def recently() -> "TimeNs":
    """Return since when a metric must have been seen to be one that is there."""
    import time

    from homeostat.base.units import SECOND, TimeNs

    return TimeNs(round((time.time() - _RECENT_S) * SECOND))
