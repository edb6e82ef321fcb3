"""What may run unasked: the policy's word, narrowed or widened by what the ledger says.

Widened only within what the policy itself names (`autonomy.earn`), so that no ledger, however old,
goes beyond the policy in force. The ledger is kept by the shell (`govern.autonomy`) over all
deployments; what it says enters here as an event, so that replay decides as it was decided.
"""

from dataclasses import replace

from homeostat.base.decisions import Notice, Urgency
from homeostat.base.events import AutonomySet, Command, Granted, Record, Tell
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.loop.parts import LoopParts

Stepped = tuple[LoopState, tuple[Command, ...]]


def in_force(state: LoopState) -> Managed:
    """Return the configuration that the guards go by: the policy's, with the ledger's kinds."""
    managed = state.managed
    if state.auto_kinds is None:
        return managed
    guard = managed.guard
    most = {*guard.auto_kinds, *guard.earn_kinds}
    kinds = tuple(kind for kind in state.auto_kinds if kind in most)
    return replace(managed, guard=replace(guard, auto_kinds=kinds))


def granted(_: LoopParts, state: LoopState, event: Granted) -> Stepped:
    """Keep a person's word as a fact; the ledger says what follows from it."""
    return state, (Record(fact=event.grant),)


def autonomy_set(_: LoopParts, state: LoopState, event: AutonomySet) -> Stepped:
    """Take what may run unasked from here on, and tell people what changed."""
    notice = Notice(
        key=f"{state.managed.name}.autonomy",
        deployment=state.managed.name,
        at=event.at,
        urgency=Urgency.INFO,
        title=f"{state.managed.name}: what runs without asking has changed",
        lines=event.because,
    )
    return replace(state, auto_kinds=event.auto_kinds, held_because=()), (Tell(notice=notice),)
