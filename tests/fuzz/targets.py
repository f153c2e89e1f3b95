"""What is fuzzed: readers of files that anybody may have made.

A target takes bytes and returns, whatever they are; the only error it lets pass is an InputError of one
line. Where a reader has to be told something beside the content (a task, a file's ending), the first
characters choose it, so that the files of the corpus can be read and written by hand.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from advisor.advice import Advice
from advisor.options import Option
from advisor.recipe import read_recipe
from advisor.study._plan import read_plan
from probes.bundled import parse
from probes.catalogue import TASKS
from probes.data import read_bitext, read_dictionary, read_labelled
from probes.data.spans import SchemeError, recognise, spans
from probes.encoder._encoder import POOLINGS
from probes.encoder._layout import find_pooling
from probes.errors import InputError
from probes.languages import parse_language, script_of
from probes.signals import DataFacts, Signals

__all__ = ["CORPUS", "TARGETS"]

CORPUS = Path(__file__).parent / "corpus"
"""A folder for each target, of inputs that reach different parts of it or once broke it."""

_TASKS = list(TASKS)  # new ones come last, so that the numbers in the corpus hold
_LABELLED = (".conllu", ".conll", ".tsv", ".csv", ".jsonl", ".parquet", "", ".conllup", ".json")
_BITEXT = (".tsv", ".tmx", ".po", ".xlf", ".jsonl", ".parquet", "", ".csv", ".json")
_SOURCE, _TARGET = parse_language("en"), parse_language("tr")


def _labelled(data: bytes) -> None:
    """``TE`` and the content, where T is the number of the task and E that of the ending."""
    task = TASKS[_TASKS[_choice(data, 0, len(_TASKS))]]
    with _File(data[2:], _LABELLED[_choice(data, 1, len(_LABELLED))]) as path:
        _adds_up([read_labelled(path, task, role="train", language=_SOURCE).facts])


def _bitext(data: bytes) -> None:
    """``E`` and the content, where E is the number of the ending."""
    with _File(data[1:], _BITEXT[_choice(data, 0, len(_BITEXT))]) as path:
        _adds_up(read_bitext(path, _SOURCE, _TARGET).facts)


def _sides(data: bytes) -> None:
    """Two files, cut at the first NUL, that are named together: bitexts, or the sides of one."""
    first, _, second = data.partition(b"\0")
    with _File(first or b"\n", ".en") as one, _File(second or b"\n", ".tr") as other:
        _adds_up(read_bitext(f"{one},{other}", _SOURCE, _TARGET).facts)


def _tags(data: bytes) -> None:
    """Span tags, separated by spaces: as BIO they are all in spans, or outside."""
    tags = data.decode("utf-8", "replace").split()
    try:
        scheme = recognise(Counter(tags))
    except SchemeError:
        return
    bio = scheme.to_bio(tags)
    assert len(bio) == len(tags)
    assert sum(end - start for start, end, _ in spans(bio)) == sum(tag != "O" for tag in bio)


def _pooling(data: bytes) -> None:
    """The pooling config of a sentence-transformers checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "1_Pooling").mkdir()
        (Path(folder) / "1_Pooling" / "config.json").write_bytes(data)
        assert find_pooling(folder) in POOLINGS


def _word_links(data: bytes) -> None:
    """Word links of three pairs."""
    with _File(b"a b\tc d\ne\tf\ng h\ti\n", ".tsv") as pairs, _File(data, ".links") as path:
        bitext = read_bitext(pairs, _SOURCE, _TARGET, links=path)
    _adds_up(bitext.facts)
    assert bitext.links is not None
    for (first, second), links in zip(bitext.pairs, bitext.links, strict=True):
        assert all(i < len(first.split()) and j < len(second.split()) for i, j in links)


def _dictionary(data: bytes) -> None:
    with _File(data, ".tsv") as path:
        _adds_up([read_dictionary(path).facts])


def _signals(data: bytes) -> None:
    with _File(data, ".json") as path:
        found = Signals.load(path)
    assert Signals.model_validate_json(found.model_dump_json()) == found


def _advice(data: bytes) -> None:
    with _File(data, ".json") as path:
        found = Advice.load(path)
    assert Advice.model_validate_json(found.model_dump_json()) == found


def _recipe(data: bytes) -> None:
    with _File(data, ".yaml") as path:
        read_recipe(path)


def _plan(data: bytes) -> None:
    """A plan of a study; the data that it names are not read."""
    with _File(data, ".yaml") as path:
        read_plan(path)


def _encoder(data: bytes) -> None:
    """The 4-bit file of an offline encoder."""
    file = parse(data)
    assert sum(tensor.nbytes for tensor in file.tensors.values()) <= 8 * len(data)


def _language(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    assert len(script_of(text)) == 4
    language = parse_language(text)
    assert parse_language(f"{language.code}-{language.script}") == language


def _option(data: bytes) -> None:
    option = Option.parse(data.decode("utf-8", "replace"))
    assert Option.model_validate_json(option.model_dump_json()) == option


def _only_input_errors(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            target(data)
        except InputError as error:
            message = str(error)
        else:
            message = ""
        assert "\n" not in message, "more than one line"

    return run


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__.removeprefix("_").replace("_", "-"): _only_input_errors(target)
    for target in (
        *(_labelled, _bitext, _sides, _tags, _word_links, _dictionary, _pooling, _signals),
        *(_advice, _recipe, _plan, _encoder, _language, _option),
    )
}
"""By name; each raises only if something is wrong with the reader."""


class _File:
    """A file with this content for as long as the context lasts."""

    def __init__(self, content: bytes, ending: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / f"data{ending}"
        self._path.write_bytes(content)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _choice(data: bytes, at: int, count: int) -> int:
    """The number that the character at ``at`` stands for: ``0``, ``1``, ..."""
    return (data[at] - ord("0")) % count if at < len(data) else 0


def _adds_up(facts: Iterable[DataFacts]) -> None:
    assert all(fact.read == fact.kept + sum(fact.dropped.values()) for fact in facts)
