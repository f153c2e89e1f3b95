"""Which number format forward and backward passes run in, and whether the hardware is made for it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal, TypeVar

import torch

from probes.errors import NotFiniteError
from probes.request import Precision

T = TypeVar("T")

PassPrecision = Literal["fp32", "bf16"]
"""Format of the matrix products of a pass. Weights, gradients, losses and sums are in fp32 either way."""


def choose_precision(wanted: Precision, device: torch.device) -> PassPrecision:
    """The precision to run in: ``auto`` is bf16 where the hardware multiplies it faster than fp32."""
    if wanted == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    return wanted


def or_in_fp32(precision: PassPrecision, take: Callable[[PassPrecision], T]) -> tuple[T, PassPrecision]:
    """Measure in ``precision``, or all over again in fp32 if bf16 overflowed.

    Returns:
        What ``take`` returned, and the precision it succeeded in.

    Raises:
        NotFiniteError: if fp32 overflowed, too.
    """
    if precision == "bf16":
        with suppress(NotFiniteError):
            return take("bf16"), "bf16"
    return take("fp32"), "fp32"


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is native: processors without it emulate it, several times slower than fp32.

    On a CPU that takes AVX512-BF16 (every CPU with AMX-BF16 has it too) or Arm's bf16 extension.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # An older torch does not say: fp32 is slower there but right.
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("bf16"))
