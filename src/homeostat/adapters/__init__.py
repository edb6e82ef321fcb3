"""One outside system each: sources, actuators, stores and notifiers.

The only code that talks to the outside. Adapters know base and nothing else of ours, never decide,
never retry for ever, and never raise for expected trouble.
"""
