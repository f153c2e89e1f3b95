"""How the gradients of own records lie to each other, after correction for noise."""

from collections.abc import Iterator, Sequence
from statistics import median

from pydantic import BaseModel, ConfigDict

from advisor.findings.evidence import OwnRecord

_THETA0 = "theta0_"


class Geometry(BaseModel):
    """How two gradients lie to each other over the cells, noise-corrected.

    Attributes:
        gradient: of the task: on source text, with target labels, or with projected ones.
        at: ``theta0`` or ``theta_warm``.
        objective: of alignment.
        cells: in which the cosine is resolved.
        absolute: median of the cosine's absolute value.
        lowest, highest: cosines at the ends.
        null: median absolute cosine of the same objective on shuffled pairs.
        ceiling: median cosine between two batches of the objective: what a raw cosine could reach at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gradient: str
    at: str
    objective: str
    cells: int
    absolute: float
    lowest: float
    highest: float
    null: float | None
    ceiling: float | None


def gradient_geometry(records: Sequence[OwnRecord]) -> Iterator[Geometry]:
    """The cosines of every point, task gradient and objective that a record has resolved."""
    for at in ("theta0", "theta_warm"):
        prefix = _THETA0 if at == "theta0" else ""
        for gradient in ("source", "target_labels", "target_projected"):
            for objective in sorted({record.objective for record in records}):
                cells = {
                    (record.model, record.task, record.target): record.signals
                    for record in records
                    if record.objective == objective and f"{prefix}{gradient}_cosine" in record.signals
                }
                if not cells:
                    continue
                null = f"{prefix}{gradient}_null_cosine"
                cosines = [found[f"{prefix}{gradient}_cosine"] for found in cells.values()]
                nulls = [abs(found[null]) for found in cells.values() if null in found]
                ceilings = [
                    found[f"{prefix}ceiling"] for found in cells.values() if f"{prefix}ceiling" in found
                ]
                yield Geometry(
                    gradient=gradient.replace("_", "-"),
                    at=at,
                    objective=objective,
                    cells=len(cells),
                    absolute=median(map(abs, cosines)),
                    lowest=min(cosines),
                    highest=max(cosines),
                    null=median(nulls) if nulls else None,
                    ceiling=median(ceilings) if ceilings else None,
                )
