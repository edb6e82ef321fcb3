"""The prover's process: one policy comes in, the verdict on each promise and its picture go out."""

import json
import os
import sys
from contextlib import suppress
from threading import Thread
from typing import Final

from homeostat.server.proof_gate import from_bytes
from homeostat.server.proof_shown import shown
from homeostat.server.prover import prove

_POLITE: Final = 5


def main() -> None:
    """Prove one policy."""
    with suppress(OSError):
        os.nice(_POLITE)  # what serves and watches goes first
    subject = from_bytes(sys.stdin.buffer.readline())
    Thread(target=_end_with_who_asked, daemon=True).start()
    found = {result.name: (result.verdict, shown(result)) for result in prove(subject)}
    json.dump(found, sys.stdout)


def _end_with_who_asked() -> None:
    """End when the controller is gone: nobody waits for the answer any more."""
    while os.read(0, 1 << 16):  # not the buffered reader: its lock would hang the process's end
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
