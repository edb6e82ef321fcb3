"""Actuators: change one outside system, absolutely, idempotently and within a deadline."""
