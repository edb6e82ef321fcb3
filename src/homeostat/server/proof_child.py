"""The prover's process: one policy comes in, the verdict on each promise and its picture go out."""

import json
import os
import sys
from contextlib import suppress
from typing import Final

from homeostat.server.proof_gate import from_bytes
from homeostat.server.proof_shown import shown
from homeostat.server.prover import prove

_POLITE: Final = 5


def main() -> None:
    """Prove one policy."""
    with suppress(OSError):
        os.nice(_POLITE)  # what serves and watches goes first
    subject = from_bytes(sys.stdin.buffer.read())
    found = {result.name: (result.verdict, shown(result)) for result in prove(subject)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
