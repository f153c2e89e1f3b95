"""Batches are halved when memory runs out, and only then."""

import resource
import sys
import weakref
from mmap import mmap

import pytest
import torch

from probes.machine.memory import (
    freed_memory_kept,
    halve_until_it_fits,
    is_out_of_memory,
    peak_bytes,
    resident_bytes,
)

CPU_FULL = "[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried to"


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError(CPU_FULL), torch.OutOfMemoryError("CUDA out of memory")]
)
def test_size_is_halved_until_it_fits(error: Exception) -> None:
    tried: list[int] = []

    def attempt(size: int) -> str:
        tried.append(size)
        if size > 5:
            raise error
        return "done"

    assert halve_until_it_fits(32, attempt) == ("done", 4)
    assert tried == [32, 16, 8, 4]


def test_what_does_not_fit_at_the_smallest_size_is_raised() -> None:
    tried: list[int] = []

    def attempt(size: int) -> None:
        tried.append(size)
        raise MemoryError

    with pytest.raises(MemoryError):
        halve_until_it_fits(12, attempt, smallest=3)
    assert tried == [12, 6, 3]


def test_other_errors_are_not_tried_again() -> None:
    tried: list[int] = []

    def attempt(size: int) -> None:
        tried.append(size)
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        halve_until_it_fits(8, attempt)
    assert tried == [8]
    assert not is_out_of_memory(ValueError("cannot allocate memory"))
    assert is_out_of_memory(RuntimeError("could not create a primitive"))
    assert not is_out_of_memory(
        RuntimeError("could not create a primitive descriptor for a matmul primitive")
    )


def test_a_failed_attempt_holds_nothing_while_the_next_one_runs() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def attempt(size: int) -> int:
        assert all(ref() is None for ref in held)
        large = torch.zeros(size)
        held.append(weakref.ref(large))
        if size > 2:
            raise MemoryError
        return size

    assert halve_until_it_fits(8, attempt) == (2, 2)
    assert len(held) == 3


def test_bytes_of_a_process_are_told() -> None:
    device = torch.device("cpu")
    before = resident_bytes(device)
    with mmap(-1, 120_000_000) as block:  # a tensor may take over what earlier ones left
        block.write(b"1" * len(block))
        assert resident_bytes(device) - before > 0.9 * len(block)
    assert peak_bytes(device) >= resident_bytes(device) * 0.99


def _page_faults_of_freeing_and_asking() -> int:
    """Least of several tries, each of which frees 24 MiB at the end of the heap and asks for it again."""
    least = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(4):
            torch.ones(6 * 2**20)
        least.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return min(least)


@pytest.mark.skipif(sys.platform != "linux", reason="a matter of glibc")
def test_memory_that_is_freed_and_asked_for_again_is_not_fetched_from_the_system() -> None:
    with freed_memory_kept():
        inside = _page_faults_of_freeing_and_asking()
    assert inside < 100
    with pytest.raises(KeyError), freed_memory_kept():
        raise KeyError


@pytest.mark.skipif(sys.platform != "linux", reason="a matter of glibc")
def test_kept_memory_goes_back_at_the_end() -> None:
    with freed_memory_kept():
        held = [torch.ones(2**20) for _ in range(64)]  # 256 MiB in blocks that are kept
        full = resident_bytes(torch.device("cpu"))
        held.clear()
        kept = resident_bytes(torch.device("cpu"))
    after = resident_bytes(torch.device("cpu"))
    assert kept > full - 2**25
    assert after < full - 2**27
