"""The ramp of a canary: traffic for a pool that runs something new, rung by rung.

Only names the action; the guards say whether it may run, and the comparison of both pools whether
a rung is followed by the next (`govern.ramp`). Which version the pool runs is not its business:
whoever delivers it does so before, while the pool has no traffic, or hardly any.
"""

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.guard import GuardState
from homeostat.base.world import ReplicaState

# Requests that were under way when the weights changed have been answered by then.
_SETTLE_SCRAPES = 2.0
_LEAST_RUNGS = 2  # one to compare on, and the promotion


def proposed(state: GuardState) -> Action | str:
    """Return the ramp from the present share to all of the traffic, or why there is none.

    Args:
        state: What the guards see; read from it are the policy, the world and the weights.
    """
    managed, world = state.managed, state.world
    policy = managed.canary
    if policy is None:
        return f"{managed.name} has no canary; name its pool under spec.canary"
    if managed.traffic_actuator is None:
        return f"{managed.name} has nothing that divides its traffic; configure target.envoy"
    if world is None:
        return "the deployment cannot be read"
    lever = names.lever_weight(policy.pool)
    live = world.lever(lever)
    if not isinstance(live, int | float):
        return f"{lever} is not reported; add the pool to target.envoy.weights"
    serving = [slot for slot in world.replicas if slot.pool == policy.pool]
    if not any(slot.state is ReplicaState.READY for slot in serving):
        return f"pool {policy.pool} has no ready replica; start one before it gets traffic"
    ramp = tuple(rung for rung in policy.ramp if rung > live)
    if len(ramp) < _LEAST_RUNGS:
        return (
            f"{lever} is {live:g}, and there is nothing between it and all of the traffic to "
            f"compare on; set it below {policy.ramp[-_LEAST_RUNGS]:g} first"
        )
    return Action(
        kind=ActionKind.SHIFT_TRAFFIC,
        subject=names.pool(policy.pool),
        actuator=managed.traffic_actuator,
        change=((lever, ramp[-1]),),
        undo=UndoKind.EXACT,
        ramp=ramp,
        settle_ns=round(_SETTLE_SCRAPES * managed.scrape_ns),
        beside=managed.stable_pool,
    )
