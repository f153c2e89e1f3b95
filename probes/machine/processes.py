"""Several processes, each with a GPU of its own, that share out the gradient rounds of one probe.

``accelerate launch`` (or torchrun) starts them. Every process reads, embeds and warms up by itself, from the
same seed; of the rounds, which take most of the time, each takes its share. What they found is then put
together everywhere, so that every process ends with the same signals.
"""

import atexit
import os
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor

from probes.errors import RunError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a run, and which of them this one is.

    Attributes:
        index: of this one, from 0.
        count: how many there are.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def here(cls, device: torch.device) -> "Processes":
        """The processes that this one was started with; all of them must call this."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return ALONE
        from accelerate import PartialState  # takes long to import, and is of no use to a single process

        state = PartialState(cpu=device.type == "cpu")
        atexit.register(_leave)  # a process that ends without leaving its group is aborted by chance
        return cls(int(state.process_index), int(state.num_processes))

    def takes(self, k: int) -> bool:
        """Whether round ``k`` is for this process."""
        return k % self.count == self.index

    def hold(self, problem: Exception) -> Exception:
        """Keep a problem until :meth:`raise_any`, since the other processes wait for this one there.

        Raises:
            Exception: ``problem``, if there is no other process.
        """
        if self.count == 1:
            raise problem
        return problem

    def raise_any(self, problem: Exception | None) -> None:
        """Raise in every process what went wrong in one of them; all must call this."""
        for found in self.gather(problem):
            if found is not None:
                raise found

    def gather(self, item: T) -> list[T]:
        """What every process brings, in the order of the processes; tensors must be on the CPU."""
        if self.count == 1:
            return [item]
        gathered: list[T | None] = [None] * self.count
        torch.distributed.all_gather_object(gathered, item)
        return cast(list[T], gathered)

    def in_turn(self, rounds: list[T]) -> list[T]:
        """All rounds in their order, of the shares that each process brings."""
        shares = self.gather(rounds)
        return [shares[k % self.count][k // self.count] for k in range(sum(map(len, shares)))]

    def check_in_step(self, where: object) -> None:
        """Make sure that all processes are at the same place.

        Raises:
            RunError: if they are not: one had to go on with smaller batches, say.
        """
        if len(set(self.gather(repr(where)))) > 1:
            raise RunError(
                "The processes of this run went on differently, since memory ran out in one of them: choose "
                "a smaller budget, or fewer processes on one device."
            )

    def add_up(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes."""
        if self.count > 1:
            total = tensor.float()
            torch.distributed.all_reduce(total)
            tensor.copy_(total)


def leads() -> bool:
    """Whether this is the process that speaks for all; known before they talk to each other."""
    return os.environ.get("RANK", "0") == "0"


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


ALONE = Processes()
"""A single process."""
