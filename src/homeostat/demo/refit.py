"""A refit of the demo's model on recent labelled rows, and whether it is better than what serves.

The newest rows are held back: a new version is fitted on the older ones and compared with the
version that serves on rows that neither has seen. Too few rows, one class only, or a difference
that chance explains is a refusal in words and never a version. Whether it may serve is not said
here: that is the canary's.
Source: exact conditional form of McNemar's test, Psychometrika 12 (1947), with the interval of
Clopper & Pearson for the share of the rows that tell the two apart.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from homeostat.demo import artefact
from homeostat.demo.artefact import Floats, Model
from homeostat.stats.exact import lower_bound

Labels = NDArray[np.int64]

# Of the rows, the newest. After a shift of 2 what serves is right in 77 % and a refit in 90: of the
# thousand rows of a demo's window a quarter tells them apart in two of three draws only.
HELD_SHARE: Final = 0.4
FIT_MIN: Final = 150  # ten for each coefficient, nearly
HELD_MIN: Final = 50
CLASS_MIN: Final = 10  # of the rarer class, in either part
SURE: Final = 0.95  # a false yes costs a ramp: whether it may serve is the canary's to say
PREFIX: Final = "r-"
"""What the name of a version begins with that came of an order."""
_THRESHOLD: Final = 0.5
_KEY_KEPT: Final = 44  # with prefix and digest within the 63 characters of a version's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Labelled rows of some time.

    Attributes:
        inputs: Float64 `[row, feature]`, in the features' own units.
        labels: Int64 `[row]`, 1 or 0.
        at: Float64 `[row]`, when each was asked about, epoch seconds.
    """

    inputs: Floats
    labels: Labels
    at: Floats

    def __post_init__(self) -> None:
        """Refuse what is no such table.

        Raises:
            ValueError: Names what is wrong.
        """
        count = len(self.labels)
        if self.inputs.ndim != 2 or self.labels.ndim != 1 or self.at.ndim != 1:  # noqa: PLR2004 - row, feature
            raise ValueError("rows are inputs [row, feature], labels [row] and times [row]")
        if len(self.inputs) != count or len(self.at) != count:
            raise ValueError(f"{len(self.inputs)} inputs, {count} labels, {len(self.at)} times")
        if not (np.isfinite(self.inputs).all() and np.isfinite(self.at).all()):
            raise ValueError("an input or a time is not a finite number")
        if not np.isin(self.labels, (0, 1)).all():
            raise ValueError("a label is neither 0 nor 1")

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.labels)

    def part(self, chosen: NDArray[Any]) -> "Rows":
        """Return some of them, by index or mask."""
        return Rows(inputs=self.inputs[chosen], labels=self.labels[chosen], at=self.at[chosen])


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions on the same rows, which neither was fitted on.

    Attributes:
        parent: The version that serves.
        fitted: Rows that the new one was fitted on.
        held: Rows that both were asked about.
        new_right: Right answers of the new one.
        old_right: Right answers of the one that serves.
        gained: Rows in which only the new one is right.
        lost: Rows in which only the one that serves is right.
        least: Of rows in which one alone is right, the new one is that one in this share at least,
            with confidence `SURE`; None where there are none.
    """

    parent: str
    fitted: int
    held: int
    new_right: int
    old_right: int
    gained: int
    lost: int
    least: float | None

    @property
    def is_better(self) -> bool:
        """Whether more than chance speaks for the new one."""
        return self.least is not None and self.least > 0.5  # noqa: PLR2004 - a coin's

    @property
    def words(self) -> str:
        """What was seen, for a person."""
        seen = (
            f"fitted on {self.fitted} rows; of {self.held} newer ones it is right in "
            f"{self.new_right} and {self.parent} in {self.old_right}"
        )
        if self.least is None:
            return f"{seen}; the two answer alike"
        return (
            f"{seen}; it alone is right in {self.gained} of {self.gained + self.lost} that tell "
            f"them apart, so in {self.least:.0%} at least ({SURE:.0%} confidence)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A version that is better on the rows that were held back.

    Attributes:
        tensors: For `artefact.write`.
        comparison: What it rests on.
    """

    tensors: dict[str, NDArray[Any]]
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No version, and why.

    Attributes:
        why: For a person.
        comparison: None where it did not come to one.
    """

    why: str
    comparison: Comparison | None = None


def refit(rows: Rows, serving: Model) -> Made | Refused:
    """Fit a new version on the older rows and compare it with what serves on the newest.

    Args:
        rows: In any order.
        serving: The version that serves; the new one has the same inputs and feature edges.

    Raises:
        ValueError: The rows have other features than the model.
    """
    width = len(serving.manifest.features)
    if rows.inputs.shape[1] != width:
        raise ValueError(f"the rows have {rows.inputs.shape[1]} features, the model {width}")
    older, newer = _divided(rows)
    for part, least, name in ((older, FIT_MIN, "to fit on"), (newer, HELD_MIN, "to compare on")):
        if len(part) < least:
            return Refused(why=f"{len(part)} labelled rows {name}, at least {least} are needed")
        rarer = int(min(part.labels.sum(), len(part) - part.labels.sum()))
        if rarer < CLASS_MIN:
            said = f"{rarer} of {len(part)} rows {name} have the rarer label"
            return Refused(why=f"{said}, at least {CLASS_MIN} are needed")
    tensors = artefact.fit(older.inputs, older.labels, serving.feature_edges)
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        return Refused(why="the fit ended in numbers that are none")
    estimator = artefact.rebuilt(tensors)
    new = _right(np.asarray(estimator.predict_proba(newer.inputs)[:, 1]), newer.labels)
    compared = _compared(new, _right(serving.predict(newer.inputs), newer.labels), older, serving)
    if not compared.is_better:
        return Refused(why=f"no better than what serves: {compared.words}", comparison=compared)
    return Made(tensors=tensors, comparison=compared)


def version_of(key: str) -> str:
    """Return the name of the version that comes of an order; another key, another name.

    >>> version_of("credit-d-0001-1800000000")
    'r-credit-d-0001-1800000000-e7260fe7'
    """
    plain = re.sub(r"[^a-z0-9.-]", "-", key.lower())[:_KEY_KEPT]
    return f"{PREFIX}{plain}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _divided(rows: Rows) -> tuple[Rows, Rows]:
    """Return older and newer rows; what was fitted on is not asked about once more."""
    order = np.argsort(rows.at, kind="stable")
    cut = len(rows) - round(len(rows) * HELD_SHARE)
    older, newer = rows.part(order[:cut]), rows.part(order[cut:])
    known = {row.tobytes() for row in older.inputs}
    fresh = np.array([row.tobytes() not in known for row in newer.inputs], dtype=bool)
    return older, newer.part(fresh)


def _right(probability: Floats, labels: Labels) -> NDArray[np.bool_]:
    """Return which answers are right; one that is no number is not."""
    said = probability >= _THRESHOLD
    return np.asarray(np.isfinite(probability) & (said == labels.astype(bool)))


def _compared(
    new: NDArray[np.bool_], old: NDArray[np.bool_], older: Rows, serving: Model
) -> Comparison:
    gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
    return Comparison(
        parent=serving.manifest.version,
        fitted=len(older),
        held=len(new),
        new_right=int(new.sum()),
        old_right=int(old.sum()),
        gained=gained,
        lost=lost,
        least=lower_bound(gained, gained + lost, SURE) if gained + lost else None,
    )
