"""Two controllers on two machines' networks, one PostgreSQL, one target; see `cut_net`.

Everything but the networks is as in `kill_harness`: the host, the relay that writes down what
reaches it in its order, and the processes.
"""

import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
import yaml
from cut_net import BOTH, EAST, WEST, Net, Way, networks
from host_harness import host_settings, running_host, write_stand_ins
from kill_checks import Account, account, check_all
from kill_harness import Life, Relay, Stage, Zygote, configuration, forking, until
from kill_records import leader_of, recorded_in
from postgres_server import Server, running

from homeostat.demo.host_settings import PoolSettings

SOON_S: Final = 60.0  # minutes only where cores are shared
SIDES: Final = (WEST, EAST)


@dataclass(slots=True, kw_only=True)
class Cut:
    """Two machines, what is between them and the database, and everything around.

    Attributes:
        net: The networks.
        server: The database's server.
        stage: What the checks of `kill_checks` read.
        zygotes: By machine.
        lives: The controller of each machine that runs one.
    """

    net: Net
    server: Server
    stage: Stage
    zygotes: dict[str, Zygote]
    lives: dict[str, Life]

    def start(self, side: str) -> Life:
        """Start a controller on a machine; once somebody else leads it waits."""
        self.lives[side] = self.zygotes[side].start()
        return self.lives[side]

    def start_both(self) -> tuple[str, str]:
        """Start one on each and return which machine leads and which one waits."""
        before = self.stage.relay.epoch()
        for side in SIDES:
            self.start(side)
        said = "".join(life.said() for life in self.lives.values())
        assert self.stage.relay.wait_for_claim(before, SOON_S), said
        leads = self.leads()
        waits = other(leads)
        self.standing_by(waits)
        return leads, waits

    def standing_by(self, side: str) -> None:
        """Wait until a machine's controller has found that another one leads."""
        until(lambda: "standby" in self.lives[side].said(), SOON_S, "a standby that says so")

    def leads(self) -> str:
        """Return the machine whose controller claimed last."""
        pid = leader_of(self.stage.database)
        return next(side for side, life in self.lives.items() if life.pid == pid)

    def cut(self, side: str, ways: tuple[Way, ...] = BOTH) -> None:
        """Cut a machine off from the database, in silence."""
        self.net.cut(side, self.net.database, ways)

    def mend(self, side: str, ways: tuple[Way, ...] = BOTH) -> None:
        """Let a machine reach the database again."""
        self.net.mend(side, self.net.database, ways)

    def events(self) -> int:
        """Return how many events are on record."""
        try:
            with psycopg.connect(self.stage.database) as known:
                query = "SELECT count(*) FROM homeostat.entry WHERE kind = 'event'"
                row = known.execute(query).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0  # not yet made
        return 0 if row is None else int(row[0])

    def end(self, side: str) -> Account:
        """Let a leader bring everything to its end, stop it in order, and check all there is."""
        for machine in self.zygotes.values():
            (machine.folder / "quiet").touch()
        until(lambda: _ended(account(self.stage.journal)), SOON_S, "no action in flight")
        time.sleep(0.5)
        life = self.lives.pop(side)
        life.signal(signal.SIGTERM)
        assert life.reap() == 0, life.said()
        return check_all(self.stage)


def other(side: str) -> str:
    """Return the other machine."""
    return WEST if side == EAST else EAST


@contextmanager
def cut_staged(
    folder: Path, seed: int, *, lease: str = "1s", interval: str | None = None
) -> Iterator[Cut | None]:
    """Yield two machines whose journal is in use already, None where PostgreSQL is not installed.

    Args:
        folder: For everything.
        seed: Of the relay's delays.
        lease: As in `spec.store.lease`.
        interval: Between two scrapes, if not the harness' own.
    """
    with ExitStack() as stack:
        net = stack.enter_context(networks())
        server = stack.enter_context(running((net.database, net.network)))
        if server is None:
            yield None
            return
        local = server.database()
        name = urlsplit(local).path.lstrip("/")
        write_stand_ins(folder / "artefacts")
        pools = (PoolSettings(name="a", version="v1", replicas=3),)
        host = stack.enter_context(running_host(host_settings(folder, pools=pools)))
        relay = Relay(host.settings.port, recorded_in(local), random.Random(seed), "0.0.0.0")
        stack.enter_context(relay.running())
        url = f"postgresql://homeostat@{net.database}/{name}"
        machines = {}
        for side in SIDES:
            (folder / side).mkdir()
            file = configuration(folder / side, relay.port, url)
            _adapt(file, f"http://{net.target}:{relay.port}", lease, interval)
            machines[side] = stack.enter_context(forking(folder / side, (file,), net.inside(side)))
        west = folder / WEST
        stage = Stage(
            folder=west,
            seed=seed,
            relay=relay,
            zygote=machines[WEST],
            host_url=host.url,
            files=(west / "homeostat.yaml",),
            database=local,
        )
        ready = Cut(net=net, server=server, stage=stage, zygotes=machines, lives={})
        _begin(ready)
        yield ready


def _begin(ready: Cut) -> None:
    """Let one controller see v1 serve well, then release v2; the other gets its anchor."""
    life = ready.start(WEST)
    until(lambda: ready.events() >= 3 * 8, SOON_S, "a controller that ticks")
    life.kill()
    assert ready.stage.change({"version.a": "v2"}).status_code == 200
    anchor = "homeostat.anchor"
    shutil.copy(ready.zygotes[WEST].folder / anchor, ready.zygotes[EAST].folder / anchor)
    ready.lives.clear()


def _adapt(file: Path, host: str, lease: str, interval: str | None) -> None:
    model, controller = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    spec: dict[str, Any] = model["spec"]
    spec["target"]["process"]["host"] = host
    spec["interval"] = interval or spec["interval"]
    controller["spec"]["store"]["lease"] = lease
    file.write_text(yaml.safe_dump_all((model, controller)), encoding="utf-8")


def _ended(said: Account) -> bool:
    return all(versions[-1].state.is_terminal for versions in said.records.values())
