"""The composition root: real parts by name, and errors that name the part and the key."""

from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError, UnknownPartError
from homeostat.base.ports import Source
from homeostat.server import wiring
from homeostat.server.labelling import Labelling
from homeostat.server.plan import ControllerPlan, DeploymentPlan, PartPlan
from homeostat.testing import build

HOST = PartPlan(part="process", settings={"url": "http://127.0.0.1:1"})
PAGE = PartPlan(
    part="scrape",
    settings={
        "name": "page:{name}",
        "url": "http://{address}/metrics",
        "deployment": "m",
        "subject": "replica:{name}",
        "mapping": "homeostat_instrument",
        "timeout_s": 0.5,
    },
)


def plan(**changes: Any) -> DeploymentPlan:
    settings: dict[str, Any] = {"managed": build.managed(), "actuators": (HOST,)}
    return DeploymentPlan(**{**settings, **changes})


def slots(*names: str) -> Any:
    replicas = tuple(
        build.replica(name, address=f"127.0.0.1:{9000 + n}") for n, name in enumerate(names)
    )
    return build.world(replicas=replicas)


def by_name(sources: tuple[Source, ...]) -> dict[str, Source]:
    return {source.name: source for source in sources}


def test_the_loop_and_the_senses_can_be_put_together() -> None:
    parts = wiring.loop_parts()
    assert parts == wiring.loop_parts()  # functions, no state
    step, state = wiring.sense_step()
    assert callable(step)
    assert state is not None


async def test_actuators_go_by_their_own_names() -> None:
    named = PartPlan(part="process", settings={"url": "http://127.0.0.1:1", "name": "gpu"})
    made = wiring.deployment(plan(actuators=(named,)), None)
    assert list(made.actuators) == ["gpu"]
    await made.actuators["gpu"].close()


@pytest.mark.parametrize("where", ["sources", "per_replica"])
def test_a_source_that_cannot_be_made_is_refused_before_the_first_replica_shows_up(
    where: str,
) -> None:
    wrong = PartPlan(part="scrape", settings={**PAGE.settings, "mapping": "envoi"})
    with pytest.raises(ConfigError, match=r"source 'scrape': mapping: .*did you mean 'envoy'"):
        wiring.deployment(plan(**{where: (wrong,)}), None)
    unknown = PartPlan(part="scrap", settings=PAGE.settings)
    with pytest.raises(UnknownPartError, match="did you mean 'scrape'"):
        wiring.deployment(plan(**{where: (unknown,)}), None)


async def test_a_source_lives_as_long_as_its_replica() -> None:
    sources_for = wiring.deployment(plan(per_replica=(PAGE,)), None).sources_for
    first = by_name(sources_for(slots("a-1", "a-2")))
    second = by_name(sources_for(slots("a-2", "a-3")))
    assert set(first) == {"page:a-1", "page:a-2"}
    assert set(second) == {"page:a-2", "page:a-3"}
    third = by_name(sources_for(slots("a-1")))
    assert third["page:a-1"] is not first["page:a-1"]
    for source in {*first.values(), *second.values(), *third.values()}:
        await source.close()


async def test_a_replica_that_kept_its_address_keeps_its_source() -> None:
    sources_for = wiring.deployment(plan(per_replica=(PAGE,)), None).sources_for
    (first,) = sources_for(slots("a-1"))
    (again,) = sources_for(slots("a-1"))
    assert again is first
    await first.close()


async def test_a_replica_without_an_address_is_not_asked_and_an_unread_world_asks_nobody() -> None:
    sources_for = wiring.deployment(plan(per_replica=(PAGE,)), None).sources_for
    assert sources_for(None) == ()
    assert sources_for(build.world(replicas=(build.replica("a-1", address=None),))) == ()


async def test_labels_are_a_source_that_follows_the_replicas() -> None:
    labels = Labelling("m")
    sources_for = wiring.deployment(plan(), labels).sources_for
    assert sources_for(slots("a-1")) == (labels,)
    assert labels._addresses == ("127.0.0.1:9000",)
    await labels.close()


@pytest.mark.parametrize(
    ("kind", "entry", "says"),
    [
        ("actuator", PartPlan(part="proces", settings={}), "did you mean 'process'"),
        ("store", PartPlan(part="sqlite", settings={}), "store 'sqlite': path: Field required"),
        (
            "actuator",
            PartPlan(part="process", settings={"url": "127.0.0.1:1"}),
            "actuator 'process': url: ",
        ),
        (
            "actuator",
            PartPlan(part="process", settings={"url": "http://h", "wait": 3}),
            "actuator 'process': wait: Extra",
        ),
        (
            "notifier",
            PartPlan(part="webhook", settings={"url": "ftp://h"}),
            "notifier 'webhook': ",
        ),
    ],
    ids=["unknown part", "missing key", "bad value", "unknown key", "bad notifier"],
)
def test_a_wrong_setting_names_the_part_and_the_key(kind: str, entry: PartPlan, says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace("(", r"\(")):
        wiring.build(kind, entry)


def test_an_unknown_part_is_an_error_of_its_own() -> None:
    with pytest.raises(UnknownPartError, match="known: "):
        wiring.build("notifier", PartPlan(part="carrier pigeon", settings={}))


def test_a_wrong_setting_of_a_replicas_source_names_it_as_well() -> None:
    bad = PartPlan(part="scrape", settings={**PAGE.settings, "timeout_s": -1})
    with pytest.raises(ConfigError, match="source 'scrape': timeout_s: "):
        wiring.deployment(plan(per_replica=(bad,)), None)


def controller(journal: Path, **changes: Any) -> ControllerPlan:
    settings: dict[str, Any] = {"deployments": (plan(),), "journal": journal}
    return ControllerPlan(**{**settings, "kill_file": journal.parent / "kill", **changes})


def test_the_journals_folder_is_made(tmp_path: Path) -> None:
    wiring.journal(controller(tmp_path / "a" / "b" / "j.db")).close()
    assert (tmp_path / "a" / "b" / "j.db").is_file()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"journal's folder {tmp_path}/file/x"):
        wiring.journal(controller(tmp_path / "file" / "x" / "j.db"))
