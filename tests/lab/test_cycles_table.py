"""The HASH table's lines: every hour is played once, and a line is a ratio of sums over hours."""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from types import SimpleNamespace

import numpy as np
import pytest

from homeostat.lab import cycles_table
from homeostat.lab import draw as draw_module
from homeostat.lab.ambient import AMBIENT
from homeostat.lab.cycles import MOST, Cycle, draw_cycles, happen, size_of
from homeostat.lab.cycles import hour as hour_of
from homeostat.lab.cycles_table import COLUMNS, Piece, Rows, Table, play_piece
from homeostat.lab.deployment_build import build
from homeostat.lab.draw import draw_together, rows_of
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.scenario_schema import load
from homeostat.lab.shards import Options
from homeostat.lab.types import Episode
from homeostat.twin.primitives import INDEX
from homeostat.twin.shapes import FAULTS, Shape


@cache
def scenarios() -> tuple[Scenario, ...]:
    folder = resources.files("homeostat.lab") / "catalogue"
    found = [load((folder / f"{n}.yaml").read_bytes(), n) for n in ("infrastructure", "load")]
    return tuple(one for file in found for one in file if one.id in {"S02", "S07", "S09"})


class Player:
    """Plays by a rule: every incident costs 600 s; remembers what it was asked."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def __call__(self, pieces: Sequence[Piece]) -> Iterator[Rows]:
        for piece in pieces:
            self.pieces.append(piece)
            yield {
                (piece.policy, cycle.number, count): hour(cycle, count)
                for cycle, count in piece.pairs
            }


def hour(cycle: Cycle, count: int) -> tuple[float, ...]:
    """Return a row: big hours have ten times the requests of small ones."""
    offered = 10_000.0 if cycle.number % 2 else 1_000.0
    row = {
        "counted_s": 3600.0,
        "up_s": 3600.0 - 600.0 * min(count, 4),
        "offered": offered,
        "failed": 0.01 * offered * count,
        "latency_s": (0.1 if cycle.number % 2 else 0.5) * offered,
        "recovery_s": 60.0 * count if count else math.nan,
        "recovered": float(count < 3),
    }
    return tuple(row[name] for name in COLUMNS)


def table(player: Player, cycles: Sequence[Cycle], **more: object) -> Table:
    return Table(scenarios(), cycles, Options(width=4), play=player, **more)  # type: ignore[arg-type]


def test_a_line_is_a_ratio_of_sums_with_an_interval_around_it() -> None:
    drawn = draw_cycles(3, cycles=40, seed=5)
    counts = np.array([min(cycle.count(0.8), 4) for cycle in drawn])
    line = table(Player(), drawn).line("threshold", 0.8)
    assert line.incidents == sum(cycle.count(0.8) for cycle in drawn)
    assert line.uptime.value == pytest.approx(1.0 - counts.mean() / 6.0)
    # By request, not by hour: 20 hours of 10,000 requests at 100 ms, 20 of 1,000 at 500 ms.
    assert line.latency_ms.value == pytest.approx((10 * 100 + 500) / 11)
    for figure in (line.uptime, line.latency_ms, line.error_rate, line.recovery_s):
        assert figure.low is not None
        assert figure.high is not None
        assert figure.value is not None
        assert figure.low < figure.value < figure.high
    assert line.uptime.n == 40
    assert line.recovery_s.n == int((counts > 0).sum())


def test_an_hour_that_does_not_recover_counts_as_longer_than_it_was_watched() -> None:
    cycles = tuple(Cycle(number=k, chance=0.99, incidents=((0, k),) * 6) for k in range(4))
    line = table(Player(), cycles).line("hold", 1.7)
    assert cycles[0].count(1.7) >= 3
    assert line.recovery_s.value == 3600.0  # restricted to the hour; none recovered


def test_without_incidents_there_is_nothing_to_recover_from() -> None:
    line = table(Player(), draw_cycles(3, cycles=10)).line("hold", 0.0)
    assert line.incidents == 0
    assert line.uptime.value == 1.0
    assert line.recovery_s.value is None


def test_a_denser_line_plays_only_the_hours_that_changed() -> None:
    player = Player()
    drawn = draw_cycles(3, cycles=30, seed=2)
    some = table(player, drawn)
    some.line("threshold", 0.3)
    first = sum(len(piece.pairs) for piece in player.pieces)
    some.line("threshold", 0.6)
    changed = sum(cycle.count(0.3) != cycle.count(0.6) for cycle in drawn)
    assert first == 30
    assert 0 < changed < 30
    assert sum(len(piece.pairs) for piece in player.pieces) == first + changed
    some.line("threshold", 0.3)
    assert sum(len(piece.pairs) for piece in player.pieces) == first + changed


def test_what_was_kept_is_not_played_again_and_another_policy_is() -> None:
    player, drawn = Player(), draw_cycles(3, cycles=12)
    kept = {("hold", cycle.number, cycle.count(0.5)): hour(cycle, 0) for cycle in drawn}
    some = table(player, drawn, kept=kept)
    some.line("hold", 0.5)
    assert player.pieces == []
    some.line("hpa", 0.5)
    assert {piece.policy for piece in player.pieces} == {"hpa"}


def test_a_piece_is_of_one_size_and_not_wider_than_asked() -> None:
    player = Player()
    table(player, draw_cycles(3, cycles=50, seed=1)).line("hold", 1.0)
    for piece in player.pieces:
        assert 1 <= len(piece.pairs) <= 4
        assert len({size_of(scenarios(), *pair) for pair in piece.pairs}) == 1
    sizes = {size_of(scenarios(), *piece.pairs[0]) for piece in player.pieces}
    assert sizes == {(16, 1.0), (32, 1.0), (16, 0.25), (32, 0.25)}  # with S09 and without


def test_the_digest_names_scenarios_cycles_and_options() -> None:
    drawn = draw_cycles(3, cycles=5)
    digests = {
        table(Player(), drawn).digest(),
        table(Player(), draw_cycles(3, cycles=5, seed=1)).digest(),
        Table(scenarios()[:2], draw_cycles(2, cycles=5), Options(width=4)).digest(),
        Table(scenarios(), drawn, Options(width=4, code="other")).digest(),
    }
    assert len(digests) == 4


def test_what_one_incident_costs_is_told_by_family() -> None:
    some = table(Player(), draw_cycles(3, cycles=40, seed=3))
    assert some.alone("threshold") == {}
    some.line("threshold", 1.0)
    alone = some.alone("threshold")
    assert set(alone) == {"infrastructure", "load"}
    assert all(figure.value == pytest.approx(10.0) for figure in alone.values())


def test_an_hour_in_health_has_no_fault_that_could_begin_or_repeat() -> None:
    folder = resources.files("homeostat.lab") / "catalogue"
    found = load((folder / "infrastructure.yaml").read_bytes(), "infrastructure.yaml")
    pulses = next(one for one in found if one.id == "S06")
    cycle = Cycle(number=0, chance=0.5, incidents=((0, 472427033),) * MOST)
    # Its fault comes in pulses: "never" and a period once made an hour of NaN of it.
    assert np.asarray(hour_of([pulses], cycle, 1).faults.period_s).max() > 0.0
    healthy = hour_of([pulses], cycle, 0)
    assert healthy.benign
    assert np.isinf(np.asarray(healthy.faults.start_s)).all()
    assert not np.asarray(healthy.faults.period_s).any()
    assert (np.asarray(healthy.faults.shape) == Shape.RAMP).all()


def catalogue() -> dict[str, Scenario]:
    folder = resources.files("homeostat.lab") / "catalogue"
    names = ("serving.yaml", "infrastructure.yaml", "load.yaml", "observability.yaml")
    every = [one for name in names for one in load((folder / name).read_bytes(), name)]
    return {one.id: one for one in every}


def magnitudes(episode: Episode, primitive: str) -> np.ndarray:
    rows = np.asarray(episode.faults.primitive) == INDEX[primitive]
    begun = np.isfinite(np.asarray(episode.faults.start_s))
    found: np.ndarray = np.asarray(episode.faults.magnitude)[rows & begun]
    return found


def test_a_later_incident_is_drawn_for_the_deployment_that_it_happens_to() -> None:
    """A limit of connections is a share of those in flight here, not where it was first drawn."""
    second = catalogue()["S19"]
    for first in (catalogue()["S01"], catalogue()["S07"]):
        for seed in range(6):
            incidents = ((first, seed), (second, 7))
            (limit,) = magnitudes(draw_together(incidents), "conn_limit")
            in_flight = build(draw_module._merged(incidents)).in_flight
            share = draw_module._params(second, 7)["limit"]
            assert limit == max(1.0, math.floor(share * in_flight))


def test_replicas_that_are_hit_are_ones_that_the_deployment_has() -> None:
    first, second = catalogue()["S01"], catalogue()["S13"]
    for seed in range(20):
        both = draw_together(((first, seed), (second, seed + 100)))
        have = int(both.drawn["deployment.replicas_a"] + both.drawn["deployment.replicas_b"])
        hit = np.asarray(both.faults.slots)[np.isfinite(both.faults.start_s)]
        some = ~hit.all(axis=-1)
        assert hit[some][:, :have].any(axis=-1).all()


def test_what_a_later_incident_needs_of_the_deployment_is_there() -> None:
    """Without asking again there is no storm of retries."""
    first, second = catalogue()["S01"], catalogue()["S09"]
    numbers = draw_module._merged(((first, 3), (second, 4)))
    own = draw_module._numbers(second, 4, draw_module._params(second, 4))
    usual = draw_module._numbers(first, 3, draw_module._params(first, 3))
    sets = [
        set(one.deployment) | {AMBIENT[part.primitive] for part in one.faults if part.ambient}
        for one in (first, second)
    ]
    taken = sets[1] - sets[0]
    assert {"base_rho", "timeout_s", "queue_ratio"} <= taken
    assert numbers == usual | {key: own[key] for key in taken}


@pytest.mark.slow
def test_no_incident_is_lost_in_part_and_every_one_that_is_counted_happens() -> None:
    every = tuple(catalogue().values())
    for cycle in draw_cycles(len(every), cycles=60, seed=5):
        for count in (1, 3, MOST):
            among = happen(every, cycle, count)
            assert among == happen(every, cycle, MOST)[: len(among)]
            assert len(among) == count or count == MOST
            episode = hour_of(every, cycle, count)
            begun = int(np.isfinite(np.asarray(episode.faults.start_s)).sum())
            assert begun == sum(rows_of(scenario) for scenario, _ in among) <= FAULTS


def test_more_faults_than_an_episode_holds_are_refused_by_name() -> None:
    most = max(catalogue().values(), key=rows_of)
    many = tuple((most, seed) for seed in range(FAULTS))
    with pytest.raises(DrawError, match=f"an episode holds {FAULTS}"):
        draw_together(many)
    with pytest.raises(DrawError, match="at least one"):
        draw_together(())


def test_an_hour_that_is_no_number_is_an_error_and_not_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoilt = tuple(math.nan if name == "offered" else 1.0 for name in COLUMNS)
    monkeypatch.setattr(cycles_table, "_rows", lambda _: [spoilt])
    monkeypatch.setattr(cycles_table, "world_for", lambda *_: FakeWorld())
    pairs = ((draw_cycles(3, cycles=1)[0], 1),)
    piece = Piece(policy="hold", pairs=pairs, scenarios=scenarios(), options=Options(width=4))
    with pytest.raises(FloatingPointError, match=r"cycle 0 with 1 incidents.*offered are not"):
        play_piece(piece)


class FakeWorld:
    """Plays nothing."""

    def play(self, *_: object) -> SimpleNamespace:
        return SimpleNamespace(trace=None)


@pytest.mark.long
def test_the_twin_plays_an_hour_with_and_without_incidents() -> None:
    cases = tuple(one for one in scenarios() if one.id != "S02")
    drawn = draw_cycles(2, cycles=4, seed=7)
    pairs = ((drawn[0], 0), (drawn[1], 1), (drawn[2], 3), (drawn[3], 6))
    piece = Piece(policy="hold", pairs=pairs, scenarios=cases, options=Options(width=4))
    rows = play_piece(piece)
    assert list(rows) == [("hold", cycle.number, count) for cycle, count in pairs]
    named = {key[2]: dict(zip(COLUMNS, row, strict=True)) for key, row in rows.items()}
    assert all(row["counted_s"] == 3600.0 for row in named.values())
    assert named[0]["up_s"] == 3600.0
    assert math.isnan(named[0]["recovery_s"])
    assert named[6]["up_s"] < named[0]["up_s"]
