"""Model and tokenizer of an encoder file."""

from collections.abc import Mapping, Sequence

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from probes.bundled._file import EncoderFile

_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_METASPACE = "▁"
_MASK = "<mask>"


def to_model(file: EncoderFile) -> BertModel:
    """The encoder as a ``BertModel`` in single precision and evaluation mode, without a pooling layer.

    The arrays of ``file`` become the parameters: they are shared, not copied.
    """
    config = BertConfig(
        vocab_size=file.vocabulary,
        hidden_size=file.hidden,
        num_hidden_layers=file.layers,
        num_attention_heads=file.heads,
        intermediate_size=file.intermediate,
        max_position_embeddings=file.positions,
        type_vocab_size=file.token_types,
        layer_norm_eps=file.epsilon,
        hidden_act="gelu",  # the exact one, by the error function
        pad_token_id=file.special.pad,
        bos_token_id=file.special.bos,
        eos_token_id=file.special.eos,
    )
    state = {
        module_name: torch.from_numpy(file.tensors[name]) for name, module_name in _EMBEDDING_NAMES.items()
    }
    for i in range(file.layers):
        for name, module_name in _LAYER_NAMES.items():
            for suffix, parameter in (("w", "weight"), ("b", "bias")):
                tensor = file.tensors[f"l{i}.{name}.{suffix}"]
                state[f"encoder.layer.{i}.{module_name}.{parameter}"] = torch.from_numpy(tensor)
    # Building on the meta device skips a random initialisation that would take longer than all the rest.
    with torch.device("meta"):
        model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(state, strict=True, assign=True)
    # These two are computed, not loaded, so they are still on the meta device.
    positions = torch.arange(config.max_position_embeddings).expand((1, -1))
    model.embeddings.register_buffer("position_ids", positions, persistent=False)
    model.embeddings.register_buffer("token_type_ids", torch.zeros_like(positions), persistent=False)
    model.eval()
    return model


def to_tokenizer(file: EncoderFile) -> PreTrainedTokenizerFast:
    """The tokenizer: NFKC, split at white space, Metaspace, Unigram, ``<s> $A </s>``.

    Pairs are joined as ``<s> $A </s> </s> $B </s>``, as XLM-R does.
    """
    bos, eos, pad, unk = (file.pieces[i][0] for i in file.special)
    roles: dict[str, str | AddedToken | Sequence[str | AddedToken]] = {
        **{"bos_token": bos, "eos_token": eos, "cls_token": bos},
        **{"sep_token": eos, "pad_token": pad, "unk_token": unk},
    }
    if any(piece == _MASK for piece, _ in file.pieces):
        # It swallows the space before it, so that it stands for a whole word.
        roles["mask_token"] = AddedToken(_MASK, lstrip=True, special=True)

    backend = Tokenizer(Unigram())
    backend.normalizer = _normalizer(file.normalisation)
    metaspace = pre_tokenizers.Metaspace(replacement=_METASPACE, prepend_scheme="always")
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    backend.decoder = decoders.Metaspace(replacement=_METASPACE, prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, file.special.bos), (eos, file.special.eos)],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=file.positions,
        model_input_names=["input_ids", "attention_mask"],
    )
    # Put in only now: the constructor copies its tokenizer, which takes seconds with a large vocabulary.
    tokenizer.backend_tokenizer.model = Unigram(list(file.pieces), file.special.unk, byte_fallback=False)
    tokenizer.add_special_tokens(roles)
    return tokenizer


def _normalizer(table: Mapping[str, str]) -> normalizers.Normalizer:
    """SentencePiece's ``nmt_nfkc``: NFKC, after some characters were dropped or made a space.

    The table lists NFKC character by character; the library's own NFKC also composes sequences of them,
    as SentencePiece does. What is left to take from the table is where it goes beyond NFKC.
    """
    dropped = "".join(character for character, output in table.items() if output == "")
    blank = "".join(character for character, output in table.items() if output == " ")
    steps: list[normalizers.Normalizer] = []
    for characters, replacement in ((dropped, ""), (blank, " ")):
        if characters:
            pattern = "".join(f"\\x{{{ord(character):x}}}" for character in characters)
            steps.append(normalizers.Replace(Regex(f"[{pattern}]"), replacement))
    return normalizers.Sequence([*steps, normalizers.NFKC()])
