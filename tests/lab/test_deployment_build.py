"""How much load a deployment begins with: what its promise leaves room for, or what was asked."""

import math
from dataclasses import replace

import pytest

from homeostat.lab.draw import draw
from homeostat.lab.scenario import fixed
from homeostat.testing.catalogue import scenario


def test_a_load_that_swings_more_begins_lower() -> None:
    steady, restless = (
        replace(scenario("S03"), deployment={"base_rho": fixed(0.9), "ou_sd": fixed(sd)})
        for sd in (0.01, 0.08)
    )
    for seed in range(5):
        calm, wild = (draw(each, seed).drawn["deployment.demand_rps"]
                      for each in (steady, restless))  # fmt: skip
        assert wild / calm == pytest.approx(math.exp(-4 * 0.08) / 0.85, rel=1e-4)


def test_whoever_asks_for_more_load_than_fits_gets_it() -> None:
    usual = replace(scenario("S03"), deployment={"base_rho": fixed(0.9)})
    over = replace(scenario("S03"), deployment={"base_rho": fixed(0.9), "headroom": fixed(50)})
    assert draw(usual, 1).drawn["deployment.base_rho"] < 0.9
    assert draw(over, 1).drawn["deployment.base_rho"] == pytest.approx(0.9)
