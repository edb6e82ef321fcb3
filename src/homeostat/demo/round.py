"""One round of the demo: a fresh deployment, its controller, faults one after the other."""

import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from homeostat.base.decisions import Apply, Ask, DecisionRecord, Notice, Urgency
from homeostat.base.evidence import Incident
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.demo import cause, judge, setup
from homeostat.demo.accesslog import read_sent
from homeostat.demo.controller import Controller, Fact
from homeostat.demo.faults import GIVE_UP_S, Fault, Injected
from homeostat.demo.judge import Judged, Seen
from homeostat.demo.place import Place
from homeostat.demo.stand_ins import StandIns
from homeostat.demo.story import Story

BASELINE_S: Final = 15.0  # seconds of steady load before a fault when there is no controller
EXTRA_S: Final = (6.0, 10.0)  # seeded: faults do not wait for the moment that suits a controller
# Five seconds of processor, once on a machine; the last where many others want it too.
PROOF_S: Final = 300.0
HELD_WATCH_S: Final = 12.0  # after a self-ending fault, how long a late action would still show
LONGEST_S: Final = 2.5  # a request in flight at the injection was due at most so long before
_STARVED: Final = (
    "the load generator itself was late by up to {:.1f} s: this machine was too busy for the round "
    "to be judged; run it again with nothing else running"
)
QUIET_S: Final = 8.0  # between two faults that share a deployment


