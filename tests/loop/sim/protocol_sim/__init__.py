"""Deterministic simulation of the action protocol: world, controllers, checkers, mutants.

The controllers run the real `homeostat.loop.protocol.advance`; everything around it is simulated,
from one seed. The checkers live in the world and never trust what a controller believes.
"""
