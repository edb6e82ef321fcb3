"""Homeostat: a self-healing controller for machine-learning models in production.

A pure core (`base` to `report`) holds all judgement; adapters and the server carry it out. See
docs/explanation/architecture.md for the rooms and the one-way floors between them.
"""

from typing import Final

__version__: Final = "0.1.0"
