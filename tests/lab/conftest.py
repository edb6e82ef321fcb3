"""Puts what the lab's tests share (scrapes made by hand) on their path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
