"""A trained policy in the decision seat: heard, written down with its chance, replayed alike."""

from dataclasses import replace
from typing import Any

import pytest
from seat_story import HOLD_IS_BEST, ON, SCALE_IS_BEST, SHADOW, SLOW_BATCHES, SeatStory

from homeostat.base import codec
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.events import Command
from homeostat.base.learning import Liked, Offer, Seating
from homeostat.base.policy import AdaptivePolicy
from homeostat.loop.parts import LoopParts
from homeostat.loop.step import initial, step
from homeostat.policy.trained_menu import MENU
from homeostat.server import snapshots
from homeostat.server.wiring import loop_parts

SHIPPED = snapshots.read(None)


def trained(policy: AdaptivePolicy, **changes: Any) -> AdaptivePolicy:
    return replace(policy, arms=("hold", "twin", "ppo"), snapshot=SHIPPED, **changes)


def saying(liked: Liked | Exception) -> LoopParts:
    """Parts whose trained policy says this, whatever it is asked."""

    def like(*_: object, **__: object) -> Liked:
        if isinstance(liked, Exception):
            raise liked
        return liked

    parts = loop_parts()
    assert parts.seat is not None
    assert parts.seat.trained is not None
    fake = replace(parts.seat.trained, like=like)
    return replace(parts, seat=replace(parts.seat, trained=fake))


def heard(story: SeatStory, ends: Any = SCALE_IS_BEST) -> Seating:
    story.answer(story.until_asked(), ends)
    (fact,) = story.facts(Seating)
    return fact


def test_in_shadow_the_shipped_policy_is_heard_with_its_chance_and_nothing_follows() -> None:
    fact = heard(SeatStory(trained(SHADOW)))
    assert fact.trained.startswith(f"ppo {SHIPPED[:8]} likes ")
    assert "scale_up pool:a" in fact.trained
    assert (fact.mode, fact.played) == ("shadow", "runbook")
    assert len(fact.pick.propensities) == 4
    without = heard(SeatStory(SHADOW))
    assert (without.trained, len(without.pick.propensities)) == ("", 3)


def test_without_the_arm_nothing_is_remembered_for_it() -> None:
    plain, with_it = SeatStory(ON), SeatStory(trained(ON))
    for story in (plain, with_it):
        story.tick(None)
    assert plain.state.seat is None
    assert with_it.state.seat is not None
    assert with_it.state.seat.watched is not None


def test_what_it_likes_is_weighed_like_any_other_offer_and_its_chance_is_exact() -> None:
    story = SeatStory(trained(ON, explore=0.3))
    story.until_asked()
    up = next(one for one in story.state.question.candidates if one.kind is ActionKind.SCALE_UP)  # type: ignore[union-attr]
    liked = Liked(offers=(Offer(arm="ppo", action=up),), said="ppo likes scale_up")
    story = SeatStory(trained(ON, explore=0.3), parts=saying(liked))
    fact = heard(story)
    (arm,) = [one for one in fact.arms if one.name == "ppo"]
    assert arm.action == "scale_up pool:a"
    assert not arm.refused
    chances = {one.name: one.chance for one in fact.arms if not one.refused}
    # Explored is evenly over three; the twin likes the same, and of equals the first is the best.
    assert chances == pytest.approx({"runbook": 0.1, "twin": 0.8, "ppo": 0.1})
    assert fact.pick.propensities == pytest.approx((0.0, 0.8, 0.1, 0.1))


@pytest.mark.parametrize(
    "offer",
    [
        Offer(arm="ppo", action=Action(kind=ActionKind.RESTART_ALL, subject="pool:a")),
        Offer(arm="ppo", action=HOLD),
        Offer(arm="hold", action=HOLD),
        Offer(arm="twin", action=Action(kind=ActionKind.RETRAIN, subject="model")),
    ],
)
def test_what_the_runbook_did_not_name_is_dropped_unseen(offer: Offer) -> None:
    alone = replace(trained(ON), arms=("ppo",))
    fact = heard(SeatStory(alone, parts=saying(Liked(offers=(offer,), said="x"))), HOLD_IS_BEST)
    assert [one.name for one in fact.arms] == ["runbook"]
    assert fact.played == "runbook"


def test_one_that_fails_says_why_and_the_others_are_heard() -> None:
    story = SeatStory(trained(ON), parts=saying(RuntimeError("torn")))
    fact = heard(story)
    assert fact.trained == "ppo says nothing: RuntimeError: torn"
    assert fact.played == "twin"
    assert story.written() == [ActionKind.SCALE_UP]


def test_a_watch_that_fails_forgets_and_the_loop_goes_on() -> None:
    def torn(*_: object) -> Any:
        raise ValueError("torn")

    parts = loop_parts()
    assert parts.seat is not None
    assert parts.seat.trained is not None
    bad = replace(parts.seat, trained=replace(parts.seat.trained, watch=torn))
    story = SeatStory(trained(ON), parts=replace(parts, seat=bad))
    fact = heard(story)
    assert fact.trained.startswith("ppo")
    assert story.written()


@pytest.mark.parametrize("adaptive", [SHADOW, ON])
def test_a_replay_hears_the_same_words_bit_for_bit(adaptive: AdaptivePolicy) -> None:
    story = SeatStory(trained(adaptive))
    story.answer(story.until_asked(), SCALE_IS_BEST)
    for _ in range(25):
        story.tick(SLOW_BATCHES)
    state = initial(story.events[0].managed)  # type: ignore[union-attr]
    again: list[Command] = []
    for event in story.events:
        state, commands = step(story.parts, state, codec.decode(codec.encode(event)))
        again += commands
        state = codec.decode(codec.encode(state))
    assert [codec.encode(c) for c in again] == [codec.encode(c) for c in story.commands]
    assert state == codec.decode(codec.encode(story.state))
    assert story.facts(Seating)[0].trained


def test_an_older_journal_without_these_words_is_read_as_before() -> None:
    fact = heard(SeatStory(SHADOW))
    body = codec.encode(fact).replace(b',"trained":""', b"")
    assert body != codec.encode(fact)
    assert codec.decode(body) == fact


def test_the_shipped_policy_is_served_as_its_own_network_computes_it() -> None:
    network = snapshots.known(SHIPPED)
    assert network is not None
    told = [((7 * n) % 13) / 13.0 for n in range(128)]
    logits = network.logits(told)
    assert len(logits) == len(MENU)
    assert logits == network.logits(told)
    assert "drain_replica" not in network.granted
