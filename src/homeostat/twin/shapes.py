"""Sizes, indices and phases that everything in the twin agrees on.

The twin's arrays have fixed shapes, so that one compiled program serves every deployment of a
size. `S` is the number of replica slots (compiled at 4, 8, 16 or 32), `V` the number of variants,
`F` the number of fault instances of an episode, `P` the number of fault primitives.
"""

from enum import IntEnum
from typing import Final

SLOT_COUNTS: Final = (4, 8, 16, 32)
VARIANTS: Final = 3  # V
FAULTS: Final = 8  # F; a scenario with more is refused
SLICES: Final = 2  # the rest of the users, and the slice that a fault may single out
ATTEMPTS: Final = 5  # a first try and at most four retries
LOAD_KNOTS: Final = 257  # demand is piecewise linear between so many equally spaced knots
SCRAPES_KEPT: Final = 48  # telemetry ring: a delay of up to 47 scrapes
BINS: Final = 64  # of a prediction histogram
SCRAPE_S: Final = 15
TICK_S: Final = 1.0
FINE_TICK_S: Final = 0.25  # of the model, where clients give up in under two ticks


class Variant(IntEnum):
    """What traffic is split over."""

    A = 0  # the stable pool: the newest version
    B = 1  # the fallback pool: an older version or another model
    CANARY = 2  # a new release on trial, or a retrained model


class Phase(IntEnum):
    """Life cycle of a replica slot (research: provisioning, loading, serving, dying)."""

    EMPTY = 0
    PENDING = 1  # asked for; no machine yet
    LOADING = 2  # the model is being loaded
    READY = 3
    DRAINING = 4  # finishes what it has; takes nothing new
    HUNG = 5  # accepts and never answers; health checks pass
    DEAD = 6  # gone; the platform starts it again


class Shape(IntEnum):
    """How a fault's strength moves from nothing to full and back, as a function of time."""

    RAMP = 0  # linear over `ramp_s` (a step if that is 0), full until `stop_s`
    RISE_DECAY = 1  # exponential rise over `ramp_s`, decay with a third of the rest
    PERIODIC = 2  # raised cosine with `period_s`, from nothing
    PULSES = 3  # full for `ramp_s` at the start of every `period_s`
    IMPULSE = 4  # one tick
    STAIRS = 5  # four equal steps over `ramp_s`, as a rollout does
    QUIET_THEN_PEAK = 6  # nothing, then a linear rise over `ramp_s` at `stop_s`


class Cure(IntEnum):
    """What removes a fault before it ends by itself."""

    NONE = 0  # only time or a person
    RESTART = 1  # a new process on the slot that is hit
    ROLLBACK = 2  # the variant's version is changed back
    RETRAIN = 3  # a retrained model is promoted
    OVERWRITE = 4  # it was one write of a lever; another write replaces it
