"""The deployments that scenarios happen to: what is drawn, within which bounds, from where.

Numbers are relative where that keeps them consistent (load to capacity, memory to its limit); what
they come to together is in `deployment_build`. A scenario overrides any of them.
Sources: tau0, alpha and batch sizes bracket the calibrated service laws of the research (20 + 2 ms
per batch; 4.4 + 0.33 ms per decode step); load times: Alibaba GenTD26, p50 22.7 s, p95 45.4 s; the
slowness of new replicas 0.2-0.7 for 20-180 s; budget and objectives: the catalogue's defaults.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from homeostat.lab.scenario import Choice, Range, Spec, fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One number of a deployment.

    Attributes:
        usual: How it is drawn if a scenario does not say.
        low: Least that makes sense.
        high: Greatest.
        meaning: One phrase for people, with the unit.
        whole: Whether it is rounded to a whole number.
    """

    usual: Spec
    low: float
    high: float
    meaning: str
    whole: bool = False


def _s(
    usual: Spec | float, low: float, high: float, meaning: str, *, whole: bool = False
) -> Setting:
    spec = fixed(usual) if isinstance(usual, float | int) else usual
    return Setting(usual=spec, low=low, high=high, meaning=meaning, whole=whole)


def _r(low: float, high: float) -> Range:
    return Range(low=low, high=high)


def _log(low: float, high: float) -> Range:
    return Range(low=low, high=high, log=True)


_ONE: Final = 1.0
B_RHO: Final = 0.8  # utilisation at which pool B counts as serving its share

