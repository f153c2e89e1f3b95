"""Which public data sets serve a question."""

import csv
import io
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from probes.catalogue import TASKS
from probes.languages import parse_language

Role = Literal["train", "target-labels", "bitext"]
"""The option that takes the data set."""

_ENGLISH = "en"
_MOST = 4
"""Sets shown of each role; treebanks of one language can be a dozen."""


class Dataset(BaseModel):
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

    model_config = ConfigDict(frozen=True)

    role: Role
    name: str
    examples: int | None
    licence: str
    spec: str
    url: str
    note: str


class PublicData(BaseModel):
    """What there is for one question, the largest sets first."""

    model_config = ConfigDict(frozen=True)

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


class _Collection(NamedTuple):
    """A row of ``collections.csv``: a data set in all its languages."""

    id: str
    name: str
    tasks: str
    pairs: str
    licence: str
    spec: str
    splits: str
    url: str
    source: str
    note: str


class _Part(NamedTuple):
    """A row of ``sets.csv``: a collection in one language, with the size of each split."""

    collection: str
    language: str
    name: str
    train: str
    dev: str
    test: str

    @property
    def sizes(self) -> tuple[int, int, int]:
        return int(self.train), int(self.dev), int(self.test)


def find_data(*, source: str, target: str, task: str) -> PublicData:
    """The public labelled sets and bitexts for a question.

    Args:
        source: language of the labelled data, in any common form.
        target: language the model is to be used in.
        task: name of the task.

    Raises:
        InputError: if a language or the task is unknown.
    """
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
    for part in _tables()[1].get(language, ()):
        collection = _tables()[0][part.collection]
        train, dev, test = part.sizes
        if task not in collection.tasks.split("|"):
            continue
        place = 0 if role == "train" else 1 if dev else 2
        size = (train, dev, test)[place]
        if size:
            yield _dataset(role, collection, part.name, size, place)


def _bitext(source: str, target: str) -> Iterator[Dataset]:
    """Sentence pairs; tables and templates have English first, or the language that stands for it."""
    collections, by_language = _tables()
    first, second = (target, source) if target == _ENGLISH else (source, target)
    for part in by_language.get(second, ()):
        collection = collections[part.collection]
        partners = {own.collection: own.name for own in by_language.get(first, ())}
        if collection.pairs == "english" and first == _ENGLISH:
            partner = _ENGLISH
        elif collection.pairs == "any" and part.collection in partners:
            partner = partners[part.collection]
        else:
            continue
        place = max(range(3), key=part.sizes.__getitem__)
        dataset = _dataset("bitext", collection, part.name, part.sizes[place], place, partner)
        if target == _ENGLISH:
            sides = reversed(dataset.spec.split(","))
            dataset = dataset.model_copy(update={"spec": ",".join(sides)})
        yield dataset


def _dataset(
    role: Role, collection: _Collection, name: str, size: int, place: int, partner: str = ""
) -> Dataset:
    folder, _, stem = name.rpartition("/")
    treebank = collection.id == "ud"
    split = collection.splits.split("|")[place]
    return Dataset(
        role=role,
        name=f"{collection.name}, {folder}" if treebank else collection.name,
        examples=size or None,
        licence=collection.licence,
        spec=collection.spec.format(name=stem if treebank else name, split=split, source=partner),
        url=collection.url,
        note=collection.note.format(folder=folder),
    )


def _counted(dataset: Dataset) -> str:
    unit = "pairs" if dataset.role == "bitext" else "examples"
    return f"{dataset.examples:,} {unit}" if dataset.examples else f"{unit} not counted"


@cache
def _tables() -> tuple[dict[str, _Collection], dict[str, Sequence[_Part]]]:
    """The collections by id, and their parts by language."""
    folder = files("advisor.corpora") / "tables"

    def rows(name: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO((folder / name).read_text(encoding="utf-8"))))[1:]

    collections = {row[0]: _Collection(*row) for row in rows("collections.csv")}
    by_language: dict[str, list[_Part]] = {}
    for row in rows("sets.csv"):
        part = _Part(*row)
        by_language.setdefault(part.language, []).append(part)
    return collections, dict(by_language)
