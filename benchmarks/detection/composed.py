"""Lab compositions as recordings of several columns: what a deployment shows, and when it is ill.

Each entity is a deployment of the lab that nobody acts on. What is recorded is what its pages show
at each scrape: the gateway's, the pool's and two replicas' signals (41 columns; in a pool of three
to six, two replicas are seen and the others show in the pool's). Its load has seasons of a few
hours, wanders and has busy stretches, and a job slows one replica down now and then; that is
health. Half of a recording is healthy; in the other half random compositions of fault primitives
(`lab.compose`, none of the catalogue's 43 scenarios) come and go, from three scrapes to an hour
and a half, with health between them.

Labels come from the twin and from no detector: each entity is played twice by the same chance,
with its faults and without, and is ill where the two differ so that it could be seen: by
`_VISIBLE` deviations of the healthy play in some column, or by a value that is there in one and
not in the other. So what a fault leaves behind counts, and a fault that shows nowhere does not.

`python -m detection.composed` judges the shipped stack on them, beside its ranking before decision
65 and beside what users could do by themselves: VUS-PR and event F1 as for SMD. By names it plays
made-up sets as well: `python -m detection.composed many seldom smd` (those of
`detection.several_levels`). Made in three minutes of one core, once, and kept in `build/`.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from detection import judging, peers, peers_run, sets, several_levels, synthetic_many
from detection.synthetic_many import Entity, _memory
from homeostat.base import names
from homeostat.cli import lab_files
from homeostat.detect.stack import Stack, scale
from homeostat.detect.stack_play import play
from homeostat.lab.baselines.levers import standing
from homeostat.lab.compose import unseen
from homeostat.lab.draw import draw_together, rows_of
from homeostat.lab.scenario import (
    Fault,
    Load,
    Onset,
    OnsetShape,
    Profile,
    Range,
    Scenario,
    Target,
    fixed,
)
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.types import Episode
from homeostat.lab.world import Batch, compiled, visible
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import FAULTS, LOAD_KNOTS, SCRAPE_S, Phase, Variant

COUNT: Final = 24
SEED: Final = 7_100_000  # of compositions; none below is used by training or feedback
TICKS: Final = 8640  # 36 hours
TRAINED: Final = TICKS // 2
_LENGTH_S: Final = TICKS * SCRAPE_S
_SLOTS: Final = 16
_SHOWN: Final = 2  # replicas whose own pages are recorded
_SHORTEST_S, _LONGEST_S = 45.0, 5400.0
_SEASON: Final = Range(low=3 * 3600.0, high=8 * 3600.0)
_VISIBLE: Final = 2.0
_GAP: Final = 20  # scrapes that two visible stretches of one incident may lie apart
_DETAIL: Final = 1e-6
_FADING: Final = 0.02
_ROOT: Final = Path(__file__).resolve().parents[2]
_KEPT: Final = _ROOT / "build" / "bench-detection"

_GATEWAY: Final = [
    k for k, name in enumerate(signals.GATEWAY_SIGNALS) if name != signals.USD_PER_HOUR
]
_POOL: Final = [k for k, name in enumerate(signals.VARIANT_SIGNALS) if name != names.ARRIVAL_RATE]
_SLOT: Final = [k for k, name in enumerate(signals.SLOT_SIGNALS) if name != signals.GPU_SHARE]


def entities(count: int = COUNT, *, seed: int = SEED) -> list[Entity]:
    """Return so many deployments as recordings, from what was kept if nothing has changed.

    Args:
        count: Deployments.
        seed: The same gives the same ones.
    """
    path = _KEPT / f"composed-{count}-{seed}-{_digest()}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        ill, well = made(count, seed=seed)
        np.savez_compressed(path, ill=ill.astype(np.float32), well=well.astype(np.float32))
    with np.load(path) as kept:
        ill, well = kept["ill"].astype(float), kept["well"].astype(float)
    return [_entity(ill[:, k], well[:, k]) for k in range(count)]


def made(count: int, *, seed: int) -> tuple[Any, Any]:
    """Return what is seen of so many deployments with their faults and without them.

    Returns:
        Float `[scrape, deployment, column]` both, NaN where nothing is reported.
    """
    drawn = [_episode(seed + 1000 * k) for k in range(count)]
    return _played(drawn), _played([replace(one, faults=_without(one)) for one in drawn])


def _episode(seed: int) -> Episode:
    """Return one deployment with as many compositions as an episode holds."""
    known = lab_files.catalogue(()).scenarios
    draw = np.random.default_rng(seed)
    incidents, rows = [(_deployment(seed), seed)], 1
    episode = draw_together(incidents, slots=_SLOTS)
    for attempt in range(1, 1000):
        if rows == FAULTS:
            break
        composed = unseen(seed + attempt, known=known, most=2, length_s=_LENGTH_S)
        if rows + rows_of(composed) > FAULTS or not rows_of(composed):
            continue
        try:
            episode = draw_together([*incidents, (composed, seed)], slots=_SLOTS)
        except DrawError:  # its deployment has no room here
            continue
        incidents.append((composed, seed))
        rows += rows_of(composed)
    spread = _spread(draw, [one for one, _ in incidents[1:]])
    episode = draw_together([incidents[0], *((one, seed) for one in spread)], slots=_SLOTS)
    return replace(episode, params=_loaded(draw, episode))


def _deployment(seed: int) -> Scenario:
    """Return a deployment in health: its season, and the job that slows one replica down."""
    job = Fault(
        primitive="contention",
        magnitude=Range(low=1.1, high=1.5),
        target=Target.ONE_REPLICA,
        onset=Onset(
            shape=OnsetShape.PULSE,
            start_s=fixed(60.0),
            period_s=Range(low=3600.0, high=4 * 3600.0),
            width_s=Range(low=45.0, high=300.0),
            until_fixed=True,
        ),
    )
    return Scenario(
        id=f"C{seed}",
        name="composed",
        family="load",
        summary="A deployment in health.",
        faults=(job,),
        onset=Onset(shape=OnsetShape.STEP, start_s=fixed(60.0), until_fixed=True),
        length_s=_LENGTH_S,
        deployment={"base_rho": Range(low=0.2, high=0.4)},
        load=Load(profile=Profile.DIURNAL, peak_ratio=Range(low=1.2, high=1.7), period_s=_SEASON),
    )


def _spread(draw: np.random.Generator, composed: Sequence[Scenario]) -> list[Scenario]:
    """Return the compositions one after the other, with health between them, in the second half."""
    each_s = (_LENGTH_S // 2 - 1800.0) / max(len(composed), 1)
    out = []
    for number, one in enumerate(composed):
        longest = min(_LONGEST_S, each_s / 2.0)
        lasts = _SHORTEST_S * (longest / _SHORTEST_S) ** draw.random()
        start = _LENGTH_S // 2 + 600.0 + each_s * number
        start += float(draw.random()) * max(each_s - lasts - 1800.0, 0.0)
        onset = replace(
            one.onset,
            start_s=fixed(float(np.floor(start))),
            duration_s=fixed(float(np.floor(lasts))),
            until_fixed=False,
        )
        out.append(replace(one, onset=onset))
    return out


def _loaded(draw: np.random.Generator, episode: Episode) -> Any:
    """Return the episode's parameters with a load that wanders and has busy stretches."""
    params = episode.params
    knots = np.asarray(params.demand.knots_rps, dtype=float)
    wander = 0.08 * _memory(draw, LOAD_KNOTS, 0.95)
    for start in np.flatnonzero(draw.random(LOAD_KNOTS) < 1.0 / 40.0):
        wander[start : start + int(draw.integers(2, 12))] += draw.uniform(-0.3, 0.25)
    moved = (knots * np.exp(np.clip(wander, -0.5, 0.35))).astype(np.float32)
    return replace(params, demand=replace(params.demand, knots_rps=moved))


