"""Puts the noises of made-up fleets (`noise_families`, with detect) on the path of tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "detect"))
