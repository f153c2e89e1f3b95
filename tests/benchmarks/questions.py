"""The 120 questions of an ordinary week: how many stay open, and whether the headline is the best row.

``python -m tests.benchmarks.questions`` prints the answers and the counts.
"""

import time
from collections import Counter

from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT
from advisor.report.words import interval
from tests.factories import ask

MODELS = (
    "xlm-roberta-base",
    "xlm-roberta-large",
    "bert-base-multilingual-cased",
    "mdeberta-v3-base",
    "mmbert-base",
    "labse",
)
TASKS = ("pos", "ner", "nli", "topic")
LANGUAGES = ("de", "sw", "yo", "zh", "fi")


def headline_is_best(advice: Advice) -> bool:
    """Whether the advised option is the first row, and no other that aligns is expected to gain more."""
    gains = [row.gain.mean for row in advice.alternatives if row.option != NO_ALIGNMENT]
    first = advice.alternatives[0]
    best = max(gains, default=0.0)
    return first.option == advice.option and (first.gain.mean >= best or not advice.aligns)


def main() -> None:
    """Ask all of them."""
    confidence: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    best = 0
    started = time.perf_counter()
    for model in MODELS:
        for task in TASKS:
            shown = []
            for target in LANGUAGES:
                advice = ask(model=model, source="en", target=target, task=task)
                confidence[advice.confidence] += 1
                decisions[advice.decision] += 1
                best += headline_is_best(advice)
                gain = advice.gain
                assert gain is not None
                shown.append(
                    f"{target} {advice.decision} ({advice.confidence}) {gain.mean:+.1f} [{interval(gain)}] "
                    f"{advice.option}"
                )
            print(f"{model}, {task}:", *shown, sep="\n  ")
    total = sum(confidence.values())
    print(f"{total} questions in {time.perf_counter() - started:.1f} s")
    print(f"open {confidence['open'] / total:.0%}; {dict(confidence)}; {dict(decisions)}")
    print(f"headline is the best row in {best} of {total}")


if __name__ == "__main__":
    main()
