"""Measure alignment while something else trains: as a callback of a Trainer, of Lightning, or in a loop.

With a :class:`transformers.Trainer`, of sentence-transformers too::

    trainer.add_callback(
        AlignmentCallback(trainer, "en-ar.tsv", source="en", target="ar", target_labels=arabic)
    )

In a loop of one's own::

    watch = AlignmentWatch(model, tokenizer, loss, {"source": texts}, pairs)
    for step, batch in enumerate(batches, start=1):
        ...  # forward, backward, optimiser
        print(watch.after(step))  # empty where nothing was measured

Training goes on as if nobody watched: weights, gradients, modes, random states and the order of the data are
as they would have been, to the bit.
"""

import logging
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast

from pydantic import ValidationError
from torch import Tensor
from transformers import TrainerCallback

from probes.data import read_bitext
from probes.errors import InputError
from probes.gradients.watching import AlignmentWatch, WatchedStep, Watching
from probes.languages import parse_language
from probes.machine.processes import ALONE, Processes
from probes.signals import TaskGradient

__all__ = ["AlignmentCallback", "AlignmentWatch", "WatchedStep", "Watching", "lightning_callback"]

_LOG = logging.getLogger(__name__)


class AlignmentCallback(TrainerCallback):
    """Watches a :class:`transformers.Trainer` and logs through it, so that every tracker gets the numbers.

    The task gradient is that of the trainer's own loss on its own training data.

    Args:
        trainer: that the callback is added to; its ``processing_class`` is the encoder's tokenizer.
        bitext: a file, as of a probe, or a sequence of (source text, target text).
        source, target: the languages; needed where ``bitext`` is a file.
        target_labels: labelled target-language data, prepared as ``train_dataset`` is; the cosines of its
            gradient are then what notes are about.
        watching: fields of :class:`Watching`.
    """

    def __init__(
        self,
        trainer: Any,
        bitext: str | Sequence[tuple[str, str]],
        *,
        source: str = "",
        target: str = "",
        target_labels: Any = None,
        **watching: Any,
    ) -> None:
        self._trainer = trainer
        self._target_labels = target_labels
        self._pairs = (
            read_bitext(bitext, parse_language(source), parse_language(target)).pairs
            if isinstance(bitext, str)
            else bitext
        )
        try:
            self._watching = Watching(**watching)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}.") from error
        self.watch: AlignmentWatch | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Choose what all looks will read."""
        if getattr(args, "deepspeed", None) or getattr(args, "fsdp", None):
            raise InputError("Parameters that are split over processes cannot be watched: train with DDP.")
        loader = kwargs["train_dataloader"]
        if not hasattr(loader.dataset, "__len__"):
            raise InputError("A stream of training data cannot be watched: give a dataset that has a length.")
        texts: dict[TaskGradient, Any] = {"source": loader.dataset}
        if self._target_labels is not None:
            columns = getattr(loader.dataset, "column_names", None)
            texts["target-labels"] = (
                self._target_labels.select_columns(columns) if columns else self._target_labels
            )
        trainer, device = self._trainer, args.device

        def loss(items: Sequence[Any]) -> Tensor:
            inputs = {
                name: value.to(device) if isinstance(value, Tensor) else value
                for name, value in loader.collate_fn(items).items()
            }
            return cast(Tensor, trainer.compute_loss(trainer.model, inputs))

        self.watch = AlignmentWatch(
            trainer.model,
            getattr(trainer.processing_class, "tokenizer", None) or trainer.processing_class,
            loss,
            texts,
            self._pairs,
            self._watching,
            precision="bf16" if args.bf16 else "fp32",
            processes=Processes(args.process_index, args.world_size) if args.world_size > 1 else ALONE,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look, where it is time to."""
        assert self.watch is not None
        if logs := self.watch.after(state.global_step):
            due = control.should_log
            self._trainer.log(logs)  # which takes it that the trainer's own numbers are logged with that
            control.should_log = due

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say so where training was too short for a single look."""
        if self.watch is not None and not self.watch.looks:
            _LOG.warning(
                "Training was too short to look at in %.0f %% of its time: set every, as in every=%d.",
                100 * self._watching.share,
                max(1, state.max_steps // 4),
            )


def lightning_callback(watch: AlignmentWatch) -> Any:
    """A callback of Lightning that logs what ``watch`` measures through the module's ``log_dict``."""
    try:
        base = import_module("lightning.pytorch").Callback
    except ImportError as error:
        raise InputError("Lightning is not installed: pip install lightning.") from error

    class LightningAlignment(base):  # type: ignore[misc, valid-type]
        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            if logs := watch.after(trainer.global_step):
                module.log_dict(logs)

    return LightningAlignment()
