"""The safety pack, one action at a time: what no permitted action may do, in any state.

A claim is a list of cases; each is refuted by a state in which its terms hold. `unlike` is what
the replay must see from the real guards for the counterexample to count.
"""

from collections.abc import Callable, Iterator
from typing import Final

import z3

from homeostat.base.actions import ActionKind, UndoKind
from homeostat.base.policy import KillLevel, LeverLimit, Mode
from homeostat.proof.claim import Case, Claim
from homeostat.proof.moment import HOUR_MS, KINDS, LEVERS, Moment, Setting, moment, outside
from homeostat.proof.smt import Term, is_true, term
from homeostat.safety.rule import EXEMPT, EXEMPTIONS

K = ActionKind


def one(setting: Setting, kind: ActionKind, limit: LeverLimit | None = None) -> Moment:
    """Return a single moment."""
    return moment(setting, kind, "now", limit)


def lever_cases(setting: Setting) -> Iterator[tuple[ActionKind, LeverLimit]]:
    """Yield each kind with each limit of a lever that it may move."""
    for limit in setting.policy.limits:
        for kind, levers in LEVERS.items():
            if any(limit.lever == lever or limit.lever.startswith(lever) for lever in levers):
                yield kind, limit


def exempt(setting: Setting, now: Moment, *names: str) -> Term:
    """Return that one of some exemptions holds."""
    words = setting.words
    return z3.Or(*(is_true(term(EXEMPTIONS[name], now.cells, words)) for name in names))


def undone(now: Moment) -> Term:
    """Return that an action of ours is being taken back."""
    return now.cells["undo"].value


def one_more(now: Moment) -> Term:
    """Return that it is one replica more."""
    cells = now.cells
    wanted = z3.And(cells["added"].known, cells["added"].value == 1, z3.Not(undone(now)))
    return wanted if now.kind is K.SCALE_UP else z3.BoolVal(val=False)


def stale(now: Moment) -> Term:
    """Return that the latest tick is not known to be fresh."""
    age, fresh = now.cells["evidence_age_ms"], now.cells["fresh_ms"]
    return z3.Or(z3.Not(age.known), age.value < 0, age.value > fresh.value)


def _bounds(setting: Setting) -> Iterator[Case]:
    for kind, limit in lever_cases(setting):
        now = one(setting, kind, limit)
        gone = outside(limit, now.wanted)
        worse = z3.And(gone > 0, gone >= outside(limit, now.live))
        yield Case(moments=(now,), terms=(now.with_a_yes, z3.Not(undone(now)), worse))


def _floor(setting: Setting) -> Iterator[Case]:
    for kind in KINDS:
        now = one(setting, kind)
        left, pool = now.cells["left"], now.cells["left_in_pool"]
        kept = z3.And(left.known, left.value >= setting.policy.min_replicas)
        kept = z3.And(kept, pool.known, pool.value >= 1)
        taken = now.cells["taken"]
        takes = z3.Or(z3.Not(taken.known), taken.value > 0)
        yield Case(moments=(now,), terms=(now.with_a_yes, takes, z3.Not(kept)))


def _budget(setting: Setting) -> Iterator[Case]:
    """Without a declared budget the limits of the replicas are what bounds the bill."""
    budget = setting.policy.budget_usd_per_hour
    price = setting.price_milli
    for limit in setting.policy.limits:
        if not limit.lever.startswith("replicas."):
            continue
        most = price * round(limit.high) if budget is None else round(budget * 1000)
        for kind in (K.SCALE_UP, K.SCALE_DOWN):
            now = one(setting, kind, limit)
            before, after = price * (now.live / 1000), price * (now.wanted / 1000)
            spent = (before <= most, after > most)
            who = now.with_a_yes if budget is None else now.alone
            yield Case(moments=(now,), terms=(who, z3.Not(undone(now)), *spent), answer="runs")


def _blind(setting: Setting) -> Iterator[Case]:
    for kind in KINDS:
        now = one(setting, kind)
        safe = z3.Or(undone(now), one_more(now))
        yield Case(moments=(now,), terms=(now.with_a_yes, stale(now), z3.Not(safe)))


