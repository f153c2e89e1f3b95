"""A short stretch of ordinary task fine-tuning, on a copy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from probes.batches import LabelledText
from probes.context import Context
from probes.encoder import Encoder
from probes.errors import NotFiniteError
from probes.heads import Head

LEARNING_RATE = 5e-5
"""transformers' default for fine-tuning."""
_RAMP, _DECAY, _EPS = 0.1, 0.01, 1e-8


@dataclass(frozen=True)
class AdamScale:
    """Adam's divisor for every parameter, as it stands after the warm-up.

    Attributes:
        blocks: block name -> sqrt(v) + eps with the bias of v corrected, (parameters of the block,).
        decay: what weight decay left of parameters without a gradient.
    """

    blocks: dict[str, Tensor]
    decay: float = 1.0

    def with_rows(self, before: Encoder, after: Encoder) -> "AdamScale":
        """The divisors of ``after``, which has embedding rows that the warm-up of ``before`` had not."""
        blocks = dict(self.blocks)
        groups = before.block_parameters()
        for block, group in after.block_parameters().items():
            pieces = list(self.blocks[block].split([p.numel() for p in groups[block]]))
            for place, parameter in enumerate(group):
                if parameter is after.rows.rows:
                    full = torch.full_like(parameter.detach(), _EPS)
                    full[after.rows.places_of(before.rows)] = pieces[place].view_as(before.rows.rows)
                    pieces[place] = full.flatten()
                    blocks[block] = torch.cat(pieces)
        return replace(self, blocks=blocks)

    def direction(self, gradient: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Where Adam would go along ``gradient`` in joint training that weighs it to the task's size.

        g / sqrt(v + g^2), with g scaled to the norm of sqrt(v): in joint training v takes in both gradients.
        Divided by the task's sqrt(v) alone, parameters that the warm-up did not reach (embeddings of words of
        the other language) would take the whole step.

        Args:
            gradient: block name -> numbers, (parameters of the block,); overwritten.
        """
        norms = [_norm(blocks.values()) for blocks in (self.blocks, gradient)]
        scale = norms[0] / norms[1] if norms[1] > 0 else 0.0
        return {
            block: g.mul_(scale).div_(torch.hypot(g, self.blocks[block])) for block, g in gradient.items()
        }


def warm_up(
    encoder: Encoder,
    head: Head,
    items: Sequence[LabelledText],
    *,
    steps: int,
    batch_size: int,
    context: Context,
) -> AdamScale:
    """Fine-tune ``encoder`` and ``head`` in place for a few AdamW steps with dropout on.

    The learning rate climbs linearly over the first tenth of the steps and then stays.

    Args:
        encoder: a working copy.
        head: a copy, too.
        items: sentences to draw from, reshuffled each time they run out.
        steps, batch_size: optimiser steps and sentences a step.
        context: weights and optimiser stay in fp32 whatever its precision.

    Raises:
        NotFiniteError: if the loss stops being finite.
    """
    parameters = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=_DECAY, eps=_EPS, fused=True)
    ramp = max(1, round(_RAMP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / ramp))
    torch.manual_seed(context.seed)
    encoder.base.train()
    decay = 1.0
    try:
        for chosen in context.watch.each(_draw(items, steps, batch_size, context.seed)):
            batch = head.level.collate(chosen, encoder)
            with encoder.passes_in(context.precision):
                loss = head.loss(encoder, batch)
                if not torch.isfinite(loss):
                    raise NotFiniteError(
                        "The task loss is not finite after a few steps: check the model's weights."
                    )
                loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            decay *= 1 - _DECAY * float(schedule.get_last_lr()[0])
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
    finally:
        encoder.base.eval()
    return AdamScale(
        {
            block: torch.cat([_divisor(optimiser, p).flatten() for p in group])
            for block, group in encoder.block_parameters().items()
        },
        decay,
    )


def _norm(parts: Iterable[Tensor]) -> float:
    return float(torch.stack([part.square().sum() for part in parts]).sum().sqrt())


def _divisor(optimiser: torch.optim.AdamW, parameter: torch.nn.Parameter) -> Tensor:
    state = optimiser.state[parameter]
    group = optimiser.param_groups[0]
    if not state:  # the task loss never reached this parameter
        return torch.full_like(parameter, float(group["eps"]))
    corrected = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
    return torch.as_tensor(corrected.sqrt() + group["eps"])


def _draw(
    items: Sequence[LabelledText], steps: int, batch_size: int, seed: int
) -> Iterator[list[LabelledText]]:
    generator = torch.Generator().manual_seed(seed)
    queue: list[int] = []
    for _ in range(steps):
        while len(queue) < min(batch_size, len(items)):
            queue += torch.randperm(len(items), generator=generator).tolist()
        chosen, queue = queue[:batch_size], queue[batch_size:]
        yield [items[i] for i in chosen]
