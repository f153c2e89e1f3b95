"""Tiny random encoders with real fast tokenizers, saved as a user would find them on disk."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    MT5Config,
    MT5ForConditionalGeneration,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from advisor.sample import sample_path
from probes.batches import LabelledText, TokenizedPair, Tokenizer
from probes.catalogue import LEVELS, TASKS
from probes.data import Example, PairExample, SentenceExample, read_labelled
from probes.gradients import stream_gradients
from probes.tasks import level_called

__all__ = [
    "ARCHITECTURES",
    "HIDDEN",
    "LAYERS",
    "Architecture",
    "build",
    "fast_tokenizer",
    "sample_examples",
    "sample_items",
    "sample_pairs",
    "sample_sentences",
]

HIDDEN = 32
LAYERS = 2
_HEADS = 4
_INNER = 48
_POSITIONS = 130
_LANGUAGES = ("en", "tr", "zh")
_VOCABULARY = 400
"""Pieces of several characters."""
_LONGEST_PIECE = 6
_INITIAL = 0.15
"""Spread of random weights: with the usual 0.02 so small a model ignores its input."""

Specials = dict[str, str]

_BERT: Specials = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
_ROBERTA: Specials = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
    "cls_token": "<s>",
    "sep_token": "</s>",
}
_T5: Specials = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


@dataclass(frozen=True)
class Architecture:
    """How to build one kind of encoder.

    Attributes:
        make: configuration and vocabulary size to model.
        pieces: kind of subwords: ``wordpiece``, ``unigram`` or ``bytes``.
        specials: special tokens by role.
        single, pair: templates of the inputs, in the notation of ``tokenizers``.
        segments: whether the tokenizer gives token types.
        mlm: whether the checkpoint brings an MLM head.
    """

    make: Callable[[PreTrainedTokenizerFast], PreTrainedModel]
    pieces: str
    specials: tuple[tuple[str, str], ...]
    single: str
    pair: str
    segments: bool
    mlm: bool


def _architecture(
    model: type[PreTrainedModel],
    config: Callable[..., PretrainedConfig],
    pieces: str,
    *,
    segments: bool = False,
    mlm: bool = True,
    **settings: Any,
) -> Architecture:
    if not mlm:
        specials, single, pair = _T5, "$A </s>", "$A </s> $B </s>"
    elif pieces == "wordpiece":
        specials, single, pair = _BERT, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
    else:
        specials, single, pair = _ROBERTA, "<s> $A </s>", "<s> $A </s> </s> $B </s>"

    def make(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
        shape = config(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **settings)
        return model(shape)

    return Architecture(make, pieces, tuple(specials.items()), single, pair, segments, mlm)


_USUAL: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": _HEADS,
    "intermediate_size": _INNER,
    "max_position_embeddings": _POSITIONS,
    "initializer_range": _INITIAL,
}
_T5_SHAPE: dict[str, Any] = {
    "d_model": HIDDEN,
    "d_kv": HIDDEN // _HEADS,
    "d_ff": _INNER,
    "num_layers": LAYERS,
    "num_heads": _HEADS,
    "decoder_start_token_id": 0,
}

ARCHITECTURES: dict[str, Architecture] = {
    "bert": _architecture(BertForMaskedLM, BertConfig, "wordpiece", segments=True, **_USUAL),
    "xlm-r": _architecture(XLMRobertaForMaskedLM, XLMRobertaConfig, "unigram", type_vocab_size=1, **_USUAL),
    "roberta": _architecture(RobertaForMaskedLM, RobertaConfig, "bytes", type_vocab_size=1, **_USUAL),
    "distilbert": _architecture(
        DistilBertForMaskedLM,
        DistilBertConfig,
        "wordpiece",
        dim=HIDDEN,
        n_layers=LAYERS,
        n_heads=_HEADS,
        hidden_dim=_INNER,
        max_position_embeddings=_POSITIONS,
        initializer_range=_INITIAL,
    ),
    "deberta-v2": _architecture(
        DebertaV2ForMaskedLM,
        DebertaV2Config,
        "unigram",
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        **_USUAL,
    ),
    "modernbert": _architecture(
        ModernBertForMaskedLM, ModernBertConfig, "bytes", global_attn_every_n_layers=2, **_USUAL
    ),
    "electra": _architecture(
        ElectraForMaskedLM, ElectraConfig, "wordpiece", segments=True, embedding_size=HIDDEN // 2, **_USUAL
    ),
    "t5": _architecture(T5ForConditionalGeneration, T5Config, "unigram", mlm=False, **_T5_SHAPE),
    "mt5": _architecture(
        MT5ForConditionalGeneration,
        MT5Config,
        "unigram",
        mlm=False,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        **_T5_SHAPE,
    ),
}
"""One architecture a way of wiring an encoder: separate and tied embeddings, absolute, relative and rotary
positions, norms before and after, an embedding projection, encoders alone and with a decoder."""


@cache
def sample_sentences(language: str) -> tuple[str, ...]:
    """The repository's own sample in one language."""
    rows = sample_path(f"topics.{language}.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return tuple(row.split("\t")[2] for row in rows)


@cache
def fast_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """A fast tokenizer trained on a few sentences of three scripts, as ``name`` would have it."""
    kind = ARCHITECTURES[name]
    special = dict(kind.specials)
    tokens = list(dict.fromkeys(special.values()))
    unknown = special["unk_token"]
    texts = [text for language in _LANGUAGES for text in sample_sentences(language)[:40]]
    if kind.pieces == "wordpiece":
        backend = FastTokenizer(models.WordPiece(unk_token=unknown))
        backend.normalizer = normalizers.BertNormalizer(lowercase=False)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece()
        pieces = _frequent_pieces(backend, texts, inside="##")
        ids = {token: i for i, token in enumerate([*tokens, *pieces])}
        backend.model = models.WordPiece(ids, unk_token=unknown)
    elif kind.pieces == "unigram":
        backend = FastTokenizer(models.Unigram())
        backend.normalizer = normalizers.NFKC()
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        )
        backend.decoder = decoders.Metaspace()
        pieces = _frequent_pieces(backend, texts)
        total = sum(pieces.values())
        scores = [(piece, math.log(count / total)) for piece, count in pieces.items()]
        backend.model = models.Unigram([*((token, 0.0) for token in tokens), *scores], tokens.index(unknown))
    else:
        backend = FastTokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=_VOCABULARY,
            special_tokens=tokens,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
    backend.add_special_tokens(tokens)
    backend.post_processor = processors.TemplateProcessing(
        single=kind.single,
        pair=kind.pair,
        special_tokens=[(token, backend.token_to_id(token)) for token in tokens],
    )
    inputs = (
        ["input_ids", "token_type_ids", "attention_mask"]
        if kind.segments
        else ["input_ids", "attention_mask"]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=inputs, model_max_length=128, **special
    )


