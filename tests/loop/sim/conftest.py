"""Puts the simulator (`protocol_sim`, a package of its own) on the path of its tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