def _shrinks_seeing(setting: Setting) -> Iterator[Case]:
    kinds = (K.SCALE_DOWN, K.RESIZE_DOWN, K.BATCH_DOWN, K.SHIFT_TRAFFIC, K.SHED_LOAD)
    asked: list[tuple[ActionKind, LeverLimit | None]] = [(kind, None) for kind in kinds]
    # Of a lever whose bounds are known a counterexample can be built as well.
    asked += [(kind, limit) for kind, limit in lever_cases(setting) if kind in kinds]
    for kind, limit in asked:
        now = one(setting, kind, limit)
        silent, met = now.cells["silent"], now.cells["slo_met"]
        seen = z3.And(silent.known, silent.value == 0)
        if kind in {K.SCALE_DOWN, K.RESIZE_DOWN}:
            seen = z3.And(seen, is_true(met))
        yield Case(moments=(now,), terms=(now.with_a_yes, z3.Not(undone(now)), z3.Not(seen)))


def _killed(setting: Setting) -> Iterator[Case]:
    words = setting.words
    for kind in KINDS:
        now = one(setting, kind)
        level = now.cells["kill"].value
        off, second = words.code(KillLevel.OFF.value), words.code(KillLevel.NOTHING.value)
        acts = z3.Or(z3.Not(undone(now)), level == second)
        yield Case(moments=(now,), terms=(now.with_a_yes, level != off, acts))


def _undo(setting: Setting) -> Iterator[Case]:
    words = setting.words
    level_two = words.code(KillLevel.NOTHING.value)
    for kind in KINDS:
        if kind is K.RESTART_ALL:
            continue
        now = one(setting, kind)
        sane = [now.truth(name) for name in ("named", "ours", "shaped", "directed", "present")]
        sane += [
            z3.And(now.known(name), z3.Not(now.number(name)))
            for name in ("foreign", "flying", "late")
        ]
        kept = z3.And(now.known("taken"), now.number("taken") <= 0)
        room = z3.And(now.known("left_in_pool"), now.number("left_in_pool") >= 1)
        switch = now.cells["kill"].value != level_two
        terms = (undone(now), *sane, kept, room, switch, z3.Not(now.alone))
        yield Case(moments=(now,), terms=terms, answer="does not run")


def _fit(setting: Setting, now: Moment) -> list[Term]:
    """Return that the ordinary stands: what every action but an undo needs."""
    words = setting.words
    sane = [now.truth(name) for name in ("named", "ours", "shaped", "directed", "present")]
    sane += [
        z3.And(now.known(name), z3.Not(now.number(name)))
        for name in ("foreign", "flying", "changing", "observing", "worse", "twin", "unproved")
    ]
    sane += [
        now.truth("sensors_ok"),
        now.cells["kill"].value == words.code(KillLevel.OFF.value),
        now.cells["mode"].value != words.code(Mode.SHADOW.value),
        now.known("undo_kind"),
        now.cells["undo_kind"].value != words.code(UndoKind.NONE.value),
        *(now.known(name) for name in ("proposal_age_ms", "world_age_ms", "ttl_ms", "fresh_ms")),
        now.number("proposal_age_ms") == 0,
        now.number("world_age_ms") == 0,
        now.known("targets_limit"),
        now.number("targets_changing") + 1 <= now.number("targets_limit"),
        now.number("sharing") == 0,
        now.known("disturbed"),
        now.known("replicas_limit"),
        now.number("others_changing") + now.number("disturbed") <= now.number("replicas_limit"),
        now.number("anomalous") < setting.policy.correlated_targets,
        now.number("tries") < setting.policy.max_tries,
        now.known("spend_change_milli"),
        now.number("spend_change_milli") <= 0,
        now.known("limited"),
        now.truth("limited"),
        now.known("excess_milli"),
        now.number("excess_milli") <= 0,
        z3.Not(undone(now)),
    ]
    return sane


def _seen(now: Moment) -> list[Term]:
    """Return that the evidence is fresh and complete."""
    known = ("evidence_age_ms", "silent", "replicas")
    return [
        *(now.known(name) for name in known),
        now.number("evidence_age_ms") == 0,
        now.number("silent") == 0,
        now.truth("gateway_fresh"),
        now.truth("ready"),
    ]


def _rollback(setting: Setting) -> Iterator[Case]:
    now = one(setting, K.ROLLBACK)
    good = [now.truth(name) for name in ("current_known", "older_clean", "to_verified")]
    last = [now.truth("to_last_verified"), now.known("rollbacks"), now.number("rollbacks") == 0]
    kept = [now.known("taken"), now.number("taken") <= 0]
    terms = (*_fit(setting, now), *_seen(now), *good, *last, *kept, now.denied)
    yield Case(moments=(now,), terms=terms, answer="denied")


