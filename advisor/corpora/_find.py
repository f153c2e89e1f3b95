"""Which public data sets serve a question."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

from probes.catalogue import TASKS
from probes.languages import parse_language, refuse_same
from probes.schema import Frozen

Role = Literal["train", "target-labels", "bitext"]
"""The option that takes the data set."""

_ENGLISH = "en"
_MOST = 4
"""Sets shown of each role; treebanks of one language can be a dozen."""


class Dataset(Frozen):
    """A public data set in the role it would play.

    Attributes:
        role: the option it is for.
        name: what people call it.
        examples: labelled examples or sentence pairs in the split named; None if that is not on file.
        licence: as its authors state it.
        spec: what to give the option; a file name where it has to be downloaded first.
        url: where it comes from.
        note: what to know before using it; may be empty.
    """

    role: Role
    name: str
    examples: int | None
    licence: str
    spec: str
    url: str
    note: str


class PublicData(Frozen):
    """What there is for one question, the largest sets first."""

    source: str
    target: str
    task: str
    sets: tuple[Dataset, ...]

    def of(self, role: Role) -> tuple[Dataset, ...]:
        """Those that play a role."""
        return tuple(dataset for dataset in self.sets if dataset.role == role)

    def markdown(self) -> str:
        """The sets by role, as a list."""
        source, target = parse_language(self.source).name, parse_language(self.target).name
        titles: dict[Role, str] = {
            "train": f"Labelled {source} for {self.task}",
            "target-labels": f"Labelled {target} for {self.task}: a hundred sentences do",
            "bitext": f"{source}-{target} sentence pairs",
        }
        return "\n\n".join(f"**{title}**\n\n{self._list(role)}" for role, title in titles.items())

    def _list(self, role: Role) -> str:
        data = self.of(role)
        lines = [
            f"- {dataset.name}, {_counted(dataset)}, {dataset.licence}: `--{role} {dataset.spec}`  \n"
            f"  {dataset.url}{'; ' if dataset.note else ''}{dataset.note}"
            for dataset in data[:_MOST]
        ]
        if len(data) > _MOST:
            lines.append(f"- and {len(data) - _MOST} smaller ones, with --json")
        return "\n".join(lines) or "None is on file: bring your own."


Row = Mapping[str, str]
"""A line of a table: of ``collections.csv`` a data set in all its languages, of ``sets.csv`` a data set in
one, with the size of each split."""


def find_data(*, source: str, target: str, task: str) -> PublicData:
    """The public labelled sets and bitexts for a question.

    Args:
        source: language of the labelled data, in any common form.
        target: language the model is to be used in.
        task: name of the task.

    Raises:
        InputError: if a language or the task is unknown, or source and target are the same language.
    """
    refuse_same(parse_language(source), parse_language(target))
    first, second = parse_language(source).code, parse_language(target).code
    task = TASKS.find(task).name
    sets = [
        *_labelled("train", first, task),
        *_labelled("target-labels", second, task),
        *_bitext(first, second),
    ]
    sets.sort(key=lambda dataset: -(dataset.examples or 0))
    return PublicData(source=first, target=second, task=task, sets=tuple(sets))


def _labelled(role: Role, language: str, task: str) -> Iterator[Dataset]:
    collections, parts = _tables()
    for part in parts.get(language, ()):
        collection = collections[part["collection"]]
        if task in collection["tasks"].split("|"):
            place = 0 if role == "train" else 1 if _sizes(part)[1] else 2
            if _sizes(part)[place]:
                yield _dataset(role, collection, part, place)


def _bitext(source: str, target: str) -> Iterator[Dataset]:
    """Sentence pairs; tables and templates have English first, or the language that stands for it."""
    collections, parts = _tables()
    first, second = (target, source) if target == _ENGLISH else (source, target)
    partners = {part["collection"]: part["name"] for part in parts.get(first, ())}
    for part in parts.get(second, ()):
        collection = collections[part["collection"]]
        if collection["pairs"] == "english" and first == _ENGLISH:
            partner = _ENGLISH
        elif collection["pairs"] == "any" and collection["id"] in partners:
            partner = partners[collection["id"]]
        else:
            continue
        place = next((place for place in range(3) if _sizes(part)[place]), 0)
        dataset = _dataset("bitext", collection, part, place, partner)
        if target == _ENGLISH:
            sides = reversed(dataset.spec.split(","))
            dataset = dataset.model_copy(update={"spec": ",".join(sides)})
        yield dataset


def _sizes(part: Row) -> tuple[int, int, int]:
    return int(part["train"]), int(part["dev"]), int(part["test"])


def _dataset(role: Role, collection: Row, part: Row, place: int, partner: str = "") -> Dataset:
    folder, _, stem = part["name"].rpartition("/")
    treebank = collection["id"] == "ud"
    name, split = stem if treebank else part["name"], collection["splits"].split("|")[place]
    return Dataset(
        role=role,
        name=f"{collection['name']}, {folder}" if treebank else collection["name"],
        examples=_sizes(part)[place] or None,
        licence=collection["licence"],
        spec=collection["spec"].format(name=name, split=split, source=partner, folder=folder),
        url=collection["url"],
        note=collection["note"].format(folder=folder),
    )


def _counted(dataset: Dataset) -> str:
    unit = "pairs" if dataset.role == "bitext" else "examples"
    return f"{dataset.examples:,} {unit}" if dataset.examples else f"{unit} not counted"


@cache
def _tables() -> tuple[Mapping[str, Row], Mapping[str, Sequence[Row]]]:
    """The collections by id, and their parts by language."""
    folder = files("advisor.corpora") / "tables"

    def rows(name: str) -> Iterator[Row]:
        return csv.DictReader(io.StringIO((folder / name).read_text(encoding="utf-8")))

    parts: dict[str, list[Row]] = {}
    for part in rows("sets.csv"):
        parts.setdefault(part["language"], []).append(part)
    return {row["id"]: row for row in rows("collections.csv")}, parts
