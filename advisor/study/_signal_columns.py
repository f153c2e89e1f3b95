"""The signals of a probe as columns of the table of records."""

from collections.abc import Iterator
from statistics import NormalDist

from probes.signals import TOTAL, DistanceRow, Estimate, Point, Signals, TaskGradient

__all__ = ["BY_LAYER", "SIGNAL_COLUMNS", "signal_columns"]

_POINTS: dict[Point, str] = {"theta_warm": "", "theta0": "theta0_"}
_GRADIENTS: dict[TaskGradient, str] = {
    "target-labels": "target_labels",
    "target-projected": "target_projected",
    "source": "source",
}
_OF_GRADIENT = (
    *("cosine", "cosine_se", "raw_cosine", "null_cosine", "magnitude_ratio", "conflict"),
    *("lookahead", "lookahead_se", "lookahead_adam", "lookahead_adam_se"),
)
_DISTANCES: dict[tuple[str, str], str] = {
    ("sentence", "cosine-gap"): "sentence_gap",
    ("sentence", "random-cosine"): "sentence_random",
    ("sentence", "retrieval-strict"): "sentence_retrieval",
    ("sentence", "cka"): "sentence_cka",
    ("word", "cosine-gap"): "word_gap",
}
_DEPTHS = ("last", "middle")
_OF_CELL = (
    *("frozen_source", "frozen_target", "fertility_ratio", "unknown_rate"),
    *("projection_coverage", "projection_cosine"),
    *(f"{name}_{depth}" for name in _DISTANCES.values() for depth in _DEPTHS),
)

SIGNAL_COLUMNS: tuple[str, ...] = (
    *(
        f"{point}{gradient}_{what}"
        for point in _POINTS.values()
        for gradient in _GRADIENTS.values()
        for what in _OF_GRADIENT
    ),
    *(f"{point}ceiling" for point in _POINTS.values()),
    *_OF_CELL,
)
"""Numbers; measured at ``theta_warm`` unless the name begins with ``theta0_``."""

BY_LAYER: tuple[str, ...] = tuple(f"{gradient}_cosine_by_layer" for gradient in _GRADIENTS.values())
"""Cosines at ``theta_warm`` from the lowest layer up, separated by spaces; ``-`` where unresolved."""


def signal_columns(signals: Signals, objective: str) -> dict[str, str]:
    """What a probe found for an objective; a signal that is missing or unresolved has no entry.

    Args:
        signals: of one cell.
        objective: its name.
    """
    found = {name: value for name, value in _numbers(signals, objective) if value is not None}
    columns = {name: f"{value:.6g}" for name, value in found.items()}
    for gradient, stem in _GRADIENTS.items():
        by_layer = _by_layer(signals, objective, gradient)
        if by_layer:
            columns[f"{stem}_cosine_by_layer"] = " ".join(by_layer)
    return columns


def _numbers(signals: Signals, objective: str) -> Iterator[tuple[str, float | None]]:
    for cosine in signals.cosines:
        if (cosine.objective, cosine.block) != (objective, TOTAL):
            continue
        stem = _POINTS[cosine.point] + _GRADIENTS[cosine.task_gradient]
        yield from _with_error(f"{stem}_cosine", cosine.cosine)
        yield f"{stem}_raw_cosine", cosine.raw_cosine.value
        yield f"{stem}_null_cosine", cosine.null_cosine.value if cosine.null_cosine else None
        yield f"{stem}_magnitude_ratio", cosine.magnitude_ratio.value
    for conflict in signals.conflicts:
        if conflict.objective == objective:
            yield _POINTS[conflict.point] + _GRADIENTS[conflict.task_gradient] + "_conflict", conflict.share
    for step in signals.lookahead:
        if step.objective == objective:
            stem = f"{_POINTS[step.point]}{_GRADIENTS[step.on]}_lookahead"
            yield from _with_error(stem if step.scaling == "raw" else f"{stem}_adam", step.change)
    for loss in signals.losses:
        if (loss.loss, loss.block) == (objective, TOTAL):
            yield f"{_POINTS[loss.point]}ceiling", loss.ceiling.value
    yield "frozen_source", signals.transfer.source.value
    yield "frozen_target", signals.transfer.target.value if signals.transfer.target else None
    yield "fertility_ratio", signals.text.target_fertility / signals.text.source_fertility
    yield "unknown_rate", signals.text.target_unknown_rate
    if signals.projection is not None:
        yield "projection_coverage", signals.projection.coverage
        agreement = signals.projection.cosine_with_labels
        yield "projection_cosine", agreement.value if agreement else None
    for row in signals.distances:
        yield from _distance(row, signals.model.layers)


def _with_error(name: str, estimate: Estimate) -> Iterator[tuple[str, float | None]]:
    yield name, estimate.value
    if estimate.value is not None and estimate.low is not None and estimate.high is not None:
        width = 2 * NormalDist().inv_cdf((1 + estimate.level) / 2)
        yield f"{name}_se", (estimate.high - estimate.low) / width


def _distance(row: DistanceRow, layers: int) -> Iterator[tuple[str, float | None]]:
    name = _DISTANCES.get((row.unit, row.measure))
    depths = {layers: "last", round(layers / 2): "middle"}
    if name is not None and row.layer in depths:
        yield f"{name}_{depths[row.layer]}", row.value.value


def _by_layer(signals: Signals, objective: str, gradient: TaskGradient) -> list[str]:
    blocks = [f"layer.{i}" for i in range(signals.model.layers)]
    cosines = [signals.cosine(objective, gradient, block=block) for block in blocks]
    if not any(cosines):
        return []
    return ["-" if c is None or c.value is None else f"{c.value:.4g}" for c in cosines]
