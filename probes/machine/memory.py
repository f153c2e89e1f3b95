"""Memory: going on with less when it runs out, and not giving it back only to ask for it again."""

import ctypes
import gc
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psutil
import torch

T = TypeVar("T")

_SAID_ON_CPU = ("allocate memory", "alloc_cpu", "could not create a primitive")
"""In plain RuntimeErrors: the CPU allocator, and oneDNN, which says the last one when it gets no memory for
code or scratch."""
_OTHER = "could not create a primitive descriptor"
"""What oneDNN says of an operation that the processor does not have."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's malloc parameters, as malloc.h has them."""
_LARGEST_KEPT = 2**25
"""Bytes up to which a block is kept: the most that glibc admits, and where it would itself end up."""


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory in the process until the end of the context, where the C library is glibc.

    A backward pass frees every gradient just before it asks for the next. By default glibc gives such
    memory back to the system each time, and touching it again costs a page fault every 4 KiB.
    """
    glibc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not (hasattr(glibc, "mallopt") and hasattr(glibc, "malloc_trim")):
        yield
        return
    assert glibc is not None
    glibc.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    glibc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        glibc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_KEPT)  # what glibc arrives at by itself
        glibc.malloc_trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a processor or on an accelerator."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).replace(_OTHER, "") for words in _SAID_ON_CPU
    )


def halve_until_it_fits(size: int, attempt: Callable[[int], T], smallest: int = 2) -> tuple[T, int]:
    """Call ``attempt`` with ``size``, and with half of it each time memory runs out.

    Args:
        size: batch size to start with.
        attempt: called anew from the start; it must leave nothing behind when it fails.
        smallest: size below which there is no sense in going on.

    Returns:
        What the attempt returned, and the size it succeeded with.
    """
    while True:
        try:
            return attempt(size), size
        except (RuntimeError, MemoryError) as error:
            if size // 2 < smallest or not is_out_of_memory(error):
                raise
        # Only here has the error gone, and with it the frames that hold on to tensors.
        size //= 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def resident_bytes(device: torch.device) -> int:
    """Bytes held now: by tensors on an accelerator, by the process otherwise."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return int(psutil.Process().memory_info().rss)


def peak_bytes(device: torch.device) -> int:
    """Most bytes ever held: by tensors on an accelerator, by the process otherwise."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else 1024 * int(peak)
