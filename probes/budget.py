"""How much a probe may spend."""

from dataclasses import dataclass
from typing import Literal

from probes.errors import InputError

BudgetName = Literal["quick", "standard", "thorough"]


@dataclass(frozen=True, slots=True)
class Budget:
    """Sizes of one probe run.

    Attributes:
        rounds: gradient rounds at each point (K).
        batch_size: sentences, and translation pairs, in a round's batch.
        fit_sentences: labelled source sentences the head is fitted on.
        held_out_sentences: labelled sentences a language that transfer and lookahead are scored on.
        warm_up_steps: optimiser steps of task fine-tuning before ``theta_warm``.
        pairs: translation pairs the distances are measured on.
        max_length: longest input in subwords.
    """

    name: BudgetName
    rounds: int
    batch_size: int
    fit_sentences: int
    held_out_sentences: int
    warm_up_steps: int
    pairs: int
    max_length: int


BUDGETS: dict[str, Budget] = {
    budget.name: budget
    for budget in (
        Budget("quick", 8, 8, 300, 100, 30, 200, 96),
        Budget("standard", 12, 12, 600, 200, 60, 500, 128),
        Budget("thorough", 20, 24, 2000, 500, 200, 1000, 256),
    )
}
"""By name. Rounds and batches are chosen from ``python -m tests.benchmarks.signal_quality``: for the same
number of texts more rounds of smaller batches give narrower intervals (8 times 8: half a width of 0.074, 45 %
of cosines with a sign; 4 times 16: 0.098, 31 %), up to where contrastive losses run short of negatives and a
round's fixed cost shows. Rounds stop early where they resolve the leading signals."""


def find_budget(name: str) -> Budget:
    """The budget called ``name``.

    Raises:
        InputError: if there is none.
    """
    if name not in BUDGETS:
        raise InputError(f"No budget is called '{name}': choose one of {', '.join(BUDGETS)}.")
    return BUDGETS[name]
