"""From what a user calls a model to what is known of it."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from advisor.findings.evidence._encoders import EncoderFacts, unknown_encoder
from probes.errors import InputError

_DECODERS = re.compile(
    r"(meta-|code|tiny|open)?llama|vicuna|alpaca|(distil)?gpt|bloom|opt-\d|qwen|qwq|mi[sx]tral|ministral|"
    r"gemma|phi-|falcon|pythia|olmo|xglm|mgpt|deepseek|smollm|aya-|granite-\d|stablelm|mpt-|yi-\d|eurollm|"
    r"c4ai-command|internlm|baichuan"
)
"""How names of decoder-only models begin."""
_DECODER_TYPES = re.compile(
    r"bloom|cohere|deepseek_v[23]|falcon|gemma2?|gemma3_text|gpt2|gpt_neo|gpt_neox|gptj|granite|llama|mistral|"
    r"mixtral|mpt|olmo2?|opt|phi3?|qwen2(_moe)?|qwen3|smollm3|stablelm|xglm"
)
"""``model_type`` of configurations of decoder-only models."""
_CLOSE = 0.75
"""How alike (``difflib``) a name must be to be offered instead."""
_SHORT = 6
"""Letters of a name that is too short to mean anything inside another."""
_LAYERS = ("num_hidden_layers", "n_layers", "num_layers", "n_layer")
_WIDTHS = ("hidden_size", "d_model", "dim", "emb_dim", "n_embd")


def normalise_model(model: str) -> str:
    """The name under which evidence on a model is kept.

    The last part of a hub id or path in lower case: ``FacebookAI/xlm-roberta-base``,
    ``/models/xlm-roberta-base/`` and ``XLM-RoBERTa-base`` are all ``xlm-roberta-base``.
    """
    last = re.split(r"[/\\]", model.strip().rstrip("/\\"))[-1]
    return last.lower().replace("_", "-")


def find_encoder(
    model: str,
    encoders: Mapping[str, EncoderFacts],
    *,
    pretrained_on: Sequence[str] = (),
    like: str | None = None,
) -> EncoderFacts:
    """What is known of a model.

    The tables' facts where they have its name or an alias; else the sizes of its ``config.json`` where the
    model is a folder, and on top of that what the user says.

    Args:
        model: a hub id, a folder or an offline encoder's name.
        encoders: of the tables, by name and alias.
        pretrained_on: codes of all languages it saw, where the tables do not have it and the user knows them.
        like: an encoder of the tables that it is like, where they do not have it.

    Raises:
        InputError: if it only decodes, ``like`` is unknown, or either is said of an encoder of the tables.
    """
    name = normalise_model(model)
    config = _config(model)
    refuse_decoder(name, config)
    found = encoders.get(name)
    if found is None:
        found = _of_config(name, config) if config else unknown_encoder(name)
    elif found.kind == "decoder":
        raise _decoder(name)
    elif like is not None or pretrained_on:
        raise InputError(
            f"'{name}' is known to the evidence, and what is on file of it counts: leave out 'like' and "
            "'pretrained on', or give a checkpoint of your own a name of its own."
        )
    if like is not None:
        other = encoders.get(normalise_model(like))
        if other is None or other.kind == "decoder":
            nearest = nearest_names(like, encoders)
            raise InputError(
                f"No encoder called '{like}' is known, so nothing can be like it"
                + (f": did you mean {' or '.join(nearest)}?" if nearest else ".")
            )
        found = found.like(other)
    return found.pretrained_on(pretrained_on) if pretrained_on else found


def nearest_names(model: str, encoders: Mapping[str, EncoderFacts], count: int = 3) -> tuple[str, ...]:
    """Names of the tables that another may mean, nearest first; none if nothing is close.

    A mistyped name is close, and one that has a known name in it (``xlm-roberta-base-finetuned-ner``).
    """
    asked = normalise_model(model)
    names = [name for name, encoder in encoders.items() if encoder.kind == "encoder"]
    close = difflib.get_close_matches(asked, names, n=3 * count, cutoff=_CLOSE)
    inside = sorted((name for name in names if len(name) > _SHORT and name in asked), key=len, reverse=True)
    return tuple(dict.fromkeys(encoders[name].name for name in (*close, *inside)))[:count]


def refuse_decoder(name: str, config: Mapping[str, Any] | None = None) -> None:
    """Refuse a model that only decodes, by its ``config.json`` or else by its name.

    Raises:
        InputError: if it does.
    """
    if config is not None:
        if config.get("is_encoder_decoder"):
            return
        causal = any(str(name).endswith("ForCausalLM") for name in config.get("architectures") or ())
        if causal or _DECODER_TYPES.fullmatch(str(config.get("model_type"))):
            raise _decoder(name)
    elif _DECODERS.match(name):
        raise _decoder(name)


def _decoder(name: str) -> InputError:
    return InputError(
        f"'{name}' is a decoder-only language model, and all evidence here is on encoders: name an encoder "
        "such as xlm-roberta-base."
    )


def _config(model: str) -> Mapping[str, Any] | None:
    """The model's own ``config.json``, where it is a folder that has one."""
    try:
        config = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def _of_config(name: str, config: Mapping[str, Any]) -> EncoderFacts:
    """The sizes that a configuration states; what it was trained on stands in none."""

    def count(*keys: str) -> int | None:
        values = (config.get(key) for key in keys)
        return next((v for v in values if isinstance(v, int) and v > 0), None)

    layers, width, words = count(*_LAYERS), count(*_WIDTHS), count("vocab_size", "n_words")
    parameters = None
    if layers and width and words:
        inner = count("intermediate_size", "d_ff", "ffn_dim") or 4 * width
        parameters = round((words * width + layers * (4 * width**2 + 2 * width * inner)) / 1e6, 1)
    return replace(
        unknown_encoder(name),
        parameters_m=parameters,
        layers=layers,
        width=width,
        vocabulary=words,
        told="config.json",
    )
