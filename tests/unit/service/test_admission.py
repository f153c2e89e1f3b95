"""Nothing outside the limits can be named, by whatever spelling."""

from pathlib import Path

import pytest

from advisor.sample import sample_path
from advisor.service import Limits, admit
from advisor.service._admission import OFFLINE_MODELS
from probes.bundled import BUNDLED
from probes.errors import InputError
from probes.request import ProbeRequest
from tests.unit.service.stubs import SAMPLE


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """An allowed folder with a file, and a secret beside it."""
    allowed, secret = tmp_path / "allowed", tmp_path / "secret.tsv"
    (allowed / "model").mkdir(parents=True)
    (allowed / "data.tsv").write_text("a\tb\n")
    (allowed / "a,b+c.tsv").write_text("a\tb\n")
    secret.write_text("s\tt\n")
    (allowed / "link.tsv").symlink_to(secret)
    return allowed, secret


def _admit(limits: Limits, **changes: str) -> ProbeRequest:
    def no_upload(_upload_id: str) -> Path:
        raise InputError("There is no such upload.")

    return admit(ProbeRequest.model_validate({**SAMPLE.model_dump(), **changes}), limits, no_upload)


def test_the_names_of_the_offline_encoders_agree() -> None:
    assert OFFLINE_MODELS == BUNDLED


def test_the_sample_and_the_offline_encoder_are_open_to_all() -> None:
    admitted = _admit(Limits(hub_ids=()))
    assert admitted.model == "bundled"
    assert admitted.train == str(sample_path("en.conllu"))


@pytest.mark.parametrize("named", ["data.tsv", "./data.tsv", "model/../data.tsv"])
def test_what_lies_below_a_root_can_be_named(roots: tuple[Path, Path], named: str) -> None:
    allowed, _ = roots
    limits = Limits(roots=(allowed,))
    assert _admit(limits, train=named).train == str(allowed / "data.tsv")
    assert _admit(limits, train=str(allowed / named)).train == str(allowed / "data.tsv")
    assert _admit(limits, model=str(allowed / "model")).model == str(allowed / "model")


def test_every_part_of_a_bitext_is_looked_at(roots: tuple[Path, Path]) -> None:
    allowed, _ = roots
    limits = Limits(roots=(allowed,))
    one = str(allowed / "data.tsv")
    assert _admit(limits, bitext="data.tsv, data.tsv + data.tsv").bitext == f"{one},{one}+{one}"
    with pytest.raises(InputError):
        _admit(limits, bitext="data.tsv,../secret.tsv")


@pytest.mark.parametrize("field", ["train", "bitext", "target_labels", "dictionary", "word_links"])
@pytest.mark.parametrize(
    "hostile",
    [
        "../secret.tsv",
        "{secret}",
        "{allowed}/../secret.tsv",
        "link.tsv",
        "hf:{parent}",
        "hf:../",
        "~/x",
        "~nobody-of-that-name/x",
        "file:///etc/passwd",
        "/etc/passwd",
        "/dev/stdin",
        "\0",
        "sample:../__init__.py",
        "sample:__init__.py",
        "upload:../../x",
        "upload:" + "0" * 32,
        "+",
        ",",
    ],
)
def test_nothing_else_can(roots: tuple[Path, Path], field: str, hostile: str) -> None:
    allowed, secret = roots
    spec = hostile.format(allowed=allowed, secret=secret, parent=allowed.parent)
    for limits in (Limits(), Limits(roots=(allowed,))):
        with pytest.raises(InputError):
            _admit(limits, **{field: spec})


@pytest.mark.parametrize(
    "model", ["../model", "/etc", "some/../thing", "a/b/c", "evil/model", "..", "http://x/y"]
)
def test_models_come_from_the_hub_list_or_a_root(roots: tuple[Path, Path], model: str) -> None:
    allowed, _ = roots
    with pytest.raises(InputError):
        _admit(Limits(roots=(allowed,)), model=model)


def test_hub_ids_are_matched_by_pattern() -> None:
    limits = Limits(hub_ids=("FacebookAI/*", "own-data"))
    assert _admit(limits, model="FacebookAI/xlm-roberta-base").model == "FacebookAI/xlm-roberta-base"
    assert _admit(limits, train="hf:own-data:train[:10%]").train == "hf:own-data:train[:10%]"
    with pytest.raises(InputError, match="may not be loaded"):
        _admit(limits, train="hf:other-data:train")


def test_outside_a_root_what_exists_looks_like_what_does_not(roots: tuple[Path, Path]) -> None:
    allowed, secret = roots
    messages = []
    for path in (secret, secret.with_name("absent.tsv")):
        with pytest.raises(InputError) as refusal:
            _admit(Limits(roots=(allowed,)), train=str(path))
        messages.append(str(refusal.value).replace(path.name, "NAME"))
    assert messages[0] == messages[1]


def test_patterns_and_folders_stand_for_the_files_below_a_root(roots: tuple[Path, Path]) -> None:
    allowed, _ = roots
    limits = Limits(roots=(allowed,))
    (allowed / "many").mkdir()
    for name in ("x.tsv", "y.tsv"):
        (allowed / "many" / name).write_text("a\tb\n")
    both = [str(allowed / "many" / name) for name in ("x.tsv", "y.tsv")]
    assert _admit(limits, bitext="many").bitext == ",".join(both)
    assert _admit(limits, bitext="many/*.tsv").bitext == ",".join(both)
    assert _admit(limits, train="many/*.tsv").train == "+".join(both)
    assert _admit(limits, train="many/x.tsv + many/y.tsv").train == "+".join(both)
    (allowed / "many" / "z.tsv").symlink_to(allowed.parent / "secret.tsv")
    for spec in ("many", "many/*.tsv", "../*.tsv"):
        with pytest.raises(InputError) as caught:
            _admit(limits, bitext=spec)
        assert "secret" not in str(caught.value)


def test_a_bare_folder_name_is_the_folder_as_on_the_command_line(roots: tuple[Path, Path]) -> None:
    allowed, _ = roots
    assert _admit(Limits(roots=(allowed,)), model="model").model == str(allowed / "model")
    assert (
        _admit(Limits(roots=(allowed,), hub_ids=("*",)), model="xlm-roberta-base").model == "xlm-roberta-base"
    )
