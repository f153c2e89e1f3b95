"""Which targets to align together, from how their alignment gradients lie to each other."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import fmean

import numpy as np

from advisor.advice import Advice
from advisor.findings import load_tables
from advisor.report.words import estimated
from probes.catalogue import OBJECTIVES
from probes.schema import Frozen
from probes.signals import TOTAL, Estimate, TargetCosine

_FEW_PAIRS = 1000
_CLOSE = 0.05
"""Of two cosines, within which a null says as much."""


class JointAnswer(Frozen):
    """What to align together, for one encoder, source and task.

    Attributes:
        model, source, task: of the probes.
        objective: the loss it speaks of.
        order: the targets, alike ones side by side.
        groups: targets whose alignment every other of the group helps; a group of one is aligned alone.
        unaligned: targets for which aligning is not advised.
        text: all that in a sentence.
        doubts: what a careful person should know of it.
        rows: cosines of every two targets, by loss and block.
    """

    model: str
    source: str
    task: str
    objective: str
    order: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    unaligned: tuple[str, ...]
    text: str
    doubts: tuple[str, ...]
    rows: tuple[TargetCosine, ...]

    def between(self, first: str, second: str, objective: str | None = None) -> TargetCosine | None:
        """The row of two targets over all layers, in whatever order they are named."""
        wanted = (objective or self.objective, TOTAL)
        rows = (row for row in self.rows if (row.objective, row.block) == wanted)
        return next((row for row in rows if {row.first, row.second} == {first, second}), None)

    @property
    def objectives(self) -> tuple[str, ...]:
        """The losses that were compared, the one it speaks of first."""
        return tuple(dict.fromkeys((self.objective, *(row.objective for row in self.rows if row.net))))


def joint_answer(advices: Mapping[str, Advice], rows: Sequence[TargetCosine]) -> JointAnswer | None:
    """The joint answer for targets of one encoder; None where no loss was compared.

    Targets go together if every two of them clearly agree in what translations add to the loss: then a step
    for one is, to first order, a step for the other, too. A loss over sentences decides where there is one:
    shuffled bitext leaves nothing of its net gradient, while a loss over words keeps what its links are worth
    whatever the sentences.

    Args:
        advices: of at least two targets, by the names that ``rows`` have them under.
        rows: as :func:`probes.gradients.between.between_targets` gives them.
    """
    compared = [row.objective for row in rows if row.block == TOTAL and row.net is not None]
    if not compared:
        return None
    advised = [advice.option.objective for advice in advices.values() if advice.aligns]
    objective = max(
        dict.fromkeys(compared), key=lambda name: (OBJECTIVES[name].kind == "sentence", advised.count(name))
    )
    net = {
        frozenset((row.first, row.second)): row.net
        for row in rows
        if (row.objective, row.block) == (objective, TOTAL) and row.net is not None
    }
    aligned = [target for target, advice in advices.items() if advice.aligns]
    groups = _grouped(aligned, net)
    unaligned = tuple(target for target in advices if target not in aligned)
    question = next(iter(advices.values())).question
    return JointAnswer(
        model=question.model,
        source=question.source,
        task=question.task,
        objective=objective,
        order=_clustered(list(advices), net),
        groups=groups,
        unaligned=unaligned,
        text=_text(groups, unaligned),
        doubts=(*_null_doubt(rows, objective), *_doubts(advices, net)),
        rows=tuple(rows),
    )


def _grouped(targets: Sequence[str], net: Mapping[frozenset[str], Estimate]) -> tuple[tuple[str, ...], ...]:
    """Groups within which all pairs clearly agree, those that agree most joined first."""
    groups: list[tuple[str, ...]] = [(target,) for target in targets]
    while True:
        found = []
        for i, one in enumerate(groups):
            for other in groups[:i]:
                pairs = [net[frozenset(pair)] for pair in product(one, other)]
                if all(pair.sign > 0 for pair in pairs):
                    found.append((fmean(pair.value or 0.0 for pair in pairs), other, one))
        if not found:
            return tuple(sorted(groups, key=lambda group: (-len(group), targets.index(group[0]))))
        _, one, other = max(found)
        groups = [group for group in groups if group not in (one, other)]
        groups.append(tuple(sorted((*one, *other), key=targets.index)))


def _clustered(targets: Sequence[str], net: Mapping[frozenset[str], Estimate]) -> tuple[str, ...]:
    """The targets with alike ones side by side, by average linkage."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

    if len(targets) < 3:
        return tuple(targets)
    pairs = [frozenset((a, b)) for i, a in enumerate(targets) for b in targets[i + 1 :]]
    distances = np.array([1 - (net[pair].value or 0.0) for pair in pairs])
    tree = optimal_leaf_ordering(linkage(distances, "average"), distances)
    return tuple(targets[i] for i in leaves_list(tree))


def _text(groups: Sequence[Sequence[str]], unaligned: Sequence[str]) -> str:
    together = [group for group in groups if len(group) > 1]
    alone = [group[0] for group in groups if len(group) == 1]
    parts = [f"{_listed(group)} together" for group in together]
    if alone:
        parts.append(f"{_listed(alone)} {'each ' if len(alone) > 1 else ''}alone")
    said = f"Align {'; '.join(parts)}." if parts else ""
    rest = f"{' ' if said else ''}Fine-tune alone for {_listed(unaligned)}." if unaligned else ""
    return said + rest


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _null_doubt(rows: Sequence[TargetCosine], objective: str) -> Iterator[str]:
    """That shuffled pairs agree as much, where they do: then little of it is about the translations."""
    told = [
        (row.net.value, row.null.value)
        for row in rows
        if (row.objective, row.block) == (objective, TOTAL) and row.net and row.null
        if row.net.value is not None and row.null.value is not None
    ]
    net, null = (fmean(column) for column in zip(*told, strict=True)) if told else (1.0, 0.0)
    if null > net - _CLOSE:
        yield (
            f"On shuffled pairs the gradients of these targets agree about as much ({null:.2f} on average, "
            f"beside {net:.2f}): little of what they share is about the translations."
        )


def _doubts(advices: Mapping[str, Advice], net: Mapping[frozenset[str], Estimate]) -> list[str]:
    lost = sum(not estimate.resolved for estimate in net.values())
    unclear = sum(estimate.resolved and estimate.sign == 0 for estimate in net.values())
    against = [pair for pair, estimate in net.items() if estimate.sign < 0]
    counts = {e.aligned_languages for e in load_tables().effects if e.unfit is None and e.aligned_languages}
    several = sorted(count for count in counts if count > 1)
    found = [f"{_listed(sorted(pair))} pull against each other ({estimated(net[pair])})." for pair in against]
    if lost or unclear:
        found.append(
            f"Of {len(net)} pairs {lost} could not be told from noise and {unclear} have no clear sign: they "
            "are kept apart, which more rounds (--budget) may change."
        )
    found += [
        "Losses over words agree between shuffled bitexts, too, since their links do not depend on the "
        "sentences: read them beside that.",
        "A cosine speaks of one small step at one point, after the warm-up: no study here shows that it "
        "foretells what joint alignment gains.",
        f"Published gains come from aligning {several[0]} to {several[-1]} languages at once, own ones from "
        "aligning one; no source varies the number alone, so what joining adds is not known.",
    ]
    if any(row.code == "little-bitext" for advice in advices.values() for row in advice.warnings):
        found.append(f"A bitext holds fewer than {_FEW_PAIRS:,} pairs.")
    return found
