"""How far apart the two languages lie in the encoder's space, layer by layer.

Input is two matrices of vectors: row i of ``source`` and row i of ``target`` embed two sentences, or two
words in context, that translate each other. Every number comes with a 95 % interval. Where the measure
is undefined (too few pairs, vectors that are all alike, as the first token's are before the first
attention) it has no value, and a note says why.

A vector takes part in many pairs in all but the matched cosine, and neighbours in a corpus tend to
come from one document. So intervals of averages come from a jackknife over groups of consecutive pairs
(Kott 2001, "The delete-a-group jackknife"): each of at most 20 groups is left out in turn, together with
all that its vectors take part in. Proportions have Wilson's interval.
"""

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from probes.jackknife import LEVEL, jackknife
from probes.signals import DistanceRow, Estimate

_GROUPS = 20
_MIN_PAIRS = 3
_MIN_PAIRS_CKA = 5  # the estimator needs 4, and the jackknife leaves some out
_ALIKE = 1e-5  # spread, relative to the norm, below which vectors differ by rounding only


class Cosines(NamedTuple):
    """Mean cosines of one layer.

    Attributes:
        matched: between translations.
        random: between a source vector and the translation of another one. This is how anisotropic the
            space is: in an isotropic one it is 0.
        gap: matched minus random; 0 where translations are no closer than any other pair.
    """

    matched: Estimate
    random: Estimate
    gap: Estimate


class Retrieval(NamedTuple):
    """Shares of sentences (0-1) that find their translation among all n candidates; a tie is a miss.

    Attributes:
        forward: each source vector's nearest target is its translation, by cosine (P@1).
        backward: the same from target to source.
        strict: both at once: the pair's cosine is the largest of its row and of its column (MEXA,
            Kargaran et al. 2024, arXiv:2410.05873).
        csls: forward, by cross-domain similarity local scaling, which takes hubs out (Conneau et al.
            2017, arXiv:1710.04087).
    """

    forward: Estimate
    backward: Estimate
    strict: Estimate
    csls: Estimate


def cosines(source: Tensor, target: Tensor) -> Cosines:
    """Matched cosine, random cosine and their gap.

    The random cosine is the mean over all n (n - 1) pairs of different rows.

    Args:
        source: shape (n, d).
        target: shape (n, d); row i translates row i of ``source``.
    """
    if problem := _problem(source, target, _MIN_PAIRS):
        return Cosines(*[_unresolved(problem)] * 3)
    a, b = _unit(source.detach().cpu().double()), _unit(target.detach().cpu().double())
    matched = (a * b).sum(1)

    def from_sums(n: int, sum_a: Tensor, sum_b: Tensor, sum_matched: Tensor) -> list[float]:
        mean = float(sum_matched) / n
        # All pairs, less the matched ones on the diagonal.
        random = float(sum_a @ sum_b - sum_matched) / (n * (n - 1))
        return [mean, random, mean - random]

    n = len(a)
    sum_a, sum_b, sum_matched = a.sum(0), b.sum(0), matched.sum()
    left_out = [
        from_sums(
            n - (end - start),
            sum_a - a[start:end].sum(0),
            sum_b - b[start:end].sum(0),
            sum_matched - matched[start:end].sum(),
        )
        for start, end in _groups(n)
    ]
    values = from_sums(n, sum_a, sum_b, sum_matched)
    return Cosines(*map(jackknife, values, zip(*left_out, strict=True)))


def retrieval(source: Tensor, target: Tensor, neighbours: int = 10) -> Retrieval:
    """Retrieval of translations by cosine, in time n² d and memory n².

    Args:
        source: shape (n, d).
        target: shape (n, d); row i translates row i of ``source``.
        neighbours: k of CSLS; at most n are used.
    """
    if problem := _problem(source, target, _MIN_PAIRS):
        return Retrieval(*[_unresolved(problem)] * 4)
    similarity = _unit(_floating(source)) @ _unit(_floating(target)).T
    n = len(similarity)
    forward, backward = _nearest(similarity), _nearest(similarity.T)
    # CSLS is 2 cos - r(row) - r(column), r being the mean cosine to the k nearest neighbours. Within a
    # row the first r is the same for all candidates, so it does not matter which is nearest.
    r_column = similarity.topk(min(neighbours, n), dim=0).values.mean(0)
    csls = _nearest(2 * similarity - r_column)
    return Retrieval(*(wilson(int(hits.sum()), n) for hits in (forward, backward, forward & backward, csls)))


