"""A changed value is what `dataclasses.replace` makes of it, and the old one stays."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.changed import changed
from homeostat.base.events import FleetView
from homeostat.base.evidence import Evidence
from homeostat.base.policy import GuardPolicy, Managed, Mode, Objective
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.base.world import Release

STATE = LoopState(
    managed=Managed(
        name="credit", mode=Mode.AUTO, scrape_ns=1,
        objective=Objective(latency_p95_ms=250.0, error_ratio=0.01), stable_pool="a",
        fallback_pool=None, scale_actuator="host", traffic_actuator=None, replica_usd_per_hour=1.0,
        guard=GuardPolicy(), policy_digest="",
    ),
    epoch=3,
    fleet=FleetView(),
)  # fmt: skip
EVIDENCE = Evidence(
    deployment="credit", at=TimeNs(1), tick=1, readings=(), anomalies=(), forecasts=(),
    suspicions=(), slo_met=None, ready=False, world=None,
)  # fmt: skip


@given(st.sampled_from((STATE, EVIDENCE)), st.data())
def test_it_is_what_replace_makes_of_it(value: Any, data: st.DataObject) -> None:
    names = [one.name for one in fields(value)]
    some = data.draw(st.dictionaries(st.sampled_from(names), st.integers(), max_size=6))
    before = replace(value)
    made = changed(value, **some)
    assert made == replace(value, **some)
    assert repr(made) == repr(replace(value, **some))
    assert type(made) is type(value)
    assert value == before


def test_a_field_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"Release has no field colour"):
        changed(Release(pool="a", version="v1", since=TimeNs(1)), colour="red")


@dataclass(frozen=True, slots=True)
class Checked:
    """Looks at what it is given."""

    first: int
    second: int

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError("negative")


@dataclass(frozen=True, slots=True)
class Derived:
    """Has a field that nobody hands in."""

    first: int
    second: int = field(init=False, default=1)


@pytest.mark.parametrize("value", [Checked(1, 2), Derived(1)])
def test_a_class_that_makes_fields_of_its_own_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"use dataclasses\.replace"):
        changed(value, first=-1)
