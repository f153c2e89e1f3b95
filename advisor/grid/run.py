"""Probes of many targets and encoders: what they share is done once, and what is done is kept."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from advisor.advice import Advice
from advisor.files import write_files
from advisor.findings import load_findings
from advisor.findings.evidence import find_encoder
from advisor.grid.joint import JointAnswer, joint_answer
from advisor.grid.questions import named_once
from advisor.grid.store import folder_of, kept_cell, load_pulls, write_cell
from advisor.grid.table import AnswerCell
from advisor.recipe import anchor_bitext, anchor_data, anchor_model, joint_files
from advisor.recommend import recommend
from advisor.report import Report
from advisor.sample import SAMPLE_PREFIX, located
from probes.errors import InputError, RunError
from probes.material.inputs import read_inputs, read_train
from probes.progress import Progress
from probes.request import ProbeRequest

if TYPE_CHECKING:
    from probes.data import LabelledData
    from probes.gradients.between import Pulls
    from probes.run import TargetProbes

_OF_TARGET = ("target", "bitext", "target_labels", "dictionary", "word_links")
"""Fields that differ from target to target; a probe shares all others."""
_FILES = ("bitext", "target_labels", "dictionary", "word_links")
_PROBLEMS = (InputError, RunError, RuntimeError, ValueError, ArithmeticError, MemoryError, OSError)
"""What one cell may end with; the others go on."""


def spread(request: ProbeRequest) -> list[ProbeRequest]:
    """A request for every model and target that one names by commas, the cheapest model first.

    ``{target}`` in the names of its files stands for each target in turn, as it was typed; what is named
    twice is probed once (:func:`~advisor.grid.named_once`).

    Raises:
        InputError: if no model or no target is named, or several targets would read one file.
    """
    models, targets, _ = named_once(request.model, request.target)
    for name, values in (("model", models), ("target", targets)):
        if not values:
            raise InputError(f"'{getattr(request, name)}' names no {name}: give one, or several by commas.")
    given = {name: value for name in _FILES if (value := getattr(request, name))}
    shared = next((name for name, value in given.items() if "{target}" not in value), None)
    if len(targets) > 1 and shared:
        raise InputError(
            f"{len(targets)} targets cannot share one file: write {{target}} in the name of "
            f"--{shared.replace('_', '-')} where the language stands, as in en-{{target}}.tsv."
        )
    return [
        request.model_copy(
            update={"model": model, "target": target}
            | {name: value.replace("{target}", target) for name, value in given.items()}
        )
        for model in sorted(models, key=_size)
        for target in targets
    ]


def _size(model: str) -> float:
    """Millions of parameters, as far as is known without loading; unknown ones come last."""
    try:
        return find_encoder(model, load_findings().tables.encoders).parameters_m or float("inf")
    except InputError:
        return float("inf")


def probe_cells(
    requests: Sequence[ProbeRequest], out: Path, watcher: Progress | None = None
) -> Iterator[AnswerCell]:
    """Probe cell after cell; what cannot be had carries its sentence, and what was done before is kept.

    Args:
        requests: as :func:`spread` makes them, cells of one model together.
        out: folder of the grid; each cell's report is written below it as soon as it is there.
    """
    groups: defaultdict[str, list[ProbeRequest]] = defaultdict(list)
    for request in requests:
        groups[request.model_dump_json(exclude=set(_OF_TARGET))].append(request)
    for group in groups.values():
        yield from _probe_group(group, out, watcher)


def _probe_group(
    requests: Sequence[ProbeRequest], out: Path, watcher: Progress | None
) -> Iterator[AnswerCell]:
    """Cells of one encoder and task: training data and what their probes share are had once."""
    train: LabelledData | None = None
    shared: TargetProbes | None = None
    for asked in requests:
        names = asked.model_dump(include={"model", "source", "target", "task"})
        folder = folder_of(asked, out)
        try:
            request = with_paths(asked)
            train = train or read_train(request)
            inputs = read_inputs(request, train)
            kept = kept_cell(folder, request, inputs.facts)
            if kept is None:
                shared = shared or _shared_by(requests, request)
                signals, pulls = shared.measure(request, watcher, inputs)
                report = Report(recommend(signals, min_gain=request.min_gain), signals)
                problem = write_cell(folder, report, pulls, request)
            else:
                report, problem = kept
        except _PROBLEMS as error:
            yield AnswerCell(**names, problem=" ".join(str(error).split()) or type(error).__name__)
            continue
        yield AnswerCell(
            **names,
            advice=report.advice,
            measured=tuple(report.measured.items()),
            folder=None if problem else str(folder.relative_to(out)),
            problem=problem,
        )


def _shared_by(requests: Sequence[ProbeRequest], first: ProbeRequest) -> "TargetProbes":
    from probes.run import TargetProbes  # torch takes seconds to import

    return TargetProbes(first, several=len(requests) > 1)


def anchored(request: ProbeRequest) -> ProbeRequest:
    """The request with absolute paths, so that it is the same wherever it is worked on."""
    anchors = {"model": anchor_model, "train": anchor_data, "bitext": anchor_bitext}
    anchors |= {"target_labels": anchor_data, "dictionary": anchor_data, "word_links": anchor_bitext}
    given = {name: value for name in anchors if (value := getattr(request, name))}
    return request.model_copy(
        update={
            name: anchors[name](value, Path.cwd())
            for name, value in given.items()
            if not value.startswith(SAMPLE_PREFIX)
        }
    )


def with_paths(request: ProbeRequest) -> ProbeRequest:
    """The request with paths in the place of names of the sample's files."""
    files = {name: located(value) for name in ("train", *_FILES) if (value := getattr(request, name))}
    return request.model_copy(update=files)


