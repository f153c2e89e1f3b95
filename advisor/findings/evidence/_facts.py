"""The tables of facts: languages, the corpora of pretraining, and encoders."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from advisor.findings.evidence._encoders import Corpus, EncoderFacts
from advisor.findings.evidence._languages import LanguageFacts
from advisor.findings.evidence._lookup import normalise_model
from advisor.findings.evidence._rows import read_rows

_KINDS = ("encoder", "state", "decoder")


def read_languages(root: Path) -> Iterator[LanguageFacts]:
    distances = {row.text("code"): row for row in read_rows(root / "languages_uriel.csv")}
    for row in read_rows(root / "languages.csv"):
        code = row.text("code")
        uriel = distances.get(code)
        yield row.read(
            LanguageFacts,
            {},
            spaced=row.flag("space_delimited"),
            wikipedia_gib=row.maybe_number("wiki2020_gib") or 0.0,
            in_cc100=row.flag("in_cc100_release"),
            in_wikipedia=row.flag("in_mbert"),
            syntactic=uriel.maybe_number("knn_syntactic") if uriel else None,
            genetic=uriel.maybe_number("genetic") if uriel else None,
            geographic=uriel.maybe_number("geographic") if uriel else None,
        )


def read_corpora(path: Path, languages: Mapping[str, LanguageFacts]) -> Iterator[Corpus]:
    sizes = {
        "": {},
        "cc100": {code: facts.cc100_gib for code, facts in languages.items() if facts.cc100_gib},
        "wikipedia": {code: facts.wikipedia_gib for code, facts in languages.items() if facts.wikipedia_gib},
    }
    for row in read_rows(path):
        codes = row.text("languages").split()
        yield Corpus(
            name=row.text("corpus"),
            count=row.maybe_count("count"),
            languages=frozenset(codes) if codes else None,
            open=frozenset(row.text("open").split()),
            sizes=sizes[row.text("sizes", tuple(sizes))],
            citation=row.text("citation"),
        )


def read_encoders(path: Path, corpora: Mapping[str, Corpus]) -> Iterator[tuple[str, EncoderFacts]]:
    """Every encoder by its name and its aliases; one that starts from another stands below it."""
    read: dict[str, EncoderFacts] = {}
    taken: dict[str, str] = {}
    for row in read_rows(path):
        name = row.text("name")
        base = row.text("base", ("", *read))
        names = row.text("corpora").split()
        for corpus in names:
            if corpus not in corpora:
                raise row.fail("corpora", f"corpora.csv has no corpus '{corpus}'")
        own = tuple(corpora[corpus] for corpus in names)
        amounts = next(
            (kind for kind in ("cc100", "wikipedia") if any(c.startswith(kind) for c in names)), ""
        )
        parallel = row.text("parallel", ("yes", "no", "unknown"))
        read[name] = row.read(
            EncoderFacts,
            {},
            kind=row.text("kind", _KINDS),
            objectives=tuple(row.text("objectives").split()),
            parallel=None if parallel == "unknown" else parallel == "yes",
            corpora=(*own, *(read[base].corpora if base else ())),
            amounts=amounts or (read[base].amounts if base else ""),
        )
        for known_as in (name, *map(normalise_model, row.text("aliases").split())):
            if known_as in taken:
                raise row.fail("aliases", f"'{known_as}' is the name of {taken[known_as]} already")
            taken[known_as] = name
            yield known_as, read[name]
