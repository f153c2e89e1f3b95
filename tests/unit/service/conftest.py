from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from advisor.service import Limits, RunQueue
from tests.unit.service.stubs import make_queue

MakeQueue = Callable[..., RunQueue]


@pytest.fixture
def queue_of(tmp_path: Path) -> Iterator[MakeQueue]:
    """Makes queues on one store whose runs do what they are given; they are closed afterwards."""
    made: list[RunQueue] = []

    def make(body: str, limits: Limits | None = None) -> RunQueue:
        made.append(make_queue(tmp_path / "store", body, limits))
        return made[-1]

    yield make
    for queue in made:
        queue.close()
