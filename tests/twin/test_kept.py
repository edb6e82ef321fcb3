"""Compiled programs that outlive their process: the same numbers, and no trust in what is kept."""

from collections.abc import Iterator
from hashlib import sha256

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fleet_by_hand import faults

from homeostat.twin import kernel, store, tables
from homeostat.twin.kept import Kept, blank
from homeostat.twin.outputs import Scrape, Truth
from homeostat.twin.params import Params
from homeostat.twin.state import State


class Shelf(dict[str, bytes]):
    """A store in memory."""

    mark = "these sources"

    def put(self, name: str, data: bytes) -> None:
        self[name] = data


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    store.use(made)
    yield made
    store.use(None)


class Traced:
    """Takes a tree, uses up its second argument, and counts how often it is traced."""

    def __init__(self) -> None:
        self.times = 0

    def kept(self, name: str = "f") -> Kept:
        """As another process would begin with it."""

        def f(tree: dict[str, jax.Array], spent: jax.Array) -> dict[str, tuple[jax.Array, ...]]:
            self.times += 1
            return {"sum": (tree["a"] + spent, spent.sum()), "none": ()}

        return Kept(jax.jit(f, donate_argnums=(1,)), name, {"sum": (0, 0), "none": ()})


def call(one: Kept, size: int = 3) -> tuple[list[float], float]:
    found = one({"a": np.ones(size, np.float32)}, jnp.arange(size, dtype=jnp.float32))
    assert found["none"] == ()
    first, second = found["sum"]
    return np.asarray(first).tolist(), float(second)


def test_another_process_runs_what_one_has_compiled_and_traces_nothing(shelf: Shelf) -> None:
    traced = Traced()
    ours = call(traced.kept())
    assert (traced.times, len(shelf)) == (1, 1)
    other = traced.kept()
    assert [call(other) for _ in range(3)] == [ours] * 3 == [([1.0, 2.0, 3.0], 3.0)] * 3
    assert (traced.times, len(shelf)) == (1, 1)


def test_without_a_store_it_is_the_jitted_function() -> None:
    traced = Traced()
    one = traced.kept()
    assert [call(one), call(one)] == [([1.0, 2.0, 3.0], 3.0)] * 2
    assert traced.times == 1


def test_every_shape_is_a_program_of_its_own_and_either_may_come_next(shelf: Shelf) -> None:
    traced = Traced()
    one = traced.kept()
    for size in (3, 4, 3, 4):
        assert call(one, size)[1] == sum(range(size))
    assert (traced.times, len(shelf)) == (2, 2)
    again = traced.kept()
    for size in (4, 3, 4):
        assert call(again, size)[1] == sum(range(size))
    assert traced.times == 2


@pytest.mark.parametrize("other", ["name", "mark"])
def test_another_name_or_other_sources_are_another_program(shelf: Shelf, other: str) -> None:
    traced = Traced()
    call(traced.kept())
    shelf.mark = "other sources" if other == "mark" else shelf.mark
    call(traced.kept("g" if other == "name" else "f"))
    assert (traced.times, len(shelf)) == (2, 2)


def signed(name: str, code: bytes) -> bytes:
    head = name.encode()
    return head + sha256(head + code).digest() + code


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign", "renamed", "no program"])
def test_what_is_damaged_or_foreign_is_compiled_anew_and_replaced(
    shelf: Shelf, damage: str
) -> None:
    traced = Traced()
    call(traced.kept())
    (name,) = shelf
    good, code, other = shelf[name], shelf[name][len(name) + 32 :], "0" * len(name)
    assert good == signed(name, code)
    shelf[name] = {
        "empty": b"",
        "cut": good[:-10],
        "flipped": good[:-10] + bytes([good[-10] ^ 1]) + good[-9:],
        "foreign": signed(other, code),
        "renamed": name.encode() + signed(other, code)[len(name) :],
        "no program": signed(name, b"nothing"),
    }[damage]
    assert call(traced.kept()) == ([1.0, 2.0, 3.0], 3.0)
    assert traced.times == 2
    assert shelf[name] == signed(name, shelf[name][len(name) + 32 :])
    assert call(traced.kept()) == ([1.0, 2.0, 3.0], 3.0)
    assert traced.times == 2


def test_a_program_that_returns_another_tree_than_was_said_is_an_error(shelf: Shelf) -> None:
    wrong = Kept(jax.jit(lambda a: (a, a)), "g", 0)
    with pytest.raises(ValueError, match="g returns"):
        wrong(jnp.zeros(2))
    assert not shelf


@pytest.mark.slow
def test_the_trees_that_the_twin_says_are_those_that_it_returns(deployment: Params) -> None:
    broken, curves = faults([]), tables.load()
    state = jax.eval_shape(kernel.init, deployment, broken, jax.random.PRNGKey(0), curves)
    assert str(jax.tree.structure(state)) == str(jax.tree.structure(blank(State)))
    after = jax.eval_shape(kernel.advance, deployment, broken, state, state.ordered, curves)
    said = (blank(State), blank(Truth), blank(Scrape))
    assert str(jax.tree.structure(after)) == str(jax.tree.structure(said))


def test_a_store_that_keeps_nothing_costs_a_compilation_and_no_more(shelf: Shelf) -> None:
    traced = Traced()
    call(traced.kept())
    shelf.clear()
    assert call(traced.kept()) == ([1.0, 2.0, 3.0], 3.0)
    assert traced.times == 2


def test_jaxs_own_cache_is_as_it_was_after_a_compilation(shelf: Shelf) -> None:
    before = jax.config.values["jax_enable_compilation_cache"]
    call(Traced().kept())
    assert jax.config.values["jax_enable_compilation_cache"] == before
