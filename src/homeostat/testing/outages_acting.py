"""Other people's outages, third part: automation that acted on the wrong thing, twice or blind."""

from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.decisions import Effect
from homeostat.base.errors import ProtocolError
from homeostat.base.guard import Deny, GuardState
from homeostat.base.intent import ReceiptStatus
from homeostat.base.policy import GuardPolicy, LeverLimit, PolicyRule
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop import protocol
from homeostat.safety.facts import facts
from homeostat.safety.guard import compile_rules, guard
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g
from homeostat.testing.outages import Outage, Outcome
from homeostat.testing.outages_blind import allows, refusal
from homeostat.testing.outages_canary import ramp, target
from homeostat.testing.outages_play import Play

UP: Final = g.scale(6)
"""Half as many again."""
DOWN: Final = g.scale(3, ActionKind.SCALE_DOWN)
"""One fewer."""


_FIGHT: Final = 2
"""Writes to one field, in turn with somebody else."""


def refused(state: GuardState, *wanted: Action, because: str = "") -> Outcome:
    """Return that nothing of what is wanted runs, or that something does."""
    if allows(state, *wanted):
        return Outcome(does="acts", harm=True)
    return Outcome(does=because or f"holds ({refusal(state, wanted[0])})", harm=False)


def _diskerase() -> Outcome:
    machines, selected = {"a", "b", "c"}, set[str]()
    erased = selected or machines  # "the empty set was a special value meaning everything"
    return Outcome(does=f"erases {len(erased)} of {len(machines)}", harm=erased == machines)


def _empty_is_nothing() -> Outcome:
    try:
        protocol.propose(
            replace(DOWN, change=()), id="d-1", deployment=g.NAME, incident_id="", epoch=1,
            now=g.NOW,
        )  # fmt: skip
    except ProtocolError:
        everything = g.act(ActionKind.RESTART_ALL, names.MODEL)
        why = "no levers is no action; restarting all is never permitted"
        return refused(g.scene(4), replace(DOWN, change=()), everything, because=why)
    return Outcome(does="accepts a change of nothing", harm=True)


def _dynamo() -> Outcome:
    plan = {"version": 0}
    for version in (2, 1):  # the delayed enactor comes last
        plan["version"] = version
    return Outcome(does="the older plan overwrites the newer", harm=plan["version"] == 1)


def _older_plan_is_refused() -> Outcome:
    """A write leaves and is held up; somebody else's lands; then the first one arrives."""
    play = Play(action=ramp(), target=target(), replies=False)
    play.go(2)
    late = play.sent[0][1]
    play.target.meddle("weight.b", 20.0)
    landed = play.target.take(late) is ReceiptStatus.DONE
    empty = allows(g.scene(4), g.scale(0, ActionKind.SCALE_DOWN))
    does = "refused by compare-and-set; an empty target by its bounds"
    return Outcome(does="lands" if landed or empty else does, harm=landed or empty)


def _null_row() -> Outcome:
    row: dict[str, list[str] | None] = {"regions": None}
    try:
        len(row["regions"])  # type: ignore[arg-type] # the blank field
    except TypeError:
        return Outcome(does="raises, restarts, raises: everywhere at once", harm=True)
    return Outcome(does="goes on", harm=False)


def _blank_fields() -> Outcome:
    """Each field of the guard state is blank in turn: whatever that means, nothing runs on it."""
    state, answers = g.scene(4), list[bool]()
    for name in ("managed", "evidence", "world", "fleet", "kill", "past"):
        blank = replace(state, **{name: None})  # type: ignore[arg-type] # blank is the point
        answers.append(isinstance(guard(DOWN, blank, g.NOW), Deny))
    does = f"{sum(answers)} of {len(answers)} blank fields refuse this deployment; none raises"
    return Outcome(does=does, harm=not all(answers))


def _panics_over_limit() -> Outcome:
    rows, most = 400, 200
    return Outcome(does=f"{rows} rows, room for {most}: panics", harm=rows > most)


