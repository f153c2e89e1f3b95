"""Should this multilingual encoder be aligned before it is fine-tuned - and how?

Four questions, four functions::

    import advisor

    advisor.ask(model="xlm-roberta-base", source="en", target="yo", task="pos")  # from evidence, at once
    report = advisor.probe("bundled", source="en", target="tr", task="pos",
                           train="en.conllu", bitext="en-tr.tsv")  # measured on your model
    advisor.recommend("signals.json")  # from an earlier measurement
    advisor.trial("bundled", source="en", target="tr", task="pos", train="en.conllu", bitext="en-tr.tsv",
                  target_labels="tr.conllu")  # really aligned, fine-tuned and scored

The first three return a :class:`Report`: typed, shown by notebooks and by ``rich.print``, saved by
``report.write``; its ``report.advice`` has the decision, the option, the gain and the reasons. A trial
returns its table of scores and gains, and ``ask`` and ``recommend`` take it to refine their answer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.advice import Advice
from advisor.decide import DEFAULT_MIN_GAIN
from advisor.options import Option, WordPairs
from advisor.recommend import ask as _ask
from advisor.recommend import recommend as _recommend
from advisor.report import Report
from probes.data import Columns
from probes.request import ProbeRequest
from probes.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.study import TrialResult, Watcher
    from probes.progress import Progress

__all__ = ["Advice", "Option", "Report", "WordPairs", "ask", "probe", "recommend", "trial"]


def ask(
    model: str,
    *,
    source: str,
    target: str,
    task: str,
    word_pairs: WordPairs | str | None = None,
    min_gain: float = DEFAULT_MIN_GAIN,
    trial: "TrialResult | str | Path | None" = None,
    pretrained_on: "Sequence[str]" = (),
    like: str | None = None,
) -> Report:
    """Advise from evidence, without measuring anything.

    Args:
        model: a hub id, a folder, or the name of an offline encoder; evidence is matched by its last part.
        source: language of the labelled data.
        target: language the model is to be used in.
        task: one of ``probes.catalogue.TASKS``.
        word_pairs: where aligned words would come from.
        min_gain: smallest gain of interest, in points.
        trial: an own trial of the same question, or the path of its folder or ``trial.json``.
        pretrained_on: all languages that the model was pretrained on, where the evidence does not know it.
        like: an encoder that the evidence knows and that the model is like.

    Raises:
        InputError: if the model only decodes, a language, the task or ``like`` is unknown, or the trial
            cannot be read or asked another question.
    """
    return Report(
        _ask(
            model=model,
            source=source,
            target=target,
            task=task,
            word_pairs=word_pairs,
            min_gain=min_gain,
            trial=trial,
            pretrained_on=pretrained_on,
            like=like,
        )
    )


def recommend(
    signals: Signals | str | Path,
    *,
    min_gain: float = DEFAULT_MIN_GAIN,
    trial: "TrialResult | str | Path | None" = None,
) -> Report:
    """Advise from signals that were measured before.

    Args:
        signals: measured signals, or the path of a ``signals.json``.
        min_gain: smallest gain of interest, in points.
        trial: an own trial of the same question, or the path of its folder or ``trial.json``.

    Raises:
        InputError: if a file cannot be read, or the trial asked another question.
    """
    measured = signals if isinstance(signals, Signals) else Signals.load(signals)
    return Report(_recommend(measured, min_gain=min_gain, trial=trial), measured)


def probe(
    model: str,
    *,
    source: str,
    target: str,
    task: str,
    train: str | Path,
    bitext: str | Path,
    target_labels: str | Path | None = None,
    dictionary: str | Path | None = None,
    word_links: str | Path | None = None,
    columns: Columns | None = None,
    budget: str = "standard",
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    min_gain: float = DEFAULT_MIN_GAIN,
    progress: "Progress | None" = None,
) -> Report:
    """Measure an encoder for a language pair and a task, and advise.

    The model is only read; measuring takes minutes. Files may also be ``hf:NAME[:CONFIG][:SPLIT]``.

    Args:
        model: ``bundled``, ``bundled-enpt``, a folder, or a Hugging Face id.
        source: language of the labelled data.
        target: language the model is to be used in.
        task: one of ``probes.catalogue.TASKS``.
        train: labelled source-language data.
        bitext: translation pairs, source language first.
        target_labels: labelled target-language data; a hundred sentences do, and they tell the most.
        dictionary: bilingual dictionary to align words with; by default the encoder aligns them itself.
        word_links: Pharaoh ``i-j`` file, one line a pair of the bitext.
        columns: names of table columns, where they are not the usual ones.
        budget: ``quick``, ``standard`` or ``thorough``.
        device: ``auto``, ``cpu``, ``cuda``, ...
        precision: of the passes: ``fp32``, ``bf16``, or ``auto``: bf16 where the hardware is made for it.
        seed: of all sampling; the same seed on the same machine gives the same signals.
        min_gain: smallest gain of interest, in points.
        progress: told of phases and cost.

    Returns:
        The advice with the signals it rests on; ``report.write("out")`` saves all of it.

    Raises:
        InputError: if something given cannot be used.
        RunError: if the run cannot finish.
    """
    from advisor.recommend import check_min_gain
    from probes.run import run_probe

    check_min_gain(min_gain)
    request = ProbeRequest(
        model=model,
        source=source,
        target=target,
        task=task,
        train=str(train),
        bitext=str(bitext),
        target_labels=str(target_labels) if target_labels else None,
        dictionary=str(dictionary) if dictionary else None,
        word_links=str(word_links) if word_links else None,
        columns=columns,
        budget=budget,
        device=device,
        precision=precision,
        seed=seed,
    )
    return recommend(run_probe(request, progress), min_gain=min_gain)


def trial(
    model: str,
    *,
    source: str,
    target: str,
    task: str,
    train: str | Path,
    bitext: str | Path,
    target_labels: str | Path,
    options: Sequence[Option | str] = ("none", "token-contrastive:joint:0.1"),
    seeds: int = 3,
    steps: int | None = None,
    dictionary: str | Path | None = None,
    word_links: str | Path | None = None,
    columns: Columns | None = None,
    out: str | Path = "trial",
    device: str = "auto",
    progress: "Watcher | None" = None,
) -> "TrialResult":
    """Align, fine-tune and evaluate for real, every option with several seeds, beside fine-tuning alone.

    It takes as many training runs as there are options times seeds. Each leaves a record under
    ``out/records``; a call that is repeated after an interruption goes on from there, and one that asks
    for more seeds or options runs only those.

    Args:
        model: ``bundled``, ``bundled-enpt``, a folder, or a Hugging Face id; only read.
        source: language of the labelled data.
        target: language the model is to be used in.
        task: one of ``probes.catalogue.TASKS``.
        train: labelled source-language data; a tenth is held out and scored on.
        bitext: translation pairs, source language first.
        target_labels: labelled target-language data to score on; never trained on.
        options: what to compare, as :class:`Option` or as in ``token-contrastive:joint:0.1``; ``none`` is
            always added.
        seeds: how many seeds; from two on the gains have intervals.
        steps: at most so many optimiser steps in each phase; by default three epochs.
        dictionary: bilingual dictionary to align words with; by default the encoder aligns them itself.
        word_links: Pharaoh ``i-j`` file, one line a pair of the bitext.
        columns: names of table columns, where they are not the usual ones.
        out: folder for the records and ``trial.json``.
        device: ``auto``, ``cpu``, ``cuda``, ...
        progress: told of the runs and of the phases of each.

    Returns:
        For each option mean scores on target and source text and the gains over ``none``, in points,
        paired by seed, with 95 % intervals; its ``verdict`` says in one sentence what follows.

    Raises:
        InputError: if something given cannot be used.
        RunError: if no run could be finished, or the disk fails.
    """
    from advisor.study import run_trial

    request = ProbeRequest(
        model=model,
        source=source,
        target=target,
        task=task,
        train=str(train),
        bitext=str(bitext),
        target_labels=str(target_labels) if target_labels else None,
        dictionary=str(dictionary) if dictionary else None,
        word_links=str(word_links) if word_links else None,
        columns=columns,
        device=device,
    )
    return run_trial(request, options, seeds=seeds, steps=steps, out=out, watcher=progress)
