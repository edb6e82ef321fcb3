"""Measure the reference on the grid and keep it: `python tests/twin/measure_reference.py FILE`.

A cell at a time; what the file has already is kept, so it can be broken off and gone on with. The
cells near full load with large batches take hours.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from homeostat.lab.reference_cells import Cell, cells, measured


def main(file: Path) -> None:
    """Measure what the file has not yet, the light loads first, and write it."""
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    known = {Cell(**one["cell"]) for one in found}
    for cell in sorted(set(cells()) - known, key=lambda one: (one.load, one.batch, one.name)):
        mean = measured(cell)
        found.append({"cell": asdict(cell), "seconds": mean.seconds, "error": mean.error})
        rows = ",\n".join(json.dumps(one) for one in found)
        file.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
        sys.stdout.write(f"{cell.name}: {mean.seconds:.5f} s, +- {mean.error:.5f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
