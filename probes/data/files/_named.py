"""Which files a spec names: one, several that are joined, those of a pattern or in a folder."""

import glob
from pathlib import Path

from probes.errors import InputError, MissingDataError

_HUB = "hf:"


def split_spec(spec: str, separator: str) -> list[str]:
    """The parts of a spec; a path that exists as it is written is one part.

    Raises:
        InputError: if a part is empty.
    """
    if _exists(spec):
        return [spec]
    parts = [part.strip() for part in spec.split(separator)]
    if not all(parts):
        raise InputError(f"'{spec}' has an empty part: write A{separator}B without spare '{separator}'.")
    return parts


def expand(spec: str, *, folders: bool = False) -> list[str]:
    """The files that one part of a spec stands for, in the order of their names.

    Args:
        spec: a path, a pattern such as ``data/*.tsv``, or a data set of the hub, which is left as it is.
        folders: whether a folder stands for the files in it.

    Raises:
        InputError: if a pattern matches nothing or a folder is empty.
    """
    if spec.startswith(_HUB):
        return [spec]
    if folders and is_folder(spec):
        found = [path for path in Path(spec).expanduser().iterdir() if _is_data(path)]
        if not found:
            raise InputError(f"{spec} is a folder without a file in it: name another, or a file.")
        return [str(path) for path in sorted(found)]
    if not any(character in spec for character in "*?[") or _exists(spec):
        return [spec]
    matches = [
        name for name in glob.glob(str(Path(spec).expanduser()), recursive=True) if _is_data(Path(name))
    ]
    if not matches:
        raise MissingDataError(
            f"There is no file {spec}, nor one that matches it as a pattern: check its path."
        )
    return sorted(matches)


def is_folder(spec: str) -> bool:
    """Whether there is a folder of that name."""
    try:
        return bool(spec.strip()) and Path(spec).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):
        return False


def _exists(spec: str) -> bool:
    try:
        return Path(spec).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _is_data(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")