def _frequent_pieces(backend: FastTokenizer, texts: Iterable[str], inside: str = "") -> dict[str, int]:
    """Every character and the most frequent parts of words, with their counts.

    The trainers of ``tokenizers`` would do, but do not give the same vocabulary in every process.

    Args:
        backend: normalises, and finds the words.
        texts: to count in.
        inside: mark of pieces that do not begin a word.
    """
    counts: Counter[str] = Counter()
    characters: set[str] = set()
    for text in texts:
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text)):
            for start, end in combinations(range(len(word) + 1), 2):
                if end - start <= _LONGEST_PIECE:
                    piece = (inside if start else "") + word[start:end]
                    counts[piece] += end - start
                    if end - start == 1:
                        characters.add(piece)
    frequent = sorted(counts, key=lambda piece: (piece not in characters, -counts[piece], piece))
    return {piece: counts[piece] for piece in frequent[: len(characters) + _VOCABULARY]}


def build(name: str, folder: Path, seed: int = 0) -> Path:
    """Save a random model of one architecture with its tokenizer under ``folder``; returns ``folder``."""
    tokenizer = fast_tokenizer(name)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ARCHITECTURES[name].make(tokenizer)
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def sample_pairs(tokenizer: Tokenizer, count: int, language: str = "tr") -> list[TokenizedPair]:
    """Translation pairs from English with made-up links: the i-th word to the i-th."""
    pairs = []
    sides = zip(sample_sentences("en")[:count], sample_sentences(language), strict=False)
    for source, target in sides:
        pair = tokenizer.translation(source, target)
        words = min(len(pair.source.surface), len(pair.target.surface))
        links = tuple((i, i) for i in range(words))
        pairs.append(TokenizedPair(pair.strings, pair.source, pair.target, links))
    return pairs


@cache
def sample_examples(level: str, language: str = "en") -> tuple[Example, ...]:
    """Labelled examples of the sample at any level; pairs are made of neighbouring sentences."""
    if level == "token":
        return read_labelled(sample_path(f"{language}.conllu"), TASKS["pos"], role="train").examples
    if level == "span":
        return read_labelled(sample_path(f"questions.{language}.json"), TASKS["qa"], role="train").examples
    topics = read_labelled(sample_path(f"topics.{language}.tsv"), TASKS["topic"], role="train").examples
    if level == "sentence":
        return topics
    return tuple(
        PairExample(first.text, second.text, "same" if first.label == second.label else "other")
        for first, second in _neighbours(topics)
    )


def _neighbours(examples: Sequence[Example]) -> Iterable[tuple[SentenceExample, SentenceExample]]:
    """Each example with the next one and with the next of its own label, so that both kinds occur."""
    sentences = [example for example in examples if isinstance(example, SentenceExample)]
    for i, first in enumerate(sentences):
        rest = sentences[i + 1 :] + sentences[:i]
        wanted = i % 2 == 0
        yield first, next(other for other in rest if (other.label == first.label) == wanted)


def sample_items(
    tokenizer: Tokenizer, level: str, count: int, language: str = "en"
) -> tuple[list[LabelledText], tuple[str, ...]]:
    """The first labelled texts of the sample, tokenised, and the names of their classes."""
    examples = sample_examples(level, language)
    labels = LEVELS[level].classes or sorted({label for example in examples for label in example.labels})
    index = {label: i for i, label in enumerate(labels)}
    return level_called(level).labelled(tokenizer, examples[:count], index), tuple(labels)


def whole_gradient(
    loss: Tensor, parameters: Mapping[str, Sequence[nn.Parameter]], keep_graph: bool = False
) -> dict[str, list[Tensor]]:
    """A streamed gradient, put together: block name -> a flat piece a parameter, zeros where none came."""
    pieces = {block: [torch.zeros(p.numel()) for p in group] for block, group in parameters.items()}

    def receive(block: str, place: int, gradient: Tensor) -> None:
        pieces[block][place] = gradient.flatten()

    stream_gradients(loss, parameters, receive, keep_graph)
    return pieces
