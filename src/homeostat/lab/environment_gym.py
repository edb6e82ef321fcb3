"""`homeostat/Deployment-v0` for Gymnasium, and the same as a vector of deployments.

It needs the extra `homeostat[gym]`; this module is importable without it.

    from homeostat.lab import environment_gym
    environment_gym.register(environment)
    gymnasium.make("homeostat/Deployment-v0")

An action that the mask forbids is not carried out: holding still is, and `info["refused"]` says so.
So learners without masks can train here unchanged; those with masks find them in
`info["action_mask"]` and in `action_masks()`, as stable-baselines3-contrib asks for it.
"""

from typing import Any, Final

import numpy as np
from typing_extensions import override

from homeostat.lab.environment_play import Play, Stepped
from homeostat.learn.ppo_world import Environment

NAME: Final = "homeostat/Deployment-v0"


def register(environment: Environment) -> None:
    """Let `gymnasium.make(NAME)` and `gymnasium.make_vec(NAME)` make this environment.

    Args:
        environment: For example `lab.environment.Deployment`.

    Raises:
        ImportError: Gymnasium is not installed.
    """
    import gymnasium  # noqa: PLC0415 - the room is importable without it

    gymnasium.register(
        id=NAME,
        entry_point=lambda **_: single(environment),
        vector_entry_point=lambda num_envs=1, **_: vector(environment, num_envs),
        disable_env_checker=False,
    )


def single(environment: Environment) -> Any:
    """Return one deployment as a `gymnasium.Env`.

    Raises:
        ImportError: Gymnasium is not installed.
    """
    import gymnasium  # noqa: PLC0415 - as above

    class Deployment(gymnasium.Env):  # type: ignore[misc,unused-ignore]  # nothing without types
        metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it
        render_mode: str | None = None

        def __init__(self) -> None:
            self.play = Play(environment)
            self.observation_space, self.action_space = _spaces(environment)

        @override
        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
            super().reset(seed=seed, options=options)
            seen, mask = self.play.reset(seed)
            return seen[0], {"action_mask": mask[0]}

        @override
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            found = self.play.step([action])
            info = {name: value[0] for name, value in _info(environment, found).items()}
            reward = float(found.reward[0])
            return found.seen[0], reward, bool(found.ended[0]), bool(found.cut[0]), info

        def action_masks(self) -> np.ndarray:
            mask: np.ndarray = self.play.mask[0]
            return mask

    return Deployment()


def vector(environment: Environment, count: int) -> Any:
    """Return several deployments as a `gymnasium.vector.VectorEnv`.

    One that is over begins anew with the next step, whose action is not looked at, as Gymnasium's
    own vectors do by default.

    Raises:
        ImportError: Gymnasium is not installed.
    """
    import gymnasium  # noqa: PLC0415 - as above
    from gymnasium.vector.utils import batch_space  # noqa: PLC0415 - as above

    class Deployments(gymnasium.vector.VectorEnv):  # type: ignore[misc,unused-ignore]  # as above
        metadata: dict[str, Any] = {  # noqa: RUF012 - as above
            "render_modes": [],
            "autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP,
        }
        render_mode: str | None = None

        def __init__(self) -> None:
            self.play, self.num_envs = Play(environment, count), count
            seen, actions = _spaces(environment)
            self.single_observation_space, self.single_action_space = seen, actions
            self.observation_space = batch_space(seen, count)
            self.action_space = batch_space(actions, count)
            self._over = np.zeros(count, bool)

        @override
        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
            super().reset(seed=seed, options=options)
            self._over = np.zeros(count, bool)
            seen, mask = self.play.reset(seed)
            return seen, {"action_mask": mask}

        @override
        def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
            found, self._over = stepped(self.play, actions, self._over)
            info = _info(environment, found)
            return found.seen, found.reward, found.ended, found.cut, info

        def action_masks(self) -> np.ndarray:
            return self.play.mask

    return Deployments()


def stepped(play: Play, actions: Any, over: np.ndarray) -> tuple[Stepped, np.ndarray]:
    """Return a step of a vector in which episodes that were over begin anew, and which are now.

    Args:
        play: The environments.
        actions: One of each; of those that were over it is not looked at.
        over: Which were over after the last step.
    """
    found = play.step(np.where(over, 0, np.asarray(actions)))
    if over.any():
        seen, mask = play.again(over)
        found = Stepped(
            seen=seen,
            mask=mask,
            reward=np.where(over, 0.0, found.reward),
            ended=found.ended & ~over,
            cut=found.cut & ~over,
            costs=np.where(over[:, None], 0.0, found.costs),
            refused=found.refused & ~over,
        )
    return found, found.ended | found.cut


def _spaces(environment: Environment) -> tuple[Any, Any]:
    from gymnasium.spaces import Box, Discrete  # noqa: PLC0415 - as above

    size = len(environment.observations)
    return Box(-1.0, 1.0, (size,), np.float32), Discrete(len(environment.actions))


def _info(environment: Environment, found: Stepped) -> dict[str, np.ndarray]:
    """Return what else a step says, `[n, ...]` each."""
    costs = {f"cost:{name}": found.costs[:, i] for i, name in enumerate(environment.costs)}
    return {"action_mask": found.mask, "refused": found.refused} | costs
