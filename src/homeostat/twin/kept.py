"""A compiled program that outlives its process: loaded as machine code, not traced anew.

JAX's own cache keeps what the compiler returns, under a name that it knows only after it has traced
the program: seconds for the twin's, every time a process starts. Here the machine code is kept
under a name made of what is known before: the program's own name, the arguments' shapes and types,
JAX's version, and what the store's mark stands for. Anything that is not as it was kept, is of
another name or does not run is thrown away and compiled anew.

Only code that this process compiled itself is kept: what JAX's cache returns has lost parts of it
when it is written again (JAX 0.10 on processors), so that cache is not asked.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Final, get_type_hints

import equinox as eqx
import jax
import numpy as np
from jax.errors import JaxRuntimeError
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache

from homeostat.twin import store
from homeostat.twin.store import Store

_SUM: Final = 32  # bytes of SHA-256
Run = Callable[..., Any]


class Kept:
    """A jitted function whose compiled programs are kept where the process keeps them.

    Without a store it is the jitted function.

    Args:
        jitted: The function; takes and returns pytrees of arrays.
        name: Of all that its source does not say: sizes that it was made for, options.
        result: A tree of the shape of what it returns, with anything for its arrays; see `blank`.
    """

    def __init__(self, jitted: Any, name: str, result: Any) -> None:
        self._jitted = jitted
        self._name = name
        self._result = jax.tree.structure(result)
        self._programs: dict[str, Run] = {}
        self._last: Run | None = None

    def __call__(self, *args: Any) -> Any:
        """Call the function.

        Raises:
            ValueError: It returns another tree than was said.
        """
        place = store.used()
        if place is None:
            return self._jitted(*args)
        if self._last is not None:
            try:
                return self._last(*args)
            except TypeError:  # of other shapes: said before anything is run or used up
                self._last = None
        name = self._name_of(place, args)
        if name not in self._programs:
            return self._first(place, name, args)
        self._last = self._programs[name]
        return self._last(*args)

    def _first(self, place: Store, name: str, args: tuple[Any, ...]) -> Any:
        """Call the function with shapes that this process has not met.

        Raises:
            ValueError: It returns another tree than was said.
        """
        program = self._loaded(place.get(name), name, args)
        if program is not None:
            try:
                # A program that does not run may have used its arguments up before it says so.
                found = program(*jax.tree.map(np.array, args))
                jax.block_until_ready(found)  # type: ignore[no-untyped-call]
            except JaxRuntimeError:
                program = None
            else:
                self._programs[name] = self._last = program
                return found
        with _compiled_here():
            compiled = self._jitted.lower(*args).compile()
        if compiled.out_tree != self._result:
            raise ValueError(f"{self._name} returns {compiled.out_tree}, not {self._result}")
        place.put(name, _packed(compiled, name))
        self._programs[name] = self._last = compiled
        return compiled(*args)

    def _name_of(self, place: Store, args: tuple[Any, ...]) -> str:
        leaves, shape = jax.tree.flatten(args)
        said = [self._name, place.mark, jax.__version__, repr(shape)]
        said += [f"{np.shape(leaf)} {getattr(leaf, 'dtype', type(leaf))}" for leaf in leaves]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    def _loaded(self, data: bytes | None, name: str, args: tuple[Any, ...]) -> Run | None:
        """Return a kept program; None if it is not exactly what was kept under this name."""
        head = name.encode()
        if data is None or not data.startswith(head):
            return None
        told, code = data[len(head) : len(head) + _SUM], data[len(head) + _SUM :]
        if hashlib.sha256(head + code).digest() != told:
            return None
        try:
            # As trusted as the program's own files, and no more: see `store.Store`.
            return serialize_executable.deserialize_and_load(  # type: ignore[no-any-return]
                code, jax.tree.structure((args, {})), self._result
            )
        except Exception:  # noqa: BLE001  # whatever is wrong with it, the program is compiled anew
            return None


def blank(kind: type[eqx.Module]) -> Any:
    """Return a module of a kind, and of its fields' kinds, with zeros for its arrays."""
    hints = get_type_hints(kind)
    parts = {one.name: hints[one.name] for one in fields(kind)}
    return kind(**{name: blank(part) if _module(part) else 0 for name, part in parts.items()})


def _module(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, eqx.Module)


@contextmanager
def _compiled_here() -> Iterator[None]:
    """Let nothing come from JAX's cache of compiled programs, and nothing go there."""
    asked = bool(jax.config.values["jax_enable_compilation_cache"])
    jax.config.update("jax_enable_compilation_cache", False)  # type: ignore[no-untyped-call]
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", asked)  # type: ignore[no-untyped-call]
        compilation_cache.reset_cache()


def _packed(compiled: Any, name: str) -> bytes:
    """Return a program as bytes: its name, a checksum, and its machine code."""
    code: bytes = serialize_executable.serialize(compiled)[0]
    head = name.encode()
    return head + hashlib.sha256(head + code).digest() + code
