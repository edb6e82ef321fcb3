"""The order of the calls: sense, step, state and the action protocol.

Pure: time, parts and news are arguments. Stages are handed in by the wiring; this room imports
none of them.
"""
