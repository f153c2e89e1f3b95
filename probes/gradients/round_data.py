"""What gradient rounds and lookahead read: batches for every task gradient, and texts apart from them."""

from collections.abc import Mapping, Sequence

from probes.batches import LabelledText
from probes.budget import Budget
from probes.material.parts import Material
from probes.material.sampling import deal
from probes.signals import Note, TaskGradient
from probes.tasks import Projection


def task_batches(
    material: Material, projection: Projection, budget: Budget
) -> tuple[dict[TaskGradient, list[list[LabelledText]]], list[Note]]:
    """Batches for every task gradient there is data for."""
    tasks: dict[TaskGradient, list[list[LabelledText]]] = {"source": material.source.rounds}
    notes = [Note(code="no-projection", text=projection.missing)] if projection.missing else []
    for name, items in (("target-labels", material.target), ("target-projected", list(projection.items))):
        size = min(budget.batch_size, len(items) // budget.rounds)
        if size >= 2:
            key: TaskGradient = "target-labels" if name == "target-labels" else "target-projected"
            tasks[key] = deal(items, budget.rounds, size)
        elif items:
            notes.append(
                Note(
                    code=f"too-few-{name}",
                    text=f"{len(items)} sentences are too few for a gradient ({name}): "
                    f"{2 * budget.rounds} are needed.",
                )
            )
    return tasks, notes


def lookahead_texts(
    material: Material,
    projection: Projection,
    budget: Budget,
    tasks: Mapping[TaskGradient, Sequence[Sequence[LabelledText]]],
) -> dict[TaskGradient, list[LabelledText]]:
    """Texts to evaluate the task loss on; no objective's gradient has seen their labels."""
    most = budget.held_out_sentences // 3
    texts: dict[TaskGradient, list[LabelledText]] = {
        "source": material.source.held_out,
        "target-labels": material.target,
        "target-projected": list(projection.items),
    }
    return {name: items[:most] for name, items in texts.items() if name in tasks}
