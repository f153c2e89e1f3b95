"""How a long run tells whoever watches where it is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from probes.cost import CostEstimate

T = TypeVar("T")

PHASES: dict[str, str] = {
    "read": "reading data",
    "load": "loading the encoder",
    "head": "fitting the head on frozen features",
    "warm-up": "warming up on the task",
    "embed": "embedding the bitext",
    "transfer": "scoring the head on target text",
    "theta_warm": "gradients after the warm-up",
    "lookahead": "looking one step ahead",
    "theta0": "the same for the model as given",
}
"""The phases of a probe in their order, each in words."""


class Progress:
    """Receives the course of a run; here it shows nothing. A method that raises stops the run cleanly."""

    def phase(self, name: str, total: int) -> None:
        """A phase of ``PHASES`` begins and will take ``total`` steps."""

    def advance(self) -> None:
        """One step of the current phase is done."""

    def estimate(self, cost: "CostEstimate") -> None:
        """What the rest of the run is expected to cost."""


class Stopwatch:
    """Forwards progress and keeps the seconds each phase took.

    Args:
        watcher: who is told; None: nobody.
        spent: seconds that phases took before, for this run and for others.
    """

    def __init__(self, watcher: Progress | None = None, spent: Mapping[str, float] | None = None) -> None:
        self._watcher = watcher or Progress()
        self.seconds = dict(spent or {})
        self._started = perf_counter() - sum(self.seconds.values())

    @property
    def total(self) -> float:
        """Seconds since this stopwatch was made, and those spent before."""
        return perf_counter() - self._started

    @contextmanager
    def phase(self, name: str, total: int = 1) -> Iterator[None]:
        """Time one phase."""
        self._watcher.phase(name, total)
        begin = perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - begin

    def each(self, items: Sequence[T] | Iterable[T]) -> Iterator[T]:
        """Pass items through, advancing after each."""
        for item in items:
            yield item
            self._watcher.advance()

    def estimate(self, cost: "CostEstimate") -> None:
        """Pass an estimate on."""
        self._watcher.estimate(cost)
