"""The terms of report and page, each in a sentence or two."""

GLOSSARY: dict[str, str] = {
    "encoder": "The pretrained model without task heads, which turns text into vectors.",
    "alignment": (
        "Training that pulls translations together. Its loss is the objective: token-contrastive and "
        "token-l2 over aligned words, sentence-contrastive over sentences, tlm and mlm by predicting masked "
        "words."
    ),
    "schedule": "Sequential: align, then fine-tune. Joint: one run on the weighted sum of both losses.",
    "frozen layers": (
        "The half of the layers that alignment leaves as it is; fine-tuning trains all of them."
    ),
    "gain": (
        "Score of the aligned minus that of the unaligned model on target-language test data, in points of "
        "0-100."
    ),
    "interval": (
        "The range that holds the true value with the stated probability: 80 % for gains, 95 % for what was "
        "measured."
    ),
    "likely, leaning, open": (
        "How sure a decision is. What each word was worth is the share of decisions with that word that "
        "were right on cases the findings had not seen."
    ),
    "basis": (
        "What an expectation rests on. Measured here: own runs of this very question. Measured elsewhere: a "
        "published or own run near to it. Extrapolated: neither."
    ),
    "frozen gap": (
        "The score of a simple head on the encoder as it is, source minus target: the room that alignment "
        "could fill."
    ),
    "after warm-up": (
        "After a few steps of task fine-tuning on a copy of the model: gradients of an untouched model say "
        "less about training."
    ),
    "direction": (
        "The noise-corrected cosine: whether the task and the alignment loss pull the encoder the same way. "
        "Above 0 they agree, below 0 they are in conflict. Estimated across independent batches, so that "
        "noise does not shrink it to 0."
    ),
    "ceiling": (
        "The most that the raw cosine of two single batches could show, even if both losses agreed in full."
    ),
    "null": (
        "The same measurement with the pairs of the bitext shuffled: what comes from the form of the loss "
        "rather than from translations."
    ),
    "unresolved": "The data cannot tell the number from noise. More rounds or more data would.",
    "lookahead": "What one small step on an alignment loss does to the task loss.",
    "projected labels": (
        "The warmed model labels source sentences; their translations inherit the labels. So there is a "
        "task gradient on target text without target labels."
    ),
    "retrieval": (
        "Share of sentences whose nearest neighbour in the other language is their translation; strict asks "
        "for the best of both row and column; CSLS corrects for sentences that are near to everything."
    ),
    "CKA": (
        "Centred kernel alignment: how alike the geometry of two sets of vectors is, from 0 to 1, whatever "
        "their rotation."
    ),
    "subwords a word": (
        "Pieces that the tokenizer cuts a word into. A language cut far smaller than the source is one the "
        "model reads badly; alignment does not repair that."
    ),
    "study cell": "An encoder, a task and a language pair of the own runs that the findings rest on.",
}
"""Explanation by term."""
