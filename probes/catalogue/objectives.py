"""Alignment losses: what each needs and where it comes from. Their code is in :mod:`probes.objectives`."""

from dataclasses import dataclass
from typing import Literal

from probes.catalogue._registry import Registry

ObjectiveKind = Literal["token", "sentence", "lm"]
"""What a loss compares: words, sentences, or a masked language model's guesses with the truth."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What is to be known of an alignment loss without running it.

    Attributes:
        name: the word used on command lines, in files and in findings.
        kind: what it compares.
        summary: what it does, in one sentence.
        reference: where it comes from.
        parallel: whether it matters that pairs are translations, so that shuffling them makes a null.
        word_pairs: whether it is taken over aligned words.
        mlm_head: whether the checkpoint must bring a masked-language-modelling head.
        anchored: whether it holds on to the encoder as it was given.
    """

    name: str
    kind: ObjectiveKind
    summary: str
    reference: str
    parallel: bool = True
    word_pairs: bool = False
    mlm_head: bool = False
    anchored: bool = False


OBJECTIVES: Registry[Objective] = Registry(
    "objective",
    (
        Objective(
            name="token-contrastive",
            kind="token",
            summary="Pulls aligned words together and pushes all other words of the batch away.",
            reference="Wu & Dredze 2020 (arXiv:2010.02537); Gaschi et al. 2023 (arXiv:2306.02790)",
            word_pairs=True,
        ),
        Objective(
            name="token-l2",
            kind="token",
            summary="Moves aligned words onto each other and keeps the source language where it was.",
            reference="Cao, Kitaev & Klein 2020 (arXiv:2002.03518)",
            word_pairs=True,
            anchored=True,
        ),
        Objective(
            name="sentence-contrastive",
            kind="sentence",
            summary="Pulls translations together and pushes the other sentences of the batch away.",
            reference="XlCo of InfoXLM, Chi et al. 2021 (arXiv:2007.07834)",
        ),
        Objective(
            name="tlm",
            kind="lm",
            summary="Predicts masked subwords of a sentence and its translation in one input.",
            reference="Lample & Conneau 2019 (arXiv:1901.07291)",
            mlm_head=True,
        ),
        Objective(
            name="mlm",
            kind="lm",
            summary="Predicts masked subwords of target-language text: exposure without alignment.",
            reference="Devlin et al. 2019 (arXiv:1810.04805)",
            parallel=False,
            mlm_head=True,
        ),
    ),
)
"""Every alignment loss, in the order in which options are listed."""
