"""The judge of the chaos run can fail: each kind of unsafe act is put into a run and found."""

import random
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))

import chaos_judge as judge
from chaos_files import guardrails
from chaos_journal import Account, Written
from chaos_judge import SECOND, Hold, Ill, Run, unsafe
from chaos_socket import PLANTED, Look, Runtime, Sent, _understood

from homeostat.adapters.actuators._haproxy_socket import Server
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.units import TimeNs

T = 1_000 * SECOND
DRAIN = Action(kind=ActionKind.DRAIN_REPLICA, subject="replica:a-1", undo=UndoKind.EXACT)


def server(name: str, *, op: int = 2, admin: int = 0) -> Server:
    return Server(name=name, address="127.0.0.1:1", weight=9, first=9, op=op, admin=admin)


def look(at: float, *down: str, out: tuple[str, ...] = ()) -> Look:
    names = ("a-1", "a-2", "a-3", "b-1")
    found = {
        name: server(name, op=0 if name in down else 2, admin=8 if name in out else 0)
        for name in names
    }
    return Look(T + round(at * SECOND), found)


def intent(name: str, *, epoch: int = 1, at: float = 0.0, undo: bool = False) -> Intent:
    return Intent(
        id=name,
        action_id=name.partition(".")[0],
        deployment="credit",
        actuator="haproxy",
        epoch=epoch,
        stage=0,
        pre=(("drained.a-1", int(undo)),),
        post=(("drained.a-1", int(not undo)),),
        token=None,
        evidence_at=TimeNs(T),
        deadline=TimeNs(T + round((at + 5.0) * SECOND)),
        undo=undo,
    )


def sent(name: str, *, at: float = 0.1, epoch: int = 1, to: int = 1) -> Sent:
    when = T + round(at * SECOND)
    return Sent(
        at=when,
        intent=name,
        epoch=epoch,
        drained={"a-1": to},
        weights={},
        landed=True,
        done_at=when + 1,
    )


def record(name: str, state: ActionState, reason: str = "") -> ActionRecord:
    at = TimeNs(T)
    return ActionRecord(
        id=name, deployment="credit", incident_id=f"i-of-{name}", action=DRAIN, state=state,
        epoch=1, stage=0, attempt=0, undo_attempts=0, intent=None, first_pre=(), proposed_at=at,
        state_since=at, deadline=at, reason=reason,
    )  # fmt: skip


def written(one: Intent, durable_s: float | None = 0.0) -> Written:
    at = None if durable_s is None else T + round(durable_s * SECOND)
    return Written(intent=one, durable_at=at)


def done(name: str, status: ReceiptStatus = ReceiptStatus.DONE) -> Receipt:
    return Receipt(intent_id=name, status=status, at=TimeNs(T))


def fine() -> Run:
    """A server goes down, is taken out and, when it is well again, put back."""
    said = Account(
        written={
            "d-1.0.0": written(intent("d-1.0.0")),
            "d-2.0.0": written(intent("d-2.0.0", at=20.0, undo=True), 20.0),
        },
        receipts={"d-1.0.0": [done("d-1.0.0")], "d-2.0.0": [done("d-2.0.0")]},
        records={
            "d-1": [record("d-1", ActionState.SUCCEEDED)],
            "d-2": [replace(record("d-2", ActionState.SUCCEEDED), undoes="d-1")],
        },
        epochs=[1],
    )
    return Run(
        sent=[sent("d-1.0.0"), sent("d-2.0.0", at=20.1, to=0)],
        looks=[
            look(-9.0), look(-1.0, "a-1"), look(0.0, "a-1"), look(0.2, "a-1", out=("a-1",)),
            look(20.0, out=("a-1",)), look(20.2), look(60.0),
        ],
        said=said,
        holds=[],
        ills=[],
        resets=[],
        rails=guardrails(),
    )  # fmt: skip


def test_a_run_in_which_all_was_in_order_has_no_finding() -> None:
    found = unsafe(fine())
    assert found == {kind: [] for kind in judge.KINDS}


def _no_intent(run: Run) -> Run:
    del run.said.written["d-1.0.0"]
    run.said.receipts.clear()
    return run


def _late_intent(run: Run) -> Run:
    run.said.written["d-1.0.0"] = written(intent("d-1.0.0"), 0.2)
    return run


def _at_no_known_time(run: Run) -> Run:
    run.said.written["d-1.0.0"] = written(intent("d-1.0.0"), None)
    return run


