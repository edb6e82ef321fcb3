"""The shell: configuration, wiring (the one composition root), runtime, API and console.

Wires, persists, authenticates and shows; judges nothing: no threshold lives here.
"""
