"""The faults of one episode as arrays: which primitive, how strong, when, where, cured by what.

A scenario is data: `lab` turns a scenario and a seed into one `Faults`. Up to `FAULTS` instances;
an instance with strength 0 or a start of `inf` does nothing. The primitives, what their magnitude
means and how several instances combine are in `primitives.py`.
"""

import equinox as eqx
from jax import Array


class Faults(eqx.Module):
    """Fault instances.

    Attributes:
        primitive: Index into `primitives.PRIMITIVES` [F], int32.
        magnitude: At full strength, in the primitive's unit [F].
        start_s: Onset [F]; inf = never.
        ramp_s: See `shapes.Shape` [F].
        stop_s: End by itself [F]; inf = only when cured.
        period_s: Of periodic shapes [F].
        shape: `shapes.Shape` [F], int32.
        cure: `shapes.Cure` [F], int32.
        slots: Which slots a replica-level primitive hits [F, S], bool; all-true otherwise.
        variants: Which variants it touches [F, V], bool.
        signals: Which signals a telemetry primitive touches [F, SIGNALS], bool.
    """

    primitive: Array
    magnitude: Array
    start_s: Array
    ramp_s: Array
    stop_s: Array
    period_s: Array
    shape: Array
    cure: Array
    slots: Array
    variants: Array
    signals: Array
