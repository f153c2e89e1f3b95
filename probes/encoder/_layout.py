"""What lies in a checkpoint's folder beside the weights: pooling, adapters, shards, SentencePiece models."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from probes.encoder._encoder import POOLINGS
from probes.errors import InputError
from probes.signals import Pooling

_ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "pytorch_adapter.bin")
_STATED = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
"""How older versions of sentence-transformers spell the mode: one switch each."""
_SENTENCEPIECE = tuple(
    f"{name}.model" for name in ("sentencepiece.bpe", "spiece", "sentencepiece", "tokenizer", "spm")
)


def check_files(name: str) -> None:
    """Refuse what transformers would load as something else, or not at all.

    Raises:
        InputError: if the folder holds an adapter, alone or beside a model.
    """
    adapter = next((file for file in _ADAPTERS if _find(name, file) is not None), None)
    if adapter is not None:
        stated = _settings(name, "adapter_config.json")
        kind = str(stated.get("peft_type") or "adapter").upper()
        base = stated.get("base_model_name_or_path")
        what = f"a {kind} adapter" if kind != "ADAPTER" else "an adapter"
        of = f" of {Path(str(base)).name}" if base else ""
        whole = (Path(name) / "config.json").exists()
        beside = " beside the model, which would be measured without it" if whole else ""
        raise InputError(
            f"'{name}' holds {what}{of}{beside}: merge it first, as in model.merge_and_unload() of peft, "
            "save the result with its tokenizer, and name that folder."
        )


def transformer_folder(name: str) -> str:
    """Where config and weights are: the folder itself, or ``0_Transformer`` within it."""
    folder = Path(name)
    if (folder / "config.json").exists() or not folder.is_dir():
        return name
    for module in _modules(name):
        inner = folder / str(module.get("path", ""))
        if str(module.get("type", "")).endswith("Transformer") and (inner / "config.json").exists():
            return str(inner)
    inner = folder / "0_Transformer"
    return str(inner) if (inner / "config.json").exists() else name


def find_pooling(name: str) -> Pooling:
    """The pooling that a sentence-transformers checkpoint states beside its weights; else mean.

    Raises:
        InputError: if it is one, or a combination, that is not supported.
    """
    paths = [str(m.get("path", "")) for m in _modules(name) if str(m.get("type", "")).endswith("Pooling")]
    return stated_pooling(
        name, _settings(name, f"{paths[0]}/config.json" if paths else "1_Pooling/config.json")
    )


def left_out(name: str) -> tuple[str, ...]:
    """What a sentence-transformers checkpoint does to a pooled vector beyond making it of length 1."""
    kinds = (str(module.get("type", "")).rpartition(".")[2] for module in _modules(name))
    return tuple(kind for kind in kinds if kind not in ("", "Transformer", "Pooling", "Normalize"))


def stated_pooling(name: str, stated: dict[str, Any]) -> Pooling:
    """The pooling that the config of a sentence-transformers pooling module states; mean if none.

    Raises:
        InputError: if it is one, or a combination, that is not supported.
    """
    modes = _modes(stated) or ["mean"]
    for pooling in POOLINGS:
        if modes == [pooling]:
            return pooling
    raise InputError(
        f"'{name}' has the pooling {' and '.join(modes)}, which is not supported: choose one of "
        f"{', '.join(POOLINGS)} in its pooling config."
    )


def _modes(stated: dict[str, Any]) -> list[str]:
    """The modes in either spelling: one name (or several), or a switch each."""
    named = stated.get("pooling_mode")
    if isinstance(named, str):
        return named.split("+")
    if isinstance(named, list):
        return list(map(str, named))
    switched_on = [key for key, on in stated.items() if key.startswith("pooling_mode_") and on is True]
    return [_STATED.get(key, key) for key in switched_on]


def refuse_unconverted(name: str) -> None:
    """Name the packages that read a tokenizer where a folder brings only a SentencePiece model.

    Raises:
        InputError: if it does.
    """
    if _find(name, "tokenizer.json") is not None:
        return
    model = next((file for file in _SENTENCEPIECE if _find(name, file) is not None), None)
    if model is None:
        return
    raise InputError(
        f"'{name}' has its tokenizer as {model} alone, which sentencepiece and protobuf read: pip install "
        "sentencepiece protobuf, or save a fast tokenizer (tokenizer.json) beside it."
    )


def _modules(name: str) -> list[dict[str, Any]]:
    entries = _json(name, "modules.json")
    return [module for module in entries if isinstance(module, dict)] if isinstance(entries, list) else []


def _settings(name: str, file: str) -> dict[str, Any]:
    entries = _json(name, file)
    return entries if isinstance(entries, dict) else {}


def _json(name: str, file: str) -> Any:
    path = _find(name, file)
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None


def _find(name: str, file: str) -> Path | None:
    """A file of a checkpoint: in its folder, or in the local copy of a hub id."""
    path = Path(name) / file
    if Path(name).exists():
        return path if path.exists() else None
    try:
        cached = try_to_load_from_cache(name, file)
    except ValueError:  # no hub id
        return None
    return Path(cached) if isinstance(cached, str) else None
