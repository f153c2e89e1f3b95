"""Complete, schema-valid signals and advice to test with: plausible numbers, none of them measured."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any

from advisor.advice import (
    Advice,
    Alternative,
    EvidenceRow,
    Gain,
    NextMove,
    Provenance,
    Question,
    Reason,
    Support,
    Worth,
)
from advisor.options import NO_ALIGNMENT, FrozenLayers, Option, Schedule, WordPairs, option_space
from advisor.recommend import Asked
from advisor.recommend import ask as ask_evidence
from probes.signals import (
    TOTAL,
    ConflictRow,
    CosineRow,
    DataFacts,
    DistanceRow,
    Estimate,
    LookaheadRow,
    LossRow,
    ModelFacts,
    Note,
    Point,
    ProjectionFacts,
    RunFacts,
    Signals,
    TaskFacts,
    TaskGradient,
    TextFacts,
    TransferFacts,
)

POINTS: tuple[Point, ...] = ("theta0", "theta_warm")
TASK_GRADIENTS: tuple[TaskGradient, ...] = ("source", "target-labels", "target-projected")
OBJECTIVES = ("token-contrastive", "token-l2", "sentence-contrastive")
UNRESOLVED = "its squared gradient norm is not clearly above 0"

_UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)
_Z80, _Z95 = 1.2816, 1.96
_HIDDEN = 384
_LAYER_PARAMETERS = 12 * _HIDDEN**2 + 13 * _HIDDEN
_VOCABULARY = 250_037

# What each objective does to the task in this made-up case: cosine after the warm-up on source text
# and on target text, and its gradient's norm over the task's.
_COSINE = {
    "token-contrastive": (0.03, 0.16),
    "token-l2": (-0.01, 0.06),
    "sentence-contrastive": (-0.05, -0.09),
}
_RATIO = {"token-contrastive": 3.2, "token-l2": 0.35, "sentence-contrastive": 7.5}


def estimate(value: float, sd: float, level: float = 0.95) -> Estimate:
    """An estimate with a symmetric normal interval."""
    z = _Z95 if level == 0.95 else _Z80
    return Estimate(value=value, low=value - z * sd, high=value + z * sd, level=level)


def unresolved(low: float = -0.8, high: float = 0.8, note: str = UNRESOLVED) -> Estimate:
    """An estimate that noise has swallowed."""
    return Estimate(value=None, low=low, high=high, note=note)


def block_names(layers: int) -> tuple[str, ...]:
    """Embeddings, the layers, and all layers together."""
    return ("embeddings", *(f"layer.{index}" for index in range(layers)), TOTAL)


def _parameters(block: str, layers: int) -> int:
    if block == "embeddings":
        return (_VOCABULARY + 514) * _HIDDEN
    return _LAYER_PARAMETERS * (layers if block == TOTAL else 1)


def _is_unresolved(point: Point, loss: str, block: str) -> bool:
    return block in ("embeddings", "layer.0", "layer.1") and point == "theta0" and loss == "token-l2"


def _loss_rows(layers: int, objectives: tuple[str, ...], random: Random) -> Iterator[LossRow]:
    for point in POINTS:
        for loss in (*(f"task:{name}" for name in TASK_GRADIENTS), *objectives):
            base = 0.8 if loss.startswith("task:") else _RATIO.get(loss, 1.0) ** 2
            for block in block_names(layers):
                lost = _is_unresolved(point, loss, block)
                norm = base * (1.0 if block == TOTAL else 1 / layers) * random.uniform(0.7, 1.3)
                ceiling = random.uniform(0.25, 0.55)
                yield LossRow(
                    point=point,
                    loss=loss,
                    block=block,
                    parameters=_parameters(block, layers),
                    squared_norm=unresolved(-0.02, 0.03) if lost else estimate(norm, norm / 6),
                    ceiling=estimate(0.02, 0.03) if lost else estimate(ceiling, 0.04),
                    noise_scale=unresolved(0, 0) if lost else estimate(32 * (1 / ceiling - 1), 9),
                    mean_loss=random.uniform(0.3, 0.9) if loss.startswith("task:") else random.uniform(1, 3),
                )


def _cosine_rows(layers: int, objectives: tuple[str, ...], random: Random) -> Iterator[CosineRow]:
    for point in POINTS:
        for task_gradient in TASK_GRADIENTS:
            for objective in objectives:
                on_source, on_target = _COSINE.get(objective, (0.01, 0.02))
                level = on_source if task_gradient == "source" else on_target
                level *= 0.3 if point == "theta0" else 1.0
                for depth, block in enumerate(block_names(layers)):
                    parameters = _parameters(block, layers)
                    shape = 1.0 if block in ("embeddings", TOTAL) else 0.4 + 1.2 * depth / layers
                    cosine = level * shape + random.gauss(0, 0.01)
                    lost = _is_unresolved(point, objective, block)
                    sd = (0.008 if block == TOTAL else 0.022) * (
                        1.6 if task_gradient == "target-labels" else 1
                    )
                    ratio = _RATIO.get(objective, 1.0) * random.uniform(0.75, 1.3)
                    yield CosineRow(
                        point=point,
                        task_gradient=task_gradient,
                        objective=objective,
                        block=block,
                        cosine=unresolved() if lost else estimate(cosine, sd),
                        raw_cosine=estimate(0.4 * cosine, 0.4 * sd),
                        null_cosine=estimate(0.15 * level + random.gauss(0, 0.004), 0.014),
                        null_sd=1 / math.sqrt(parameters),
                        magnitude_ratio=unresolved(0.0, 4.0)
                        if lost
                        else Estimate(value=ratio, low=0.8 * ratio, high=1.25 * ratio),
                        magnitude_similarity=unresolved(0.0, 1.0)
                        if lost
                        else estimate(2 * ratio / (1 + ratio**2), 0.02),
                    )


def _conflict_rows(cosines: tuple[CosineRow, ...]) -> Iterator[ConflictRow]:
    groups: dict[tuple[Point, TaskGradient, str], list[Estimate]] = {}
    for row in cosines:
        if row.block.startswith("layer."):
            groups.setdefault((row.point, row.task_gradient, row.objective), []).append(row.cosine)
    for (point, task_gradient, objective), cosines_of_blocks in groups.items():
        yield ConflictRow(
            point=point,
            task_gradient=task_gradient,
            objective=objective,
            share=sum(cosine.sign < 0 for cosine in cosines_of_blocks) / len(cosines_of_blocks),
            blocks=len(cosines_of_blocks),
            resolved=sum(cosine.resolved for cosine in cosines_of_blocks),
        )


def _lookahead_rows(objectives: tuple[str, ...], random: Random) -> Iterator[LookaheadRow]:
    for point in POINTS:
        for scaling in ("raw", "adam") if point == "theta_warm" else ("raw",):
            for objective in objectives:
                on_source, on_target = _COSINE.get(objective, (0.01, 0.02))
                for on in TASK_GRADIENTS:
                    change = 8 * (on_source if on == "source" else on_target) + random.gauss(0, 0.08)
                    yield LookaheadRow(
                        point=point,
                        objective=objective,
                        on=on,
                        scaling=scaling,
                        step=0.01,
                        change=estimate(change * (1.5 if scaling == "adam" else 1), 0.15),
                    )


def _distance_rows(layers: int) -> Iterator[DistanceRow]:
    for layer in range(layers + 1):
        rise = math.sin(math.pi * (layer + 1) / (layers + 2))
        matched, random_pairs = 0.55 + 0.32 * rise, 0.45 + 0.18 * rise
        for unit, drop in (("sentence", 0.0), ("word", 0.12)):
            shown = (
                ("matched-cosine", matched - drop, None),
                ("random-cosine", random_pairs - drop, None),
                ("cosine-gap", matched - random_pairs, None),
            )
            for measure, value, chance in shown:
                yield DistanceRow(
                    layer=layer,
                    unit=unit,
                    measure=measure,
                    value=estimate(value, 0.006),
                    chance=chance,
                )
        for measure, value in (
            ("retrieval-forward", 0.15 + 0.75 * rise),
            ("retrieval-backward", 0.12 + 0.74 * rise),
            ("retrieval-strict", 0.05 + 0.72 * rise),
            ("retrieval-csls", 0.2 + 0.74 * rise),
        ):
            yield DistanceRow(
                layer=layer,
                unit="sentence",
                measure=measure,
                value=estimate(value, 0.012),
                chance=0.001,
            )
        yield DistanceRow(
            layer=layer, unit="sentence", measure="cka", value=estimate(0.3 + 0.45 * rise, 0.02)
        )


def make_signals(layers: int = 12, objectives: tuple[str, ...] = OBJECTIVES, **overrides: Any) -> Signals:
    """Signals of a part-of-speech probe from English to Turkish.

    Args:
        layers: depth of the encoder.
        objectives: those that were measured.
        overrides: fields of ``Signals`` to set otherwise.
    """
    random = Random(0)
    cosines = tuple(_cosine_rows(layers, objectives, random))
    encoder_parameters = _LAYER_PARAMETERS * layers
    fields: dict[str, Any] = {
        "model": ModelFacts(
            id="bundled",
            sha256="5e" * 32,
            architecture="BertModel",
            layers=layers,
            hidden_size=_HIDDEN,
            parameters=encoder_parameters + _parameters("embeddings", layers),
            encoder_parameters=encoder_parameters,
            vocabulary=_VOCABULARY,
            pooling="mean",
            mlm_head=False,
        ),
        "source": "en",
        "target": "tr",
        "task": TaskFacts(name="pos", level="token", metric="accuracy", labels=_UPOS),
        "word_pairs": "mutual-argmax",
        "data": (
            DataFacts(
                role="source training data",
                spec="en.train.conllu",
                format="conllu",
                sha256="a1" * 32,
                read=12_544,
                kept=4_000,
                dropped={"beyond the budget": 8_512, "no words": 32},
            ),
            DataFacts(
                role="bitext",
                spec="en-tr.tsv",
                format="tsv",
                sha256="b2" * 32,
                read=3_000,
                kept=2_913,
                dropped={"duplicate": 61, "empty side": 26},
            ),
            DataFacts(
                role="target labels",
                spec="tr.dev.conllu",
                format="conllu",
                sha256="c3" * 32,
                read=100,
                kept=100,
            ),
        ),
        "transfer": TransferFacts(
            source=estimate(88.1, 0.5),
            target=estimate(61.4, 1.4),
            majority=17.3,
            train_fit=90.6,
            regularisation=1.0,
        ),
        "losses": tuple(_loss_rows(layers, objectives, random)),
        "cosines": cosines,
        "conflicts": tuple(_conflict_rows(cosines)),
        "lookahead": tuple(_lookahead_rows(objectives, random)),
        "distances": tuple(_distance_rows(layers)),
        "text": TextFacts(
            source_fertility=1.31,
            target_fertility=1.94,
            source_unknown_rate=0.0,
            target_unknown_rate=0.0004,
            source_script="Latn",
            target_script="Latn",
            fertility_unit="word",
        ),
        "projection": ProjectionFacts(
            sentences=512,
            coverage=0.71,
            word_alignment="mutual-argmax",
            cosine_with_labels=estimate(0.74, 0.06),
        ),
        "unavailable": dict.fromkeys(("tlm", "mlm"), "the checkpoint has no masked-language-modelling head"),
        "notes": (
            Note(code="no-mlm-head", text="tlm and mlm were not measured: the checkpoint has no MLM head."),
        ),
        "run": RunFacts(
            budget="standard",
            rounds=8,
            batch_size=32,
            warm_up_steps=60,
            seed=0,
            device="cpu",
            dtype="float32",
            threads=2,
            seconds=274.0,
            phases={"load": 6.0, "head": 21.0, "gradients": 190.0, "lookahead": 31.0, "distances": 26.0},
            peak_memory_gib=2.3,
            versions={"torch": "2.9.0", "transformers": "5.1.0", "alignment-advisor": "0.1.0"},
        ),
    }
    return Signals(**(fields | overrides))


def make_gain(mean: float, sd: float = 0.9, min_gain: float = 0.5) -> Gain:
    """A normal gain distribution, in points."""

    def above(threshold: float) -> float:
        return 0.5 * math.erfc((threshold - mean) / (sd * math.sqrt(2)))

    return Gain(
        mean=mean,
        low=mean - _Z80 * sd,
        high=mean + _Z80 * sd,
        probability_positive=above(0),
        probability_worthwhile=above(min_gain),
    )


_NO_GAIN = Gain(mean=0, low=0, high=0, probability_positive=0, probability_worthwhile=0)
_MEAN = {
    "token-contrastive": 1.4,
    "token-l2": 0.5,
    "sentence-contrastive": -0.8,
}
_FROZEN_BONUS = {FrozenLayers.NONE: 0.0, FrozenLayers.LOWER_HALF: 0.25, FrozenLayers.UPPER_HALF: -0.35}


def make_alternatives() -> tuple[Alternative, ...]:
    """Every option of an encoder without an MLM head, ``none`` among them, best first."""
    alternatives = []
    for option in option_space(unavailable=("tlm", "mlm")):
        if option == NO_ALIGNMENT:
            alternatives.append(
                Alternative(option=option, gain=_NO_GAIN, basis="measured-elsewhere", direct=3_737)
            )
            continue
        joint = option.schedule is Schedule.JOINT
        mean = _MEAN[option.objective] + _FROZEN_BONUS[option.frozen_layers] - (0.15 if joint else 0)
        alternatives.append(
            Alternative(
                option=option,
                gain=make_gain(mean, sd=1.1 if joint else 0.9),
                basis="extrapolated" if option.objective == "token-l2" else "measured-elsewhere",
                direct=0 if option.objective == "token-l2" else 214,
            )
        )
    return tuple(sorted(alternatives, key=lambda row: -row.gain.mean))


def make_advice(**overrides: Any) -> Advice:
    """The advice to align before part-of-speech fine-tuning from English to Turkish.

    Args:
        overrides: fields of ``Advice`` to set otherwise.
    """
    option = Option(
        objective="token-contrastive",
        schedule=Schedule.SEQUENTIAL,
        frozen_layers=FrozenLayers.LOWER_HALF,
        word_pairs="mutual-argmax",
    )
    fields: dict[str, Any] = {
        "question": Question(model="bundled", source="en", target="tr", task="pos"),
        "decision": "align",
        "confidence": "likely",
        "worth": Worth(right=0.9, cells=120),
        "summary": (
            "Align with token-contrastive before fine-tuning, lower half frozen: "
            "expect +1.6 points on tr (80% interval +0.5 to +2.8)."
        ),
        "option": option,
        "gain": make_gain(1.65),
        "min_gain": 0.5,
        "reasons": (
            Reason(
                text="After warm-up, token-contrastive and the task on target text pull the same way.",
                feature="cosine:target-labels:token-contrastive",
                effect=0.7,
                evidence=("own-studies",),
            ),
            Reason(
                text="Published runs of token-contrastive alignment gain on part-of-speech tagging more "
                "often than not.",
                feature="objective x task",
                effect=0.6,
                evidence=("bakos2025", "nguyen2025"),
            ),
            Reason(
                text="Frozen features already transfer fairly well to Turkish, which leaves less to gain.",
                feature="transfer:target",
                effect=-0.2,
                evidence=("bakos2025",),
            ),
        ),
        "warnings": (
            Note(code="unseen-model", text="No published effect was measured on this encoder."),
            Note(code="no-mlm-head", text="tlm and mlm were left out: the checkpoint has no MLM head."),
        ),
        "next_moves": (),
        "alternatives": make_alternatives(),
        "support": Support(
            nearest=(
                EvidenceRow(
                    source_id="bakos2025",
                    citation="Bakos et al. 2025. AlignFreeze (NAACL 2025, arXiv:2502.12959)",
                    url="https://arxiv.org/abs/2502.12959",
                    model="xlm-roberta-base",
                    task="pos",
                    target="tr",
                    option="token-contrastive, sequential, lower-half frozen",
                    gain=1.9,
                    distance=1.0,
                ),
                EvidenceRow(
                    source_id="nguyen2025",
                    citation="Nguyen et al. 2025. Rethinking what Matters (IJCNLP-AACL 2025)",
                    url="https://arxiv.org/abs/2511.06497",
                    model="xlm-roberta-base",
                    task="pos",
                    target="fi",
                    option="token-contrastive, sequential",
                    gain=0.4,
                    distance=2.0,
                ),
            ),
            distance=1.0,
            in_range=True,
            unseen=("model",),
        ),
        "provenance": Provenance(
            versions={"alignment-advisor": "0.1.0", "python": "3.11.9"},
            model_id="bundled",
            model_sha256="5e" * 32,
            data_sha256={"source training data": "a1" * 32, "bitext": "b2" * 32},
            findings_sha256="f4" * 32,
            seed=0,
            device="cpu",
            seconds=274.0,
        ),
    }
    return Advice(**(fields | overrides))


def make_open(**overrides: Any) -> Advice:
    """Advice from evidence alone that leaves the model as it is, and is not sure of that."""
    fields: dict[str, Any] = {
        "question": Question(model="xlm-roberta-base", source="en", target="yo", task="pos"),
        "decision": "do-not-align",
        "confidence": "open",
        "worth": None,
        "summary": "The evidence does not tell whether aligning for yo helps: the best option may lose.",
        "option": NO_ALIGNMENT,
        "gain": None,
        "next_moves": (
            NextMove(
                text="A hundred labelled Yoruba sentences: run a probe with target labels.",
                command="advisor probe xlm-roberta-base --target yo --task pos --target-labels FILE",
                minutes=4.0,
                value=0.3,
            ),
        ),
        "alternatives": tuple(
            sorted(
                (
                    row
                    if row.option == NO_ALIGNMENT
                    else row.model_copy(update={"gain": make_gain(row.gain.mean - 1.5, sd=2.5)})
                    for row in make_alternatives()
                ),
                key=lambda row: (row.option != NO_ALIGNMENT, -row.gain.mean),
            )
        ),
        "provenance": Provenance(
            versions={"alignment-advisor": "0.1.0"},
            model_id="xlm-roberta-base",
            model_sha256=None,
            data_sha256={},
            findings_sha256="f4" * 32,
            seed=None,
            device=None,
            seconds=0.4,
        ),
    }
    return make_advice(**(fields | overrides))


SEQUENTIAL = Option(
    objective="token-contrastive", schedule=Schedule.SEQUENTIAL, word_pairs=WordPairs.DICTIONARY
)
"""What most published runs did."""


def ask(trial: Any = None, **question: Any) -> Advice:
    """Advice from evidence on the question that has these fields."""
    return ask_evidence(Asked.of(**question), trial)
