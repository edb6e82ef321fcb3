"""E-processes, confidence sequences, false-discovery control, exact intervals, robust estimates.

Pure functions over NumPy arrays, each with its source; no room-specific vocabulary lives here.
"""
