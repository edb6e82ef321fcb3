"""Bad input, end to end: each is a clear error or an Unknown, never a crash, never an action.

What single parts do with it is tested beside them: adapters/sources/test_scrape.py and
test_page.py (pages, bombs, deadlines), server/config (files), server/api/test_api_http.py,
demo/test_envoy.py and demo/test_host_parts.py (ports, folders, binaries).
"""

import gzip
import re
import socket
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bad_input_stage import RATE, Spoil, Stage, stage

from homeostat.base import names
from homeostat.base.evidence import Quality
from homeostat.base.units import HOUR, SECOND
from homeostat.cli.exits import Exit
from homeostat.cli.main import main
from homeostat.demo import runner, setup
from homeostat.demo.place import Place
from homeostat.server.clock import Clock
from homeostat.testing.hostile import response

LONG = 18  # ticks: three times what the demo's policy asks a suspicion to last
AFTER = 10  # ticks until windows hold nothing of the trouble any more
_VALUE = re.compile(rb"(?m)^([a-z_]+(?:\{[^}]*\})? )([0-9.e+-]+)$")


@cache
def bomb() -> bytes:
    return gzip.compress(b"ml_inflight 1\n" * 4_000_000, 9)


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def values(change: Callable[[bytes], bytes]) -> Spoil:
    """Return a spoil that changes every value of a page."""

    def spoil(_: str, answer: bytes) -> bytes:
        return response(_VALUE.sub(lambda m: m[1] + change(m[2]), body_of(answer)))

    return spoil


def instead(answer: bytes) -> Spoil:
    return lambda _, __: answer


def twice(_: str, answer: bytes) -> bytes:
    return response(body_of(answer) * 2)


