"""``advisor race``: from a request to a result, however often it is interrupted."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.advice import Advice
from advisor.files import reserved, write_or_rescue
from advisor.options import Option
from advisor.race.advice import counting, winners_recipe
from advisor.race.console import RaceWatcher
from advisor.race.result import RaceResult, result_of
from advisor.race.start import arms_to_time, key_of, set_up
from advisor.race.store import RaceStore, Setup
from advisor.recommend import Asked, ask, recommend
from advisor.training import Recipe, Shared, word_pairs_of
from probes.errors import InputError, RunError
from probes.progress import Stopwatch
from probes.request import ProbeRequest

if TYPE_CHECKING:
    import torch


def run_race(
    request: ProbeRequest,
    options: Sequence[Option | str] = (),
    *,
    minutes: float = 30.0,
    steps: int | None = None,
    signals: str | Path | None = None,
    out: str | Path = "race",
    watcher: RaceWatcher | None = None,
) -> RaceResult:
    """Race options against fine-tuning alone within a given time.

    Arms begin in the order of what the findings expect of them; each is run on as long as that is worth its
    time. A race that was killed goes on with the same call, and ends in the same numbers.

    Args:
        request: what to race on. Target labels are needed; budget, precision and seed are not used.
        options: what to race; by default whatever the findings expect most of. Fine-tuning alone always is.
        minutes: that it may take.
        steps: of each phase of a whole run; by default three epochs.
        signals: a ``signals.json`` of a probe of the same question, to begin with.
        out: folder of the race.
        watcher: told of its course.

    Returns:
        The decision with every arm's gain; also written to ``out``.

    Raises:
        InputError: if something given cannot be used, or ``out`` holds another race.
        RunError: if fine-tuning alone diverges, the disk fails or the device is lost.
    """
    out = Path(out)
    watcher = watcher or RaceWatcher()
    if request.target_labels is None:
        raise InputError("A race is scored on labelled target-language data: name some with --target-labels.")
    if minutes <= 0:
        raise InputError("A race needs some minutes: raise --minutes.")
    advice = _advice(request, signals)
    typed = [
        option if isinstance(option, Option) else Option.parse(option, word_pairs_of(request))
        for option in options
    ]

    from advisor.study import training_on  # torch takes seconds to import

    with reserved(out), training_on(request.device) as device:
        return _raced(request, typed, advice, RaceStore(out), watcher, minutes, steps, device)


def _raced(
    request: ProbeRequest,
    options: Sequence[Option],
    advice: Advice,
    store: RaceStore,
    watcher: RaceWatcher,
    minutes: float,
    steps: int | None,
    device: "torch.device",
) -> RaceResult:
    from advisor.race.engine import Engine, is_out_of_memory
    from advisor.race.replay.fit import shipped_errors
    from advisor.race.running import Racer
    from advisor.study import precision_on
    from probes.encoder import load_encoder
    from probes.material.inputs import read_inputs

    began = time.perf_counter()
    inputs = read_inputs(request)
    encoder = load_encoder(request.model)
    hashes = [encoder.sha256, *(fact.sha256 for fact in inputs.facts)]
    key = key_of(request, hashes, options=[str(option) for option in options], steps=steps)
    arms = arms_to_time(advice, options, [] if encoder.masked_lm is not None else ["mlm", "tlm"])
    errors = shipped_errors()
    settings = {
        "source": inputs.source.code,
        "target": inputs.target.code,
        "max_steps": steps,
        "mixed_precision": precision_on(device),
    }
    setup = _taken_up(store, key, minutes)
    halvings = setup.halvings if setup else 0
    while True:
        recipe = partial(_recipe, request, halvings, settings)
        engine = Engine(recipe, str(request.target_labels), store, Stopwatch(watcher), Shared())
        try:
            if setup is None:
                setup = set_up(engine, arms, advice, key=key, minutes=minutes, halvings=halvings, began=began)
                store.begin(setup)
            racer = Racer(setup, store, engine, errors)
            watcher.begins(setup, len(racer.counts))
            stopped = racer.run(watcher)
            break
        except (RuntimeError, MemoryError) as problem:
            if isinstance(problem, RunError):
                raise
            if not is_out_of_memory(problem):
                raise RunError(
                    f"A run failed ({' '.join(str(problem).split())}): the same command goes on from there."
                ) from problem
            halvings, setup = halvings + 1, None
            if 2**halvings > 16:
                raise RunError("Even a batch of one is too large for this machine's memory.") from problem
    result = result_of(racer, stopped)
    counted = counting(advice, result)
    answer = {"advice.json": counted.model_dump_json(indent=2) + "\n"}
    write_or_rescue(store.folder, lambda folder: RaceStore(folder).finish(result, answer))
    store.finish(result, winners_recipe(racer, result, request))  # with weights, for which a disk may not do
    return result


def _taken_up(store: RaceStore, key: str, minutes: float) -> Setup | None:
    """What the race in a folder is, with the time that it may take now; None before it has begun."""
    setup = store.setup()
    if setup is not None and setup.key != key:
        raise InputError(f"{store.folder} holds another race: name another folder with --out.")
    if setup is not None and setup.minutes != minutes:
        setup = setup.model_copy(update={"minutes": minutes})
        store.change(setup)
    return setup


def _advice(request: ProbeRequest, signals: str | Path | None) -> Advice:
    if signals is not None:
        return recommend(signals, min_gain=request.min_gain)
    question = request.model_dump(include={"model", "source", "target", "task", "min_gain"})
    return ask(Asked(**question, word_pairs=word_pairs_of(request)))


def _recipe(
    request: ProbeRequest, halvings: int, settings: Mapping[str, Any], option: Option, seed: int
) -> Recipe:
    """The run of an option, with a smaller batch where memory was short: for all options alike."""
    whole = Recipe.of(request, option, seed=seed, **settings)
    smaller = {
        "batch_size": max(1, whole.batch_size >> halvings),
        "align_batch_size": max(2, whole.align_batch_size >> halvings),
        "gradient_accumulation": 1 << halvings,
    }
    return whole.model_copy(update=smaller)
