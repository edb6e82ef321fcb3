"""Stands in for the pool of workers: does everything here and now, and can be broken off."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self


class Inline:
    """A pool that asks `made` for what a worker would return.

    Attributes:
        count: How much has been done, by `size`.
        fail_after: When it is broken off, in the same measure.
    """

    def __init__(self) -> None:
        self.count = 0
        self.fail_after = 10**9

    def __call__(self, jobs: int, cache: Path) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def each(self, work: Callable[..., Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        for item in items:
            if self.count >= self.fail_after:
                raise KeyboardInterrupt
            self.count += self.size(item)
            yield item, self.made(item)

    def size(self, item: Any) -> int:
        """How much of `count` an item is."""
        return 1

    def made(self, item: Any) -> Any:
        """What a worker would return."""
        raise NotImplementedError
