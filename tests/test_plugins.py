"""Plug-ins are found by themselves; an unknown or doubly claimed name is an error."""

import sys
import types
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from homeostat import plugins
from homeostat.base.errors import ConfigError, UnknownPartError
from homeostat.base.part import Part
from homeostat.plugins import part, parts

KINDS = (
    "detector",
    "method",
    "histogram",
    "source",
    "actuator",
    "notifier",
    "store",
    "trainer",
    "policy",
)


@pytest.fixture(autouse=True)
def _fresh_search() -> Iterator[None]:
    """Search anew before and after each test: the found parts are kept for the process."""
    parts.cache_clear()
    yield
    parts.cache_clear()


def made(name: str, kind: str = "detector") -> Part:
    return Part(kind=kind, name=name, summary="from outside", config=dict, build=lambda _: None)


def offer(monkeypatch: pytest.MonkeyPatch, *found: Any) -> None:
    """Pretend that an installed distribution offers these as detectors."""
    outside = types.ModuleType("outside_detectors")
    entries = []
    for index, value in enumerate(found):
        setattr(outside, f"PART_{index}", value)
        entries.append(
            EntryPoint(f"entry-{index}", f"outside_detectors:PART_{index}", "homeostat.detectors")
        )
    monkeypatch.setitem(sys.modules, "outside_detectors", outside)
    monkeypatch.setattr(
        plugins,
        "entry_points",
        lambda group: entries if group == "homeostat.detectors" else [],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_the_house_is_filed_under_its_kind_and_name(kind: str) -> None:
    for name, found in parts(kind).items():
        assert (found.kind, found.name) == (kind, name)
        assert found.summary.endswith(".")
        assert isinstance(found.config, type)
        assert callable(found.build)


def test_the_detector_of_the_house_is_found_without_being_listed() -> None:
    assert part("detector", "ewma").config().smoothing == pytest.approx(0.2)


def test_an_unknown_name_is_an_error_that_suggests_the_nearest() -> None:
    with pytest.raises(UnknownPartError, match=r"unknown detector 'ewna'; did you mean 'ewma'\?"):
        part("detector", "ewna")


def test_an_unknown_name_with_no_likeness_lists_what_there_is() -> None:
    with pytest.raises(UnknownPartError, match=r"unknown detector 'zzz' \(known: .*ewma"):
        part("detector", "zzz")


def test_the_empty_name_is_no_default() -> None:
    with pytest.raises(UnknownPartError):
        part("detector", "")


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(UnknownPartError, match=r"unknown kind of part 'detectors'; did you mean"):
        parts("detectors")


def test_an_installed_part_is_found_beside_the_house_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, made("from-outside"))
    assert {"ewma", "from-outside"} <= set(parts("detector"))
    assert part("detector", "from-outside").summary == "from outside"


def test_an_installed_part_may_not_take_a_house_name(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, made("ewma"))
    with pytest.raises(ConfigError, match="two detectors are called 'ewma'"):
        parts("detector")


def test_two_installed_parts_may_not_share_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, made("twin"), made("twin"))
    with pytest.raises(ConfigError, match="two detectors are called 'twin'"):
        parts("detector")


@pytest.mark.parametrize("wrong", [made("x", kind="source"), object(), None])
def test_an_entry_point_that_is_no_part_of_its_kind_is_named(
    monkeypatch: pytest.MonkeyPatch, wrong: object
) -> None:
    offer(monkeypatch, made("fine"), wrong)
    with pytest.raises(ConfigError, match=r"entry point .entry-1. of homeostat\.detectors is not"):
        parts("detector")


def test_layer_one_cannot_be_extended_from_outside() -> None:
    with pytest.raises(UnknownPartError):
        parts("rule")
    rooms = {room for room, _ in plugins._ROOMS.values()}
    assert not any(room.startswith(("homeostat.safety", "homeostat.govern")) for room in rooms)
