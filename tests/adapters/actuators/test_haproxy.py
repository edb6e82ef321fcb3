"""What the HAProxy actuator makes of each answer, and how shares become weights and come back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
from haproxy_server import Haproxy, running_haproxy

from homeostat.adapters.actuators import _haproxy_socket as runtime
from homeostat.adapters.actuators import _haproxy_weights as weights
from homeostat.adapters.actuators.haproxy import HaproxyActuator, HaproxyConfig
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import ReplicaState, Snapshot

NOW = TimeNs(1_000 * SECOND)
HEADER = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight "
    "srv_iweight srv_time_since_last_change srv_port"
)


class FakeHaproxy:
    """The runtime API of one backend as 2.6 keeps it: no questions asked, no errors undone."""

    def __init__(self, **servers: int) -> None:
        self.rows = {
            name.replace("_", "-"): {"weight": weight, "first": weight, "op": 2, "admin": 0}
            for name, weight in servers.items()
        }
        self.stamp = "Variable not found."
        self.lines: list[str] = []
        self.refuse = ""  # what it says to the first command of a line that it refuses
        self.deaf = False  # says yes and does nothing
        self.lost = False  # does it all, and its answer is lost

    async def __call__(self, place: str, line: str) -> str:
        if not line.startswith("show "):
            self.lines.append(line)
        said = "".join(self._one(command) + "\n" for command in line.split("; "))
        if self.lost and not line.startswith("show "):
            raise runtime.SocketError("cut", sent=True)
        return said

    def _one(self, command: str) -> str:
        words = command.split(" ")
        if words[0] == "show":
            rows = [
                f"3 model 1 {name} 127.0.0.1 {one['op']} {one['admin']} {one['weight']} "
                f"{one['first']} 7 80"
                for name, one in self.rows.items()
            ]
            return "\n".join(["1", HEADER, *rows, ""])
        if words[0] == "get":
            return (
                f"{words[2]}: type=str value=<{self.stamp}>\n" if "|" in self.stamp else self.stamp
            )
        if self.refuse:
            return self.refuse
        if self.deaf:
            return ""
        if words[:2] == ["set", "var"]:
            self.stamp = words[3].removeprefix("str(").removesuffix(")")
        elif words[0] == "set":
            row = self.rows[words[2].partition("/")[2]]
            if words[3] == "weight":
                row["weight"] = int(words[4])
            else:
                row["admin"] = 8 if words[4] == "drain" else 0
        return ""


def actuator(**changes: Any) -> HaproxyActuator:
    base: dict[str, Any] = {
        "socket": "/run/haproxy.sock",
        "backend": "model",
        "pools": {"a": ("a-*",), "b": ("b-*",)},
        "stable": "a",
    }
    return HaproxyActuator(HaproxyConfig(**(base | changes)))


@contextmanager
def speaking(fake: FakeHaproxy) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "ask", fake)
        yield


def intent(**changes: Any) -> Intent:
    base: dict[str, Any] = {
        "id": "d-2.0.0",
        "action_id": "d-2",
        "deployment": "m",
        "actuator": "haproxy",
        "epoch": 3,
        "stage": 0,
        "pre": (("weight.b", 5),),
        "post": (("weight.b", 50),),
        "token": None,
        "evidence_at": NOW,
        "deadline": TimeNs(NOW + SECOND),
    }
    return Intent(**(base | changes))


async def applied(fake: FakeHaproxy, **changes: Any) -> Receipt:
    with speaking(fake):
        return await actuator().apply(intent(**changes), NOW)


async def seen(fake: FakeHaproxy, **changes: Any) -> Snapshot:
    with speaking(fake):
        return await actuator(**changes).read("m", NOW)


async def test_a_shift_raises_before_it_lowers_and_ends_with_the_stamp() -> None:
    fake = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    assert (await applied(fake)).status is ReceiptStatus.DONE
    world = await seen(fake)
    assert world.lever("weight.b") == 50
    stamp = world.stamp("haproxy")
    assert stamp is not None
    assert (stamp.token, stamp.intent, stamp.epoch) == (None, "d-2.0.0", 3)
    first, *_, mark, proof = fake.lines[0].split("; ")
    assert first == "set server model/b-1 weight 256"
    assert mark.startswith("set var proc.homeostat_")
    assert proof.startswith("get var proc.homeostat_")


async def test_what_does_not_change_is_not_written() -> None:
    fake = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    await applied(fake, pre=(("drained.a-1", 0),), post=(("drained.a-1", 1),))
    assert [c for c in fake.lines[0].split("; ") if c.startswith("set server")] == [
        "set server model/a-1 state drain"
    ]


async def test_a_server_in_maintenance_is_left_to_whoever_put_it_there() -> None:
    fake = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    fake.rows["a-1"]["admin"] = 1
    world = await seen(fake)
    assert world.lever("drained.a-1") == 1
    assert world.replicas[0].state is ReplicaState.DRAINING
    for value in (0, 1):
        answer = await applied(fake, pre=(), post=(("drained.a-1", value),))
        assert (answer.status, answer.conflict) == (ReceiptStatus.NOT_APPLIED, True)
    assert fake.lines == []


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Permission denied", ReceiptStatus.NOT_APPLIED),
        ("No such server.", ReceiptStatus.NOT_APPLIED),
        ("Backend is using a static LB algorithm and only accepts", ReceiptStatus.NOT_APPLIED),
        ("Something that nobody has heard of.", ReceiptStatus.UNKNOWN),
    ],
)
async def test_a_complaint_is_a_refusal_only_if_it_is_known_and_nothing_moved(
    said: str, status: ReceiptStatus
) -> None:
    fake = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    fake.refuse = said
    answer = await applied(fake)
    assert answer.status is status
    assert said[:20] in answer.detail


async def test_yes_without_an_effect_and_a_lost_answer_are_unknown() -> None:
    deaf = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    deaf.deaf = True
    assert (await applied(deaf)).status is ReceiptStatus.UNKNOWN
    lost = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    lost.lost = True
    assert (await applied(lost)).status is ReceiptStatus.UNKNOWN
    lost.lost = False
    assert (await applied(lost)).status is ReceiptStatus.DONE  # the repeat finds it there


async def test_a_part_of_a_line_that_was_refused_is_unknown_and_nobodys() -> None:
    fake = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    whole, calls = fake._one, iter(range(100))

    def second_refused(command: str) -> str:
        bad = command.startswith("set server") and next(calls) == 1
        return "No such server." if bad else whole(command)

    fake._one = second_refused  # type: ignore[method-assign]
    answer = await applied(fake)
    assert answer.status is ReceiptStatus.UNKNOWN
    stamp = (await seen(fake)).stamp("haproxy")
    assert stamp is not None
    assert stamp.intent is None  # what stands there is not what the stamp was written for


async def test_a_foreign_write_or_a_new_server_makes_the_stamp_nobodys() -> None:
    fake = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    await applied(fake)
    fake.rows["a-2"]["weight"] -= 1  # the share still reads as 50
    changed = (await seen(fake)).stamp("haproxy")
    assert changed is not None
    assert (changed.intent, changed.epoch) == (None, 3)
    fake.rows["a-2"]["weight"] += 1
    fake.rows["a-2"]["op"] = 0  # a health check's verdict is no write
    down = await seen(fake)
    stamp = down.stamp("haproxy")
    assert stamp is not None
    assert stamp.intent == "d-2.0.0"
    assert [one.state for one in down.replicas][1] is ReplicaState.GONE


async def test_an_older_epoch_and_an_old_pre_image_are_conflicts() -> None:
    fake = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    await applied(fake, epoch=7)
    for changes in (
        {"epoch": 6},
        {"epoch": 7, "pre": (("weight.b", 5),), "post": (("weight.b", 9),)},
    ):
        answer = await applied(fake, **changes)
        assert (answer.status, answer.conflict) == (ReceiptStatus.NOT_APPLIED, True)


async def test_shares_that_weights_cannot_say_are_refused_before_anything_is_sent() -> None:
    many = {f"b_{number}": 0 for number in range(40)}
    fake = FakeHaproxy(a_1=100, **many)
    answer = await applied(fake, pre=(), post=(("weight.b", 1),))
    assert answer.status is ReceiptStatus.NOT_APPLIED
    assert "cannot say the shares" in answer.detail
    assert fake.lines == []


async def test_without_any_weight_shares_are_unknown_and_draining_still_works() -> None:
    fake = FakeHaproxy(a_1=0, b_1=0)
    assert [name for name, _ in (await seen(fake)).levers] == ["drained.a-1", "drained.b-1"]
    answer = await applied(fake)
    assert answer.status is ReceiptStatus.NOT_APPLIED
    drained = await applied(fake, pre=(), post=(("drained.b-1", 1),))
    assert drained.status is ReceiptStatus.DONE


@pytest.mark.parametrize(
    ("pools", "said"),
    [
        ({"a": ("a-*",)}, "'b-1' is in no pool"),
        ({"a": ("*",), "b": ("b-*",)}, "'b-1' is in a and b"),
        ({"a": ("*",), "b": ("c-*",)}, "no server of the backend is in pool b"),
    ],
)
async def test_a_server_that_is_in_no_pool_or_in_two_is_an_error(
    pools: dict[str, tuple[str, ...]], said: str
) -> None:
    with pytest.raises(ActuatorError, match=said):
        await seen(FakeHaproxy(a_1=95, b_1=5), pools=pools)


@pytest.mark.parametrize(
    "answer",
    [
        "Can't find backend.\n\n",
        "",
        "1\n# be_id be_name srv_name\n3 model a-1\n",
        f"1\n{HEADER}\n\nVariable not found.\n",
        f"1\n{HEADER}\n3 model 1 a-1 127.0.0.1 2 0 nan 100 7 80\n\nVariable not found.\n",
        f"1\n{HEADER}\n3 model 1 a-1 127.0.0.1 2 0 999 100 7 80\n\nVariable not found.\n",
        f"1\n{HEADER}\n3 model 1 a;1 127.0.0.1 2 0 5 100 7 80\n\nVariable not found.\n",
        f"1\n{HEADER}\n3 other 1 a-1 127.0.0.1 2 0 5 100 7 80\n\nVariable not found.\n",
        f"1\n{HEADER}\n3 model 1 a-1 127.0.0.1 2 0 5 100\n\nVariable not found.\n",
        f"1\n{HEADER}\n3 model 1 a-1 127.0.0.1 2 0 95 95 7 80\n",
    ],
)
async def test_an_answer_that_is_none_is_an_error_that_quotes_it(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def say(place: str, line: str) -> str:
        return answer

    monkeypatch.setattr(runtime, "ask", say)
    with pytest.raises(ActuatorError, match="haproxy: HAProxy at /run/haproxy"):
        await actuator().read("m", NOW)


async def test_a_hostile_intent_id_never_becomes_a_command() -> None:
    fake = FakeHaproxy(a_1=95, a_2=95, b_1=10)
    answer = await applied(fake, id="d-1); shutdown sessions server model/a-1")
    assert answer.status is ReceiptStatus.NOT_APPLIED
    assert fake.lines == []


@pytest.mark.parametrize(
    "changes",
    [
        {"socket": "haproxy.sock"},
        {"socket": "localhost"},
        {"socket": "localhost:0"},
        {"socket": "localhost:99999"},
        {"socket": "/run/a b"},
        {"backend": "model; shutdown frontend users"},
        {"backend": ""},
        {"pools": {}},
        {"stable": "c"},
        {"read_timeout_s": float("nan")},
        {"retries": 3},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        actuator(**changes)


async def test_a_metadata_address_is_refused_whatever_is_configured() -> None:
    with pytest.raises(ActuatorError, match="metadata"):
        await actuator(socket="169.254.169.254:9999").read("m", NOW)


def server(name: str, weight: int, first: int) -> runtime.Server:
    return runtime.Server(name=name, address=None, weight=weight, first=first, op=2, admin=0)


def pools_of(*weighed: list[tuple[int, int]]) -> dict[str, list[runtime.Server]]:
    return {
        pool: [server(f"{pool}-{place}", now, first) for place, (now, first) in enumerate(many)]
        for pool, many in zip("abc", weighed, strict=False)
    }


def after(pools: weights.Pools, plan: dict[str, int]) -> dict[str, list[runtime.Server]]:
    return {
        pool: [server(one.name, plan[one.name], one.first) for one in many]
        for pool, many in pools.items()
    }


WEIGHTS = st.lists(st.tuples(st.integers(0, 256), st.integers(0, 256)), min_size=1, max_size=5)


@given(a=WEIGHTS, b=WEIGHTS, share=st.integers(0, 100))
def test_a_planned_share_reads_back_as_it_was_asked_or_is_refused(
    a: list[tuple[int, int]], b: list[tuple[int, int]], share: int
) -> None:
    pools, wanted = pools_of(a, b), {"a": 100 - share, "b": share}
    try:
        plan = weights.planned(pools, wanted)
    except ValueError:
        return
    assert max(plan.values()) == 256
    assert all(0 <= weight <= 256 for weight in plan.values())
    assert weights.shares(after(pools, plan)) == wanted


@given(ramp=st.lists(st.integers(0, 100), min_size=1, max_size=30))
def test_shares_of_even_pools_are_always_sayable_and_proportions_do_not_drift(
    ramp: list[int],
) -> None:
    pools = pools_of([(100, 100), (50, 50)], [(0, 10), (0, 10)])
    for share in ramp:
        pools = after(pools, weights.planned(pools, {"a": 100 - share, "b": share}))
    assume(ramp[-1] < 90)
    big, small = (one.weight for one in pools["a"])
    assert abs(big - 2 * small) <= 1.5


def test_a_weight_that_somebody_changed_at_run_time_keeps_its_proportion() -> None:
    pools = pools_of([(100, 100), (25, 100)], [(10, 10)])
    plan = weights.planned(pools, {"a": 80, "b": 20})
    assert plan["a-0"] == pytest.approx(4 * plan["a-1"], abs=2)


def test_something_is_never_said_to_be_nothing() -> None:
    assert weights.shares(pools_of([(256, 1)] * 4, [(1, 1)])) == {"a": 99, "b": 1}
    assert weights.shares(pools_of([(256, 1)], [(0, 1)])) == {"a": 100, "b": 0}
    assert weights.shares(pools_of([(0, 1)], [(0, 1)])) is None


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Haproxy]:
    with running_haproxy(tmp_path, {"a-1": (9, 100), "b-1": (9, 0)}) as running:
        yield running


def of(running: Haproxy, **changes: Any) -> HaproxyActuator:
    return actuator(socket=running.socket, **changes)


def soon(**changes: Any) -> Intent:
    return intent(deadline=TimeNs(NOW + 5 * SECOND), **changes)


@pytest.mark.live
async def test_the_unix_socket_carries_a_shift_and_its_undo(real: Haproxy) -> None:
    shift = soon(pre=(("weight.b", 0),), post=(("weight.b", 25),))
    assert (await of(real).apply(shift, NOW)).status is ReceiptStatus.DONE
    world = await of(real).read("m", NOW)
    assert world.lever("weight.b") == 25
    assert [(one.name, one.address) for one in world.replicas] == [
        ("a-1", "127.0.0.1:9"),
        ("b-1", "127.0.0.1:9"),
    ]
    undo = soon(id="d-2.0.0.undo", pre=(("weight.b", 25),), post=(("weight.b", 0),), undo=True)
    assert (await of(real).apply(undo, NOW)).status is ReceiptStatus.DONE
    assert " 0 0 " in real.say("show servers state model").splitlines()[3]


@pytest.mark.live
async def test_an_operators_level_without_admin_is_a_refusal(tmp_path: Path) -> None:
    with running_haproxy(tmp_path, {"a-1": (9, 100), "b-1": (9, 0)}, level="operator") as running:
        shift = soon(pre=(("weight.b", 0),), post=(("weight.b", 25),))
        answer = await of(running).apply(shift, NOW)
    assert answer.status is ReceiptStatus.NOT_APPLIED
    assert "Permission denied" in answer.detail


@pytest.mark.live
async def test_a_static_algorithm_is_never_said_to_be_shifted(tmp_path: Path) -> None:
    with running_haproxy(
        tmp_path, {"a-1": (9, 100), "b-1": (9, 0)}, balance="static-rr"
    ) as running:
        shift = soon(pre=(("weight.b", 0),), post=(("weight.b", 25),))
        answer = await of(running).apply(shift, NOW)
    assert answer.status is ReceiptStatus.NOT_APPLIED
    assert "static LB algorithm" in answer.detail


@pytest.mark.live
async def test_an_unknown_backend_is_an_error_that_names_it(real: Haproxy) -> None:
    with pytest.raises(ActuatorError, match="no servers of backend 'nope'"):
        await of(real, backend="nope").read("m", NOW)