def _without(episode: Episode) -> Any:
    """Return the faults of an episode without those that are none of health: all but the first."""
    start: Any = np.asarray(episode.faults.start_s).copy()
    start[1:] = np.inf
    return replace(episode.faults, start_s=start)


def _played(episodes: Sequence[Episode]) -> Any:
    """Return what is seen if nobody acts, float `[scrape, deployment, column]`."""
    batch = Batch(compiled(_SLOTS), episodes, len(episodes))
    orders = standing(batch.episodes)
    out = []
    for _ in range(TICKS):
        _, scrape = batch.advance(orders)
        out.append(_row(visible(scrape, len(episodes))))
    return np.stack(out)


def _row(scrape: Scrape) -> Any:
    """Return the columns of one scrape, `[deployment, column]`."""
    ready = (np.asarray(scrape.phase) == Phase.READY).sum(axis=1, keepdims=True)
    shown = np.asarray(scrape.slot)[:, :_SHOWN][:, :, _SLOT]
    return np.concatenate(
        [
            np.asarray(scrape.gateway)[:, _GATEWAY],
            np.asarray(scrape.variant)[:, Variant.A][:, _POOL],
            ready.astype(float),
            shown.reshape(len(shown), -1),
        ],
        axis=1,
    )


def _entity(ill: Any, well: Any) -> Entity:
    """Return a recording with its labels, from both plays, float `[scrape, column]`."""
    events = judging.scorer().ranges(labelled(ill, well))
    return Entity(
        values=ill, trained=TRAINED, events=tuple(events), kinds=("composed",) * len(events)
    )


