"""Every step that may come next, from one state of everything: what is delayed, lost or taken.

A controller carries out its commands in order, one task beside another; between any two of them it
may be paused (others move), lose its memory, or be deposed. A write that left is delivered at any
time later, or never; its receipt may be lost. With compare-and-set a write may arrive however late;
without, no later than the quiet time after its deadline (the assumption that `quiesce_ns` states).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from explore.parts import POST, PRE, Parts, Reading, Task, Write
from explore.rules import TIMING, Rules
from homeostat.base.decisions import Effect
from homeostat.base.intent import ActionRecord, ActionState, ReceiptStatus

TOO_OLD: Final = TIMING.fresh_ns  # nothing rests on a reading that is older
# Steps of time are long: of what happened in one of them, nobody knows what was first. A reading
# therefore never counts as later than a state that was entered in the same step.
JUST_NOW: Final = 1
SLOTS: Final = 2  # tasks, and news, that one controller has waiting at most
NOBODY: Final = -1

Heard = tuple[str, object]  # ("reading", Reading) or ("receipt", (id, status))


class Controller(NamedTuple):
    """One process: what it believes and what it has yet to do."""

    epoch: int = 0  # under which it believes to lead; 0: it does not
    record: int = NOBODY
    tasks: tuple[Task, ...] = ()
    heard: tuple[Heard, ...] = ()


class Target(NamedTuple):
    """The world: one lever and the stamp that the target keeps."""

    value: int
    token: int
    stamp: str | None
    epoch: int


class Message(NamedTuple):
    """A write under way."""

    write: Write
    life: int  # steps of time after which it cannot arrive any more; unused with compare-and-set
    sender: int


class State(NamedTuple):
    """Everything."""

    record: int  # in the journal
    epoch: int  # of the journal
    controllers: tuple[Controller, Controller]
    target: Target
    messages: tuple[Message, ...]
    takeovers: int
    crashes: int


class Violation(NamedTuple):
    """A promise that a step has broken."""

    what: str


Move = tuple[str, State | Violation]


class Moves:
    """The steps under one set of rules."""

    def __init__(self, rules: Rules) -> None:
        self._rules, self.parts = rules, Parts(rules)
        self._skews = (0, rules.skew)

    def first(self) -> State:
        """Return where it begins: the first controller leads, with an allowed action."""
        record, tasks = self.parts.first()
        return State(
            record=record, epoch=1,
            controllers=(Controller(epoch=1, record=record, tasks=tasks), Controller()),
            target=Target(PRE, 1, None, 0), messages=(),
            takeovers=self._rules.takeovers, crashes=self._rules.crashes,
        )  # fmt: skip

    def begun(self, epochs: tuple[int, int], who: int, takeovers: int, crashes: int) -> State:
        """Return the first state of a deployment whose action a controller begins later.

        Args:
            epochs: Under which each controller believes to lead; 0: it does not.
            who: Which of them begins it.
            takeovers: How often the lead may still change hands.
            crashes: How often a controller may still lose its memory.
        """
        record, tasks = self.parts.first(epochs[who])
        pair = [Controller(epoch=epoch, record=record if epoch else NOBODY) for epoch in epochs]
        pair[who] = pair[who]._replace(tasks=tasks)
        return State(
            record=record, epoch=max(epochs), controllers=(pair[0], pair[1]),
            target=Target(PRE, 1, None, 0), messages=(), takeovers=takeovers, crashes=crashes,
        )  # fmt: skip

    def jointly(self, state: State, told: str) -> State:
        """Return a state after what happens to all deployments of a controller at once."""
        name, _, what = told.partition(" ")
        who = 1 if name == "c1" else 0
        match what:
            case "leads":
                return self._lead(state, who)
            case "crashes":
                return self._crash(state, who)
            case _:
                after = self._later(state)
                for one in (0, 1):
                    after = self._depose(after, one) if self._rules.fenced else after
                return after

    def after(self, state: State) -> Iterator[Move]:
        """Yield every step and what it leads to."""
        over = self.parts.records[state.record].state.is_terminal
        if over and not state.messages and not any(one.tasks for one in state.controllers):
            return
        state = self._without_the_dead(state)
        for who in (0, 1):
            yield from self._controller(state, who, over=over)
        for number, message in enumerate(state.messages):
            rest = state.messages[:number] + state.messages[number + 1 :]
            if self._rules.told_cas:  # else time does it
                yield f"lose {message.write.id}", state._replace(messages=rest)
            yield from self._deliver(state._replace(messages=rest), message)
        after = self._later(state)
        for who in (0, 1):
            after = self._depose(after, who) if self._rules.fenced else after
        yield "time", after

    def wrong(self, state: State) -> str:
        """Return what the journal says wrongly of the world, empty if nothing."""
        record = self.parts.records[state.record]
        if not record.state.is_terminal or any(self._can_arrive(one) for one in state.messages):
            return ""
        expected = {
            ActionState.SUCCEEDED: POST,
            ActionState.SUCCEEDED_UNPROVEN: POST,
            ActionState.ROLLED_BACK: PRE,
            ActionState.ABANDONED: PRE,
        }.get(record.state)
        if expected in {None, state.target.value}:
            return ""
        return f"the record says {record.state}, the lever is {state.target.value}"

    def _without_the_dead(self, state: State) -> State:
        """Forget writes that the target will refuse and whose refusal nobody waits for."""
        if not self._rules.cas or not state.messages:
            return state
        target, waited = state.target, dict[int, str | None]({NOBODY: None})
        for who, one in enumerate(state.controllers):
            intent = None if one.record == NOBODY else self.parts.records[one.record].intent
            waited[who] = None if intent is None else intent.id
        alive = tuple(
            m for m in state.messages
            if (m.write.token == target.token and m.write.epoch >= target.epoch)
            or waited[m.sender] == m.write.id
        )  # fmt: skip
        return state if alive == state.messages else state._replace(messages=alive)

    def _controller(self, state: State, who: int, *, over: bool) -> Iterator[Move]:
        one, name = state.controllers[who], f"c{who}"
        if not one.epoch:
            if state.takeovers and not over:
                yield f"{name} leads", self._lead(state, who)
            return
        if state.crashes and not over:
            yield f"{name} crashes", self._crash(state, who)
        for number, task in enumerate(one.tasks):
            rest = one.tasks[:number] + ((task[1:],) if task[1:] else ()) + one.tasks[number + 1 :]
            told = f"{name} {task[0][0]}"
            after = self._carry_out(state, who, one._replace(tasks=rest), task)
            yield told, self._depose(after, who) if self._rules.fenced else after
        if one.record == NOBODY:
            return
        yield from self._listen(state, who, one, name)

    def _listen(self, state: State, who: int, one: Controller, name: str) -> Iterator[Move]:
        """Yield what it may learn: news that came, the time, and what it measures."""
        for number, heard in enumerate(one.heard):
            listened = one._replace(heard=one.heard[:number] + one.heard[number + 1 :])
            yield f"{name} hears {heard}", self._take(state, who, listened, *heard)
        record = self.parts.records[one.record]
        if record.state.is_terminal:
            return
        if not one.tasks and not one.heard:
            yield f"{name} ticks", self._take(state, who, one, "tick", None)
        if record.state is ActionState.VERIFYING:
            for effect in (Effect.HELPED, Effect.HARMED):
                yield f"{name} sees {effect}", self._take(state, who, one, "effect", effect)

    def _lead(self, state: State, who: int) -> State:
        """Claim, read the journal, take over: in this order, and in one step of its own."""
        epoch = state.epoch + 1 if self._rules.reclaims else state.epoch
        state = state._replace(takeovers=state.takeovers - 1, epoch=epoch)
        fresh = Controller(epoch=epoch, record=state.record)
        state = self._take(state, who, fresh, "lead", epoch)
        return self._depose(state, 1 - who) if self._rules.fenced else state

    def _depose(self, state: State, who: int) -> State:
        """Leave a superseded controller what it has yet to carry out: it can take nothing in.

        Whatever it would append is refused, and then it ends; what was journaled before goes on.
        """
        one = state.controllers[who]
        if one.epoch >= state.epoch:
            return state
        tasks = (tuple(filter(_worth, task)) for task in one.tasks)
        left = tuple(sorted(task for task in tasks if task))
        return _with(state, who, Controller(epoch=one.epoch, tasks=left) if left else Controller())

    def _crash(self, state: State, who: int) -> State:
        orphans = tuple(m._replace(sender=NOBODY) if m.sender == who else m for m in state.messages)
        state = state._replace(crashes=state.crashes - 1, messages=tuple(sorted(orphans)))
        return _with(state, who, Controller())

    def _take(self, state: State, who: int, one: Controller, kind: str, what: object) -> State:
        """Step the record and append it, as a shell does in one transaction.

        Raises:
            AssertionError: A superseded controller was offered news; see `_depose`.
        """
        if self._rules.fenced and one.epoch != state.epoch:
            # What it has yet to carry out goes on; it hears nothing any more (`_depose`).
            raise AssertionError(f"c{who} was deposed and takes {kind} in")
        record, tasks = self.parts.step(one.record, kind, what, self._skews[who])
        more = tuple(task for task in tasks if task not in one.tasks)
        waiting = (*one.tasks, *more)[: SLOTS + len(more)]
        after = one._replace(record=record, tasks=tuple(sorted(waiting)))
        return _with(state._replace(record=record), who, after)

    def _carry_out(self, state: State, who: int, one: Controller, task: Task) -> State:
        match task[0]:
            case ("read",):
                return _with(state, who, _hear(one, ("reading", self._reading(state.target))))
            case ("write", Write() as write) if write.left <= 0 and one.record == NOBODY:
                return _with(state, who, one)
            case ("claim", int() as epoch):
                return _with(state._replace(target=self._claimed(state, epoch)), who, one)
            case ("write", Write() as write) if write.left <= 0:
                return _with(state, who, _hear(one, _receipt(write, ReceiptStatus.NOT_APPLIED)))
            case ("write", Write() as write):
                life = 0 if self._rules.told_cas else write.left + TIMING.quiesce_ns
                message = Message(write._replace(left=0), life, who)
                messages = tuple(sorted((*state.messages, message)))
                return _with(state._replace(messages=messages), who, one)
            case other:
                raise AssertionError(other)

    def _reading(self, target: Target) -> Reading:
        if not self._rules.told_cas:
            return (target.value, None, None, None, JUST_NOW)
        return (target.value, target.token, target.stamp, target.epoch, JUST_NOW)

    def _claimed(self, state: State, epoch: int) -> Target:
        """Stamp the target; its token moves only past what somebody may still hold it against."""
        target = state.target
        if not self._rules.told_cas or epoch < target.epoch:
            return target
        held = {message.write.token for message in state.messages}
        believed = [one.record for one in state.controllers if one.record != NOBODY]
        held |= {_token(self.parts.records[number]) for number in believed}
        held |= {_token(self.parts.records[state.record])}
        moves = target.token in held or epoch > target.epoch
        return target._replace(epoch=epoch, token=target.token + moves)

    def _deliver(self, state: State, message: Message) -> Iterator[Move]:
        write, told = message.write, f"deliver {message.write.id} of epoch {message.write.epoch}"
        if not self._can_arrive(message):
            return
        target = state.target
        refused = write.token != target.token or write.epoch < target.epoch
        if self._rules.cas and refused:
            yield f"{told}: refused", self._answered(state, message, ReceiptStatus.NOT_APPLIED)
            return
        record = self.parts.records[state.record]
        intent = record.intent
        if intent is None or intent.id != write.id or not record.in_flight:
            fate = f"{record.state} of epoch {record.epoch}, {intent.id if intent else 'no write'}"
            yield told, Violation(f"{write.id} lands, and the journal is past it: {fate}")
            return
        landed = Target(write.value, target.token + 1, write.id, max(target.epoch, write.epoch))
        state = state._replace(target=landed)
        yield f"{told}: lands", self._answered(state, message, ReceiptStatus.DONE)
        if message.sender != NOBODY:
            yield f"{told}: lands, receipt lost", state

    def _answered(self, state: State, message: Message, status: ReceiptStatus) -> State:
        one = state.controllers[message.sender] if message.sender != NOBODY else Controller()
        if one.record == NOBODY:
            return state
        return _with(state, message.sender, _hear(one, _receipt(message.write, status)))

    def _can_arrive(self, message: Message) -> bool:
        return self._rules.told_cas or message.life > 0

    def _later(self, state: State) -> State:
        """Let one step of time pass: deadlines come nearer, readings age, old messages die."""
        later = self.parts.later
        controllers = tuple(
            one if not one.epoch else one._replace(
                record=one.record if one.record == NOBODY else later(one.record),
                tasks=tuple(tuple(map(_nearer, task)) for task in one.tasks),
                heard=tuple(filter(None, map(_older, one.heard))),
            )
            for one in state.controllers
        )  # fmt: skip
        aged = (m if self._rules.told_cas else m._replace(life=m.life - 1) for m in state.messages)
        return state._replace(
            record=later(state.record),
            controllers=(controllers[0], controllers[1]),
            messages=tuple(m for m in aged if self._can_arrive(m)),
        )


def _worth(command: tuple[object, ...]) -> bool:
    """Return whether a superseded controller's command can still change anything."""
    match command:
        case ("write", Write() as write):
            return write.left > 0
        case _:
            return command[0] != "read"


def _with(state: State, who: int, one: Controller) -> State:
    first, second = state.controllers
    return state._replace(controllers=(one, second) if who == 0 else (first, one))


def _hear(one: Controller, heard: Heard) -> Controller:
    """Keep news until it is listened to; of two readings the later one."""
    rest = tuple(old for old in one.heard if old[0] != "reading" or heard[0] != "reading")
    return one._replace(heard=tuple(sorted((*rest, heard)))[:SLOTS])


def _receipt(write: Write, status: ReceiptStatus) -> Heard:
    return "receipt", (write.id, status)


def _token(record: ActionRecord) -> int | None:
    if record.intent is None or record.intent.token is None:
        return None
    return int(record.intent.token)


def _nearer(command: tuple[object, ...]) -> tuple[object, ...]:
    match command:
        case ("write", Write() as write):
            return ("write", write._replace(left=max(0, write.left - 1)))
        case _:
            return command


def _older(heard: Heard) -> Heard | None:
    match heard:
        case ("reading", (value, token, stamp, epoch, int() as age)):
            return None if age >= TOO_OLD else ("reading", (value, token, stamp, epoch, age + 1))
        case _:
            return heard