def debiased_cka(source: Tensor, target: Tensor) -> Estimate:
    """Debiased linear centred kernel alignment: how alike the two spaces are, up to rotation and scale.

    CKA (Kornblith et al. 2019, arXiv:1905.00414) with linear kernels and the unbiased
    estimator of the Hilbert-Schmidt independence criterion (Song et al. 2012, "Feature selection via
    dependence maximization", JMLR 13), which takes away the similarity that few sentences in many
    dimensions have by chance. It is 1 for spaces equal up to rotation and scale, 0 on average for unrelated
    ones, and so may come out slightly negative.

    Args:
        source: shape (n, d), n at least 5.
        target: shape (n, d'); row i translates row i of ``source``.
    """
    if problem := _problem(source, target, _MIN_PAIRS_CKA):
        return _unresolved(problem)
    a, b = source.detach().cpu().double(), target.detach().cpu().double()
    # The estimator does not change with the origin; centred data keep its sums from cancelling.
    a, b = a - a.mean(0), b - b.mean(0)
    # Norms are taken out as well, so that products of squares stay in range.
    a, b = a / a.norm(), b / b.norm()
    grams = (a.T @ b, a.T @ a, b.T @ b)

    value = _cka(a, b, grams)
    left_out = []
    for start, end in _groups(len(a)):
        out_a, out_b = a[start:end], b[start:end]
        rest_a, rest_b = torch.cat([a[:start], a[end:]]), torch.cat([b[:start], b[end:]])
        rest = (grams[0] - out_a.T @ out_b, grams[1] - out_a.T @ out_a, grams[2] - out_b.T @ out_b)
        left_out.append(_cka(rest_a, rest_b, rest))
    parts = [part for part in left_out if part is not None]
    if value is None or len(parts) < len(left_out):
        return _unresolved("there are too few pairs for vectors that vary so little")
    return jackknife(value, parts)


def _cka(a: Tensor, b: Tensor, grams: tuple[Tensor, Tensor, Tensor]) -> float | None:
    """Debiased CKA given aᵀb, aᵀa and bᵀb; None when a side's own criterion is not above 0."""
    own_a, own_b = _hsic(a, a, grams[1]), _hsic(b, b, grams[2])
    if own_a <= 0 or own_b <= 0:
        return None
    return _hsic(a, b, grams[0]) / math.sqrt(own_a * own_b)


def _hsic(a: Tensor, b: Tensor, gram: Tensor) -> float:
    """The unbiased estimator of HSIC with linear kernels, in time n d² instead of n² d.

    With K̃ and L̃ the kernel matrices with zero diagonals, it is ::

        [tr(K̃L̃) + 1ᵀK̃1 1ᵀL̃1 / ((n-1)(n-2)) - 2 1ᵀK̃L̃1 / (n-2)] / (n (n-3))

    Args:
        a: shape (n, d).
        b: shape (n, d').
        gram: aᵀb.
    """
    n = len(a)
    diagonal_a, diagonal_b = (a * a).sum(1), (b * b).sum(1)
    rows_a, rows_b = a @ a.sum(0) - diagonal_a, b @ b.sum(0) - diagonal_b
    trace = (gram * gram).sum() - diagonal_a @ diagonal_b
    sums = rows_a.sum() * rows_b.sum() / ((n - 1) * (n - 2))
    cross = 2 * (rows_a @ rows_b) / (n - 2)
    return float((trace + sums - cross) / (n * (n - 3)))


