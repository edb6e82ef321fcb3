"""Puts the simulated fleet (`fleet_sim`, beside the tests of signals) on the path of its tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "signals"))
