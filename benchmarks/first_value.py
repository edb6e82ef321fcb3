"""How long from `homeostat init` to a shadow's first decision, on a Prometheus of five servers.

Starts a real Prometheus and pages of five model servers (and five decoys), runs the two commands,
breaks one server as soon as enough is known of it, and waits for what the shadow decides.
`python benchmarks/first_value.py [SCRAPE_SECONDS]`; prints one JSON object.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "adapters" / "sources"))

from five_servers import serving  # noqa: E402 - found through the line above

from homeostat.base.ports import Entry  # noqa: E402
from homeostat.server.replaying import open_read_only  # noqa: E402

_BROKEN: Final = "ranker"
_PATIENCE_S: Final = 600.0
_COMMAND: Final = (sys.executable, "-m", "homeostat")


def main(scrape_s: float) -> None:
    """Measure once, and print."""
    with tempfile.TemporaryDirectory() as made, serving(Path(made), scrape_s) as (farm, server):
        folder = Path(made)
        time.sleep(max(10.0, 4 * scrape_s))  # somebody else's Prometheus was there before
        environment = dict(os.environ, XDG_STATE_HOME=made)
        began = time.monotonic()
        subprocess.run(
            [*_COMMAND, "init", "--prometheus", server.url],
            check=True,
            cwd=folder,
            env=environment,
            capture_output=True,
        )
        after_init = time.monotonic()
        with (folder / "homeostat.yaml").open("a") as file:
            file.write(
                "---\napiVersion: homeostat.dev/v1alpha1\nkind: Controller\n"
                "metadata: {name: controller}\nspec: {api: {port: 0}}\n"
            )
        run = subprocess.Popen(
            [*_COMMAND, "run", "--quiet", "-f", "homeostat.yaml"],
            cwd=folder,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        journal = folder / "homeostat" / "homeostat.db"
        try:
            _until(journal, lambda entry: b'"$":"Ticked"' in entry.body)
            first_tick = time.monotonic()
            _until(journal, lambda entry: _is(entry, b'"ready":true'))
            ready = time.monotonic()
            for load in farm.loads[_BROKEN]:
                load.now().failing = 0.5
            _until(journal, lambda entry: _is(entry, b'"$":"DecisionRecord"'))
            decided = time.monotonic()
        finally:
            run.send_signal(signal.SIGINT)
            run.wait(timeout=60)
    steps = {
        "init_s": after_init - began,
        "first_tick_s": first_tick - began,
        "ready_s": ready - began,
        "decided_after_fault_s": decided - ready,
        "all_s": decided - began,
    }
    shown = {name: round(value, 1) for name, value in steps.items()}
    busy = round(os.getloadavg()[0], 1)
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "load": busy}
    print(json.dumps({"scrape_s": scrape_s} | shown | machine))


def _is(entry: Entry, word: bytes) -> bool:
    return entry.deployment == _BROKEN and word in entry.body


def _until(journal: Path, found: Callable[[Entry], bool]) -> None:
    """Wait until an entry of the journal is of a kind.

    Raises:
        TimeoutError: There is none in time.
    """
    end = time.monotonic() + _PATIENCE_S
    while not (journal.exists() and _holds(journal, found)):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {_PATIENCE_S:g} s")
        time.sleep(0.2)


def _holds(journal: Path, found: Callable[[Entry], bool]) -> bool:
    opened = open_read_only(journal)
    try:
        return any(found(entry) for entry in opened.read(kinds=("event", "command")))
    finally:
        opened.close()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