@dataclass(slots=True, kw_only=True)
class Watch:
    """What is known of the fault under way."""

    fault: Fault
    injected: Injected
    at: float
    seen_incident: Incident | None = None
    detected_at: float | None = None
    told_at: float | None = None
    stopped_at: float | None = None
    gone_at: float | None = None
    applied: list[tuple[float, str]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Round:
    """A deployment with everything around it.

    Attributes:
        folder: Where it keeps everything.
        seed: Of this round.
        control: No controller.
        evidence_rules: G0 and persistence; off only for the paired run.
        story: The terminal.
        started: When the demo started, epoch seconds.
        twin: Fitted twin that actions are rehearsed in; None for none.
        onset_s: The first fault comes so many seconds after the controller was started, or as
            soon as that knows what is normal; None for a seeded moment.
        trains: A trainer and two stand-in people are there, for a drift.
    """

    folder: Path
    seed: int
    control: bool
    evidence_rules: bool
    story: Story
    started: float
    twin: setup.TwinFiles | None = None
    onset_s: float | None = None
    trains: bool = True
    _people: StandIns | None = None
    _known: set[tuple[str, str, str]] = field(default_factory=set)

    def run(
        self, faults: list[Fault], chance: random.Random, *, stay_s: float | None
    ) -> tuple[list[Judged], tuple[int, int]]:
        """Run the faults and return what was judged, and (requests, errors) of the round.

        Raises:
            ConfigError: The deployment could not be started.
        """
        api_port, api_token = setup.api_access()
        place = Place(folder=self.folder, seed=self.seed)
        if not self.control:
            place.labels_url = f"http://127.0.0.1:{api_port}"
            place.labels_token = api_token
            place.trains = self.trains
        controller: Controller | None = None
        judged: list[Judged] = []
        try:
            place.start(lambda text: self.story.say("starting", text))
            if not self.control:
                controller = setup.controller(
                    place,
                    api_port,
                    api_token,
                    evidence_rules=self.evidence_rules,
                    twin=self.twin,
                )
                controller.start()
                people = place.folder / setup.PEOPLE
                self._people = StandIns(url=place.labels_url, file=people, say=self.story.say)
                self.story.banner(setup.banner(place, api_port, api_token))
            self._baseline(place, controller, chance)
            for number, fault in enumerate(faults):
                if number:
                    self._wait(QUIET_S, controller)
                judged.append(self._one(fault, place, controller, chance))
            if stay_s is None:
                self.story.say("staying", "until Ctrl-C; look around in the console")
            self._wait(stay_s, controller)
        finally:
            if controller is not None:
                controller.stop()
            place.stop()
        log = place.users()
        return judged, (log.total, log.errors)

    def _baseline(self, place: Place, controller: Controller | None, chance: random.Random) -> None:
        self.story.say("learning", "baseline")
        begin = time.monotonic()
        extra_s, ready_at, give_up_s = chance.uniform(*EXTRA_S), None, GIVE_UP_S
        while time.monotonic() - begin < give_up_s:
            self._listen(controller, None)
            if controller is not None and controller.learnt and not controller.proved:
                if give_up_s < PROOF_S:
                    self.story.say("proving", "the policy; nothing is changed before it is proved")
                give_up_s = PROOF_S
            if controller is not None and not controller.running():
                raise setup.not_ready(place)
            passed = time.monotonic() - begin
            ready = passed >= BASELINE_S if controller is None else controller.ready
            ready_at = passed if ready and ready_at is None else ready_at
            due_s = self.onset_s if self.onset_s is not None else (ready_at or 0.0) + extra_s
            if ready_at is not None and passed >= due_s:
                seconds = time.monotonic() - begin
                requests = place.users().total
                self.story.say("learnt", f"baseline ready ({seconds:.0f} s, {requests} requests)")
                return
            time.sleep(0.25)
        raise setup.not_ready(place)

    def _one(
        self, fault: Fault, place: Place, controller: Controller | None, chance: random.Random
    ) -> Judged:
        at = time.time()
        injected = fault.inject(place, chance)
        self.story.say("FAULT", injected.detail)
        watch = Watch(fault=fault, injected=injected, at=at)
        while not self._over(watch, place):
            time.sleep(0.25)
            self._listen(controller, watch)
            self._end_on_schedule(watch)
            if watch.gone_at is None and cause.gone(place, fault, injected):
                watch.gone_at = time.time()
        if injected.stop is not None and watch.stopped_at is None:
            injected.stop()
        return self._judge(watch, place)

    def _end_on_schedule(self, watch: Watch) -> None:
        due = watch.fault.lasts_s
        if watch.injected.stop is None or due is None or watch.stopped_at is not None:
            return
        if time.time() - watch.at >= due:
            watch.injected.stop()
            watch.stopped_at = time.time()
            watch.gone_at = watch.gone_at or watch.stopped_at
            self.story.say("over", "the disturbance ended by itself")

    def _over(self, watch: Watch, place: Place) -> bool:
        now = time.time()
        give_up_s = GIVE_UP_S if self.control else watch.fault.give_up_s
        if watch.fault.expected == "held":
            give_up_s += watch.fault.lasts_s or 0.0
        if now - watch.at > give_up_s:
            return True
        if watch.fault.expected == "held":
            return watch.stopped_at is not None and now - watch.stopped_at > HELD_WATCH_S
        return self._recovered_at(watch, place) is not None

    def _recovered_at(self, watch: Watch, place: Place) -> float | None:
        if watch.gone_at is None:
            return None
        return cause.recovered_at(
            watch.fault, watch.at, watch.gone_at, place.users(), setup.OBJECTIVE
        )

    def _listen(self, controller: Controller | None, watch: Watch | None) -> None:
        if controller is None:
            return
        if self._people is not None:
            self._people.act()
        before = len(controller.applied)
        for at, fact in controller.news():
            self._tell(at, fact, watch)
        if watch is not None:
            watch.applied += [item for item in controller.applied[before:] if item[0] >= watch.at]

    def _tell(self, at: float, fact: Fact, watch: Watch | None) -> None:
        match fact:
            case Incident() if fact.confirmed_at is not None:
                self._incident(at, fact, watch)
            case DecisionRecord(decision=Apply() | Ask() as decision):
                more = [f"refused  {what}: {why[0]}" for what, why in fact.refused[:4]]
                what = f"{decision.action.kind} {decision.action.subject}"
                self.story.say("decided", f"{what}  ({fact.id})", *more)
                if self._people is not None:
                    self._people.heard(fact)
            case ActionRecord(state=ActionState.APPLIED):
                # Of a ramp the rung that was written, not its end.
                written = fact.action.change if fact.intent is None else fact.intent.post
                change = ", ".join(f"{k}={v}" for k, v in written)
                self.story.say("acted", change)
            case ActionRecord() if fact.state.is_terminal:
                self.story.say("verified", f"{fact.id} {fact.state}: {fact.reason}")
            case Notice(urgency=Urgency.PAGE | Urgency.ASK):
                if watch is not None and watch.told_at is None and at >= watch.at:
                    watch.told_at = at
                self.story.say("told", fact.title, *fact.lines[:3])
            case _:
                pass

    def _incident(self, at: float, incident: Incident, watch: Watch | None) -> None:
        # What was recorded before the fault, and is now changed or closed, does not detect it.
        key = (incident.id, incident.family.value, incident.subject)
        is_new = key not in self._known
        self._known.add(key)
        if watch is None or at < watch.at or not is_new:
            return
        known = watch.seen_incident
        if known is None:
            watch.detected_at = at
        if known is None or (known.family, known.subject) != (incident.family, incident.subject):
            what = f"{incident.family} at {incident.subject}"
            self.story.say("detected", what, *incident.because[:3])
        watch.seen_incident = incident

    def _wait(self, seconds: float | None, controller: Controller | None) -> None:
        begin = time.monotonic()
        while seconds is None or time.monotonic() - begin < seconds:
            self._listen(controller, None)
            time.sleep(0.25)

    def _judge(self, watch: Watch, place: Place) -> Judged:
        fault, host_log = watch.fault, place.host_log()
        kept = place.folder / "host-log.json"  # the judge's evidence, beside the other logs
        kept.write_text(json.dumps(host_log), encoding="utf-8")
        recovered_at = self._recovered_at(watch, place)
        incident = watch.seen_incident
        seen = Seen(
            detected_at=watch.detected_at,
            told_at=watch.told_at,
            family=incident.family.value if incident is not None else "",
            applied=judge.with_unrecorded(watch.applied, host_log, watch.at),
        )
        if fault.expected == "held" and not seen.applied:
            recovered_at = None  # there was nothing to recover from
        outcome = judge.outcome_of(seen, recovered_at)
        lost = self._lost(watch, seen, host_log, place)
        as_expected = judge.is_as_expected(fault.name, fault.expected, outcome, seen, watch.at)
        judged = Judged(
            fault=fault.name,
            detail=watch.injected.detail,
            expected=fault.expected,
            injected_at=self._since(watch.at),
            detected_at=self._since_or_none(watch.detected_at),
            acted_at=self._since(seen.applied[0][0]) if seen.applied else None,
            recovered_at=self._since_or_none(recovered_at),
            actions=[what for _, what in seen.applied],
            lost_requests=lost,
            outcome=outcome,
            diagnosis=f"{incident.family} at {incident.subject}" if incident else "",
            load_lag_s=round(place.users().lag_s(watch.at, time.time()), 3),
            as_expected=as_expected and not lost,
        )
        took = f" after {recovered_at - watch.at:.1f} s" if recovered_at is not None else ""
        self.story.say(outcome, f"{fault.name}{took}; lost by own actions: {judged.lost_requests}")
        if judged.starved:
            self.story.say("too busy", _STARVED.format(judged.load_lag_s))
        return judged

    def _lost(self, watch: Watch, seen: Seen, host_log: list[dict[str, Any]], place: Place) -> int:
        failed = place.users().failed(after=watch.at - LONGEST_S)
        return judge.lost_by_actions(
            failed,
            read_sent(place.folder / "envoy" / "access.jsonl", (one.id for one in failed)),
            cause.damage(watch.fault, watch.injected, watch.at, host_log),
            judge.changes(host_log, seen.applied, watch.at),
        )

    def _since(self, at: float) -> float:
        return round(at - self.started, 3)

    def _since_or_none(self, at: float | None) -> float | None:
        return None if at is None else self._since(at)
