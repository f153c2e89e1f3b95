"""Where the runs of a trial take place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from accelerate.state import AcceleratorState

from probes.errors import InputError
from probes.machine.precision import has_fast_bf16

_VARIABLE = "ACCELERATE_TORCH_DEVICE"


@contextmanager
def training_on(name: str) -> Iterator[torch.device]:
    """Have accelerate train on one device for as long as the context lasts.

    Args:
        name: ``auto`` leaves the choice to accelerate; else a device of torch, such as ``cuda:1``.

    Raises:
        InputError: if there is no such device.
    """
    if name == "auto":
        yield torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"There is no device '{name}' on this machine: use --device auto or cpu.") from error
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = name
    # accelerate chooses once a process and remembers it: what an earlier run chose must not stand.
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        yield device
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
        AcceleratorState._reset_state(reset_partial_state=True)


def precision_on(device: torch.device) -> Literal["bf16", "no"]:
    """The precision that ``auto`` stands for on ``device``: it decides the numbers, so it is recorded."""
    return "bf16" if has_fast_bf16(device) else "no"
