"""What the read model is shown beside the journal: books, the self-check, and the next freeze."""

from collections.abc import Callable

from homeostat.base.budgets import Accounts
from homeostat.base.canary import AlikeState
from homeostat.base.units import MINUTE
from homeostat.server.clock import Clock
from homeostat.server.config import Watcher
from homeostat.server.runtime import Runtime
from homeostat.server.view import Freezing


def books_of(runtime: Runtime) -> Callable[[str], Accounts | None]:
    """Return what looks up the counts of a deployment's promises and money."""

    def books(name: str) -> Accounts | None:
        state = runtime.states.get(name)
        return None if state is None else state.accounts

    return books


def alike_of(runtime: Runtime) -> Callable[[str], AlikeState | None]:
    """Return what looks up what a deployment's two pools said while they served the same."""

    def alike(name: str) -> AlikeState | None:
        state = runtime.states.get(name)
        return None if state is None else state.alike

    return alike


def freeze_of(watcher: Watcher, clock: Clock) -> Callable[[str], Freezing | None]:
    """Return what looks up a deployment's freeze in force or to come, once a minute.

    Freezes are written in calendar time, so they go by the machine's clock.
    """
    known: dict[str, tuple[int, Freezing | None]] = {}

    def freeze(name: str) -> Freezing | None:
        now = clock.wall()
        minute = now // MINUTE
        if known.get(name, (-1, None))[0] != minute:
            known[name] = (minute, watcher.config.next_freeze(name, now))
        return known[name][1]

    return freeze
