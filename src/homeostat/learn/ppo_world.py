"""What a policy is trained in: an environment as pure functions, and what came of acting in it.

An environment is one deployment's; whoever trains runs many side by side. All that is large stands
in `world`, which is an argument of the compiled programs and not a constant in them.
"""

from typing import Any, NamedTuple, Protocol

from jax import Array


class Seen(NamedTuple):
    """What a policy is told.

    Attributes:
        numbers: Observation, float32 `[number]`.
        mask: Actions that are allowed now, bool `[action]`; the first, holding still, always is.
    """

    numbers: Array
    mask: Array


class Result(NamedTuple):
    """What a step came to.

    Attributes:
        seen: Where it led to.
        reward: What is to be maximised.
        costs: What may be limited, `[cost]`.
        ended: Bool: nothing comes after it.
        cut: Bool: the episode stops here though the deployment goes on.
    """

    seen: Seen
    reward: Array
    costs: Array
    ended: Array
    cut: Array


class Environment(Protocol):
    """One deployment to be trained in. Pure: chance is a key, the state is handed on."""

    @property
    def observations(self) -> tuple[str, ...]:
        """What each number of an observation is."""

    @property
    def actions(self) -> tuple[str, ...]:
        """What each action does; the first holds still."""

    @property
    def costs(self) -> tuple[str, ...]:
        """What each cost counts."""

    @property
    def world(self) -> Any:
        """All that the functions read and never change: a pytree of arrays."""

    def reset(self, world: Any, key: Array) -> tuple[Any, Seen]:
        """Return the state at the beginning of an episode that the key draws."""

    def mask(self, world: Any, state: Any) -> Array:
        """Return what is allowed in a state, bool `[action]`."""

    def step(self, world: Any, state: Any, action: Array, key: Array) -> tuple[Any, Result]:
        """Return the state after an action, and what it came to."""


class Rollout(NamedTuple):
    """A stretch of acting; every field `[step, environment, ...]`.

    Attributes:
        numbers: Observations that were acted on.
        mask: What was allowed.
        action: What was chosen, int32.
        log_p: Its log-probability.
        value: What was expected, `[..., channel]`.
        after: What was expected from where it led to, `[..., channel]`.
        reward: Scaled reward, then the limited costs, `[..., channel]`.
        ended: Bool.
        over: Bool: ended or cut.
    """

    numbers: Array
    mask: Array
    action: Array
    log_p: Array
    value: Array
    after: Array
    reward: Array
    ended: Array
    over: Array


class Tally(NamedTuple):
    """What is counted while acting.

    Attributes:
        so_far: Reward of the episodes under way, unscaled `[environment]`.
        finished: Sum of the rewards of episodes that were over in this stretch.
        episodes: How many were.
        refused: Actions that the mask of their execution forbade; must stay 0.
        chosen: How often each action was carried out `[action]`.
        reward: Sum of rewards over steps, unscaled.
        costs: Sum of every cost over steps `[cost]`.
    """

    so_far: Array
    finished: Array
    episodes: Array
    refused: Array
    chosen: Array
    reward: Array
    costs: Array
