"""What one small step on an objective does to the task loss."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from probes.batches import LabelledText
from probes.context import ModelAt
from probes.encoder import Encoder
from probes.gradients.rounds import GradientRounds
from probes.gradients.warm_up import LEARNING_RATE, AdamScale
from probes.heads import Head
from probes.jackknife import jackknife
from probes.machine.precision import PassPrecision
from probes.progress import Stopwatch
from probes.signals import Estimate, LookaheadRow, TaskGradient

_BATCH = 32
_RAW_UNITS, _ADAM_UNITS = 0.05, 0.1
"""Lengths of steps up to which the change grows in proportion (``tests.benchmarks.lookahead_steps``)."""


def look_ahead(
    model: ModelAt,
    gradients: GradientRounds,
    texts: Mapping[TaskGradient, Sequence[LabelledText]],
    watch: Stopwatch,
    adam: AdamScale | None = None,
) -> tuple[LookaheadRow, ...]:
    """Relative change of the task loss after one step on each objective (TAG, arXiv:2109.04617).

    Steps along different objectives are made equally long. The unit is one Adam step at the warm-up's
    learning rate, which moves every parameter by about that rate: preconditioned steps
    (:meth:`AdamScale.direction`) are a tenth of a unit long, raw ones, which put their whole length into few
    directions, a twentieth. The weights are put back bit by bit.

    Args:
        model: at the point.
        gradients: measured there; the passes run in their precision.
        texts: labelled texts to evaluate on, for each kind of label.
        watch: advanced once an objective and scaling.
        adam: divisors of the warm-up's optimiser; None leaves the preconditioned steps out.
    """
    encoder, precision = model.encoder, gradients.precision
    before = {on: _losses(encoder, model.head, items, precision) for on, items in texts.items()}
    unit = LEARNING_RATE * sum(p.numel() for p in encoder.parameters()) ** 0.5
    scales = [None] if adam is None else [None, adam]
    rows = []
    for objective, scale in watch.each([(name, s) for name in gradients.objectives for s in scales]):
        direction, length = gradients.mean_gradient(objective), _RAW_UNITS * unit
        if scale is not None:
            direction, length = scale.direction(direction), _ADAM_UNITS * unit
        with _stepped(encoder, direction, length):
            for on, items in texts.items():
                rows.append(
                    LookaheadRow(
                        point=model.point,
                        objective=objective,
                        on=on,
                        scaling="raw" if scale is None else "adam",
                        step=length,
                        change=_change(before[on], _losses(encoder, model.head, items, precision)),
                    )
                )
    return tuple(rows)


@contextmanager
def _stepped(encoder: Encoder, direction: Mapping[str, Tensor], length: float) -> Iterator[None]:
    """The encoder one step of ``length`` against ``direction``, for as long as the context lasts."""
    norm = torch.stack([g.square().sum() for g in direction.values()]).sum().sqrt()
    weights = [p.detach().clone() for p in encoder.parameters()]
    factor = float(length / norm) if float(norm) > 0 else 0.0
    try:
        with torch.no_grad():
            for block, group in encoder.block_parameters().items():
                pieces = direction[block].split([p.numel() for p in group])
                for parameter, piece in zip(group, pieces, strict=True):
                    parameter.sub_(piece.view_as(parameter), alpha=factor)
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(encoder.parameters(), weights, strict=True):
                parameter.copy_(value)


def _losses(
    encoder: Encoder, head: Head, items: Sequence[LabelledText], precision: PassPrecision
) -> np.ndarray:
    """Summed loss and labelled positions of each text, (texts, 2)."""
    rows = []
    for start in range(0, len(items), _BATCH):
        batch = head.level.collate(items[start : start + _BATCH], encoder)
        with encoder.passes_in(precision):
            rows.append(torch.stack(head.text_losses(encoder, batch), dim=1).double().cpu())
    return np.asarray(torch.cat(rows).numpy())


def _change(before: np.ndarray, after: np.ndarray) -> Estimate:
    """100 (1 - after / before) of total losses, with a jackknife interval over texts."""
    n = len(before)
    first, second = before[:, 0], after[:, 0]
    if n < 3 or first.sum() <= 0:
        return Estimate(value=None, note="too few labelled texts")
    value = 100 * (1 - second.sum() / first.sum())
    without = 100 * (1 - (second.sum() - second) / np.maximum(first.sum() - first, 1e-12))
    return jackknife(float(value), without)