def _other_values(run: Run) -> Run:
    first = replace(run.sent[0], drained={"a-1": 1, "a-2": 1})
    return replace(run, sent=[first, *run.sent[1:]])


def _two_epochs(run: Run) -> Run:
    run.said.written["d-0.0.0"] = written(intent("d-0.0.0", epoch=2))
    return replace(run, sent=[sent("d-0.0.0", at=0.05, epoch=2), *run.sent])


def _old_in_the_journal(run: Run) -> Run:
    run.said.outdated.append("d-1.0.0 is of epoch 1, and 2 led")
    return run


def _epoch_again(run: Run) -> Run:
    run.said.epochs.append(1)
    return run


def _sent_again(run: Run) -> Run:
    return replace(run, sent=[run.sent[0], *run.sent])


def _late(run: Run) -> Run:
    return replace(run, sent=[sent("d-1.0.0", at=7.5), run.sent[1]], looks=[])


def _beyond(run: Run) -> Run:
    too_much = replace(intent("d-3.0.0"), post=(("weight.b", 101),))
    run.said.written["d-3.0.0"] = written(too_much)
    return run


def _unknown_lever(run: Run) -> Run:
    run.said.written["d-3.0.0"] = written(replace(intent("d-3.0.0"), post=(("replicas.a", 1),)))
    return run


def _from_users_at_once(run: Run) -> Run:
    run.said.written["d-3.0.0"] = written(intent("d-3.0.0"))
    sent_ = [sent("d-1.0.0"), sent("d-3.0.0", at=2.0)]
    return replace(run, sent=sent_, looks=[look(at) for at in (-3.0, 0.0, 1.0, 1.9)])


def _below(run: Run) -> Run:
    looks = [look(at, "a-2", "a-3") for at in (-3.0, 0.0)]
    return replace(run, sent=[run.sent[0]], looks=looks)


def _emptied(run: Run) -> Run:
    one = replace(sent("d-1.0.0"), drained={"b-1": 1})
    return replace(run, sent=[one], looks=[look(-3.0), look(0.0)])


def _hang(since: float, *servers: str) -> list[Ill]:
    whens = {"since": T + round(since * SECOND), "until": T + 30 * SECOND}
    return [Ill(server=name, **whens) for name in servers]


def _below_by_the_truth(run: Run) -> Run:
    """HAProxy calls those that hang up: their connections are taken still."""
    looks = [look(-3.0), look(0.0)]
    ills = _hang(-60.0, "a-2", "a-3")
    return replace(run, sent=[run.sent[0]], looks=looks, ills=ills)


def _under(kind: str, *, undo: bool, since: float) -> Callable[[Run], Run]:
    hold = Hold(since=T + round(since * SECOND), until=T + 30 * SECOND, undo=undo, kind=kind)
    return lambda run: replace(run, holds=[hold])


def _beside(run: Run) -> Run:
    for name in ("d-7", "d-8"):
        run.said.hear(judge_record(name), None)
    run.said.records["d-7"].append(record("d-7", ActionState.SUCCEEDED))
    run.said.records["d-8"].append(record("d-8", ActionState.SUCCEEDED))
    return run


def judge_record(name: str) -> object:
    from homeostat.base.events import Record  # noqa: PLC0415 - beside its only use

    return Record(fact=record(name, ActionState.INTENT))


def _said_done(run: Run) -> Run:
    return replace(run, sent=[replace(run.sent[0], landed=False), run.sent[1]])


def _said_refused(run: Run) -> Run:
    run.said.receipts["d-1.0.0"] = [done("d-1.0.0", ReceiptStatus.NOT_APPLIED)]
    return run


def _ended(state: ActionState) -> Callable[[Run], Run]:
    def change(run: Run) -> Run:
        run.said.records["d-1"].append(record("d-1", state, "nobody knows"))
        return run

    return change