def labelled(ill: Any, well: Any) -> Any:
    """Return where a deployment is seen to be ill, bool `[scrape]`.

    Args:
        ill: Its columns with faults, float `[scrape, column]`.
        well: The same without them, by the same chance.
    """
    there = np.isfinite(well)
    known = np.isfinite(ill) & there
    count = np.maximum(there.sum(axis=0), 1)
    level = np.where(there, well, 0.0).sum(axis=0) / count
    deviation = np.sqrt(np.where(there, (well - level) ** 2, 0.0).sum(axis=0) / count)
    far = _VISIBLE * deviation + _DETAIL * (np.abs(level) + 1.0)
    apart = np.where(known, np.abs(ill - well), 0.0) > far
    seen = (apart | (np.isfinite(ill) != there)).any(axis=1)
    at = np.flatnonzero(seen)
    out = seen.copy()
    for before, after in pairwise(at):
        if after - before <= _GAP:
            out[before:after] = True
    return out


def _digest() -> str:
    """Return what the recordings depend on, as a few letters."""
    total = hashlib.sha256(Path(__file__).read_bytes())
    for room in ("lab", "twin"):
        for path in sorted((_ROOT / "src" / "homeostat" / room).rglob("*.py")):
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


def filled(values: Any) -> Any:
    """Return values with the last known one where nothing was reported, for who needs numbers."""
    at = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    return np.nan_to_num(np.take_along_axis(values, np.maximum.accumulate(at, axis=0), axis=0))


def fading_z(values: Any, fading: float = _FADING) -> Any:
    """Return the mean of the five largest distances from a fading mean, in fading deviations."""
    mean, square = values[0].copy(), np.zeros(values.shape[1])
    out = np.empty(len(values))
    for tick, row in enumerate(values):
        away = row - mean
        wide = np.sqrt(square)
        z = np.where(wide > 0.0, np.abs(away) / np.where(wide > 0.0, wide, 1.0), 0.0)
        out[tick] = np.sort(z)[-5:].mean()
        mean += fading * away
        square = (1.0 - fading) * (square + fading * away * away)
    return out


