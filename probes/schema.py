"""Values that cross a boundary as JSON: what they have in common, and reading them."""

import gzip
import zlib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from probes.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


class Frozen(BaseModel):
    """A value that does not change, and has no field that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def load_file(
    model: type[Model], path: str | Path, kind: str, schema: int, *, writer: str = "probe", file: str = ""
) -> Model:
    """Read a file that a probe or a trial wrote.

    Args:
        model: what it holds.
        path: where it is; with the ending ``.gz`` it is compressed.
        kind: what it is called, as in ``signals``.
        schema: the version that is read here.
        writer: what writes such files: the command's name.
        file: what it calls them, by default after ``kind``.

    Raises:
        InputError: if the file is missing, is no JSON, is of another schema version, or is damaged.
    """
    try:
        content = Path(path).read_bytes()
        return model.model_validate_json(gzip.decompress(content) if str(path).endswith(".gz") else content)
    # A NUL in the path is a ValueError, and so is what pydantic says.
    except (OSError, ValueError, EOFError, zlib.error) as error:
        if isinstance(error, ValidationError):
            raise InputError(f"{path} {_problem(error, kind, schema, writer)}") from error
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"Cannot read {path} ({reason}): name a {file or f'{kind}.json'} that a {writer} wrote."
        ) from error


def _problem(error: ValidationError, kind: str, schema: int, writer: str) -> str:
    problems = error.errors()
    written = next((problem["input"] for problem in problems if problem["loc"] == ("schema_version",)), None)
    if isinstance(written, int):
        older = "this version reads" if written < schema else "this older version reads"
        return (
            f"is of {kind} schema {written}, and {older} schema {schema}: {writer} again to write one, or "
            "use the version of alignment-advisor that wrote it."
        )
    where = ".".join(map(str, problems[0]["loc"])) or "the whole file"
    return (
        f"is not a {kind} file of schema {schema} ({where}: {problems[0]['msg'].lower()}): {writer} again "
        "to write one."
    )
