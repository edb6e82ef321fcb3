"""Does nothing, ever: the counterfactual of every judgement, and a baseline that must fail."""

from collections.abc import Sequence

from homeostat.lab.baselines.levers import move, standing
from homeostat.lab.types import Episode, Move
from homeostat.twin.outputs import Scrape


class Hold:
    """Leaves every lever where it was and tells nobody."""

    name = "hold"

    def start(self, episodes: Sequence[Episode]) -> None:
        """Prepare for these episodes."""
        self._move = move(standing(episodes))

    def act(self, now_s: float, scrape: Scrape) -> Move:  # noqa: ARG002  # looks at nothing
        """Return the same move every time."""
        return self._move
