"""The two phases of a run, each of which can be left and gone on with."""

from collections.abc import Collection, Sequence

import torch

from advisor.training.encoders import extended_copy, reading_all
from advisor.training.losses import Losses
from advisor.training.outcome import evaluate_on
from advisor.training.phase import Feed, Phase, RandomState
from advisor.training.setting import Setting, trainable
from probes.batches import TokenizedPair
from probes.encoder import Encoder
from probes.heads import Head
from probes.progress import Stopwatch
from probes.signals import Estimate


class Alignment:
    """The alignment phase of a sequential run. It depends on no task: runs on several tasks share it."""

    def __init__(self, setting: Setting) -> None:
        self.pairs = setting.pairs()
        encoder = trainable(setting, self.pairs, [])
        shuffled = setting.experiment.pairing == "shuffled"
        losses = Losses(encoder, setting.recipe.option, None, setting.given, shuffled=shuffled)
        with torch.random.fork_rng():
            setting.fresh_random_state()
            random = RandomState.now(encoder.device)
        self.phase = Phase(
            "align",
            losses,
            Feed(pairs=setting.paired(self.pairs)),
            {"alignment": 1.0},
            setting.recipe,
            accelerator=setting.accelerator,
            steps=setting.align_steps,
            learning_rate=setting.recipe.align_learning_rate,
            random=random,
        )

    def encoder(self, steps: int, watch: Stopwatch, used: Sequence[int]) -> Encoder:
        """A copy of the encoder after so many steps, with embeddings of its own for ``used`` as well.

        Steps that were taken already are not taken again; it must not have gone further.
        """
        assert steps >= self.phase.taken
        if steps > self.phase.taken:
            with watch.phase("align", steps - self.phase.taken):
                self.phase.advance(steps, watch)
        return extended_copy(self.phase.losses.encoder, used)

    @classmethod
    def of(cls, setting: Setting, steps: int) -> "Alignment":
        """The alignment of a run, kept for others; anew where the one that is kept has gone too far."""
        recipe, given = setting.recipe, setting.given
        key = (
            *(given.sha256, given.precision, given.device, setting.tokenizer.max_length, recipe.source),
            *(recipe.target, recipe.bitext, recipe.dictionary, recipe.word_links, recipe.option, recipe.seed),
            *(setting.align_steps, recipe.align_batch_size, recipe.align_learning_rate, recipe.warmup_share),
            *(recipe.weight_decay, recipe.max_gradient_norm, recipe.gradient_accumulation),
            *(recipe.mixed_precision, setting.experiment.pairing),
        )
        alignment = setting.shared.get("alignment", key, lambda: cls(setting), most=1)
        if alignment.phase.taken > steps:
            setting.shared.forget("alignment")
            alignment = setting.shared.get("alignment", key, lambda: cls(setting), most=1)
        return alignment


class FineTuning:
    """Fine-tuning, with the alignment loss beside it in joint training.

    Args:
        setting: of the run.
        encoder: trained in place.
        head: a fitted classifier; None for a random one.
        pairs: that joint training aligns with.
        name: of the phase.
        steps, learning_rate: of its schedule; by default the recipe's.
    """

    def __init__(
        self,
        setting: Setting,
        encoder: Encoder,
        head: Head | None,
        pairs: Sequence[TokenizedPair] = (),
        *,
        name: str = "fine-tune",
        steps: int | None = None,
        learning_rate: float | None = None,
    ) -> None:
        self._setting = setting
        recipe = setting.recipe
        with torch.random.fork_rng():
            setting.fresh_random_state()
            weight = torch.empty(len(setting.texts.labels), encoder.hidden_size)
            weight.normal_(std=0.02)  # transformers' start of a head
            self.head = Head(weight, torch.zeros(len(weight)), setting.level).to(encoder.device)
            random = RandomState.now(encoder.device)
        if head is not None:
            self.head.load_state_dict(head.state_dict())
        shuffled = setting.experiment.pairing == "shuffled"
        self.losses = Losses(encoder, recipe.option, self.head, setting.given, shuffled=shuffled)
        self.phase = Phase(
            name,
            self.losses,
            Feed(setting.labelled(), setting.paired(pairs) if pairs else None),
            {"task": 1.0, "alignment": recipe.option.weight or 0.0},
            recipe,
            accelerator=setting.accelerator,
            steps=steps or setting.steps,
            learning_rate=learning_rate or recipe.learning_rate,
            random=random,
        )

    def scores(self, sets: Collection[str] | None = None) -> dict[str, Estimate]:
        """Points on sets of scored texts (None: all) as the weights are now."""
        return scores(self._setting, self.losses, sets)


def scores(setting: Setting, losses: Losses, sets: Collection[str] | None = None) -> dict[str, Estimate]:
    """Points on held-out source text and on every target language, as the weights are now.

    Args:
        setting: of the run.
        losses: what was trained, with a head.
        sets: of scored texts, by name; None: all.
    """
    losses.eval()
    assert losses.head is not None
    texts = setting.texts
    with reading_all(losses.encoder):
        return {
            name: evaluate_on(losses.encoder, losses.head, texts.scored[name], texts)
            for name in (texts.scored if sets is None else sets)
        }
