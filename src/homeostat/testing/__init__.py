"""Public conformance kits and the fake clock, for plug-ins in and outside this repository.

A kit checks one plug-in against its port and raises AssertionError with a sentence on the first
broken promise. Each lives in its own module and is imported from there, so that testing a source
does not need what testing a detector needs.
"""

from homeostat.testing.clock import START_NS, FakeClock
from homeostat.testing.detector import check_detector

__all__ = ["START_NS", "FakeClock", "check_detector"]
