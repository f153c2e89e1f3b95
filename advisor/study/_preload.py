"""What worker processes need not read each for itself."""

from pathlib import Path

from advisor.study._grid import Grid
from advisor.study._work import shared
from advisor.training import Recipe


def preload(grid: Grid, path: Path) -> None:
    """Read and tokenise the labelled data of all cells once for all workers.

    Args:
        grid: names the data, and the encoders whose tokenizers are used.
        path: file that workers load; only this machine's own processes may write there.
    """
    from advisor.training.data import read_texts
    from probes.batches import Tokenizer
    from probes.encoder import load_encoder

    plan = grid.plan
    bases = {spec if isinstance(spec, str) else spec.base for spec in plan.models.values()}
    for base in sorted(bases - plan.models.keys()):
        encoder = load_encoder(base)
        tokenizer = Tokenizer(encoder.tokenizer, min(plan.training.max_length, encoder.max_length))
        for task, source in dict.fromkeys((cell.task, cell.source) for cell in grid.cells):
            cells = [cell for cell in grid.cells if (cell.task, cell.source) == (task, source)]
            targets = tuple(dict.fromkeys(cell.target for cell in cells))
            data = grid.data(task, source, None)
            recipe = Recipe(
                model=base,
                source=source,
                target=targets[0],
                task=task,
                train=data.train,
                source_labels=data.source_test,
                columns=data.columns,
                most_scored=plan.training.most_scored,
            )
            tests = {target: grid.data(task, source, target).target_test for target in targets}
            read_texts(recipe, tokenizer, tests, shared())
    shared().save(path, ("training texts", "scored texts"))
