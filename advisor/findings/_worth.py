"""What words of confidence were worth on held-out cells, from the figures that the card was written from."""

import json
from functools import lru_cache
from pathlib import Path

from advisor.advice import Worth
from advisor.decide import Confidence

_FIGURES = Path(__file__).with_name("validation.json")


def worth_of(confidence: Confidence) -> Worth | None:
    """The share of decisions with that word which were right, over all splits; None before any validation."""
    return _bands().get(confidence)


@lru_cache(maxsize=1)
def _bands() -> dict[str, Worth]:
    try:
        bands = json.loads(_FIGURES.read_bytes())["validation"]["bands"]
    except (OSError, ValueError, KeyError):
        return {}
    return {
        band["confidence"]: Worth(right=band["right"], cells=band["cells"]) for band in bands if band["cells"]
    }
