"""What a controller (or a person) asks of the deployment: absolute lever values, and impulses.

Orders are given between two scrapes and hold until the next ones. A lever that is not to change is
ordered at its present value (`State.ordered`), never left out: absolute values cannot pile up.
"""

import equinox as eqx
from jax import Array


class Orders(eqx.Module):
    """Levers and impulses; every field of one episode.

    Attributes:
        replicas: Wanted replicas of each variant [V].
        weights: Wanted traffic shares [V]; scaled to sum 1.
        batch_max: Wanted largest batch [V].
        concurrency: Wanted requests in flight per replica.
        admit_rps: Most requests per second let in at the gateway; inf = all.
        restart: Slots to restart now [S], bool: the process ends and a new one loads elsewhere.
        drain: Slots out of rotation while true [S], bool.
        rollback: Bool [V]: the variant goes back to its last verified version.
        retrain: Bool: start a retraining, gated by a held-out test, promoted as `CANARY`.
        retrain_ungated: Bool: the same without the gate (what the catalogue calls unsafe).
        person_fixes: Bool: a person's repair takes effect now: what can be ended by one ends, and
            a drift is met with a model trained anew (`people`).
        by_us: Bool: an action of the controller under test is among these orders.
    """

    replicas: Array
    weights: Array
    batch_max: Array
    concurrency: Array
    admit_rps: Array
    restart: Array
    drain: Array
    rollback: Array
    retrain: Array
    retrain_ungated: Array
    person_fixes: Array
    by_us: Array
