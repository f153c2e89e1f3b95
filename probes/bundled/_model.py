"""The model of an encoder file."""

from collections.abc import Mapping

import torch
from transformers import BertConfig, BertModel

from probes.bundled._file import EncoderFile

WORDS = "embeddings.word_embeddings.weight"
_EMBEDDING_NAMES = {
    "emb.word": WORDS,
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
    return model_with(config, state)


def model_with(config: BertConfig, state: Mapping[str, torch.Tensor]) -> BertModel:
    """A model that takes ``state`` over as its parameters."""
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
