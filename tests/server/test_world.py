"""Several actuators' snapshots as one."""

from dataclasses import replace

from homeostat.base.world import Snapshot, Stamp
from homeostat.server.world import compose
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
