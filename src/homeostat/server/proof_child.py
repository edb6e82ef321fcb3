"""The prover's process: one policy on standard input, the verdict on each promise on the output."""

import json
import os
import sys
from contextlib import suppress
from typing import Final

from homeostat.server.proof_gate import from_bytes
from homeostat.server.prover import prove

_POLITE: Final = 5


def main() -> None:
    """Prove one policy."""
    with suppress(OSError):
        os.nice(_POLITE)  # what serves and watches goes first
    subject = from_bytes(sys.stdin.buffer.read())
    json.dump({result.name: result.verdict for result in prove(subject)}, sys.stdout)


if __name__ == "__main__":
    main()
