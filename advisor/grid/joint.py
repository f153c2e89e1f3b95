"""Which targets to align together, from how their alignment gradients lie to each other."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations, product
from statistics import fmean
from typing import TypeAlias

import numpy as np

from advisor.advice import Advice
from advisor.findings import load_tables
from advisor.report.words import estimated
from probes.catalogue import OBJECTIVES
from probes.schema import Frozen
from probes.signals import TOTAL, Estimate, TargetCosine

_FEW_PAIRS = 1000
_FEW = 5
"""Pairs that a doubt names, the clearest first."""
_Pair: TypeAlias = frozenset[str]
_Nets: TypeAlias = Mapping[_Pair, Estimate]


class JointAnswer(Frozen):
    """What to align together, for one encoder, source and task.

    Attributes:
        model, source, task: of the probes.
        objective: the loss it was judged by.
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
        return self._pairs.get((objective or self.objective, frozenset((first, second))))

    @cached_property
    def _pairs(self) -> Mapping[tuple[str, _Pair], TargetCosine]:
        return {
            (row.objective, frozenset((row.first, row.second))): row
            for row in self.rows
            if row.block == TOTAL
        }

    @property
    def objectives(self) -> tuple[str, ...]:
        """The losses that were compared, the one it speaks of first."""
        return tuple(dict.fromkeys((self.objective, *(row.objective for row in self.rows if row.net))))


def joint_answer(advices: Mapping[str, Advice], rows: Sequence[TargetCosine]) -> JointAnswer | None:
    """The joint answer for targets of one encoder; None where no loss was compared.

    Targets go together if every two of them clearly agree in what translations add to the loss: then a step
    for one is, to first order, a step for the other, too. A loss over sentences judges where there is one:
    shuffled bitext leaves nothing of its net gradient, while a loss over words keeps what its links are worth
    whatever the sentences. What is trained is a loss that is advised: if two targets clearly pull against
    each other by one that is advised for any of the group, they do not go together either.

    Args:
        advices: of all targets, by the names that ``rows`` have them under; one that no row has is told of.
        rows: as :func:`probes.gradients.between.between_targets` gives them.
    """
    nets: defaultdict[str, dict[_Pair, Estimate]] = defaultdict(dict)
    for row in rows:
        if row.block == TOTAL and row.net is not None:
            nets[row.objective][frozenset((row.first, row.second))] = row.net
    if not nets:
        return None
    advised = {target: advice.option.objective for target, advice in advices.items() if advice.aligns}
    count = list(advised.values()).count
    objective = max(nets, key=lambda name: (OBJECTIVES[name].kind == "sentence", count(name)))
    net = nets[objective]
    compared = [target for target in advices if any(target in pair for pair in net)]
    trained = {target: str(advised[target]) for target in compared if target in advised}
    groups = _grouped(trained, net, nets)
    unaligned = tuple(target for target in advices if target not in advised)
    question = next(iter(advices.values())).question
    return JointAnswer(
        model=question.model,
        source=question.source,
        task=question.task,
        objective=objective,
        order=_clustered(compared, net),
        groups=groups,
        unaligned=unaligned,
        text=_text(objective, groups, unaligned),
        doubts=(
            *_missing(advices, compared),
            *_pulls_apart(trained, objective, nets),
            *_other_losses(trained, objective, nets),
            *_doubts(advices, net),
        ),
        rows=tuple(rows),
    )


def _grouped(
    trained: Mapping[str, str], net: _Nets, nets: Mapping[str, _Nets]
) -> tuple[tuple[str, ...], ...]:
    """Groups within which all pairs clearly agree, those that agree most joined first.

    Args:
        trained: the loss that is advised for each target.
        net: cosines that must be clearly positive.
        nets: of every loss; those of what would be trained must not be clearly negative.
    """
    targets = list(trained)
    against = {loss: {pair for pair, row in pairs.items() if row.sign < 0} for loss, pairs in nets.items()}
    groups: list[tuple[str, ...]] = [(target,) for target in targets]
    while True:
        mergers = []
        for one, other in combinations(groups, 2):
            pairs = [net[frozenset(pair)] for pair in product(one, other)]
            if any(pair.sign <= 0 for pair in pairs):
                continue
            within = {frozenset(pair) for pair in combinations((*one, *other), 2)}
            if not any(within & against.get(trained[target], set()) for target in (*one, *other)):
                mergers.append((fmean(pair.value or 0.0 for pair in pairs), one, other))
        if not mergers:
            return tuple(sorted(groups, key=lambda group: (-len(group), targets.index(group[0]))))
        _, one, other = max(mergers)
        groups = [group for group in groups if group not in (one, other)]
        groups.append(tuple(sorted((*one, *other), key=targets.index)))


