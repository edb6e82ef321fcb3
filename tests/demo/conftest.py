"""Lets the tests of this folder import their harness, and the host its stand-in server."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
