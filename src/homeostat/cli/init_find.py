"""Which jobs of a Prometheus serve models, by the names of their metrics, and what is left over.

A handful of queries however many jobs there are: the names that a preset needs, counted by job and
namespace, and the targets. What two presets claim is nobody's; what none claims is left alone.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from homeostat.adapters.sources.presets_choose import AmbiguousError, choose
from homeostat.adapters.sources.presets_file import presets
from homeostat.adapters.sources.prometheus_answer import Series
from homeostat.adapters.sources.prometheus_api import PrometheusApi

_SERVING: Final = frozenset({"server", "engine", "generic"})
_NAME_MAX: Final = 63  # of a DNS label, as names of deployments are


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Targets that are one deployment.

    Attributes:
        name: A name for it, unique among those found.
        job: Its scrape job.
        select: Labels that select its series and no others.
        presets: What its series mean, best first.
        targets: How many are scraped.
        up: Of how many the last scrape worked.
    """

    name: str
    job: str
    select: Mapping[str, str]
    presets: tuple[str, ...]
    targets: int
    up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that a server scrapes, sorted into what is known and what is not.

    Attributes:
        groups: What serves models.
        unclear: Jobs that two presets claim: (job, why).
        beside: Jobs of gateways and platforms: (job, their presets).
        others: Jobs that no preset knows: left alone.
    """

    groups: tuple[Group, ...]
    unclear: tuple[tuple[str, str], ...]
    beside: tuple[tuple[str, tuple[str, ...]], ...]
    others: tuple[str, ...]


@dataclass(slots=True)
class _Job:
    names: set[str] = field(default_factory=set)
    targets: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    up: dict[str, float] = field(default_factory=lambda: defaultdict(float))


async def find(api: PrometheusApi, only: Iterable[str] = ()) -> Found:
    """Return what a server scrapes.

    Args:
        api: The server.
        only: Jobs to look at; all if none.

    Raises:
        QueryError: It does not answer, or not so that it can be believed.
    """
    needed = sorted({name for known in presets().values() for name in known.entry.needs})
    by_job = "by (job,namespace,__name__)"
    asked = (
        f'count {by_job} ({{__name__=~"{"|".join(needed)}"}})',
        "count by (job,namespace) (up)",
        "sum by (job,namespace) (up)",
    )
    named, targets, up = [(await api.instant(one)).whole(api.where).series for one in asked]
    jobs: dict[str, _Job] = defaultdict(_Job)
    for one in named:
        jobs[one.labels.get("job", "")].names.add(one.name)
    for series, part in ((targets, "targets"), (up, "up")):
        for one in series:
            counts = getattr(jobs[one.labels.get("job", "")], part)
            counts[one.labels.get("namespace", "")] += one.samples[-1][1]
    wanted = frozenset(only)
    return sorted_out({job: one for job, one in jobs.items() if job and job in (wanted or jobs)})


def sorted_out(jobs: Mapping[str, _Job]) -> Found:
    """Return jobs by what they are."""
    groups: list[Group] = []
    unclear, beside, others = [], [], []
    taken: set[str] = set()
    for job, one in sorted(jobs.items()):
        try:
            chosen = choose(one.names)
        except AmbiguousError as error:
            unclear.append((job, str(error)))
            continue
        layers = {presets()[name].entry.layer for name in chosen}
        read = tuple(name for name in chosen if presets()[name].rules.rules)
        if layers & _SERVING and read:
            groups += _groups(job, one, read, taken)
        elif chosen:
            beside.append((job, chosen))
        else:
            others.append(job)
    return Found(
        groups=tuple(groups),
        unclear=tuple(unclear),
        beside=tuple(beside),
        others=tuple(others),
    )


def _groups(job: str, one: _Job, chosen: tuple[str, ...], taken: set[str]) -> list[Group]:
    spaces = sorted(space for space in one.targets if space)
    several = spaces if len(spaces) > 1 else [""]
    out = []
    for space in several:
        select = {"job": said(job)} | ({"namespace": said(space)} if space else {})
        counted = [space] if space else list(one.targets)
        name = _unique(f"{job}-{space}" if space else job, taken)
        out.append(
            Group(
                name=name,
                job=job,
                select=select,
                presets=chosen,
                targets=round(sum(one.targets[key] for key in counted)),
                up=round(sum(one.up[key] for key in counted)),
            )
        )
    return out


def said(value: str) -> str:
    r"""Return a label's value as `select` takes it; one that looks like a pattern is escaped.

    >>> said("chat"), said("~a.b")
    ('chat', '~\\~a\\.b')
    """
    return "~" + re.escape(value) if value.startswith("~") else value


def _unique(wanted: str, taken: set[str]) -> str:
    """Return a deployment's name, made of a job's, that no other has."""
    plain = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:_NAME_MAX].strip("-") or "model"
    name, number = plain, 2
    while name in taken:
        ending = f"-{number}"
        name, number = plain[: _NAME_MAX - len(ending)].strip("-") + ending, number + 1
    taken.add(name)
    return name


def labels_of(series: Iterable[Series], label: str) -> list[str]:
    """Return the values that a label has in series, those that are not empty."""
    return sorted({one.labels[label] for one in series if one.labels.get(label)})
