"""A plug-in's description: one file exports one `PART`, and is found by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One plug-in.

    Attributes:
        kind: `detector`, `method`, `histogram`, `source`, `actuator`, `notifier`, `store`,
            `trainer` or `policy`.
        name: What the configuration calls it.
        summary: One sentence for `homeostat get parts` and the generated docs.
        config: The class of its settings (pydantic in adapters, frozen dataclass in pure rooms).
        build: Makes one from its settings; adapters also get keyword arguments from the wiring.
    """

    kind: str
    name: str
    summary: str
    config: type[Any]
    build: Callable[..., Any]