def compare_targets(
    requests: Sequence[ProbeRequest], cells: Sequence[AnswerCell], out: Path
) -> Iterator[JointAnswer]:
    """What to align together, for every encoder with two targets or more; requests and cells in one order."""
    from probes.gradients.between import between_targets

    pulls: defaultdict[str, dict[str, Pulls]] = defaultdict(dict)
    advices: defaultdict[str, dict[str, Advice]] = defaultdict(dict)
    for request, cell in zip(requests, cells, strict=True):
        if cell.advice is not None:
            advices[cell.model][cell.target] = cell.advice
            with suppress(OSError, ValueError, KeyError, BadZipFile):
                if cell.folder is not None:
                    pulls[cell.model][cell.target] = load_pulls(request, out)
    for model, found in pulls.items():
        answer = joint_answer(advices[model], between_targets(found)) if len(found) > 1 else None
        if answer is not None:
            yield answer


def write_joint(
    joint: Sequence[JointAnswer], requests: Sequence[ProbeRequest], cells: Sequence[AnswerCell], out: Path
) -> None:
    """Write a recipe for every group of targets that go together, into ``joint-de-tr`` and the like."""
    for answer in joint:
        of_model = {
            cell.target: (cell.advice, with_paths(request))
            for request, cell in zip(requests, cells, strict=True)
            if cell.model == answer.model and cell.advice is not None
        }
        for group in (group for group in answer.groups if len(group) > 1):
            advices, asked = zip(*(of_model[target] for target in group), strict=True)
            together = asked[0].model_copy(update={"target": f"joint-{'-'.join(sorted(group))}"})
            write_files(folder_of(together, out), joint_files(advices, asked))


def in_processes(
    requests: Sequence[ProbeRequest],
    out: Path,
    jobs: int,
    dask: str | None,
    told: Callable[[AnswerCell], None],
) -> list[AnswerCell]:
    """The cells by several processes, or by the workers of a Dask cluster, in the order of the requests.

    Each takes a share of one model's targets, and does once what they share.

    Args:
        out: folder of the grid, which all must see under this name.
        told: of each cell once its share is done.
    """
    from joblib import Parallel, delayed

    from advisor.study import joblib_backend

    models = list(dict.fromkeys(request.model for request in requests))
    found: dict[int, AnswerCell] = {}
    with joblib_backend(jobs, dask) as workers:
        shares = max(1, -(-workers // len(models)))
        chunks = [
            [i for i, request in enumerate(requests) if request.model == model][share::shares]
            for model in models
            for share in range(shares)
        ]
        # With one worker joblib would do all of it here, whatever the cluster's machine has.
        parallel = Parallel(n_jobs=max(2, workers), return_as="generator_unordered", batch_size=1)
        work = delayed(_share)
        with suppress(*_deaths()):
            for done in parallel(work([(i, requests[i]) for i in chunk], out) for chunk in chunks if chunk):
                for i, cell in done:
                    found[i] = cell
                    told(cell)
    return [found.get(i) or _lost(request) for i, request in enumerate(requests)]


def _deaths() -> tuple[type[Exception], ...]:
    """What joblib raises where a process or a Dask worker has died."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    with suppress(ImportError):
        from distributed.scheduler import KilledWorker

        return TerminatedWorkerError, KilledWorker
    return (TerminatedWorkerError,)


def _lost(request: ProbeRequest) -> AnswerCell:
    return AnswerCell(
        **request.model_dump(include={"model", "source", "target", "task"}),
        problem="A worker process died, as happens when memory runs out: run the same command with fewer "
        "--jobs; what is done is kept.",
    )


def _share(numbered: Sequence[tuple[int, ProbeRequest]], out: Path) -> list[tuple[int, AnswerCell]]:
    from advisor.study import one_at_a_time

    with one_at_a_time:
        cells = probe_cells([request for _, request in numbered], out)
        return [(i, cell) for (i, _), cell in zip(numbered, cells, strict=True)]