def _clustered(targets: Sequence[str], net: _Nets) -> tuple[str, ...]:
    """The targets with alike ones side by side, by average linkage."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

    if len(targets) < 3:
        return tuple(targets)
    pairs = [frozenset((a, b)) for i, a in enumerate(targets) for b in targets[i + 1 :]]
    distances = np.array([1 - (net[pair].value or 0.0) for pair in pairs])
    tree = optimal_leaf_ordering(linkage(distances, "average"), distances)
    return tuple(targets[i] for i in leaves_list(tree))


def _text(objective: str, groups: Sequence[tuple[str, ...]], unaligned: Sequence[str]) -> str:
    parts = [f"{_listed(group)} together" for group in groups if len(group) > 1]
    alone = [group[0] for group in groups if len(group) == 1]
    if alone:
        parts.append(f"{_listed(alone)} {'each ' if len(alone) > 1 else ''}alone")
    said = [f"Judged by {objective}, align {'; '.join(parts)}."] if parts else []
    return " ".join([*said, *([f"Fine-tune alone for {_listed(unaligned)}."] if unaligned else [])])


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _missing(advices: Mapping[str, Advice], compared: Collection[str]) -> Iterator[str]:
    missing = [target for target in advices if target not in compared]
    if missing:
        yield (
            f"{_listed(missing)} could not be compared: the gradients that a probe keeps (pulls.npz) are not "
            "there or cannot be read. The same command takes them again."
        )


def _pulls_apart(trained: Mapping[str, str], objective: str, nets: Mapping[str, _Nets]) -> Iterator[str]:
    """Pairs that the judging loss, or one that is advised for either, has against each other."""
    for loss, net in nets.items():
        against = [
            (estimate.high, f"{_listed(sorted(pair))} ({estimated(estimate)})")
            for pair, estimate in net.items()
            if estimate.sign < 0 and (loss == objective or loss in {trained.get(target) for target in pair})
        ]
        if against:
            more = f" and {len(against) - _FEW} more pairs" if len(against) > _FEW else ""
            pairs = "; ".join(text for _, text in sorted(against)[:_FEW])
            yield f"{pairs}{more} pull against each other by {loss}."


def _other_losses(trained: Mapping[str, str], objective: str, nets: Mapping[str, _Nets]) -> Iterator[str]:
    """What is advised, and so trained, but was not judged by."""
    for loss in dict.fromkeys(trained.values()):
        if loss == objective or len(trained) < 2:
            continue
        targets = [target for target, own in trained.items() if own == loss]
        signs = [estimate.sign for pair, estimate in nets.get(loss, {}).items() if pair <= trained.keys()]
        by_it = "by which no targets were compared"
        if signs:
            by_it = (
                f"by that {signs.count(1)} of {len(signs)} pairs clearly agree, {signs.count(-1)} pull apart"
            )
        whom = "all of them" if len(targets) == len(trained) else _listed(targets)
        advised = f"{loss} is advised, and would be trained, for {whom}"
        yield f"Judged by {objective}, while {advised}; {by_it}."


def _doubts(advices: Mapping[str, Advice], net: _Nets) -> list[str]:
    lost = sum(not estimate.resolved for estimate in net.values())
    unclear = sum(estimate.resolved and estimate.sign == 0 for estimate in net.values())
    counts = {e.aligned_languages for e in load_tables().effects if e.unfit is None and e.aligned_languages}
    several = sorted(count for count in counts if count > 1)
    found = []
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
    codes = {target: {row.code for row in advice.warnings} for target, advice in advices.items()}
    if any("little-bitext" in of_target for of_target in codes.values()):
        found.append(f"A bitext holds fewer than {_FEW_PAIRS:,} pairs.")
    if misaligned := [target for target, of_target in codes.items() if "misaligned-bitext" in of_target]:
        found.insert(
            0,
            f"Hardly any translation is found in the bitext of {_listed(misaligned)}: its sides may not "
            "correspond.",
        )
    return found
