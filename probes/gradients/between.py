"""Do alignment losses of several targets pull the same way?

Each target has rounds of its own, which leave sketches of its losses' gradients behind. Sketches of one seed
can be multiplied with each other, whatever text they came from. Targets may share source sentences in a
round, so only products of different rounds count, as within one target.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.gradients.estimators import Moments
from probes.signals import TOTAL, TargetCosine

PULL_WIDTH = 4096
"""Numbers a block that are kept of a sketch: a sixth of a MiB a loss, round and dozen of layers."""


@dataclass(frozen=True)
class Pulls:
    """Sketches of one target's alignment gradients, round by round.

    Attributes:
        objectives: names of the losses.
        nulls: those of them that were taken on shuffled pairs, too.
        sketches: block -> (objectives and then nulls, rounds K, width).
    """

    objectives: tuple[str, ...]
    nulls: tuple[str, ...]
    sketches: Mapping[str, NDArray[np.float32]]

    def to_bytes(self) -> bytes:
        """They as an ``.npz`` file."""
        file = BytesIO()
        arrays: dict[str, Any] = {"objectives": self.objectives, "nulls": self.nulls, **self.sketches}
        np.savez(file, **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, path: Path) -> "Pulls":
        """Read a file of what :meth:`to_bytes` gave.

        Raises:
            OSError, ValueError, KeyError, zipfile.BadZipFile: if it is not there, or something else.
        """
        with np.load(path, allow_pickle=False) as file:
            names = {name: tuple(map(str, file[name])) for name in ("objectives", "nulls")}
            return cls(**names, sketches={n: file[n] for n in file.files if n not in names})

    def of(self, block: str, objective: str) -> NDArray[np.float32]:
        """The loss's gradients, (K, width)."""
        return np.asarray(self.sketches[block][self.objectives.index(objective)])

    def null(self, block: str, objective: str) -> NDArray[np.float32]:
        """The same on shuffled pairs."""
        return np.asarray(self.sketches[block][len(self.objectives) + self.nulls.index(objective)])


def between_targets(pulls: Mapping[str, Pulls]) -> tuple[TargetCosine, ...]:
    """Noise-corrected cosines of every two targets' gradients, by loss and block, all layers together first.

    Args:
        pulls: of each target, all of one encoder, seed and budget.
    """
    first, *others = pulls.values()
    rows = []
    for objective in first.objectives:
        if not all(objective in other.objectives for other in others):
            continue
        whole = _moments({t: {b: p.of(b, objective) for b in p.sketches} for t, p in pulls.items()})
        null = net = None
        if all(objective in p.nulls for p in pulls.values()):
            nulls = {t: {b: p.null(b, objective) for b in p.sketches} for t, p in pulls.items()}
            null = _moments(nulls)
            net = _moments(
                {t: {b: p.of(b, objective) - nulls[t][b] for b in p.sketches} for t, p in pulls.items()}
            )
        rows += [
            TargetCosine(
                objective=objective,
                block=block,
                first=a,
                second=b,
                cosine=whole[block].cosine(block, a, b),
                net=net[block].cosine(block, a, b) if net else None,
                null=null[block].cosine(block, a, b) if null else None,
            )
            for block in whole
            for a, b in combinations(pulls, 2)
        ]
    return tuple(rows)


def _moments(sketches: Mapping[str, Mapping[str, NDArray[np.float32]]]) -> dict[str, Moments]:
    """The moments of each block and of all together, the targets in the place of losses."""
    targets = tuple(sketches)
    rounds = min(len(next(iter(of_blocks.values()))) for of_blocks in sketches.values())
    blocks = tuple(sketches[targets[0]])
    between = np.empty((len(blocks), len(targets), rounds, len(targets), rounds))
    for i, block in enumerate(blocks):
        flat = np.concatenate([sketches[target][block][:rounds] for target in targets]).astype(np.float64)
        between[i] = (flat @ flat.T).reshape(between.shape[1:])
    found = Moments.of_products(targets, dict.fromkeys(blocks, 1), between)
    return {TOTAL: found.total(blocks, TOTAL)} | {block: found.total((block,), block) for block in blocks}
