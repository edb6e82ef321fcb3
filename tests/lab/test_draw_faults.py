"""What a fault comes to: how strong for this deployment, and long enough to be met."""

from dataclasses import replace

import numpy as np
import pytest

from homeostat.lab.draw import draw
from homeostat.lab.scenario import Fault, Onset, OnsetShape, fixed
from homeostat.lab.scenario_faults import allowed_targets
from homeostat.testing.catalogue import scenario
from homeostat.twin.primitives import INDEX, PRIMITIVES


def test_a_shift_hits_as_much_as_the_inputs_it_hits() -> None:
    """|M delta|^2 falls with the share of the inputs, from the start and not along a ramp."""
    every, half = (
        replace(
            scenario("S21"),
            faults=(
                scenario("S21").faults[0],
                replace(scenario("S21").faults[1], magnitude=fixed(share)),
            ),
        )
        for share in (1.0, 0.25)
    )
    for seed in range(5):
        one, two = draw(every, seed).faults, draw(half, seed).faults
        assert float(two.magnitude[0]) == pytest.approx(0.5 * float(one.magnitude[0]), rel=1e-4)
        assert np.isinf(two.start_s[1:]).all()  # no fault of its own


@pytest.mark.parametrize(
    ("primitive", "least_s"),
    [("arrival_mult", 1.0), ("replica_kill", 5.0), ("feature_null_rate", 15.0),
     ("metric_drop", 15.0)],
)  # fmt: skip
def test_no_fault_is_over_before_the_twin_can_meet_it(primitive: str, least_s: float) -> None:
    step = Onset(shape=OnsetShape.STEP, start_s=fixed(301.0), duration_s=fixed(1.0),
                 until_fixed=False)  # fmt: skip
    target = allowed_targets(PRIMITIVES[INDEX[primitive]])[0]
    fault = Fault(primitive=primitive, magnitude=fixed(0.5), target=target)
    one = replace(scenario("S02"), params={}, deployment={}, faults=(fault,))
    for onset in (step, replace(step, shape=OnsetShape.IMPULSE)):
        faults = draw(replace(one, onset=onset), 0).faults
        assert float(faults.stop_s[0] - faults.start_s[0]) == pytest.approx(least_s)
    pulses = replace(step, shape=OnsetShape.PULSE, period_s=fixed(60), width_s=fixed(1.0),
                     until_fixed=True)  # fmt: skip
    assert draw(replace(one, onset=pulses), 0).faults.ramp_s[0] == least_s
