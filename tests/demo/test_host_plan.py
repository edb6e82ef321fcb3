"""The plan: which step follows from what is wanted and what is, and that it converges."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from homeostat.demo.host_document import Document, first_document
from homeostat.demo.host_plan import (
    Configure,
    Fill,
    Knobs,
    Load,
    Remove,
    SlotView,
    Step,
    plan,
    rotation,
    wanted_knobs,
)

LEVERS: dict[str, Any] = {
    "batch_max": 8,
    "batch_wait_ms": 5.0,
    "concurrency_max": 256,
    "replicas.a": 2,
    "replicas.b": 1,
    "version.a": "v2",
    "version.b": "v1",
}
KNOBS = Knobs(batch_max=8, batch_wait_ms=5.0, concurrency_max=256)


def document(**levers: Any) -> Document:
    named = {key.replace("_a", ".a").replace("_b", ".b"): value for key, value in levers.items()}
    return first_document(LEVERS | named)


def slot(pool: str, version: str | None, **changes: Any) -> SlotView:
    base: dict[str, Any] = {"pool": pool, "incarnation": 1, "alive": True, "knobs": KNOBS}
    return SlotView(**(base | {"version": version} | changes))


def settled() -> dict[str, SlotView]:
    return {"a-1": slot("a", "v2"), "a-2": slot("a", "v2"), "b-1": slot("b", "v1")}


def test_nothing_follows_when_all_is_as_wanted() -> None:
    assert plan(document(), settled()) == ()


def test_an_empty_host_fills_every_slot() -> None:
    assert {step.slot for step in plan(document(), {})} == {"a-1", "a-2", "b-1"}


def test_a_dead_replica_is_left_alone_even_when_version_and_settings_change() -> None:
    slots = settled() | {"a-1": slot("a", None, alive=False)}
    assert plan(document(), slots) == ()
    steps = plan(document(version_a="v1", batch_max=2), slots)
    assert "a-1" not in {step.slot for step in steps}


def test_a_raised_incarnation_fills_the_slot_dead_or_alive() -> None:
    wanted = document()
    levers = dict(wanted.levers) | {"incarnation.a-1": 2}
    wanted = replace(wanted, levers=tuple(sorted(levers.items())))
    for alive in (True, False):
        slots = settled() | {"a-1": slot("a", "v2", alive=alive)}
        assert plan(wanted, slots) == (Fill(slot="a-1", pool="a", incarnation=2),)


def test_fewer_replicas_remove_the_highest_slot_and_more_fill_the_next() -> None:
    assert plan(document(replicas_a=1), settled()) == (Remove(slot="a-2"),)
    assert plan(document(replicas_a=3), settled()) == (Fill(slot="a-3", pool="a", incarnation=1),)


def test_a_version_is_loaded_before_settings_are_changed() -> None:
    steps = plan(document(version_a="v1", batch_max=2), settled())
    kinds = {step.slot: type(step) for step in steps}
    assert kinds == {"a-1": Load, "a-2": Load, "b-1": Configure}


def test_rotation_holds_what_has_a_process_and_is_not_drained_also_the_dead() -> None:
    wanted = document(replicas_a=3)
    levers = dict(wanted.levers) | {"drained.a-2": 1}
    wanted = replace(wanted, levers=tuple(sorted(levers.items())))
    ports = {"a-1": 1, "a-2": 2, "b-1": 4, "a-9": 9}
    assert rotation(wanted, ports) == {"a": (1,), "b": (4,)}


documents = st.builds(
    document,
    replicas_a=st.integers(0, 4),
    replicas_b=st.integers(0, 2),
    version_a=st.sampled_from(["v1", "v2"]),
    batch_max=st.integers(1, 9),
)
views = st.dictionaries(
    st.sampled_from(["a-1", "a-2", "a-3", "a-4", "a-5", "b-1", "b-2", "b-3"]),
    st.builds(
        slot,
        pool=st.just("a"),
        version=st.sampled_from(["v1", "v2"]),
        alive=st.booleans(),
        incarnation=st.integers(1, 3),
        knobs=st.one_of(st.none(), st.just(KNOBS)),
    ),
)


def carried_out(wanted: Document, slots: dict[str, SlotView], step: Step) -> None:
    match step:
        case Fill(slot=name, pool=pool, incarnation=incarnation):
            version = str(wanted.lever(f"version.{pool}"))
            slots[name] = slot(pool, version, incarnation=incarnation, knobs=wanted_knobs(wanted))
        case Remove(slot=name):
            del slots[name]
        case Load(slot=name, version=version):
            slots[name] = replace(slots[name], version=version)
        case Configure(slot=name, knobs=knobs):
            slots[name] = replace(slots[name], knobs=knobs)


@given(documents, views)
def test_carrying_out_the_plan_ends_and_leaves_exactly_what_was_wanted(
    wanted: Document, slots: dict[str, SlotView]
) -> None:
    dead = {name for name, view in slots.items() if not view.alive and view.incarnation == 1}
    for _ in range(3):  # fill, or load and then configure
        for step in plan(wanted, slots):
            carried_out(wanted, slots, step)
    assert plan(wanted, slots) == ()
    assert set(slots) == {name for pool in wanted.pools() for name in wanted.slots(pool)}
    assert all(view.alive or name in dead for name, view in slots.items())


@given(documents, views)
def test_no_slot_gets_two_steps_at_once(wanted: Document, slots: dict[str, SlotView]) -> None:
    steps = [step.slot for step in plan(wanted, slots)]
    assert len(steps) == len(set(steps))


def test_a_slot_with_settings_of_its_own_takes_them_and_no_other_does() -> None:
    own = dict(document().levers) | {"batch_max.a-2": 16}
    wanted = replace(document(), levers=tuple(sorted(own.items())))
    steps = plan(wanted, settled())
    assert steps == (Configure(slot="a-2", knobs=replace(KNOBS, batch_max=16)),)
    older = replace(
        document(), levers=tuple(one for one in document().levers if "max." not in one[0])
    )
    assert wanted_knobs(older, "a-2") == KNOBS