def cut(_: str, answer: bytes) -> bytes:
    return response(body_of(answer)[: len(body_of(answer)) * 2 // 3] + b'{x="')


class Frozen:
    """Sends each page as it was the first time."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}

    def __call__(self, name: str, answer: bytes) -> bytes:
        return self.pages.setdefault(name, answer)


class Backwards:
    """Counts down, in the same process."""

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}

    def __call__(self, name: str, answer: bytes) -> bytes:
        self.steps[name] = step = self.steps.get(name, 0) + 1
        keep = (b"process_start", b"envoy_server", b"ml_info", b"process_res")
        lines = [
            line
            if line.startswith(keep)
            else _VALUE.sub(lambda m: m[1] + b"%d" % max(0, 3_000 - 100 * step), line)
            for line in body_of(answer).splitlines()
        ]
        return response(b"\n".join(lines) + b"\n")


SPOILS: dict[str, Callable[[], Spoil]] = {
    "HTML": lambda: instead(response(b"<html>hello</html>", content_type="text/html")),
    "HTML that says it is text": lambda: instead(response(b"<html>hello</html>")),
    "503": lambda: instead(response(b"unavailable", status=503)),
    "an empty page": lambda: instead(response(b"")),
    "a broken connection": lambda: instead(b""),
    "binary": lambda: instead(response(bytes(range(256)) * 20)),
    "a gzip bomb": lambda: instead(response(bomb(), extra="content-encoding: gzip\r\n")),
    "negative counters": lambda: values(lambda value: b"-" + value),
    "NaN": lambda: values(lambda _: b"NaN"),
    "infinities": lambda: values(lambda _: b"+Inf"),
    "zeros": lambda: values(lambda _: b"0"),
    "a number that is none": lambda: values(lambda _: b"many"),
    "every series twice": lambda: twice,
    "half a page": lambda: cut,
    "a frozen page": Frozen,
    "counters that go back": Backwards,
}


# Each takes half a second: two in every check, one of each way through the code at every part in
# the whole test, and everything at every part in the long one.
QUICKEST = frozenset({"HTML", "zeros"})
QUICK = frozenset({"HTML", "a gzip bomb", "negative counters", "zeros", "counters that go back"})


def only(part: str, spoil: Spoil) -> Spoil:
    return lambda name, answer: spoil(name, answer) if name.startswith(part) else answer


def cases() -> Iterator[Any]:
    for name in SPOILS:
        for part in ("", "envoy", "a-", "a-2"):
            every_time = name in QUICKEST and not part
            whole = name in QUICK or not part
            marks = (
                () if every_time else (pytest.mark.slow, *(() if whole else (pytest.mark.long,)))
            )
            yield pytest.param(name, part, marks=marks, id=f"{name}-{part or 'all'}")


@pytest.mark.parametrize(("name", "part"), [*cases()])
async def test_pages_that_cannot_be_believed_are_unknown_and_move_nothing(
    name: str, part: str, tmp_path: Path
) -> None:
    async with stage(tmp_path) as ready:
        ready.serving.spoil = only(part, SPOILS[name]())
        await ready.ticks(LONG)
        assert not ready.acted(), ready.target.writes
        assert ready.evidence.slo_met is not False
        if part in {"", "envoy"}:
            assert_unknown(ready, names.GATEWAY, names.ARRIVAL_RATE)
        if part != "envoy":
            assert_unknown(ready, names.replica("a-2"), names.DEVICE_TIME)
        ready.serving.spoil = lambda _, answer: answer
        await ready.ticks(AFTER)
        assert not ready.acted(), "the end of the trouble is no reason to act either"
        reading = ready.reading(names.GATEWAY, names.ARRIVAL_RATE)
        assert reading is not None
        assert reading.quality is Quality.GOOD
        assert reading.value == pytest.approx(4.0 * RATE)


def assert_unknown(ready: Stage, subject: str, signal: str) -> None:
    """A series that cannot be believed has no value: it is not zero, and not its last one."""
    reading = ready.reading(subject, signal)
    assert reading is None or (reading.value is None and reading.quality is not Quality.GOOD)


@pytest.mark.slow
async def test_a_million_series_are_refused_whole_and_move_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as ready:
        million = "".join(f"s{n} 1\n" for n in range(1_000_000)).encode()
        ready.serving.spoil = only("envoy", instead(response(million)))
        await ready.ticks(8)
        assert not ready.acted()
        assert_unknown(ready, names.GATEWAY, names.ARRIVAL_RATE)


async def test_the_same_stage_acts_on_a_fault_so_holding_is_not_muteness(tmp_path: Path) -> None:
    async with stage(tmp_path) as ready:
        ready.serving.broken = frozenset({"a-2"})
        await ready.ticks(LONG)
        assert ready.target.writes[0].post == (("incarnation.a-2", 2),)


@pytest.mark.slow
async def test_a_proven_fault_is_healed_though_the_pages_are_gone(tmp_path: Path) -> None:
    async with stage(tmp_path) as ready:
        ready.serving.spoil = only("a-", SPOILS["503"]())
        ready.serving.broken = frozenset({"a-2"})
        await ready.ticks(LONG)
        levers = {lever for intent in ready.target.writes for lever, _ in intent.post}
        assert "incarnation.a-2" in levers
        assert all(lever.endswith(".a-2") for lever in levers), "nothing else was proven"


@pytest.mark.parametrize(
    "by_s", [-3600, *(pytest.param(by, marks=pytest.mark.slow) for by in (-5, 3600))]
)
async def test_a_wall_clock_that_was_set_moves_nothing_and_counts_go_on(
    by_s: int, tmp_path: Path
) -> None:
    async with stage(tmp_path) as ready:
        before = ready.evidence.at
        ready.clock.jump(by_s * SECOND)
        await ready.ticks(LONG)
        assert not ready.acted()
        assert ready.evidence.at - before == LONG * SECOND
        assert ready.evidence.ready


@pytest.mark.parametrize("back_ns", [3 * SECOND, HOUR, 400 * 24 * HOUR])
def test_the_controllers_own_time_never_goes_back(
    back_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    before, wall = clock.now(), time.time_ns()
    monkeypatch.setattr("time.time_ns", lambda: wall - back_ns)
    assert clock.jumped_by() == pytest.approx(-back_ns, abs=SECOND)
    assert clock.jumped_by() == 0, "a jump is told once"
    assert 0 <= clock.now() - before < 10 * SECOND


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs `homeostat ...` as a shell would, and gives exit code and stderr."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["homeostat", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert said.out == ""
        return int(ended.value.code or 0), said.err

    return run


def written(folder: Path, **changes: str) -> Path:
    """Write the demo's own configuration with some text in it replaced."""
    place = Place(folder=folder, host_port=1, envoy_port=2, admin_port=3, relay_port=4)
    controller = setup.controller(place, 0, "t" * 43, evidence_rules=True)
    text = "---\n".join(file.read_text(encoding="utf-8") for file in controller.files)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    file = folder / "all.yaml"
    file.write_text(text, encoding="utf-8")
    controller.files[0].unlink()
    return file


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("killFile:", "kilFile:", "did you mean 'killFile'"),
        ("mode: auto", "mode: automatic", "'automatic'"),
        ("kind: Controller", "kind: Controler", "did you mean 'Controller'"),
        ("policy: demo", "policy: dmo", "did you mean 'demo'"),
        ("cooldown: 5 scrapes", "cooldown: 5 parsecs", "parsecs"),
        ("restart_replica", "restart_replicas", "did you mean"),
        ("terminal: true", "terminl: true", "terminl"),
        ("interval: 1s", "interval: [1s", "while parsing"),
    ],
)
def test_a_wrong_key_or_name_stops_the_start_with_its_place_and_the_right_one(
    old: str, new: str, says: str, command: Command, tmp_path: Path
) -> None:
    code, said = command("run", "--once", "-f", str(written(tmp_path, **{old: new})))
    assert code == Exit.USAGE
    assert said.startswith("homeostat: ")
    assert "all.yaml" in said
    assert says in said
    assert not (tmp_path / "homeostat.db").exists(), "nothing is begun"