def _heals(setting: Setting) -> Iterator[Case]:
    """A replica proven failing among healthy ones, and room for one replica more."""
    now = one(setting, K.RESTART_REPLICA)
    proved = now.number("probe_failures") >= setting.policy.failed_probes
    failing = z3.And(now.known("probe_failures"), proved)
    kept = [now.known("taken"), now.number("taken") <= 0, now.number("disturbed") <= 1]
    seen = [now.truth("others_seen"), now.truth("others_remain"), z3.Not(now.truth("frozen"))]
    quiet = [now.known("hour"), now.known("frozen")]
    terms = (*_fit(setting, now), *_seen(now), failing, *kept, *seen, *quiet, now.denied)
    yield Case(moments=(now,), terms=terms, answer="denied")


def _adds(setting: Setting) -> Iterator[Case]:
    for limit in setting.policy.limits:
        if not limit.lever.startswith("replicas.") or limit.low + 1 > limit.high:
            continue
        now = one(setting, K.SCALE_UP, limit)
        fit = [one for one in _fit(setting, now) if "spend_change_milli" not in str(one)]
        paid = [now.known("spend_milli"), now.known("spend_change_milli")]
        paid += [now.truth("priced"), z3.Not(now.number("billed"))]
        if setting.policy.budget_usd_per_hour is not None:
            paid.append(
                now.number("spend_milli") <= round(setting.policy.budget_usd_per_hour * 1000)
            )
        room = [one_more(now), now.known("taken"), now.number("taken") <= 0]
        quiet = [now.known("frozen"), z3.Not(now.number("frozen"))]
        terms = (*fit, *paid, *room, *quiet, now.known("added"), now.denied)
        yield Case(moments=(now,), terms=terms, answer="denied")


def _never_while(flag: str) -> Callable[[Setting], Iterator[Case]]:
    def cases(setting: Setting) -> Iterator[Case]:
        for kind in KINDS:
            now = one(setting, kind)
            doubtful = z3.Or(z3.Not(now.known(flag)), now.number(flag))
            yield Case(moments=(now,), terms=(now.with_a_yes, doubtful))

    return cases


def _foreseen(setting: Setting) -> Iterator[Case]:
    for kind in KINDS:
        now = one(setting, kind)
        free = exempt(setting, now, *EXEMPT)
        yield Case(moments=(now,), terms=(now.with_a_yes, now.truth("foreseen"), z3.Not(free)))


def _freeze(setting: Setting) -> Iterator[Case]:
    for kind in KINDS:
        now = one(setting, kind)
        back = exempt(setting, now, "undo", "rollback to the last verified version")
        terms = (now.with_a_yes, now.truth("frozen"), z3.Not(back))
        yield Case(moments=(now,), terms=terms)


def _asks(setting: Setting) -> Iterator[Case]:
    words = setting.words
    for kind in KINDS:
        now = one(setting, kind)
        auto = now.cells["mode"].value == words.code(Mode.AUTO.value)
        granted = z3.And(auto, now.truth("granted"))
        final = now.cells["undo_kind"].value == words.code(UndoKind.NONE.value)
        wrong = z3.Or(z3.Not(granted), final)
        terms = (now.alone, z3.Not(undone(now)), wrong)
        yield Case(moments=(now,), terms=terms, answer="runs")


def _four_eyes(setting: Setting) -> Iterator[Case]:
    words = setting.words
    for kind in KINDS:
        now = one(setting, kind)
        final = now.cells["undo_kind"].value == words.code(UndoKind.NONE.value)
        runs = z3.And(now.with_a_yes, z3.Or(z3.Not(now.asked), now.truth("approved")))
        terms = (runs, final, z3.Not(undone(now)), now.number("agreed") < 2)  # noqa: PLR2004 - eyes
        yield Case(moments=(now,), terms=terms, answer="runs")


def _shadow(setting: Setting) -> Iterator[Case]:
    words = setting.words
    for kind in KINDS:
        now = one(setting, kind)
        shadow = now.cells["mode"].value == words.code(Mode.SHADOW.value)
        yield Case(moments=(now,), terms=(now.with_a_yes, shadow, z3.Not(undone(now))))


def _correlated(setting: Setting) -> Iterator[Case]:
    policy = setting.policy
    for kind in KINDS:
        now = one(setting, kind)
        many = z3.And(
            now.number("targets") >= policy.correlated_fleet,
            now.number("anomalous") >= policy.correlated_targets,
            now.known("correlated_limit_milli"),
            1000 * now.number("anomalous") > now.number("correlated_limit_milli"),
        )
        yield Case(moments=(now,), terms=(now.with_a_yes, many, z3.Not(undone(now))))


