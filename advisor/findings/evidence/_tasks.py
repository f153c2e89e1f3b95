"""Tasks by all the names that they go by."""

from collections.abc import Mapping

from probes.catalogue import TASKS, Task

_ALIASES: Mapping[str, str] = {
    **dict.fromkeys(("udpos", "upos", "part-of-speech", "pos-tagging", "masakhapos"), "pos"),
    **dict.fromkeys(("wikiann", "panx", "pan-x", "conll", "named-entities", "masakhaner"), "ner"),
    **dict.fromkeys(("slot", "slot-filling"), "slots"),
    **dict.fromkeys(("sib-200", "sib200", "topics", "topic-classification"), "topic"),
    **dict.fromkeys(("intents", "intent-classification"), "intent"),
    **dict.fromkeys(("xnli", "afrixnli", "entailment", "inference"), "nli"),
    **dict.fromkeys(("paws-x", "pawsx", "paraphrases"), "paraphrase"),
    **dict.fromkeys(("xquad", "mlqa", "tydiqa", "squad", "question-answering", "reading"), "qa"),
}
"""What else tasks go by: benchmarks and longer names."""


def find_task(name: str) -> Task:
    """The task that a user means by ``name``, which may be a benchmark's.

    Raises:
        InputError: if there is none; the message lists those there are.
    """
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    return TASKS.find(_ALIASES.get(plain, plain))