DEFAULTS: Final[Mapping[str, Setting]] = {
    # Size and load.
    "replicas": _s(Range(low=3, high=6, whole=True), 1, 30, "replicas of pool A", whole=True),
    "b_share": _s(_r(0.2, 0.6), 0, 4, "share of the load that B's warm replicas can serve"),
    "base_rho": _s(_r(0.4, 0.7), 0.01, 1.5, "organic load / capacity at the largest batch"),
    "headroom": _s(0.85, 0.01, 100, "most load at the start / load within the p99 promised"),
    "ou_sd": _s(_r(0.02, 0.08), 0, 1, "deviation of the log of the load's modulation"),
    "ou_tau_s": _s(_log(30, 300), 1, 7200, "its correlation time, s"),
    "ca2": _s(_r(1, 1.5), 0.05, 200, "squared coefficient of variation of interarrival times"),
    "heavy_share": _s(0.0, 0, 1, "share of heavy requests"),
    "heavy_cost": _s(4.0, 1, 100, "work of a heavy request / that of another"),
    # Service law.
    "tau0_s": _s(_log(0.01, 0.04), 0.0005, 10, "fixed time of a batch, s"),
    "alpha_ratio": _s(_log(0.02, 0.2), 0.001, 10, "time per request of a batch / fixed time"),
    "cv2": _s(_r(0.3, 1), 0, 20, "squared coefficient of variation of the service time"),
    "batch_max": _s(Choice(options=(4, 8, 16)), 1, 256, "largest batch at the start", whole=True),
    "b_service_ratio": _s(_r(0.85, 1.1), 0.05, 20, "service time of B / of A"),
    "batch_limit": _s(64.0, 1, 1024, "largest batch the server can form", whole=True),
    "queue_delay_s": _s(0.0, 0, 10, "longest wait for a batch to fill, s"),
    "queue_ratio": _s(_r(1.5, 4), 0.05, 100, "requests a replica holds / served in a timeout"),
    "kv_headroom": _s(_r(3, 8), 0.1, 1000, "jobs that fit device memory / in a replica before"),
    "recompute_waste": _s(0.0, 0, 0.95, "share of the work done twice beyond that"),
    # Users.
    "timeout_s": _s(_log(2, 10), 0.25, 600, "after which an attempt is given up, s"),
    "retries": _s(Range(low=0, high=2, whole=True), 0, 4, "attempts after the first", whole=True),
    "backoff_s": _s(_log(0.5, 4), 0, 600, "mean wait before the next attempt, s"),
    "cancel": _s(_r(0.3, 1), 0, 1, "share of given-up attempts whose work is dropped"),
    "sticky": _s(_r(0, 0.3), 0, 1, "share of traffic that follows weights slowly"),
    "least_loaded": _s(Choice(options=(0, 1)), 0, 1, "0 = random replica, 1 = least loaded"),
    # Replicas to come.
    "provision_s": _s(_log(30, 120), 0, 14400, "median time until a machine is there, s"),
    "load_s": _s(_log(10, 50), 0, 14400, "median time to load the model, s"),
    "start_sigma": _s(0.42, 0, 2, "deviation of the log of both"),
    "probe_deadline_s": _s(600.0, 1, 14400, "a load that takes longer is begun again, s"),
    "warm_s": _s(_log(20, 60), 0, 3600, "time at reduced speed after a start, s"),
    "cold_speed": _s(_r(0.5, 0.9), 0.01, 1, "speed during that time"),
    "cap_ratio": _s(_r(1.8, 2.2), 0.5, 30, "replicas the quota allows / those of the start"),
    "hard_cap_ratio": _s(2.0, 0.5, 30, "replicas the policy allows / those of the start"),
    "spares": _s(0.0, 0, 30, "warm spare processes", whole=True),
    "drain_s": _s(30.0, 0, 3600, "longest time to drain, s"),
    # Host memory.
    "memory_gib": _s(_log(2, 16), 0.01, 4096, "host memory at which a process is killed, GiB"),
    "memory_share": _s(_r(0.3, 0.6), 0.01, 0.99, "host memory after a start / that limit"),
    "memory_per_job_mb": _s(_log(0.05, 0.5), 0, 1000, "host memory per request held, MB"),
    # Quality.
    "accuracy": _s(_r(0.86, 0.95), 0.5, 1, "of pool A's model on the data it was trained on"),
    "b_accuracy_delta": _s(_r(-0.035, -0.01), -0.5, 0.5, "accuracy of B against A's"),
    "covariate_k": _s(_r(0.04, 0.12), 0, 1, "accuracy lost per squared standardised shift"),
    "concept_k": _s(_r(0.3, 0.5), 0, 1, "accuracy lost when the concept turns by 90 degrees"),
    "importance": _s(_r(0.2, 0.6), 0, 1, "share of the accuracy that hangs on one input"),
    "b_importance_ratio": _s(_ONE, 0, 1, "0 = B does not use that input, 1 = as much as A"),
    "slice_share": _s(0.05, 0, 1, "share of users in the singled-out slice"),
    "prior": _s(_r(0.2, 0.5), 0.001, 0.999, "base rate of the positive class"),
    "sharpness": _s(_r(4, 12), 0.1, 1000, "concentration of predictions"),
    "label_delay_s": _s(_log(60, 1800), 0, 86400, "until a label arrives, s"),
    "label_share": _s(_r(0.1, 0.5), 0, 1, "predictions that ever get a label"),
    "retrain_s": _s(_log(600, 1800), 1, 86400, "time to retrain and gate a model, s"),
    "retrain_gain": _s(_r(0.7, 0.95), 0, 1, "share of a drift's loss that retraining recovers"),
    "quality_margin": _s(0.05, 0, 0.5, "accuracy below the start that is promised"),
    # What every request passes.
    "network_s": _s(_log(0.0003, 0.002), 0, 10, "round trip to a replica, s"),
    "frontend_ratio": _s(0.0, 0, 1000, "front ends' capacity / load at the start; 0 = no limit"),
    "connection_ratio": _s(0.0, 0, 1e6, "connections / in flight at the start; 0 = no limit"),
    "dependency_ratio": _s(0.0, 0, 1000, "dependency's capacity / load; 0 = none"),
    # Money and promises.
    "usd_per_hour": _s(_log(0.5, 4), 0.0001, 1000, "price of a replica of A, USD/h"),
    "b_price_ratio": _s(_r(0.4, 1), 0.0001, 100, "price of a replica of B / of A"),
    "budget_ratio": _s(1.5, 0.1, 100, "hourly budget / cost of one replica more than at the start"),
    "p99_ratio": _s(3.0, 0.1, 1000, "p99 promised / p99 of an unloaded replica"),
    "availability": _s(0.999, 0.5, 1, "share of requests answered well that is promised"),
    # The platform.
    "write_s": _s(_r(1, 5), 0, 600, "time between a write and its effect, s"),
    "write_fail": _s(0.0, 0, 1, "probability that a write is lost"),
    # Last, because numbers are drawn in this order: which inputs a shift of inputs hits, and how
    # a balancer that does not look deals.
    "affected_features": _s(_ONE, 0, 1, "share of the inputs that a shift of inputs hits"),
    "in_turn": _s(0.0, 0, 1, "1 = replicas in turn, where not the least loaded one is chosen"),
}  # fmt: skip
