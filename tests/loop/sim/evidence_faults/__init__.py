"""Evidence faults, each placed where the same run without it gives capacity back.

Whole chain: pages of a simulated fleet, signals, detectors, verdicts, loop, runbook and guards.
"""
