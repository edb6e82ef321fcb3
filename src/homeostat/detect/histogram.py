"""What a histogram method is: something that says whether events still fall as they did.

The shipped one is the share test (`detect.drift`). All take pages of new events a look and say the
same (`drift_said.Family`), so that the conformance kit knows none of them by name. They are found
as plug-ins are: a file of this room, or an installed one, that exports a `PART` of kind
"histogram". Not here: what a deployment's histograms are (`detect.drifting`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from homeostat.detect.drift_said import Family, Page


class HistogramMethod(Protocol):
    """Judges histograms look by look: causal, pure, deployments apart.

    A state is what `stats.arrays.to_bytes` can write.
    """

    @property
    def state_classes(self) -> tuple[type, ...]:
        """Return what `stats.arrays.from_bytes` must know to read the state."""
        ...

    def init(self) -> Any:
        """Return the state before any reference."""
        ...

    def step(
        self,
        state: Any,
        pages: Sequence[Page],
        learning: bool,  # noqa: FBT001 - same position as in every detector's step
        earlier: Mapping[tuple[str, str], Sequence[str]] | None = None,
    ) -> tuple[Any, tuple[Family, ...]]:
        """Judge the events since the last look, then learn from them; see `Drift.step`."""
        ...
