"""Several actuators' snapshots as one."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.ports import Capabilities
from homeostat.base.world import ReplicaState, Scalar, Snapshot, Stamp
from homeostat.server.world import compose, told_apart
from homeostat.testing import build

HOST = Stamp(actuator="host", token="9", intent="d-1.0.0", epoch=4)
ENVOY = Stamp(actuator="envoy", token=None, intent=None, epoch=2)


def host(**changes: object) -> Snapshot:
    seen = build.world(build.at(2), stamps=(HOST,), levers={})
    return replace(seen, levers=(("batch_max", 8), ("replicas.a", 3)), **changes)  # type: ignore[arg-type]


def envoy(**changes: object) -> Snapshot:
    seen = replace(host(), replicas=(), releases=(), spares=0, observed_at=build.at(1))
    return replace(seen, stamps=(ENVOY,), levers=(("weight.b", 5),), **changes)  # type: ignore[arg-type]


def test_the_replicas_are_the_hosts_and_the_levers_everybodys() -> None:
    for order in ((host(), envoy()), (envoy(), host())):
        world = compose(build.managed(), order)
        assert world is not None
        assert world.replicas == host().replicas
        assert (world.releases, world.spares) == (host().releases, host().spares)
        assert world.levers == (("batch_max", 8), ("replicas.a", 3), ("weight.b", 5))
        assert world.stamps == (ENVOY, HOST)


def test_it_is_as_old_as_its_oldest_part() -> None:
    world = compose(build.managed(), (host(), envoy()))
    assert world is not None
    assert world.observed_at == build.at(1)


def test_it_changes_while_any_part_does() -> None:
    for parts in ((host(changing=True), envoy()), (host(), envoy(changing=True))):
        world = compose(build.managed(), parts)
        assert world is not None
        assert world.changing


def test_without_the_proxy_its_levers_are_absent_and_not_zero() -> None:
    world = compose(build.managed(), (host(),))
    assert world is not None
    assert world.lever("weight.b") is None
    assert world.stamp("envoy") is None


def test_without_the_host_nothing_is_known() -> None:
    assert compose(build.managed(), (envoy(),)) is None
    assert compose(build.managed(), ()) is None


def test_it_is_about_the_managed_deployment() -> None:
    world = compose(build.managed(name="other"), (host(),))
    assert world is not None
    assert world.deployment == "other"


SETS = Capabilities(
    compare_and_set=True, fencing=True, levers=("batch_max",), one_first=(names.BATCH_MAX,)
)


@pytest.mark.parametrize(("own", "known"), [
    ({}, False),
    ({"concurrency_max.a-1": 0}, False),
    ({"batch_max.a-9": 0}, False),
    ({"batch_max.a-1": 0}, True),
    ({"batch_max.a-1": 4, "batch_max.a-2": 0}, True),
])  # fmt: skip
def test_a_setting_of_which_no_replicas_own_value_is_told_is_not_known(
    own: dict[str, Scalar],
    known: bool,  # noqa: FBT001
) -> None:
    """Nothing told must not read as nothing there: all would get at once what some could try."""
    read = replace(host(), levers=tuple(sorted((*host().levers, *own.items()))))
    world = told_apart(read, SETS)
    assert world.lever("batch_max") == (8 if known else None)
    assert replace(world, levers=()) == replace(read, levers=())
    assert set(read.levers) - set(world.levers) == (set() if known else {("batch_max", 8)})


def test_what_is_set_for_all_alone_is_known_as_it_is_read() -> None:
    cannot = replace(SETS, one_first=())
    assert told_apart(host(), cannot) is not None
    assert told_apart(host(), cannot) == host()
    empty = host(replicas=())
    assert told_apart(empty, SETS) == empty, "nobody serves who could have a value of its own"
    (first, *_) = host().replicas
    starting = host(replicas=(replace(first, state=ReplicaState.STARTING),))
    assert told_apart(starting, SETS) == starting
