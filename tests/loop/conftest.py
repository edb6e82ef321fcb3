"""Puts `ramp_world` and the simulated fleet (`fleet_sim`, with signals) on the path of tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "signals"))
sys.path.insert(0, str(Path(__file__).parent / "sim"))
