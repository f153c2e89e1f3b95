"""Saved results that a visitor brings: signals and advice, told apart by what is in them."""

import json
from collections.abc import Iterable

from pydantic import ValidationError

from advisor.advice import Advice
from advisor.recommend import recommend
from advisor.report import Report
from probes.errors import InputError
from probes.signals import Signals


def read_signals(name: str, content: bytes) -> Signals:
    """The signals in a file.

    Raises:
        InputError: if it holds none.
    """
    try:
        return Signals.model_validate_json(content)
    except ValidationError as error:
        raise InputError(
            f"{name} is no signals.json of this version: choose one that a probe wrote."
        ) from error


def read_report(files: Iterable[tuple[str, bytes]]) -> Report:
    """The report that saved files make: advice, signals, or both.

    Signals without advice are advised on now, as ``advisor recommend`` does.

    Args:
        files: name and content of each.

    Raises:
        InputError: if a file is neither, there are two of a kind, or advice and signals are of different
            questions.
    """
    advice: Advice | None = None
    signals: Signals | None = None
    for name, content in files:
        if _is_advice(content):
            if advice is not None:
                raise InputError(
                    "Those are two files of advice: choose one, with its signals if you have them."
                )
            try:
                advice = Advice.model_validate_json(content)
            except ValidationError as error:
                raise InputError(
                    f"{name} is no advice.json of this version: choose one that a probe wrote."
                ) from error
        elif signals is not None:
            raise InputError(
                "Those are two files of signals: choose one, or compare them in the view Compare."
            )
        else:
            signals = read_signals(name, content)
    if advice is None:
        if signals is None:
            raise InputError("Nothing was chosen: take a signals.json or an advice.json.")
        return Report(recommend(signals), signals)
    if signals is not None and advice.provenance.model_sha256 != signals.model.sha256:
        raise InputError("Advice and signals are of different probes: choose two that belong together.")
    return Report(advice, signals)


def _is_advice(content: bytes) -> bool:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "decision" in found