def _generated_rules() -> Outcome:
    """A generated policy file with a rule that nobody can read, and one of a megabyte."""
    odd = ("", "{", "[" * 100_000, "x" * 1_000_000, '{"op":"and","of":[]}')
    held = []
    for tree in odd:
        rule = PolicyRule(name="generated", require="?", tree=tree)
        policy = replace(g.POLICY, rules=(rule,))
        state = g.scene(4, policy=policy)
        held.append(isinstance(guard(DOWN, state, g.NOW), Deny))
        held.append(guard(replace(DOWN, kind=ActionKind.HOLD, change=()), state, g.NOW) is not None)
    does = "a rule that cannot be read refuses every action; holding stays possible"
    return Outcome(does=does, harm=not all(held))


def _retry_storm() -> Outcome:
    sent = 600  # once a second for ten minutes, without backing off
    return Outcome(does=f"{sent} writes in ten minutes", harm=sent > 10)  # noqa: PLR2004 - a storm


def _never_blindly_again() -> Outcome:
    play = Play(action=ramp(), target=target(), replies=False)
    play.each = lambda _: None
    play.go(600)
    does = f"{len(play.sent)} writes: what is not answered is read back, never sent again unread"
    return Outcome(does=does, harm=len(play.sent) > 10)  # noqa: PLR2004 - a storm


def _blind_acts() -> Outcome:
    load = 0.0  # the internal monitoring was lost first
    wanted = 2 if load < 0.5 else 4  # noqa: PLR2004 - its rule
    return Outcome(does=f"scales to {wanted} on what it cannot see", harm=wanted < 4)  # noqa: PLR2004 - needed


def _blind() -> GuardState:
    return replace(g.scene(4), evidence=None)


def _broken_audit() -> Outcome:
    allowed = True  # the bug: the audit let every command pass
    return Outcome(does="the only audit has a bug: the command runs", harm=allowed)


def _broken_kernel() -> Outcome:
    """The kernel without its rule of bounds: is there anything else in the process?"""
    kernel = compile_rules(rule for rule in RULES if (rule.id, rule.name) != ("G2", "bounds"))
    limit = LeverLimit(lever="replicas.", low=1.0, high=5.0)
    tight: GuardPolicy = replace(g.POLICY, limits=(limit, *g.POLICY.limits[1:]))
    state = g.scene(4, policy=tight)
    denials, _ = kernel.judge(facts(UP, look(state, g.NOW)))
    does = "the other guards refuse it" if denials else "in the process nothing else refuses it"
    return Outcome(does=does, harm=not denials)


def _stale_cache() -> Outcome:
    cached, live = 4, 8
    wanted = cached - 1
    return Outcome(does=f"writes {wanted} over {live}, seen as {cached}", harm=wanted < live - 1)


def _old_reading() -> Outcome:
    state = g.scene(4)
    assert state.world is not None  # noqa: S101 - a scene has one
    old = replace(state.world, observed_at=TimeNs(g.NOW - 10 * SECOND))
    return refused(replace(state, world=old), DOWN)


def _half_done() -> Outcome:
    steps = ["write the weight", "note that it was written"]
    done = steps[:1]  # crash
    again = [one for one in steps if one not in set(done[1:])]
    return Outcome(does="starts over: writes it a second time", harm=again[0] == steps[0])


def _crash_between() -> Outcome:
    """Right after the write has landed, before it is known: a new controller finds the record."""
    play = Play(action=ramp(), target=target(), effect=lambda _: Effect.HARMED, replies=False)
    play.go(2)
    play.target.take(play.sent[0][1])  # it landed; the process is gone
    play.replies = True
    play.said[play.tick] = protocol.TookOver(epoch=2)
    play.go()
    twice = [intent.id for _, intent in play.sent]
    back = play.target.levers["weight.b"] == 5.0  # noqa: PLR2004 - as before
    good = len(set(twice)) == len(twice) and back
    does = f"reads back, finds it live, ends `{play.record.state}`; no id is written twice"
    return Outcome(does=does, harm=not good)


def _missed_event() -> Outcome:
    before, ours, live = 5, 10, 7  # the 7 is a person's, written unseen after our 10
    believed = ours  # the last that was seen
    written = before if believed == ours else live
    return Outcome(does=f"takes back to {written} % what it believes to be its own",
                   harm=written != live)  # fmt: skip