def _rate(setting: Setting) -> Iterator[Case]:
    names = [name for name in EXEMPTIONS if "verified" not in name and "setting" not in name]
    for kind in KINDS:
        now = one(setting, kind)
        free = exempt(setting, now, *names, "its first rollback within the hour")
        full = now.number("hour") >= setting.policy.actions_per_hour
        yield Case(moments=(now,), terms=(now.with_a_yes, full, z3.Not(free)))


def _restart_all(setting: Setting) -> Iterator[Case]:
    now = one(setting, K.RESTART_ALL)
    yield Case(moments=(now,), terms=(now.with_a_yes,))


def _cooldown(setting: Setting) -> Iterator[Case]:
    wait = setting.ms(setting.policy.cooldown_scrapes)
    neither = {"its first rollback within the hour", "back to the setting that served"}
    names = [name for name in EXEMPTIONS if name not in neither]
    for kind in KINDS:
        now = one(setting, kind)
        free = exempt(setting, now, *names)
        soon = z3.And(now.truth("acted"), now.known("since_ms"), now.number("since_ms") < wait)
        yield Case(moments=(now,), terms=(now.with_a_yes, soon, z3.Not(free)))


_HOUR = f"{HOUR_MS // 60_000} minutes"
PACK: Final[tuple[Claim, ...]] = (
    Claim(name="bounds", promise="No lever ever leaves its bounds by an action; outside already, "
          "it only moves towards them.", cases=_bounds),
    Claim(name="floor", promise="Nothing is taken from users unless enough replicas seen healthy "
          "stay.", cases=_floor),
    Claim(name="budget", promise="By itself it never spends more than the budget (without one: "
          "than the most replicas cost).", cases=_budget),
    Claim(name="blind", promise="On stale or missing evidence nothing but an undo and one more "
          "replica.", cases=_blind,
          outage="Monitoring goes away, and what is not seen is taken for idle and removed."),
    Claim(name="foreseen", promise="On a forecast alone nothing but one more replica; ways back "
          "and the restart of a replica proven failing stay open.", cases=_foreseen,
          outage="A peak is forecast that never comes, and what served well was changed for it."),
    Claim(name="shrinks-seeing", promise="Nothing is made smaller or moved while a replica is "
          "silent; replicas go only while the objectives are met.", cases=_shrinks_seeing,
          outage="Half of the replicas fall silent under load, and capacity is taken away."),
    Claim(name="killed", promise="With the kill switch thrown nothing but an undo, at level two "
          "nothing at all.", cases=_killed),
    Claim(name="undo-possible", promise="Taking back an action of its own that is on trial, or "
          "that did harm, is never refused for anything but the floor.", cases=_undo,
          outage="An action makes things worse, and the way back is refused."),
    Claim(name="rollback-possible", promise="A first rollback to the last verified version is "
          "never refused while it is seen to be right.", cases=_rollback,
          outage="A bad release serves errors, and the rollback is refused."),
    Claim(name="healing-possible", promise="A replica proven failing among healthy ones may "
          "always be restarted.", cases=_heals,
          outage="A hung replica keeps its share of the requests for good."),
    Claim(name="capacity-possible", promise="One more replica within limits and budget is never "
          "refused, even blind.", cases=_adds,
          outage="Load outgrows the deployment, and no replica may be added."),
    Claim(name="single-flight", promise="Never two actions on one deployment at once.",
          cases=_never_while("flying")),
    Claim(name="no-fight", promise="Nothing is written where somebody else writes, or where that "
          "is not known.", cases=_never_while("foreign")),
    Claim(name="freeze", promise="In a freeze nothing but an undo and a rollback.", cases=_freeze),
    Claim(name="autonomy", promise="Nothing runs unasked that no named person granted, or that "
          "cannot be taken back.", cases=_asks),
    Claim(name="four-eyes", promise="What cannot be taken back runs only after two different "
          "people said yes.", cases=_four_eyes,
          outage="One tired person says yes at night to what nobody can take back."),
    Claim(name="shadow", promise="A shadow changes nothing.", cases=_shadow),
    Claim(name="correlated", promise="When many deployments fail together nothing but an undo.",
          cases=_correlated),
    Claim(name="rate", promise=f"No more than the stated number of actions in {_HOUR}, but for "
          "the exempt.", cases=_rate),
    Claim(name="cooldown", promise="No action within the cooldown of the last, but for the "
          "exempt.", cases=_cooldown),
    Claim(name="not-everything", promise="Never every replica at once.", cases=_restart_all),
)  # fmt: skip
