"""The signals of a probe as columns of the table of records."""

from probes.catalogue import SIGNALS, value_of
from probes.signals import TASK_GRADIENTS, Estimate, Signals, TaskGradient

SIGNAL_COLUMNS: tuple[str, ...] = tuple(column for signal in SIGNALS.values() for column in signal.columns)
"""Numbers; measured at ``theta_warm`` unless the name begins with ``theta0_``."""

BY_LAYER: dict[TaskGradient, str] = {
    gradient: f"{gradient.replace('-', '_')}_cosine_by_layer" for gradient in TASK_GRADIENTS
}
"""Cosines at ``theta_warm`` from the lowest layer up, separated by spaces; ``-`` where unresolved."""


def signal_columns(signals: Signals, objective: str) -> dict[str, str]:
    """What a probe found for an objective; a signal that is missing or unresolved has no entry.

    Args:
        signals: of one cell.
        objective: its name.
    """
    columns = {}
    for signal in SIGNALS.values():
        reading = signal.read(signals, objective)
        value = value_of(reading)
        if signal.less is not None or value is None:
            continue
        columns[signal.name] = f"{value:.6g}"
        if signal.with_error and isinstance(reading, Estimate) and reading.error is not None:
            columns[signal.error_column] = f"{reading.error:.6g}"
    for gradient, column in BY_LAYER.items():
        by_layer = _by_layer(signals, objective, gradient)
        if by_layer:
            columns[column] = " ".join(by_layer)
    return columns


def _by_layer(signals: Signals, objective: str, gradient: TaskGradient) -> list[str]:
    blocks = [f"layer.{i}" for i in range(signals.model.layers)]
    cosines = [signals.cosine(objective, gradient, block=block) for block in blocks]
    if not any(cosines):
        return []
    return ["-" if c is None or c.value is None else f"{c.value:.4g}" for c in cosines]
