"""Settings of the variational autoencoder: what is fitted, how it is trained, when it alarms."""

from dataclasses import dataclass
from typing import Final

_WIDTH_MAX: Final = 1024  # layers and inputs beyond this cannot be trained in a minute on one core


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings. Their defaults were chosen on made data with known faults, on no benchmark.

    Attributes:
        window: Ticks in one input; the model judges the last tick with those before it.
        components: Most principal components that are the network's inputs.
        explained: Share of the variance that the kept components explain, in (0, 1].
        range_quantile: Share of values beyond each end of a column's range; 0 is the plain
            minimum and maximum of HASH, which one wild value stretches.
        margin: Values are clipped this many ranges beyond the range.
        far: Beyond this many ranges outside a value is not where anything was learnt.
        latent: Latent dimensions.
        hidden: Widths of the two hidden layers, from the outside in; the decoder mirrors them.
        learning_rate: Of Adam.
        batch: Windows in one step.
        steps: Steps in one round; after each the held-out ELBO is taken.
        rounds: Most rounds; 0 is probabilistic PCA, without a network and without JAX.
        patience: Rounds without a better held-out ELBO before training stops.
        held_out: Share of the believed windows that train nothing, in (0, 0.5].
        seed: Of initial weights, batches and noise.
        as_written: Minimise HASH's loss with its sign, KL plus log-likelihood. It unlearns the
            data; it is there to show that.
        spacing: Least ticks between tests for an alarm, at least `window`. A model whose scores
            follow a slow load tests less often, see `vae_model`. The default is 4 minutes at a
            tick of 15 s.
        run_length: Mean ticks between false alarms of one entity, at least. The default is one
            false incident per 1,000 entities and day at a tick of 15 s, as of `conformal`.
    """

    window: int = 4
    components: int = 64
    explained: float = 0.99
    range_quantile: float = 0.001
    margin: float = 1.0
    far: float = 10.0
    latent: int = 12
    hidden: tuple[int, int] = (64, 32)
    learning_rate: float = 0.002
    batch: int = 256
    steps: int = 64
    rounds: int = 60
    patience: int = 5
    held_out: float = 0.2
    seed: int = 0
    as_written: bool = False
    spacing: int = 16
    run_length: float = 5_760_000.0

    def __post_init__(self) -> None:
        """Refuse settings that no model can have.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        counts = ("window", "components", "latent", "batch", "steps", "patience", "rounds")
        for name in counts:
            least = 0 if name == "rounds" else 1
            if not least <= getattr(self, name) <= _WIDTH_MAX:
                said = getattr(self, name)
                raise ValueError(f"vae: {name} must be in {least}..{_WIDTH_MAX}, got {said}")
        outer, inner = self.hidden
        if not (1 <= outer <= _WIDTH_MAX and 1 <= inner <= _WIDTH_MAX):
            raise ValueError(f"vae: hidden must be two widths in 1..{_WIDTH_MAX}: {self.hidden}")
        if self.latent > self.components:
            raise ValueError(
                f"vae: latent {self.latent} must not exceed components {self.components}"
            )
        self._refuse_shares()

    def _refuse_shares(self) -> None:
        for name, low, high in (
            ("explained", 0.0, 1.0),
            ("held_out", 0.0, 0.5),
            ("learning_rate", 0.0, 1.0),
        ):
            if not low < getattr(self, name) <= high:
                raise ValueError(
                    f"vae: {name} must be in ({low}, {high}], got {getattr(self, name)}"
                )
        if not 0.0 <= self.range_quantile < 0.25:  # noqa: PLR2004 - half of the values remain
            raise ValueError(f"vae: range_quantile must be in [0, 0.25): {self.range_quantile}")
        if not 0.0 < self.margin <= self.far:
            raise ValueError(f"vae: margin must be in (0, far={self.far}], got {self.margin}")
        if not self.window <= self.spacing <= _WIDTH_MAX:
            raise ValueError(
                f"vae: spacing must be in window={self.window}..{_WIDTH_MAX}, got {self.spacing}"
            )
        if not 1e3 <= self.run_length <= 1e12:  # noqa: PLR2004 - doubt must be below an alarm
            raise ValueError(f"vae: run_length must be in [1e3, 1e12], got {self.run_length}")
