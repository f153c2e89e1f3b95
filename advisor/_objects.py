"""Models and tables that are in memory, where files are asked for: written out, and read as any file is.

So the same rules find their columns, the same checks refuse what cannot be measured, and what was given stays
as it was.
"""

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from probes.errors import InputError


@contextmanager
def as_files(fields: Mapping[str, Any], tokenizer: Any = None) -> Iterator[tuple[dict[str, Any], str]]:
    """The fields of a request with a path in the place of every object; they last as long as the context.

    Args:
        fields: ``model`` may be a transformers or sentence-transformers model; data may be a ``Dataset``, a
            ``DatasetDict`` (whose split is ``train``), a pandas or polars table, or a list of rows: dicts or,
            for a bitext, pairs.
        tokenizer: of the model; by default what its name stands for.

    Yields:
        The fields, and what the new paths begin with.
    """
    files = dict(fields)
    with TemporaryDirectory(prefix="advisor-") as folder:
        for name in ("train", "bitext", "target_labels", "dictionary"):
            if not isinstance(fields.get(name), str | os.PathLike | None):
                files[name] = _write_table(fields[name], Path(folder) / f"{name}.parquet", name)
        if not isinstance(fields.get("model"), str | os.PathLike | None):
            files["model"] = _write_model(fields["model"], tokenizer, Path(folder))
        yield files, folder + os.sep


def _write_model(model: Any, tokenizer: Any, folder: Path) -> str:
    from transformers import AutoTokenizer, PreTrainedModel
    from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

    config = getattr(model, "config", None)
    named = str(getattr(config, "name_or_path", "") or type(model).__name__)
    path = folder / (Path(named).name if os.path.isabs(named) else named)
    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        if not isinstance(model, PreTrainedModel):
            if hasattr(model, "merge_and_unload"):
                raise InputError("The model has an adapter: give model.merge_and_unload() of a copy instead.")
            if not hasattr(model, "save_pretrained"):
                raise InputError(
                    f"A {type(model).__name__} is no encoder that can be saved: give a transformers or "
                    "sentence-transformers model, or a name."
                )
            model.save_pretrained(str(path))
            return str(path)
        try:
            tokenizer = tokenizer or AutoTokenizer.from_pretrained(named)
        except (OSError, ValueError) as error:
            raise InputError(
                f"No tokenizer can be found for {named}: give it as the second argument, as in "
                "advisor.probe(model, tokenizer, ...)."
            ) from error
        before = copy.deepcopy(model.config.__dict__)
        model.save_pretrained(path)
        model.config.__dict__.update(before)
        tokenizer.save_pretrained(path)
    finally:
        if shown:
            enable_progress_bar()
    return str(path)


def _write_table(data: Any, path: Path, role: str) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if isinstance(data, dict) and hasattr(data, "num_rows"):  # a DatasetDict
        if "train" not in data and len(data) > 1:
            raise InputError(f"{role} has the splits {', '.join(data)}: give one, as in data['test'].")
        data = data["train"] if "train" in data else next(iter(data.values()))
    try:
        if hasattr(data, "to_parquet"):  # a Dataset or a pandas table
            data.to_parquet(path)
        elif hasattr(data, "write_parquet"):  # a polars table
            data.write_parquet(path)
        else:
            rows = list(data)
            if rows and not isinstance(rows[0], Mapping):
                rows = [dict(zip(("source", "target"), row, strict=True)) for row in rows]
            pq.write_table(pa.Table.from_pylist(rows), path)
    except (TypeError, ValueError, AttributeError, pa.ArrowException) as error:
        raise InputError(
            f"{role} is no table that can be read ({error}): give a Dataset, a pandas or polars table, a "
            "list of dicts, or a path."
        ) from error
    return str(path)
