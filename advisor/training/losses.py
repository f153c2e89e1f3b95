"""What is minimised: the task's loss and the alignment's."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from advisor.options import FrozenLayers, Option
from probes.batches import LabelledBatch, PairBatch
from probes.catalogue import OBJECTIVES
from probes.encoder import Encoder
from probes.errors import InputError
from probes.heads import Head
from probes.objectives import LOSSES, PairView


class Losses(nn.Module):
    """Task and alignment loss in one forward pass, so that accelerate can wrap it for any machine.

    Layers that are frozen get no gradient from the alignment loss, which still passes through them to what
    lies below. The task loss reaches all layers, in joint training too. As in the published runs (Bakos et
    al. 2025), a half is a half of the layers: the embeddings are never frozen.

    Args:
        encoder: trained in place.
        head: the task's classifier; None where only the alignment loss is asked for.
        start: the encoder as it was given, for losses that hold on to it; None: a copy of ``encoder``.
        shuffled: whether the alignment loss is taken on pairs that do not translate each other.
    """

    def __init__(
        self,
        encoder: Encoder,
        option: Option,
        head: Head | None = None,
        start: Encoder | None = None,
        *,
        shuffled: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.model: nn.Module = encoder.base
        self.objective = LOSSES[option.objective] if option.aligns else None
        self.shuffled = shuffled
        if option.needs_mlm_head:
            if encoder.masked_lm is None:
                raise InputError(
                    f"'{option.objective}' cannot be run on '{encoder.id}', since {encoder.no_mlm_reason}: "
                    "choose another objective."
                )
            self.model = encoder.masked_lm
        self.anchor: Encoder | None = None
        if option.aligns and OBJECTIVES[option.objective].anchored:
            self.anchor = start or replace(encoder, base=copy.deepcopy(encoder.base).eval(), masked_lm=None)
        layers = [f"layer.{i}" for i in range(encoder.layers)]
        half = encoder.layers // 2
        frozen = {
            FrozenLayers.NONE: [],
            FrozenLayers.LOWER_HALF: layers[:half],
            FrozenLayers.UPPER_HALF: layers[encoder.layers - half :],
        }
        self.out_of_reach = list(encoder.parameters(frozen[option.frozen_layers]))
        self.head = head

    def forward(self, labelled: LabelledBatch | None, pairs: PairBatch | None) -> dict[str, Tensor]:
        """The losses of what is given: ``task`` of labelled texts, ``alignment`` of translation pairs."""
        losses = {}
        if labelled is not None and self.head is not None:
            losses["task"] = self.head.loss(self.encoder, labelled)
        if pairs is not None and self.objective is not None:
            seed = int(torch.randint(2**31, ()))
            view = PairView(self.encoder, pairs, self.anchor, seed=seed, shuffled=self.shuffled)
            with _without_gradient(self.out_of_reach):
                losses["alignment"] = self.objective.loss(view)
        return losses


@contextmanager
def _without_gradient(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """What is computed inside will send no gradient to ``parameters``."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
