"""The weight of an alignment loss in joint training."""

__all__ = ["joint_weight"]

_PUBLISHED = 0.1
"""Weight of the alignment loss in the published joint runs (Bakos et al. 2025)."""
_SHARE = 0.5
"""What the weighted alignment gradient may be of the task gradient's norm."""


def joint_weight(magnitude_ratio: float | None) -> float:
    """Weight of the alignment loss in joint training.

    The weighted alignment gradient gets half the task gradient's norm: ``0.5 / magnitude_ratio``, kept
    between 0.01 and 1; 0.1, as in the published joint runs, when the ratio is not known.

    Args:
        magnitude_ratio: norm of the objective's expected gradient over the task's, at ``theta_warm``.
    """
    if magnitude_ratio is None or magnitude_ratio <= 0:
        return _PUBLISHED
    return float(f"{min(1.0, max(0.01, _SHARE / magnitude_ratio)):.2g}")