def sentence_rows(source: Tensor, target: Tensor) -> list[DistanceRow]:
    """Every distance between sentence vectors, at every layer.

    Args:
        source: pooled hidden states of n sentences, shape (layers + 1, n, d); index 0 is the embedding
            output.
        target: the same of their translations.

    Returns:
        For each layer the eight measures. The chance level of a retrieval is what a random order of the
        candidates scores, that of the matched cosine is the random cosine.
    """
    rows: list[DistanceRow] = []
    n = source.shape[1]
    first_of_n = 1 / n if n else None
    first_of_cross = 1 / (2 * n - 1) if n else None  # of the 2n - 1 cells of a row and a column
    for layer, (a, b) in enumerate(zip(source, target, strict=True)):
        found = retrieval(a, b)
        rows += _cosine_rows(layer, "sentence", cosines(a, b))
        rows += [
            DistanceRow(layer=layer, unit="sentence", measure=measure, value=value, chance=chance)
            for measure, value, chance in (
                ("retrieval-forward", found.forward, first_of_n),
                ("retrieval-backward", found.backward, first_of_n),
                ("retrieval-strict", found.strict, first_of_cross),
                ("retrieval-csls", found.csls, first_of_n),
                ("cka", debiased_cka(a, b), 0.0),
            )
        ]
    return rows


def word_rows(source: Tensor, target: Tensor) -> list[DistanceRow]:
    """Matched cosine, random cosine and gap between vectors of aligned words, at every layer.

    Args:
        source: states of n words in the order of the text, shape (layers + 1, n, d); index 0 is the
            embedding output.
        target: the same of the words they are aligned with.
    """
    return [
        row
        for layer, (a, b) in enumerate(zip(source, target, strict=True))
        for row in _cosine_rows(layer, "word", cosines(a, b))
    ]


def _cosine_rows(layer: int, unit: Literal["sentence", "word"], found: Cosines) -> list[DistanceRow]:
    return [
        DistanceRow(layer=layer, unit=unit, measure=measure, value=value, chance=chance)
        for measure, value, chance in (
            ("matched-cosine", found.matched, found.random.value),
            ("random-cosine", found.random, None),
            ("cosine-gap", found.gap, 0.0),
        )
    ]


def wilson(hits: int, n: int) -> Estimate:
    """A proportion with Wilson's score interval, which stays within 0-1 and holds for small ``n``.

    Args:
        hits: from 0 to n.
        n: at least 1.
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # With no hits the lower bound is 0 exactly, with all the upper is 1; rounding may miss them.
    low, high = min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)
    return Estimate(value=share, low=low, high=high, level=LEVEL)


def _unresolved(problem: str) -> Estimate:
    return Estimate(value=None, level=LEVEL, note=problem)


def _problem(source: Tensor, target: Tensor, pairs: int) -> str | None:
    """Why no distance between these vectors is defined, or None."""
    if source.ndim != 2 or len(source) != len(target):
        raise ValueError(f"need two matrices with a row a pair, not {source.shape} and {target.shape}")
    if len(source) < pairs:
        return f"too few pairs ({len(source)}): at least {pairs} are needed"
    for side in (_floating(source), _floating(target)):
        if not side.isfinite().all():
            return "a vector holds a value that is no number"
        if (side.norm(dim=1) == 0).any():
            return "a vector is zero"
        if (side - side.mean(0)).norm() <= _ALIKE * side.norm():
            return "all vectors of one side are the same"
    return None


def _floating(vectors: Tensor) -> Tensor:
    """Detached, and in single precision at least."""
    return vectors.detach().to(torch.promote_types(vectors.dtype, torch.float32))


def _unit(vectors: Tensor) -> Tensor:
    norms: Tensor = vectors.norm(dim=1, keepdim=True)
    return vectors / norms


def _groups(n: int) -> Iterator[tuple[int, int]]:
    """Bounds of at most 20 runs of rows, as equal in length as can be."""
    groups = min(n, _GROUPS)
    for k in range(groups):
        yield n * k // groups, n * (k + 1) // groups


def _nearest(scores: Tensor) -> Tensor:
    """Of which rows the entry on the diagonal is larger than all others."""
    return scores.diagonal() > scores.clone().fill_diagonal_(-torch.inf).amax(1)
