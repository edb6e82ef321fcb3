"""One deployment's parameters: a pytree of arrays, so that fleets and draws are `vmap`s.

Units: seconds, requests, GiB, US dollars; probabilities and shares 0..1. A field with a variant
axis is written [V]. Nothing here changes during an episode; what a fault does to a parameter is
worked out per tick from `faults.Faults`.
"""

import equinox as eqx
from jax import Array


class Service(eqx.Module):
    """How long a batch takes: S(b) = (tau0 + alpha b) x contention / speed.

    Attributes:
        tau0_s: Fixed time of a batch [V].
        alpha_s: Time per request of a batch [V].
        cv2: Squared coefficient of variation of the service time [V].
        batch_max: Largest batch at the start [V].
        batch_limit: Largest batch the server can form.
        queue_delay_s: Longest wait for a batch to fill.
        concurrency: Requests one replica holds at once; more are refused at once.
        kv_capacity: Jobs whose state fits the device memory; beyond it work is done twice.
        recompute_waste: Share of the work that is repeated beyond `kv_capacity`.
    """

    tau0_s: Array
    alpha_s: Array
    cv2: Array
    batch_max: Array
    batch_limit: Array
    queue_delay_s: Array
    concurrency: Array
    kv_capacity: Array
    recompute_waste: Array


class Demand(eqx.Module):
    """Organic load: lambda(t) = interpolated knots x exp(OU noise); retries come on top.

    Attributes:
        knots_rps: Requests per second [LOAD_KNOTS].
        spacing_s: Seconds between knots; after the last one the load stays.
        ou_sd: Stationary standard deviation of the log of the rate modulation.
        ou_tau_s: Its correlation time.
        ca2: Squared coefficient of variation of interarrival times (burstiness).
        heavy_share: Share of heavy requests.
        heavy_cost: Work of a heavy request / that of a normal one.
    """

    knots_rps: Array
    spacing_s: Array
    ou_sd: Array
    ou_tau_s: Array
    ca2: Array
    heavy_share: Array
    heavy_cost: Array


class Client(eqx.Module):
    """What users do.

    Attributes:
        timeout_s: After which an attempt is given up; also the deadline of a good answer.
        retries: Attempts after the first, 0..4.
        backoff_s: Mean wait before the next attempt.
        retry_share: Attempts after the first that each request pays for; inf = no budget.
        retry_burst: Most of them that are ever saved up, requests; nothing without a budget.
        cancel: Share of given-up attempts whose work the server drops.
        sticky: Share of traffic that follows a change of weights only slowly.
        least_loaded: 0 = random choice of a replica, 1 = the one with the least work.
        in_turn: Share of what is chosen blindly that goes to one replica after the other; 0 = all
            of it at random.
    """

    timeout_s: Array
    retries: Array
    retry_share: Array
    retry_burst: Array
    backoff_s: Array
    cancel: Array
    sticky: Array
    least_loaded: Array
    in_turn: Array


class Provision(eqx.Module):
    """Where replicas come from.

    Attributes:
        delay_s: Median time until a machine is there.
        load_s: Median time to load the model.
        sigma: Standard deviation of the log of both.
        probe_deadline_s: A load that takes longer is killed and begun again.
        warm_s: Time at reduced speed after becoming ready.
        cold_speed: Speed during that time, 0..1.
        cap: Most replicas the quota allows, pending ones included.
        spares: Warm spare processes that skip provisioning and loading.
        drain_s: Longest time a draining replica is given.
    """

    delay_s: Array
    load_s: Array
    sigma: Array
    probe_deadline_s: Array
    warm_s: Array
    cold_speed: Array
    cap: Array
    spares: Array
    drain_s: Array


class Memory(eqx.Module):
    """Host memory of one replica.

    Attributes:
        base_gib: After start.
        limit_gib: At which the process is killed.
        per_job_gib: For each job in the system.
    """

    base_gib: Array
    limit_gib: Array
    per_job_gib: Array


class Quality(eqx.Module):
    """How good answers are: a logit-shift model (see `quality.py`).

    Attributes:
        accuracy: On the data it was trained on [V].
        covariate_k: Loss of accuracy per squared standardised shift [V].
        concept_k: Loss of accuracy at a concept turned by 90 degrees [V].
        importance: Share of the accuracy that hangs on the feature a fault may break [V].
        slice_share: Share of users in the singled-out slice.
        prior: Base rate of the positive class.
        sharpness: Concentration of the Beta-distributed predictions.
        label_delay_s: Until a label arrives.
        label_share: Predictions that ever get one.
        retrain_s: Time to retrain and gate a model.
        retrain_gain: Share of a drift's loss that a retrained model recovers.
        floor: Accuracy promised: the SLO's quality floor.
    """

    accuracy: Array
    covariate_k: Array
    concept_k: Array
    importance: Array
    slice_share: Array
    prior: Array
    sharpness: Array
    label_delay_s: Array
    label_share: Array
    retrain_s: Array
    retrain_gain: Array
    floor: Array


class Limits(eqx.Module):
    """What every request passes besides the replicas; `inf` = no such limit.

    Attributes:
        frontend_rps: Requests per second and replica that the front end can pass on.
        connections: Requests in flight through the proxy.
        dependency_rps: What a dependency can serve.
        network_s: Round trip to a replica.
    """

    frontend_rps: Array
    connections: Array
    dependency_rps: Array
    network_s: Array


class Money(eqx.Module):
    """Prices and budgets.

    Attributes:
        usd_per_hour: Price of a replica, from the moment it is asked for [V].
        budget_usd_per_hour: Hourly budget.
        hard_cap: Most replicas the policy allows.
    """

    usd_per_hour: Array
    budget_usd_per_hour: Array
    hard_cap: Array


class Promise(eqx.Module):
    """What users were promised.

    Attributes:
        p99_s: 99th percentile of latency.
        availability: Share of requests answered well.
    """

    p99_s: Array
    availability: Array


class Actuation(eqx.Module):
    """How the platform carries out writes.

    Attributes:
        latency_s: Between a write and the start of its effect.
        fail: Probability that a write is lost.
    """

    latency_s: Array
    fail: Array


class Params(eqx.Module):
    """One deployment.

    Attributes:
        service: Service law.
        demand: Organic load.
        client: Users.
        provision: Replicas.
        memory: Host memory.
        quality: Answers.
        limits: Front end, connections, dependency, network.
        money: Prices and budgets.
        promise: Objectives.
        actuation: The platform.
        replicas: Replicas at the start [V].
        weights: Traffic shares at the start [V], sum 1.
    """

    service: Service
    demand: Demand
    client: Client
    provision: Provision
    memory: Memory
    quality: Quality
    limits: Limits
    money: Money
    promise: Promise
    actuation: Actuation
    replicas: Array
    weights: Array
