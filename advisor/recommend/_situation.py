"""A question with everything that is known about it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.advice import Question
from advisor.findings import Findings
from advisor.findings.evidence import Case, Effect, EncoderFacts, normalise_model, unknown_encoder
from advisor.findings.model import EffectModel
from advisor.options import NO_ALIGNMENT, Option, WordPairs
from probes.catalogue import Task
from probes.errors import InputError
from probes.languages import Language, refuse_same
from probes.signals import Signals

if TYPE_CHECKING:
    from advisor.study import TrialResult  # takes a while to import, and most answers need none

_NO_BETTER, _BLIND = 5.0, 0.05
"""Points above always answering the most frequent label, and a share of translations found, that an encoder
which knows anything exceeds."""


def read_trial(trial: "TrialResult | str | Path | None") -> "TrialResult | None":
    """The trial, read if it is a path.

    Raises:
        InputError: if it cannot be read.
    """
    if not isinstance(trial, str | Path):
        return trial
    from advisor.study import TrialResult

    return TrialResult.load(trial)


@dataclass(frozen=True, slots=True)
class Situation:
    """A question with everything that is known about it.

    Raises:
        InputError: if source and target are the same language, the trial asked another question, or a number
            is out of its range.
    """

    question: Question
    source: Language
    target: Language
    task: Task
    word_pairs: WordPairs
    min_gain: float
    signals: Signals | None
    findings: Findings
    encoder: EncoderFacts
    trial: "TrialResult | None"
    train_steps: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_gain < math.inf:
            raise InputError(
                f"The smallest gain of interest cannot be {self.min_gain}: give points, 0 or more."
            )
        if self.train_steps is not None and self.train_steps < 1:
            raise InputError(f"Fine-tuning cannot take {self.train_steps} steps: give 1 or more.")
        refuse_same(self.source, self.target)
        if self.trial is not None:
            tried = (normalise_model(self.trial.model), self.trial.source, self.trial.target, self.trial.task)
            asked = (
                normalise_model(self.question.model),
                *(self.source.code, self.target.code, self.task.name),
            )
            if tried != asked:
                raise InputError(
                    "The trial was of {}, {} to {}, {}, and the question is about {}, {} to {}, {}: name the "
                    "trial of the same model, languages and task.".format(*tried, *asked)
                )

    @property
    def model(self) -> str:
        """The name the evidence has the model under."""
        return self.encoder.name

    @property
    def untrained(self) -> bool:
        """Whether the probe found an encoder that knows nothing, whatever it is called: its frozen features
        do no better on the source than the most frequent label does, and find no translations."""
        signals = self.signals
        if signals is None or signals.transfer.source.value is None:
            return False
        options = [
            (row.value.value or 0.0, row.chance or 0.0)
            for row in signals.distances
            if row.measure == "retrieval-forward" and row.value.value is not None
        ]
        blind = all(share < max(5 * chance, _BLIND) for share, chance in options)
        return blind and signals.transfer.source.value < signals.transfer.majority + _NO_BETTER

    @property
    def tried(self) -> dict[Option, list[float]]:
        """The paired gains of every option of the own trial that has any; empty without one."""
        if self.trial is None:
            return {}
        gains = {row.option: self.trial.gains(row.option) for row in self.trial.options}
        return {option: gain for option, gain in gains.items() if gain and option != NO_ALIGNMENT}

    def case(self, option: Option) -> Case:
        """The option on the question's model, task and language."""
        return self.findings.cases.case(
            option,
            model=self._asked,
            encoder=unknown_encoder(self.model) if self.untrained else self.encoder,
            task=self.task.name,
            target=self.target.code,
            train_steps=self.train_steps,
        )

    @property
    def fit(self) -> EffectModel:
        """The effect model that answers."""
        return self.findings.fit_of(self._asked, self.task.name)

    @property
    def evidence(self) -> tuple[Effect, ...]:
        """The effects that it was fitted to."""
        return self.findings.tables.strata[self._stratum]

    @property
    def measured(self) -> frozenset[tuple[str, str, str]]:
        """Encoder, task and target language of each of them."""
        return self.findings.tables.measured[self._stratum]

    @property
    def _stratum(self) -> str:
        return self.findings.tables.stratum_of(self._asked, self.task.name)

    @property
    def _asked(self) -> str:
        return f"untrained {self.model}" if self.untrained else self.model