def _meddled(times: int) -> Play:
    play = Play(action=ramp(), target=target(), effect=lambda _: Effect.NO_CHANGE)
    seen: list[int] = []

    def each(tick: int) -> None:
        if len(seen) < times and play.target.last is not None:
            play.target.meddle("weight.b", 7.0)
            seen.append(tick)

    play.each = each
    play.go()
    return play


def _never_reverts_others() -> Outcome:
    """A person writes while ours is live; nothing of the undo may touch it."""
    play = _meddled(1)
    kept = play.target.levers["weight.b"] == 7.0  # noqa: PLR2004 - the person's
    does = f"`{play.record.state}`: leaves the person's value and tells them"
    return Outcome(does=does, harm=not kept or not play.pages)


def _fights() -> Outcome:
    ours, theirs, writes = 4, 6, 0
    live = theirs
    for _ in range(60):
        if live != ours:
            live, writes = ours, writes + 1
        live = theirs
    return Outcome(
        does=f"writes {writes} times in an hour, and so does the other", harm=writes > _FIGHT
    )


def _gives_way() -> Outcome:
    play = _meddled(60)
    does = f"{len(play.sent)} write, then `{play.record.state}`"
    return Outcome(does=does, harm=len(play.sent) > _FIGHT)


def idle_shrinks() -> bool:
    """Return whether a scene that is well and idle does shrink."""
    return allows(g.scene(4), DOWN)


ACTING: Final = (
    Outage(
        key="diskerase",
        source="Google, Diskerase (SRE book, chapter 7)",
        happened="An empty set of machines to erase meant all of them.",
        naive=_diskerase,
        ours=_empty_is_nothing,
    ),
    Outage(
        key="dynamo-2025",
        source="AWS DynamoDB, October 2025",
        happened="A delayed enactor applied an old plan over a newer one; the record ended empty.",
        naive=_dynamo,
        ours=_older_plan_is_refused,
    ),
    Outage(
        key="gcp-2025",
        source="Google Cloud, June 2025",
        happened="Policy rows with blank fields, replicated in seconds: crash loops everywhere.",
        naive=_null_row,
        ours=_blank_fields,
        placed=idle_shrinks,
    ),
    Outage(
        key="cloudflare-2025",
        source="Cloudflare, November 2025",
        happened="A generated file grew past a fixed limit: panic.",
        naive=_panics_over_limit,
        ours=_generated_rules,
        placed=idle_shrinks,
    ),
    Outage(
        key="aws-2021-storm",
        source="[AWS, December 2021](https://aws.amazon.com/message/12721/)",
        happened="A capacity automation set off connections without end; a back-off had a bug.",
        naive=_retry_storm,
        ours=_never_blindly_again,
    ),
    Outage(
        key="aws-2021-blind",
        source="[AWS, December 2021](https://aws.amazon.com/message/12721/)",
        happened="Monitoring was lost first; what came after was done blind.",
        naive=_blind_acts,
        ours=lambda: refused(_blind(), DOWN),
        placed=idle_shrinks,
    ),
    Outage(
        key="facebook-2021",
        source="Facebook, October 2021",
        happened="The audit that should have stopped the command had a bug.",
        naive=_broken_audit,
        ours=_broken_kernel,
        no_better="the second guard is the admission policy that `homeostat policy export` writes; "
        "where it is not installed a defect of the kernel goes through.",
    ),
    Outage(
        key="sieve-stale",
        source="Sieve (OSDI 2022), stale states",
        happened="Controllers wrote on what an old cache said.",
        naive=_stale_cache,
        ours=_old_reading,
        placed=idle_shrinks,
    ),
    Outage(
        key="sieve-intermediate",
        source="Sieve (OSDI 2022), intermediate states",
        happened="A crash between two writes left half a change, which was done again or never.",
        naive=_half_done,
        ours=_crash_between,
    ),
    Outage(
        key="sieve-unobserved",
        source="Sieve (OSDI 2022), unobserved states",
        happened="A change that was never seen was taken for the controller's own.",
        naive=_missed_event,
        ours=_never_reverts_others,
    ),
    Outage(
        key="two-writers",
        source="HPA beside another controller of the same field",
        happened="Two controllers write one field in turn, for ever.",
        naive=_fights,
        ours=_gives_way,
    ),
)
