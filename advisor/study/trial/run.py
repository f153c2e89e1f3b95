"""The trial: every option is run for real, with several seeds, beside fine-tuning alone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from advisor.console import PhaseBar
from advisor.files import reserved, write_files, write_or_rescue
from advisor.options import NO_ALIGNMENT, Option, WordPairs, weighted
from advisor.report.words import duration
from advisor.study._record import Record, Records, seconds_for
from advisor.study._run_once import TrialRun, configure, roles_of, run_recorded
from advisor.study.trial.result import TRIAL_FILE, TrialResult, summarise
from advisor.training import Recipe, Shared, word_pairs_of
from probes.errors import InputError, RunError
from probes.progress import Progress
from probes.request import ProbeRequest

if TYPE_CHECKING:
    import torch


class Watcher(Progress):
    """Receives the course of a trial and of the phases in each run; as it is here it shows nothing."""

    def planned(self, total: int, kept: int) -> None:
        """There are ``total`` runs, ``kept`` of which were done by an earlier call."""

    def begins(self, option: Option, seed: int) -> None:
        """A run begins."""

    def ended(self, record: Record, seconds_left: float) -> None:
        """A run has ended, now or in an earlier call; the others will take about ``seconds_left``."""


class ConsoleWatcher(PhaseBar, Watcher):
    """Says how many runs there are, how each ended, and after each the time left."""

    def __init__(self, phases: Mapping[str, str]) -> None:
        super().__init__(phases)
        self._total = self._ended = 0
        self._run = ""

    def planned(self, total: int, kept: int) -> None:
        """Say how many runs there are."""
        self._total = total
        done = f", {kept} of them done before" if kept else ""
        self._print(f"{_runs(total)} of alignment, fine-tuning and evaluation{done}.")

    def begins(self, option: Option, seed: int) -> None:
        """Name the run beside its bar."""
        self._run = f"{option}, seed {seed}"

    def ended(self, record: Record, seconds_left: float) -> None:
        """Say how the run ended and how long the others will take."""
        self._close()
        self._ended += 1
        left = self._total - self._ended
        rest = f" About {duration(seconds_left)} left for {_runs(left)}." if left else ""
        self._print(
            f"{self._ended}/{self._total} {self._run}: {record.outcome}; {duration(record.seconds)}.{rest}"
        )

    def _described(self, name: str) -> str:
        return f"{self._run}: {super()._described(name)}"


def _runs(number: int) -> str:
    return f"{number} run" if number == 1 else f"{number} runs"


DEFAULT_OPTIONS = ("none", "token-contrastive:joint:0.1")
"""What is compared unless something else is named."""
_RECORD_BYTES = 1 << 20
"""Disk that the record of a run may take, several times over."""
FEWEST_PAIRS = 8
"""Translation pairs a trial needs: with fewer, a contrastive loss has next to no negatives."""


def run_trial(
    request: ProbeRequest,
    options: Sequence[Option | str] = DEFAULT_OPTIONS,
    *,
    seeds: int = 3,
    steps: int | None = None,
    out: str | Path = "trial",
    watcher: Watcher | None = None,
) -> TrialResult:
    """Align, fine-tune and evaluate with every option and seed, each paired with ``none``.

    Runs of the same seed share the split of the training data, the start of the head and the order of the
    task's batches, so that their difference is the option's doing. Every run leaves a record under
    ``out/records``; what is recorded as done or diverged is not run again, what failed is. Killing the
    trial therefore costs at most the run in flight.

    Args:
        request: what to try on. Target labels are needed; the budget and the seed are not used.
        options: what to compare, typed or as :meth:`Option.parse` reads it; ``none`` is always added, and
            joint training without a weight gets 0.1, as in the published runs.
        seeds: how many seeds (0, 1, ...); the runs of fewer seeds are a part of those of more.
        steps: at most so many optimiser steps in each phase; by default three epochs, and as many steps of
            sequential alignment.
        out: folder for ``records/`` and ``trial.json``.
        watcher: told of the runs and of the phases of each.

    Returns:
        Every option's scores and gains; also written to ``out/trial.json``.

    Raises:
        InputError: if something given cannot be used.
        RunError: if no run at all could be finished, or the disk fails.
    """
    out = Path(out)
    chosen = _options(options, request)
    if seeds < 1:
        raise InputError("A trial needs at least 1 seed, and 2 to know the noise: use --seeds 3.")
    if steps is not None and steps < 1:
        raise InputError("A run needs at least 1 optimiser step: raise --steps.")
    if request.target_labels is None:
        raise InputError(
            "A trial is scored on labelled target-language data: name some with --target-labels."
        )
    from advisor.study._run_once import precision_on, training_on  # torch takes seconds to import

    needed = _RECORD_BYTES * seeds * len(chosen)
    with reserved(out, needed), training_on(request.device) as device:
        runs = list(_plan(request, chosen, seeds, steps, precision_on(device)))
        records = _run_all(runs, Records(out / "records"), device, watcher or Watcher())
    result = summarise(records)
    write_or_rescue(out, lambda folder: write_files(folder, {TRIAL_FILE: result.text()}))
    if not any(record.status == "done" for record in records):
        raise RunError(
            f"None of the {len(records)} runs could be finished; the first {records[0].status}: "
            f"{records[0].error}"
        )
    return result


def _options(options: Sequence[Option | str], request: ProbeRequest) -> list[Option]:
    """``none``, then every other option once."""
    word_pairs = word_pairs_of(request)
    typed = [option if isinstance(option, Option) else Option.parse(option, word_pairs) for option in options]
    for option in typed:
        if option.word_pairs is WordPairs.DICTIONARY and not request.dictionary:
            raise InputError(f"'{option}' needs a bilingual dictionary: name one with --dictionary.")
        if option.word_pairs is WordPairs.FILE and not request.word_links:
            raise InputError(f"'{option}' needs word links of the bitext: name them with --word-links.")
    chosen = list(dict.fromkeys([NO_ALIGNMENT, *map(weighted, typed)]))
    if len(chosen) == 1:
        raise InputError(
            "There is nothing to compare fine-tuning alone with: name an option, such as "
            "--option token-contrastive:joint:0.1."
        )
    return chosen


def _plan(
    request: ProbeRequest,
    options: Sequence[Option],
    seeds: int,
    steps: int | None,
    precision: Literal["bf16", "no"],
) -> Iterator[TrialRun]:
    """All runs, seed by seed: paired gains come early, and bad input comes out in the first round."""
    from probes.encoder import load_encoder
    from probes.material.inputs import read_inputs

    inputs = read_inputs(request)
    if len(inputs.bitext) < FEWEST_PAIRS:
        raise InputError(
            f"{request.bitext} holds {len(inputs.bitext)} usable translation pairs: bring {FEWEST_PAIRS} or "
            "more to try alignment on."
        )
    encoder = load_encoder(request.model)
    for option in options:
        if option.needs_mlm_head and encoder.masked_lm is None:
            raise InputError(
                f"'{option.objective}' cannot be run on '{request.model}', since {encoder.no_mlm_reason}: "
                "choose another objective."
            )
    hashes: defaultdict[str, list[str]] = defaultdict(list)
    files: defaultdict[str, list[str]] = defaultdict(list)
    for fact in inputs.facts:
        hashes[fact.role].append(fact.sha256)
        files[fact.role].append(fact.spec)
    target = inputs.target.code
    fixed = {"source": inputs.source.code, "target": target, "max_steps": steps, "mixed_precision": precision}
    for seed in range(seeds):
        for option in options:
            recipe = Recipe.of(request, option, seed=seed, **fixed)
            roles = tuple(roles_of(recipe))
            configuration = configure(
                recipe,
                model_sha256=encoder.sha256,
                data_sha256={role: "+".join(hashes[role]) for role in roles},
                scored={target: "+".join(hashes["target-labels"])},
            )
            named = {role: " + ".join(files[role]) for role in (*roles, "target-labels")}
            yield TrialRun(configuration, recipe, request.model, named, {target: str(request.target_labels)})


def _run_all(
    runs: Sequence[TrialRun], records: Records, device: "torch.device", watcher: Watcher
) -> list[Record]:
    """The records of ``runs``, in their order; those that are not there yet are made."""
    earlier = [records.find(run.configuration) for run in runs]
    watcher.planned(len(runs), sum(record is not None and record.status != "failed" for record in earlier))
    shared, ended = Shared(), []
    for run in runs:
        watcher.begins(run.configuration.option, run.configuration.seed)
        ended.append(record := run_recorded(run, records, device, watcher, shared))
        waiting = [run.configuration.option for run in runs[len(ended) :]]
        spent = [(record.configuration.option, record.seconds) for record in ended]
        watcher.ended(record, seconds_for(waiting, spent) or 0.0)
    return ended