def test_an_unknown_preset_stops_the_controller_with_the_right_one(
    command: Command, tmp_path: Path
) -> None:
    file = written(tmp_path, **{"preset: envoy": "preset: envoyy"})
    code, said = command("run", "--once", "-f", str(file))
    assert code == Exit.USAGE
    assert "did you mean 'envoy'" in said


def test_a_port_in_use_stops_the_controller_with_a_way_out(
    command: Command, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = written(tmp_path, **{"port: 0": f"port: {port}"})
        code, said = command("run", "--once", "-f", str(file))
    assert code == Exit.USAGE
    assert f"port {port} is in use" in said
    assert "spec.api.port" in said


@pytest.mark.parametrize("key", ["path: homeostat.db", "tokenFile: token"])
def test_a_folder_that_cannot_be_written_stops_the_controller(
    key: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    name, value = key.split(": ")
    code, said = command(
        "run", "--once", "-f", str(written(tmp_path, **{key: f"{name}: file/{value}"}))
    )
    assert code in {Exit.USAGE, Exit.FAILED}
    assert "file" in said
    assert len(said.strip().splitlines()) == 1, said


def test_files_that_are_not_there_are_named(command: Command, tmp_path: Path) -> None:
    for arguments in (("run", "-f"), ("replay",), ("audit", "verify")):
        code, said = command(*arguments, str(tmp_path / "none"))
        assert code != Exit.OK
        assert str(tmp_path / "none") in said


@pytest.mark.parametrize("option", ["--dir", "--json"])
def test_a_demo_that_could_not_keep_its_results_does_not_start(
    option: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "Round", None)  # nothing may be started
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "below"
    code, said = command("demo", "--headless", "--fault", "killed_replica", option, str(place))
    assert code == Exit.USAGE
    assert str(place) in said
