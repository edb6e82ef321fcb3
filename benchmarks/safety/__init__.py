"""Measures what the safety promises say: `make bench-safety`."""
