"""Who may name what: from a visitor's words to files and hub ids that a probe may open."""

import re
from collections.abc import Callable, Iterable
from math import prod
from pathlib import Path
from typing import Literal

from advisor.recommend import listed
from advisor.sample import SAMPLE_PREFIX, located
from advisor.service._limits import Limits
from advisor.service._runs import RunRequest
from advisor.service._uploads import UPLOAD_PREFIX
from probes.catalogue import TASKS
from probes.data import expand
from probes.errors import InputError
from probes.languages import parse_language
from probes.request import ProbeRequest

_MOST_CELLS = 1000

OFFLINE_MODELS = ("bundled", "bundled-enpt")
"""Names of encoders that are neither paths nor hub ids, as in ``probes.bundled`` (which needs torch)."""

_HUB_PREFIX = "hf:"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def check_size(questions: Iterable[Iterable[str]]) -> None:
    """Count the cells of grids, each given by the lists that it crosses, before any cell is made.

    Raises:
        InputError: if there are more than one request may ask for, or none.
    """
    cells = sum(prod(len(listed(names)) for names in crossed) for crossed in questions)
    if cells > _MOST_CELLS:
        raise InputError(f"That is {cells} cells: ask for {_MOST_CELLS} at most.")
    if not cells:
        raise InputError("That is no question: name a model and a target language.")


def admit(request: ProbeRequest, limits: Limits, find_upload: Callable[[str], Path]) -> ProbeRequest:
    """The probe that ``request`` asks for, with every file found and nothing in it that is not allowed.

    Raises:
        InputError: if a language or the task is unknown, or something named lies outside the limits. What
            exists outside the allowed folders cannot be told from what does not.
    """
    TASKS.find(request.task)
    parse_language(request.source)
    parse_language(request.target)

    def data(spec: str, joined: Literal["+", ","] = "+") -> str:
        return _data(spec.strip(), limits, find_upload, joined)

    def labelled(spec: str) -> str:
        try:
            return data(spec)  # one file, with a plus in its name perhaps
        except InputError:
            if "+" not in spec:
                raise
        return "+".join(map(data, spec.split("+")))

    def pairs(spec: str) -> str:
        return "+".join(",".join(data(side, ",") for side in part.split(",")) for part in spec.split("+"))

    readers = {
        **{"train": labelled, "bitext": pairs, "target_labels": labelled},
        **{"dictionary": data, "word_links": pairs},
    }
    files = {
        name: read(spec) for name, read in readers.items() if (spec := getattr(request, name)) is not None
    }
    return request.model_copy(update=files | {"model": _model(request.model, limits)})


def upload_ids(request: ProbeRequest) -> list[str]:
    """The ids of the uploads a request names, each once."""
    specs = [request.train, request.bitext, request.target_labels, request.dictionary, request.word_links]
    if isinstance(request, RunRequest):
        specs += request.uploads.values()
    named = (part.strip() for spec in specs if spec for part in re.split(r"[+,]", spec))
    return list(dict.fromkeys(p.removeprefix(UPLOAD_PREFIX) for p in named if p.startswith(UPLOAD_PREFIX)))


def _model(name: str, limits: Limits) -> str:
    if name in OFFLINE_MODELS:
        return name
    if not _is_hub_id(name):
        return str(admit_path(name, limits, "model folder"))
    folder = _folder(name, limits)
    if folder is not None:  # as on the command line, a folder comes before a hub id
        return str(folder)
    if limits.allows_hub_id(name):
        return name
    raise InputError(
        f"The model {name} may not be loaded here: choose bundled or an id such as {limits.hub_ids[0]}."
        if limits.hub_ids
        else "No hub ids may be loaded here: choose bundled."
    )


def _is_hub_id(name: str) -> bool:
    return _HUB_ID.fullmatch(name) is not None and ".." not in name


def _folder(name: str, limits: Limits) -> Path | None:
    """The folder of that name below an allowed one, if there is one."""
    try:
        path = admit_path(name, limits, "folder")
    except InputError:
        return None
    return path if path.is_dir() else None


def _data(spec: str, limits: Limits, find_upload: Callable[[str], Path], joined: Literal["+", ","]) -> str:
    if spec.startswith(UPLOAD_PREFIX):
        return str(find_upload(spec.removeprefix(UPLOAD_PREFIX)))
    if spec.startswith(SAMPLE_PREFIX):
        return located(spec)
    if not spec.startswith(_HUB_PREFIX):
        return _files(spec, limits, joined)
    name, colon, rest = spec.removeprefix(_HUB_PREFIX).partition(":")
    if _is_hub_id(name) and _folder(name, limits) is None:
        if not limits.allows_hub_id(name):
            raise InputError(f"The data set {name} may not be loaded here: upload the data instead.")
        return spec
    return f"{_HUB_PREFIX}{admit_path(name, limits, 'data set folder')}{colon}{rest}"


def _files(spec: str, limits: Limits, joined: Literal["+", ","]) -> str:
    """The files that a path, a pattern or a folder stands for, each admitted: links lead elsewhere."""
    if any(character in spec for character in "*?["):
        for root in limits.roots:
            try:
                names = expand(str(root / spec))
                return joined.join(str(admit_path(name, limits, "file")) for name in names)
            except InputError:  # nothing there, or outside: not told apart
                continue
    path = admit_path(spec, limits, "file")
    if joined == "," and path.is_dir():
        return joined.join(str(admit_path(name, limits, "file")) for name in expand(str(path), folders=True))
    return str(path)


def admit_path(text: str, limits: Limits, what: str) -> Path:
    """The real path of what ``text`` names, links followed, if that lies below an allowed folder.

    Raises:
        InputError: if there is nothing of that name below an allowed folder; ``what`` it should be is said.
    """
    for root in limits.roots if text.strip() else ():
        try:
            path = (root / Path(text).expanduser()).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # missing, a NUL or a loop of links in it, no such user
            continue
        if path.is_relative_to(root):
            return path
    where = " or ".join(map(str, limits.roots))
    raise InputError(
        f"There is no {what} '{text}' below {where}: name one there, or upload it."
        if where
        else f"'{text}' cannot be used: no paths may be named here, so upload the data or choose the sample."
    )
