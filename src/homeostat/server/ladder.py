"""Keeps the ledger of autonomy over all deployments, and tells each loop what follows from it.

The ledger is rebuilt from the journal's commands, which stay for ever, so that neither a restart
nor retention forgets a harm. It judges nothing itself: `govern.autonomy` does.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from homeostat.base.autonomy import Grant
from homeostat.base.errors import HomeostatError
from homeostat.base.events import AutonomySet, Command, Event, Reconfigured, Record
from homeostat.base.intent import ActionRecord
from homeostat.base.ports import Journal
from homeostat.base.state import LoopState
from homeostat.govern import autonomy
from homeostat.govern.autonomy import Ledger
from homeostat.loop.autonomous import in_force
from homeostat.server.restore import decoded
from homeostat.server.runtime import Runtime

log = structlog.get_logger()

RETRY_S: Final = 1.0
"""How long after the journal refused it is tried again."""
_ACTION: Final = b'{"$":"Record","fact":{"$":"ActionRecord"'
_GRANT: Final = b'{"$":"Record","fact":{"$":"Grant"'
# What may count: these ends, and harm whatever the end.
_COUNTS: Final = (
    b'"state":"succeeded"', b'"state":"rolled_back"', b'"state":"stuck"', b'"harmed":true',
)  # fmt: skip


class Ladder:
    """The ledger of one controller."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._news = asyncio.Event()

    def load(self, journal: Journal) -> None:
        """Fold every action that ended, and every person's word, of the whole journal.

        Raises:
            StoreError: The journal cannot be read.
        """
        found = folded(journal)  # it may take long: what is seen meanwhile counts too
        self.ledger = autonomy.merge(self.ledger, found)

    def observe(self, item: Event | Command) -> None:
        """Take one event or command as it happens."""
        before = self.ledger
        self.ledger = with_item(self.ledger, item)
        if self.ledger != before or isinstance(item, Reconfigured):
            self._news.set()

    def bring_into_force(self, runtime: Runtime) -> bool:
        """Tell every loop whose kinds are not as the ledger says; journaled, so it replays.

        Returns:
            Whether all of it is in force now.
        """
        whole = True
        for name, state in tuple(runtime.states.items()):
            told = news(self.ledger, name, state)
            if told is None:
                continue
            kinds, because = told
            event = AutonomySet(at=runtime.clock.now(), auto_kinds=kinds, because=because)
            try:
                runtime.take(name, event)
            except HomeostatError as error:
                log.warning("autonomy", deployment=name, effect="tried again", problem=str(error))
                whole = False
        return whole

    async def keep(self, runtime: Runtime) -> None:
        """Bring news into force as they come, until cancelled: before the next tick, that is."""
        while True:
            await self._news.wait()
            self._news.clear()
            while not self.bring_into_force(runtime):  # noqa: ASYNC110 - for a journal, no flag
                await asyncio.sleep(RETRY_S)


def folded(journal: Journal) -> Ledger:
    """Return the ledger of a whole journal.

    Raises:
        StoreError: It cannot be read.
    """
    ledger = Ledger()
    for entry in journal.read(kinds=("command",)):
        counts = entry.body.startswith(_ACTION) and any(one in entry.body for one in _COUNTS)
        if counts or entry.body.startswith(_GRANT):
            ledger = with_item(ledger, decoded(entry))
    return ledger


def with_item(ledger: Ledger, item: Any) -> Ledger:
    """Return the ledger with one more event or command; most say nothing to it."""
    match item:
        case Record(fact=ActionRecord() as record):
            return autonomy.counted(ledger, record)
        case Record(fact=Grant() as grant):
            return autonomy.granted(ledger, grant)
        case _:
            return ledger


def news(
    ledger: Ledger, name: str, state: LoopState
) -> tuple[tuple[Any, ...], tuple[str, ...]] | None:
    """Return the kinds that are to run unasked and why, None where they do already."""
    policy = state.managed.guard
    most = set(autonomy.nameable(policy))
    wanted = autonomy.effective(ledger, policy, name)
    now = set(in_force(state).guard.auto_kinds) & most
    differ = sorted(now ^ set(wanted))
    if not differ:
        return None
    because = tuple(
        f"{kind.value} {'runs unasked' if kind in wanted else 'asks'}: "
        f"{autonomy.standing(ledger, kind, policy, name).because}"
        for kind in differ
    )
    return wanted, because


def rows(ledger: Ledger, states: Mapping[str, LoopState]) -> list[dict[str, Any]]:
    """Return how every kind that may run unasked, or did anything, stands, as plain values."""
    found: list[dict[str, Any]] = []
    for name, state in sorted(states.items()):
        policy = state.managed.guard
        kinds = sorted({*autonomy.nameable(policy), *(kind for kind, _ in ledger.records)})
        for kind in kinds:
            stands = autonomy.standing(ledger, kind, policy, name)
            found.append({
                "deployment": name,
                "kind": kind.value,
                "mode": state.managed.mode.value,
                "unasked": stands.auto and state.managed.mode.value == "auto",
                "because": stands.because,
                "harmless": stands.harmless,
                "needed": autonomy.NEEDED,
                "harm_bound": round(stands.bound, 6),
                "harm_at": None if stands.harm is None else round(stands.harm.at / 1e9, 6),
            })
    return found


def with_ladder(
    ladder: Ladder, show: Callable[[str, Event | Command], None]
) -> Callable[[str, Event | Command], None]:
    """Return an observer that tells the ladder and then `show`."""

    def observe(name: str, item: Event | Command) -> None:
        ladder.observe(item)
        show(name, item)

    return observe
