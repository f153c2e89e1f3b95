"""The precision of the passes through the encoder."""

from collections.abc import Mapping

import torch

__all__ = ["has_bf16"]


def has_bf16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bf16 matrices in hardware, and so faster than single precision.

    On a CPU that takes AVX512-BF16 (every CPU with AMX-BF16 has it too) or Arm's bf16 extension.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # An older torch does not say: single precision is slower there but right.
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("bf16"))
