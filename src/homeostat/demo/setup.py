"""The demo's controller: its configuration files, its policy, and where it is found."""

import json
import secrets
from importlib import resources
from pathlib import Path
from typing import Any, Final

from homeostat.base.errors import ConfigError
from homeostat.base.policy import Objective
from homeostat.demo.controller import Controller
from homeostat.demo.place import Place, free_ports
from homeostat.demo.population import sample

CONSOLE_PORT: Final = 7373
OBJECTIVE: Final = Objective(latency_p95_ms=250.0, error_ratio=0.01, accuracy=0.80)
SCRAPE: Final = "1s"


def api_access() -> tuple[int, str]:
    """Return a port for the console (7373 if it is free) and a fresh token."""
    import socket  # noqa: PLC0415 - one question to the kernel

    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", CONSOLE_PORT))
        except OSError:
            return free_ports(1)[0], secrets.token_urlsafe(32)
    return CONSOLE_PORT, secrets.token_urlsafe(32)


def policy_file() -> Path:
    """Return the shipped policy of the demo: the checkout's, else the installed copy."""
    here = Path(__file__).resolve()
    for folder in here.parents:
        found = folder / "examples" / "policies" / "demo.yaml"
        if found.is_file():
            return found
    packaged = Path(str(resources.files("homeostat.demo") / "policies" / "demo.yaml"))
    if packaged.is_file():
        return packaged
    raise ConfigError("examples/policies/demo.yaml is not there; reinstall homeostat")
