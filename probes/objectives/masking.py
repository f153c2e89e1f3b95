"""Masked language modelling on any batch of texts: what MLM and TLM share."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from probes.batches import TextBatch
from probes.encoder import Encoder


def masked_lm_loss(encoder: Encoder, text: TextBatch, share: float, seed: int) -> Tensor:
    """Cross-entropy of masked subwords, with BERT's 80/10/10 corruption (arXiv:1810.04805).

    Random replacements are drawn from the subwords of the batch itself, so that no embedding is touched
    that the data does not use. The mask depends on ``seed`` alone.

    Args:
        encoder: with an MLM head.
        text: what to mask; special tokens and padding are left alone.
        share: of subwords that are predicted, 0-1.
        seed: decides the mask.

    Returns:
        A scalar, the mean over predicted subwords.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = text.inputs["input_ids"]
    open_ = (text.words >= 0).cpu()
    order = torch.rand(ids.shape, generator=generator).masked_fill(~open_, 2.0)
    count = max(1, round(share * int(open_.sum())))
    chosen = order <= order.flatten().kthvalue(count).values
    fate = torch.rand(ids.shape, generator=generator)
    pool = ids.cpu()[open_]
    strangers = pool[torch.randint(len(pool), ids.shape, generator=generator)]
    corrupted = ids.cpu().clone()
    corrupted[chosen & (fate < 0.8)] = int(encoder.tokenizer.mask_token_id)
    corrupted[chosen & (fate >= 0.9)] = strangers[chosen & (fate >= 0.9)]
    inputs = {**text.inputs, "input_ids": corrupted.to(ids.device)}
    hidden = encoder.hidden_states(TextBatch(inputs, text.words))[-1]
    where = chosen.to(ids.device)
    return cross_entropy(encoder.mlm_logits(hidden[where]), ids[where])
