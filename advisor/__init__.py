"""Should this multilingual encoder be aligned before it is fine-tuned - and how?

Five questions, five functions::

    import advisor

    advisor.ask(model="xlm-roberta-base", source="en", target="yo", task="pos")  # from evidence, at once
    report = advisor.probe("bundled", source="en", target="tr", task="pos",
                           train="en.conllu", bitext="en-tr.tsv")  # measured on your model
    advisor.recommend("signals.json")  # from an earlier measurement
    advisor.trial("bundled", source="en", target="tr", task="pos", train="en.conllu", bitext="en-tr.tsv",
                  target_labels="tr.conllu")  # really aligned, fine-tuned and scored
    advisor.race("bundled", source="en", target="tr", task="pos", train="en.conllu", bitext="en-tr.tsv",
                 target_labels="tr.conllu", minutes=30)  # the same cut short, within a given time

The first three return a :class:`Report`: typed, shown by notebooks and by ``rich.print``, saved by
``report.write``; its ``report.advice`` has the decision, the option, the gain and the reasons. A trial
returns its table of scores and gains, and ``ask`` and ``recommend`` take it to refine their answer.
"""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor._notebook import OneLine, in_notebook
from advisor._request import spelled_out
from advisor.advice import Advice
from advisor.decide import DEFAULT_MIN_GAIN
from advisor.options import Option, WordPairs
from advisor.recommend import Asked
from advisor.recommend import ask as _ask
from advisor.recommend import recommend as _recommend
from advisor.report import Report
from probes.request import ProbeRequest
from probes.signals import Signals

if TYPE_CHECKING:
    from advisor.race import RaceResult
    from advisor.race.console import RaceWatcher
    from advisor.study import TrialResult, Watcher
    from probes.progress import Progress

__all__ = ["Advice", "Option", "Report", "WordPairs", "ask", "probe", "race", "recommend", "trial"]


@spelled_out(Asked, required=("source",))
def ask(asked: Asked, *, trial: "TrialResult | str | Path | None" = None) -> Report:
    """Advise from evidence, without measuring anything.

    Args:
        trial: an own trial of the same question, or the path of its folder or ``trial.json``.

    Raises:
        InputError: if the model only decodes, a language, the task or ``like`` is unknown, or the trial
            cannot be read or asked another question.
    """
    return Report(_ask(asked, trial))


def recommend(
    signals: Signals | str | Path,
    *,
    min_gain: float = DEFAULT_MIN_GAIN,
    trial: "TrialResult | str | Path | None" = None,
    train_steps: int | None = None,
) -> Report:
    """Advise from signals that were measured before.

    Args:
        signals: measured signals, or the path of a ``signals.json``.
        min_gain: smallest gain of interest, in points.
        trial: an own trial of the same question, or the path of its folder or ``trial.json``.
        train_steps: of fine-tuning; by default three epochs of the training data that was probed.

    Raises:
        InputError: if a file cannot be read, or the trial asked another question.
    """
    measured = signals if isinstance(signals, Signals) else Signals.load(signals)
    return Report(_recommend(measured, min_gain=min_gain, trial=trial, train_steps=train_steps), measured)


@spelled_out(objects=True)
def probe(
    request: ProbeRequest, tokenizer: Any = None, *, progress: "Progress | None" = None, hidden: str = ""
) -> Report:
    """Measure an encoder for a language pair and a task, and advise.

    The model is only read; measuring takes minutes. Model and data may be objects as well as names: a
    model of transformers or sentence-transformers; a ``Dataset``, a ``DatasetDict``, a pandas or polars
    table, a list of dicts or, for the bitext, of pairs. Their columns are found by the rules for files.

    Args:
        tokenizer: Of a model that is an object; by default what its name stands for.
        progress: Told of phases and cost; in a notebook, by default, one line is.

    Returns:
        The advice with the signals it rests on; ``report.write("out")`` saves all of it.

    Raises:
        InputError: if something given cannot be used.
        RunError: if the run cannot finish.
    """
    line = OneLine() if progress is None and in_notebook() else None
    from probes.run import run_probe

    signals = run_probe(request, progress or line)
    if line is not None:
        line.close()
    if hidden:  # objects have no path
        signals = Signals.model_validate_json(signals.model_dump_json().replace(json.dumps(hidden)[1:-1], ""))
    return recommend(signals, min_gain=request.min_gain)


@spelled_out(leave_out=("budget", "precision", "seed", "min_gain"), required=("target_labels",))
def trial(
    request: ProbeRequest,
    *,
    options: Sequence[Option | str] = ("none", "token-contrastive:joint:0.1"),
    seeds: int = 3,
    steps: int | None = None,
    out: str | Path = "trial",
    progress: "Watcher | None" = None,
) -> "TrialResult":
    """Align, fine-tune and evaluate for real, every option with several seeds, beside fine-tuning alone.

    It takes as many training runs as there are options times seeds. Each leaves a record under
    ``out/records``; a call that is repeated after an interruption goes on from there, and one that asks
    for more seeds or options runs only those.

    Args:
        options: what to compare, as :class:`Option` or as in ``token-contrastive:joint:0.1``; ``none`` is
            always added.
        seeds: how many seeds; from two on the gains have intervals.
        steps: at most so many optimiser steps in each phase; by default three epochs.
        out: folder for the records and ``trial.json``.
        progress: told of the runs and of the phases of each.

    Returns:
        For each option mean scores on target and source text and the gains over ``none``, in points,
        paired by seed, with 95 % intervals; its ``verdict`` says in one sentence what follows.

    Raises:
        InputError: if something given cannot be used.
        RunError: if no run could be finished, or the disk fails.
    """
    from advisor.study import run_trial

    if seeds == 1:
        warnings.warn("One seed cannot decide: the gain of a single run has no interval.", stacklevel=3)
    return run_trial(request, options, seeds=seeds, steps=steps, out=out, watcher=progress)


@spelled_out(leave_out=("budget", "precision", "seed"), required=("target_labels",))
def race(
    request: ProbeRequest,
    *,
    options: Sequence[Option | str] = (),
    minutes: float = 30.0,
    steps: int | None = None,
    signals: str | Path | None = None,
    out: str | Path = "race",
    progress: "RaceWatcher | None" = None,
) -> "RaceResult":
    """Race options against fine-tuning alone in real runs cut short, within a given time.

    Each look at a run is paired with fine-tuning alone at the same step and weighed against what the findings
    expect; what is run next is what is worth most for its time. A call that is repeated after an interruption
    goes on, with other minutes too.

    Args:
        options: what to race; by default what the findings expect most of.
        minutes: that it may take.
        steps: of each phase of a whole run; by default three epochs.
        signals: a ``signals.json`` of a probe of the same question, to begin with.
        out: folder of the race, with ``result.json``, ``advice.json`` and a recipe that goes on.
        progress: told of its course.

    Returns:
        The decision with every arm's gain, P(best) and looks.

    Raises:
        InputError: if something given cannot be used.
        RunError: if fine-tuning alone diverges, the disk fails or the device is lost.
    """
    from advisor.race import run_race

    return run_race(
        request, options, minutes=minutes, steps=steps, signals=signals, out=out, watcher=progress
    )
