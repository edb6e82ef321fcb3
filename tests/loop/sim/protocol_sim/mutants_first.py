"""Planted mutants of what some replicas have first, beside those of `mutants`; and all together."""

from typing import Any

import pytest

from homeostat.base.actions import Action
from homeostat.base.intent import ActionRecord, Proof
from homeostat.base.world import Levers, Snapshot
from homeostat.loop import protocol_forward, protocol_verify
from homeostat.safety import one_first
from homeostat.safety.sight import Sight
from protocol_sim import world
from protocol_sim.mutants import MUTANTS, Mutant, Patch, unruled


def _all_proven(*enough: Proof) -> Patch:
    """Return a patch by which protocol and guard let a comparison that says less be enough."""

    def patch(monkey: pytest.MonkeyPatch) -> None:
        proven = frozenset({Proof.CERTIFIED, Proof.UNPROVEN, *enough})
        monkey.setattr(one_first, "_PROVEN", proven)
        monkey.setattr(protocol_verify, "_may_promote", lambda record: record.proof in proven)

    return patch


def _partly_told_is_none(monkey: pytest.MonkeyPatch) -> None:
    can, keeps = one_first._can, one_first.keeps_own

    def can_all(action: Action, seen: Snapshot, sight: Sight) -> bool:
        return can(action, seen, sight) is True

    def keeps_known(change: Levers, seen: Snapshot | None) -> bool:
        return keeps(change, seen) is not False

    monkey.setattr(one_first, "_can", can_all)
    monkey.setattr(one_first, "keeps_own", keeps_known)


def _none_told_is_none_there(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(world, "told_apart", lambda seen, _: seen)


def _as_many_as_asked(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(one_first, "_fits", lambda *_: True)


def _nobodys_own_value_counts(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(one_first, "keeps_own", lambda *_: True)


def _unseen_stays_with_some(monkey: pytest.MonkeyPatch) -> None:
    def stays(record: ActionRecord, _: Any) -> bool:
        return record.action.kind in protocol_verify.STAYS_WHEN_BLIND

    monkey.setattr(protocol_verify, "_stays", stays)


def _later_levers_are_forgotten(monkey: pytest.MonkeyPatch) -> None:
    def first_pre(record: ActionRecord, pre: Levers) -> Levers:
        return pre if record.stage == 0 else record.first_pre

    monkey.setattr(protocol_forward, "_first_pre", first_pre)


def _mutant(name: str, caught_by: str, patch: Patch, *, first: int = 4) -> Mutant:
    return Mutant(name=name, caught_by=frozenset({caught_by}), patch=patch, first=first, some=True)


MUTANTS_FIRST = (
    _mutant("a batch for all at once is not held back", "I19", unruled("G2 one first")),
    _mutant("own values that are told of some only count for none", "I19", _partly_told_is_none),
    _mutant("what helps goes to all without a word", "I19", _all_proven(Proof.NONE, Proof.ASKED)),
    _mutant("who was only asked has said yes", "I19", _all_proven(Proof.ASKED)),
    _mutant("as many as one likes have it first", "I19", _as_many_as_asked),
    _mutant("what others have of their own is not looked at", "I19", _nobodys_own_value_counts),
    _mutant("a setting told of all alone is handed on", "I19", _none_told_is_none_there, first=88),
    _mutant("what is not seen of some stays with them", "I20", _unseen_stays_with_some),
    _mutant("the way back forgets what all were given", "I20", _later_levers_are_forgotten),
)
ALL_MUTANTS = (*MUTANTS, *MUTANTS_FIRST)
