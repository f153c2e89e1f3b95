"""What is timed and counted before a run. How long it takes is the machine's affair and not asserted."""

import pytest
import torch

from probes.batches import LabelledText, TokenizedPair, Tokenizer
from probes.context import ModelAt
from probes.cost import PassTimes
from probes.cost.timing import subwords, time_passes
from probes.encoder import Encoder
from probes.heads import Head
from probes.objectives import available
from probes.tasks import level_called
from tests.conftest import Load
from tests.models import sample_items, sample_pairs


def timed(encoder: Encoder, texts: list[LabelledText], pairs: list[TokenizedPair]) -> PassTimes:
    objectives, _ = available(encoder, has_links=True)
    head = Head(torch.zeros(5, encoder.hidden_size), torch.zeros(5), level_called("sentence"))
    model = ModelAt("theta0", encoder, head, Tokenizer(encoder.tokenizer, 64))
    return time_passes(model, objectives, texts, pairs, references=2, precision="fp32")


def same_text(load: Load, count: int) -> tuple[Encoder, list[LabelledText], list[TokenizedPair]]:
    """One text, and one pair, so many times over."""
    encoder = load("bert")
    tokenizer = Tokenizer(encoder.tokenizer, 64)
    items, _ = sample_items(tokenizer, "sentence", 1)
    start = encoder.working_copy(range(len(encoder.tokenizer)))
    return start, items * count, sample_pairs(tokenizer, 1) * count


def test_every_kind_of_loss_is_timed_and_nothing_is_left_behind(load: Load) -> None:
    encoder, texts, pairs = same_text(load, 4)
    before = [parameter.detach().clone() for parameter in encoder.parameters()]
    times = timed(encoder, texts, pairs)
    for seconds in (
        times.forward,
        times.lookahead,
        times.labelled,
        times.aligned,
        times.walks,
        times.step,
    ):
        assert seconds > 0
    for old, parameter in zip(before, encoder.parameters(), strict=True):
        assert torch.equal(old, parameter)
        assert parameter.grad is None
    assert encoder.precision == "fp32"


def test_bytes_of_a_graph_grow_with_the_batch(load: Load) -> None:
    # Up to eight texts make one pass, so that nothing but the batch differs.
    small, large = (timed(*same_text(load, count)) for count in (4, 8))
    assert large.labelled_bytes == pytest.approx(2 * small.labelled_bytes, rel=0.1)
    assert large.pair_bytes > 1.5 * small.pair_bytes


def test_subwords_are_counted_on_both_sides(load: Load) -> None:
    tokenizer = Tokenizer(load("bert").tokenizer, 64)
    items, _ = sample_items(tokenizer, "sentence", 3)
    pairs = sample_pairs(tokenizer, 2)
    assert subwords(items) == sum(len(item.text.ids) for item in items)
    assert subwords(pairs) == sum(len(p.source.ids) + len(p.target.ids) for p in pairs)
    assert subwords([]) == 0
