"""Which presets fit what is there: by the names of metrics, at most one of each layer."""

from collections.abc import Collection, Mapping

from homeostat.adapters.sources.presets_file import LAYERS, presets


class AmbiguousError(ValueError):
    """Several presets of one layer fit: nobody knows which of them speaks for the deployment."""

    def __init__(self, layer: str, names: Collection[str]) -> None:
        listed = ", ".join(sorted(names))
        super().__init__(
            f"{listed} all fit ({layer}); narrow `select` to one of them, or name it in `presets`"
        )


def choose(names: Collection[str]) -> tuple[str, ...]:
    """Return the presets whose metrics are all there, in the order signals are taken from them.

    Args:
        names: Metric names as they are stored.

    Raises:
        AmbiguousError: Two of one layer fit.

    >>> choose(["vllm:num_requests_running", "vllm:e2e_request_latency_seconds_bucket"])
    ('vllm',)
    >>> choose(["node_cpu_seconds_total", "http_requests_total", "up"])
    ()
    """
    there = frozenset(names)
    found: dict[str, list[str]] = {layer: [] for layer in LAYERS}
    for name, known in presets().items():
        if known.entry.needs and there.issuperset(known.entry.needs):
            found[known.entry.layer].append(name)
    if found["server"] or found["gateway"]:
        found["generic"] = []  # counted by the web framework of what is known better
    for layer, fitting in found.items():
        if len(fitting) > 1:
            raise AmbiguousError(layer, fitting)
    return tuple(name for layer in LAYERS for name in found[layer])


def discover(jobs: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    """Return the jobs that serve models, with their presets; others are left out.

    Args:
        jobs: Metric names by scrape job.

    >>> discover({"node": ["node_load1"], "llm": ["ray_vllm_num_requests_running"]})
    {'llm': ('ray_vllm',)}
    """
    serving = {"server", "engine", "generic"}
    found = {job: choose(names) for job, names in jobs.items()}
    known = presets()
    return {
        job: chosen
        for job, chosen in found.items()
        if any(known[name].entry.layer in serving for name in chosen)
    }
