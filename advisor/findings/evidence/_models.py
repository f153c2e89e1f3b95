"""Facts per encoder, and how a hub id or a path is matched to them."""

import re
from dataclasses import dataclass

__all__ = ["ModelFacts", "normalise_model"]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of an encoder without loading it.

    Attributes:
        parameters_m: parameters, in millions, embeddings included.
        layers: depth.
        corpus: what it was pretrained on: ``cc100`` (CC-100 or a web corpus like it), ``wikipedia`` or
            ``other``.
    """

    name: str
    parameters_m: float | None
    layers: int | None
    corpus: str


def normalise_model(model: str) -> str:
    """The name under which evidence on a model is kept.

    The last part of a hub id or path in lower case: ``FacebookAI/xlm-roberta-base``,
    ``/models/xlm-roberta-base/`` and ``XLM-RoBERTa-base`` are all ``xlm-roberta-base``.
    """
    last = re.split(r"[/\\]", model.strip().rstrip("/\\"))[-1]
    return last.lower().replace("_", "-")