def judged(made_up: Sequence[Entity], scores: Sequence[Any]) -> dict[str, float]:
    """Return VUS-PR and event F1 (best threshold of each) of scores of whole recordings, means."""
    found = []
    for one, score in zip(made_up, scores, strict=True):
        labels = one.labels[one.trained :]
        if labels.any():
            part = np.nan_to_num(score[one.trained :])
            volume = judging.scorer().vus_pr(labels, part)
            found.append((volume, judging.best_f1(labels, part)))
    volume, best = np.mean(found, axis=0)
    return {"VUS-PR": float(volume), "event F1": float(best)}


class Played(NamedTuple):
    """What the shipped stack says of recordings, float or bool `[recording, scrape]`.

    Attributes:
        score: As shipped.
        before: By evidence alone, as it was before decision 65; the same alarms.
        alarm: Where an incident starts.
    """

    score: Any
    before: Any
    alarm: Any


def shipped(made_up: Sequence[Entity]) -> Played:
    """Return what the shipped stack says of recordings of one length and width."""
    said = play(Stack(), np.stack([one.values for one in made_up], axis=1)).said
    lesser = (said.anomaly_score >= 0.4) & ~said.alarm
    before = scale(said.neg_log10_p, said.alarm, lesser)
    return Played(said.anomaly_score.T, before.T, said.alarm.T)


def told(made_up: Sequence[Entity], alarm: Any) -> str:
    """Return in words how many incidents are told of, and how many false ones there are."""
    found = false = healthy = 0
    for one, own in zip(made_up, alarm, strict=True):
        labels = one.labels[one.trained :]
        wins, live = judging.scorer().ranges(labels), np.ones(len(labels), dtype=bool)
        hits, _, wrong = judging.scorer().events(own[one.trained :], wins, live)
        found, false = found + sum(map(bool, hits)), false + wrong
        healthy += int((~labels).sum())
    return f"{found} told of, {false} false in {healthy:,} healthy scrapes"


def others(made_up: Sequence[Entity]) -> Iterator[tuple[str, list[Any]]]:
    """Yield what users could do by themselves, by name; PyOD where it is installed."""
    whole = [filled(one.values) for one in made_up]
    first = [one.trained for one in made_up]
    pairs = list(zip(whole, first, strict=True))
    yield "robust z of the first part, 5 worst", [peers_run.robust_z(*pair) for pair in pairs]
    yield "fading z, 5 worst", [fading_z(values) for values in whole]
    recordings = [
        sets.made(str(k), sets.Read(None, values, np.zeros(len(values), dtype=bool), begin))
        for k, (values, begin) in enumerate(pairs)
    ]
    for one in peers.run_several(recordings):
        if one.title.startswith("robust z"):  # it is there without the peers' environment
            continue
        pads = (np.concatenate([np.zeros(b), s]) for b, s in zip(first, one.scores, strict=True))
        yield one.title, list(pads)


def made_up_sets() -> dict[str, Callable[[], list[Entity]]]:
    """Return the sets by name, to be made when they are wanted."""
    return {
        "composed": entities,
        "many": lambda: synthetic_many.entities(12, seed=11),
        "seldom": lambda: several_levels.made(12, several_levels.SELDOM),
        "smd": lambda: several_levels.of_smd(13, several_levels.SELDOM),
    }


def main() -> None:
    """Print of each set how many incidents there are, and what each is worth."""
    for name in sys.argv[1:] or ("composed",):
        made_up = made_up_sets()[name]()
        events = sum(len(one.events) for one in made_up)
        share = np.mean([one.labels[one.trained :].mean() for one in made_up])
        ours = shipped(made_up)
        print(f"{name}: {len(made_up)} entities, {events} incidents, {share:.1%} of what is scored")
        print(f"  homeostat's alarms: {told(made_up, ours.alarm)}")
        pairs = [("homeostat", ours.score), ("homeostat before decision 65", ours.before)]
        for who, scores in chain(pairs, others(made_up)):
            found = ", ".join(f"{what} {one:.3f}" for what, one in judged(made_up, scores).items())
            print(f"  {who}: {found}", flush=True)


if __name__ == "__main__":
    main()
