"""Encoders in training: copies that hold only the embeddings a run uses, and the same as whole encoders."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from torch import nn
from transformers import PreTrainedModel

from probes.batches import LabelledText, TokenizedPair
from probes.encoder import Encoder, RowEmbedding


def ids_of(texts: Sequence[LabelledText], pairs: Sequence[TokenizedPair], encoder: Encoder) -> list[int]:
    """The ids that training on texts and translation pairs looks up, ascending."""
    used = {i for item in texts for i in item.text.ids} | set(encoder.tokenizer.all_special_ids)
    for pair in pairs:
        used.update(pair.source.ids, pair.target.ids)
    return sorted(used)


def trainable_copy(given: Encoder, used: Sequence[int], *, all_rows: bool) -> Encoder:
    """A copy to train. Of the embeddings it holds the rows that the run uses, which get the same gradients.

    A multilingual vocabulary is four fifths of a small encoder, and a run uses a tenth of it. The losses that
    predict words reach every row, so for them (``all_rows``) all are there.
    """
    if all_rows and given.masked_lm is not None:
        masked_lm = copy.deepcopy(given.masked_lm)
        return replace(given, base=cast(PreTrainedModel, masked_lm.base_model), masked_lm=masked_lm)
    return given.working_copy(used)


def extended_copy(trained: Encoder, used: Sequence[int]) -> Encoder:
    """A further copy of an encoder in training that holds these rows of its embeddings, too."""
    duplicate = trained.duplicate()
    rows = duplicate.base.get_input_embeddings()
    if isinstance(rows, RowEmbedding):
        duplicate.base.set_input_embeddings(rows.with_rows(used))
    return duplicate


def with_full_table(trained: Encoder, given: Encoder) -> Encoder:
    """The trained encoder with the whole vocabulary; rows that no text used are as they were given."""
    rows = trained.base.get_input_embeddings()
    if not isinstance(rows, RowEmbedding):
        return trained
    embedding = given.base.get_input_embeddings()
    # put in the place of the weight, which is not copied for nothing
    whole = copy.deepcopy(embedding, {id(embedding.weight): nn.Parameter(rows.full_table())})
    trained.base.set_input_embeddings(whole)
    reason = "training left its MLM head behind"
    return replace(trained, masked_lm=None, no_mlm_reason=reason, blocks=given.blocks)


@contextmanager
def reading_all(encoder: Encoder) -> Iterator[None]:
    """Let an encoder in training read any text: ids without a row of their own mean what they were given."""
    rows = encoder.base.get_input_embeddings()
    if not isinstance(rows, RowEmbedding):
        yield
        return
    rows.strict = False
    try:
        yield
    finally:
        rows.strict = True