def _by_itself(run: Run) -> Run:
    return replace(run, looks=[*run.looks, look(61.0, out=("a-3",))])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (_no_intent, judge.NO_INTENT),
        (_late_intent, judge.NO_INTENT),
        (_at_no_known_time, judge.NO_INTENT),
        (_other_values, judge.NO_INTENT),
        (_two_epochs, judge.OLD_EPOCH),
        (_old_in_the_journal, judge.OLD_EPOCH),
        (_epoch_again, judge.OLD_EPOCH),
        (_sent_again, judge.TWICE),
        (_late, judge.LATE),
        (_beyond, judge.BOUNDS),
        (_unknown_lever, judge.BOUNDS),
        (_from_users_at_once, judge.RATE),
        (_below, judge.FLOOR),
        (_below_by_the_truth, judge.FLOOR),
        (_emptied, judge.FLOOR),
        (_under(judge.KILLED, undo=True, since=0.0), judge.KILLED),
        (_under(judge.KILLED, undo=False, since=10.0), judge.KILLED),
        (_under(judge.FROZEN, undo=True, since=0.0), judge.FROZEN),
        (_beside, judge.TOGETHER),
        (_said_done, judge.UNTRUE),
        (_said_refused, judge.UNTRUE),
        (_ended(ActionState.VERIFYING), judge.OPEN),
        (_ended(ActionState.STUCK), judge.OPEN),
        (_by_itself, judge.UNWRITTEN),
    ],
)
def test_what_is_unsafe_is_found(change: Callable[[Run], Run], kind: str) -> None:
    found = unsafe(change(fine()))
    assert found[kind], found


def test_what_people_know_is_not_left_open() -> None:
    run = _ended(ActionState.STUCK)(fine())
    run.said.paged.add("d-1")
    assert not unsafe(run)[judge.OPEN]


def test_a_way_back_passes_where_it_may() -> None:
    run = _under(judge.KILLED, undo=True, since=10.0)(fine())
    assert not any(unsafe(run).values())


def test_a_server_that_was_down_may_be_taken_out_at_any_time() -> None:
    run = fine()
    looks = [look(-3.0, "a-2", "a-3"), look(0.0, "a-1", "a-2", "a-3")]
    assert not unsafe(replace(run, sent=[run.sent[0]], looks=looks))[judge.FLOOR]


def test_what_has_just_begun_to_hang_may_be_counted_on_still() -> None:
    run = _below_by_the_truth(fine())
    assert not unsafe(replace(run, ills=_hang(-5.0, "a-2", "a-3")))[judge.FLOOR]


def test_one_that_hangs_may_be_taken_out_at_any_time() -> None:
    run = _from_users_at_once(fine())
    assert not unsafe(replace(run, ills=_hang(-9.0, "a-1")))[judge.RATE]
    assert unsafe(replace(run, ills=_hang(-9.0, "a-2")))[judge.RATE]


def test_what_a_restart_of_haproxy_takes_away_is_nobodys_write() -> None:
    run = fine()
    looks = [look(1.0, out=("a-1",)), look(3.0), look(4.0)]
    assert unsafe(replace(run, sent=run.sent[:1], looks=looks))[judge.UNWRITTEN]
    started = replace(run, sent=run.sent[:1], looks=looks, resets=[T + 2 * SECOND])
    assert not unsafe(started)[judge.UNWRITTEN]


def test_a_line_is_understood_as_haproxy_understands_it() -> None:
    line = (
        "set server model/a-1 state ready; set server model/b-1 weight 12; "
        "set server model/a-2 state drain; "
        "experimental-mode on; set var proc.homeostat_1 str(d-0004.0.0|7|0123); get var x\n"
    )
    one = _understood(line, 5)
    assert (one.at, one.intent, one.epoch) == (5, "d-0004.0.0", 7)
    assert (one.drained, one.weights) == ({"a-1": 0, "a-2": 1}, {"b-1": 12})
    assert _understood("set server model/a-1 state ready", 5).epoch == 0


def test_what_is_planted_goes_the_way_of_every_write_and_is_found(tmp_path: Path) -> None:
    """From a controller's socket to the finding, with an admin socket that takes what comes."""
    heard: list[bytes] = []

    def answer(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                wire, _ = listener.accept()
                with wire:
                    heard.append(wire.recv(65_536))
                    wire.sendall(f"proc.x: type=str value=<{PLANTED}.0.0|1|p>\n".encode())

    with socket.socket(socket.AF_UNIX) as admin:
        admin.bind(str(tmp_path / "admin"))
        admin.listen()
        answering = threading.Thread(target=answer, args=(admin,), daemon=True)
        answering.start()
        runtime = Runtime(admin=tmp_path / "admin", path=tmp_path / "s", chance=random.Random(1))
        with runtime.running():
            runtime.plant("b-1")
        admin.shutdown(socket.SHUT_RDWR)
        answering.join(5.0)
    assert any(b"set server model/b-1 state drain" in line for line in heard)
    (one,) = runtime.sent
    assert (one.drained, one.epoch, one.landed) == ({"b-1": 1}, 1, True)
    run = fine()
    found = unsafe(replace(run, sent=[*run.sent, one], looks=[*run.looks, look(61.0)]))
    assert [kind for kind, said in found.items() if said] == [judge.NO_INTENT]
