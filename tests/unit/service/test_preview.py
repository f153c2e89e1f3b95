"""What a visitor sees before a run: what was read, and what it may cost."""

import subprocess
import sys
from pathlib import Path

import pytest

from advisor.sample import sample_path
from advisor.service import Limits, admit, forecast, look
from probes.errors import InputError
from probes.request import ProbeRequest
from tests.unit.service.stubs import SAMPLE


def _look(root: Path, **changes: str | None) -> "tuple[str, ...]":
    probe = admit(SAMPLE.model_copy(update=changes), Limits(roots=(root,), hub_ids=("*",)), Path)
    return tuple(f"{seen.role}: {seen.kept} of {seen.read}" for seen in look(probe).inputs)


def test_everything_named_is_read(tmp_path: Path) -> None:
    assert _look(tmp_path, dictionary="sample:dictionary.en-tr.tsv") == (
        "labelled source data: 120 of 120",
        "labelled target data: 120 of 120",
        "bitext: 120 of 120",
        "dictionary: 450 of 450",
    )


def test_drops_and_samples_are_shown(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("one\tbir\none\tbir\n\tboş\nfive\tbeş\n")
    probe = admit(SAMPLE.model_copy(update={"bitext": "pairs.tsv"}), Limits(roots=(tmp_path,)), Path)
    bitext = look(probe).inputs[-1]
    assert (bitext.read, bitext.kept) == (4, 2)
    assert bitext.dropped == {"duplicate": 1, "empty side": 1}
    assert bitext.header == ("English", "Turkish")
    assert bitext.samples == (("one", "bir"), ("five", "beş"))


def test_labels_are_counted(tmp_path: Path) -> None:
    probe = admit(SAMPLE, Limits(), Path)
    labels = look(probe).inputs[0].labels
    assert next(iter(labels)) == "NOUN"
    assert sum(labels.values()) > 1000


def test_text_in_the_wrong_script_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("one\tbir\nfive\tbeş\n")
    probe = admit(
        SAMPLE.model_copy(update={"bitext": "pairs.tsv", "target": "ru", "target_labels": None}),
        Limits(roots=(tmp_path,)),
        Path,
    )
    bitext = look(probe).inputs[-1]
    assert [note for note in bitext.notes if "script" in note] == [
        "the Russian side is in Latn script where Cyrl is expected: is it the right file?"
    ]


def test_chinese_characters_fit_either_script() -> None:
    probe = admit(
        SAMPLE.model_copy(
            update={"bitext": "sample:bitext.en-zh.tsv", "target": "zh", "target_labels": "sample:zh.conllu"}
        ),
        Limits(),
        Path,
    )
    assert not [note for seen in look(probe).inputs for note in seen.notes if "script" in note]


def test_hub_data_is_left_to_the_run(tmp_path: Path) -> None:
    probe = admit(
        SAMPLE.model_copy(update={"train": "hf:some/data:train"}), Limits(hub_ids=("some/*",)), Path
    )
    found = look(probe)
    assert found.unread == ("hf:some/data:train",)
    assert found.inputs == ()
    assert found.forecast is not None


def test_messages_use_the_visitors_names(tmp_path: Path) -> None:
    (tmp_path / "empty.tsv").touch()
    probe = admit(SAMPLE.model_copy(update={"bitext": "empty.tsv"}), Limits(roots=(tmp_path,)), Path)
    with pytest.raises(InputError) as refusal:
        look(probe, lambda text: text.replace(f"{tmp_path}/", ""))
    assert str(refusal.value).startswith("empty.tsv is empty")


def test_one_language_twice_is_refused() -> None:
    request = ProbeRequest.model_validate({**SAMPLE.model_dump(), "target": "eng"})
    with pytest.raises(InputError, match="both English"):
        look(admit(request, Limits(), Path))


def test_a_forecast_grows_with_budget_and_model() -> None:
    def seconds(model: str, budget: str) -> float:
        found = forecast(model, budget, characters=60, sentences=1000, pairs=1000, target_labels=True)
        assert found is not None
        return found.seconds

    assert seconds("bundled", "quick") < seconds("bundled", "standard") < seconds("bundled", "thorough")
    assert seconds("bundled", "quick") < seconds("xlm-roberta-base", "quick")
    assert seconds("xlm-roberta-base", "quick") < seconds("xlm-roberta-large", "quick")


def test_a_forecast_knows_that_little_data_makes_small_batches() -> None:
    def seconds(sentences: int, pairs: int) -> float:
        found = forecast(
            "bundled", "quick", characters=60, sentences=sentences, pairs=pairs, target_labels=True
        )
        assert found is not None
        assert found.fastest < found.seconds < found.slowest
        return found.seconds

    assert seconds(120, 120) < seconds(10_000, 120) < seconds(10_000, 10_000)
    assert seconds(0, 0) == pytest.approx(seconds(10_000, 10_000), rel=0.5)


def test_too_little_data_is_said_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "few.tsv").write_text("".join(f"word {i}\tsöz {i}\n" for i in range(12)))
    seen = look(admit(SAMPLE.model_copy(update={"bitext": "few.tsv"}), Limits(roots=(tmp_path,)), Path))
    assert [part.kept for part in seen.inputs] == [120, 120, 12]
    assert "bring more" in str(seen.problem)
    assert seen.forecast is None
    assert look(admit(SAMPLE, Limits(), Path)).problem is None


def test_chinese_is_longer_than_it_looks() -> None:
    def seconds(target: str) -> float:
        request = SAMPLE.model_copy(
            update={"target": target, "bitext": f"sample:bitext.en-{target}.tsv", "target_labels": None}
        )
        found = look(admit(request, Limits(), Path)).forecast
        assert found is not None
        return found.seconds

    assert seconds("zh") == pytest.approx(seconds("ar"), rel=0.2)


def test_a_local_models_size_is_read_from_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "vocab_size": 250037}'
    )
    local = forecast(str(tmp_path), "quick", characters=60, sentences=1000, pairs=1000, target_labels=False)
    named = forecast("bundled", "quick", characters=60, sentences=1000, pairs=1000, target_labels=False)
    assert local is not None
    assert named is not None
    assert local.memory_gib == pytest.approx(named.memory_gib, rel=0.05)


def test_nothing_is_promised_for_a_model_nobody_knows(tmp_path: Path) -> None:
    assert (
        forecast("some/unheard-of", "quick", characters=60, sentences=1000, pairs=100, target_labels=True)
        is None
    )
    (tmp_path / "config.json").write_text('{"dim": 3}')
    assert (
        forecast(str(tmp_path), "quick", characters=60, sentences=1000, pairs=100, target_labels=True) is None
    )


@pytest.mark.slow
def test_the_service_and_its_previews_need_no_torch() -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom advisor.service import *\n"
        "from tests.unit.service.stubs import SAMPLE\n"
        "look(admit(SAMPLE, Limits(), Path))\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules or 'fastapi' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _doubts(**changes: str) -> list[str]:
    seen = look(admit(SAMPLE.model_copy(update=changes), Limits(), Path))
    return [note for part in seen.inputs for note in part.notes if "reads more like" in note]


@pytest.mark.parametrize("target", ["tr", "de", "ru", "ar", "zh"])
def test_right_files_read_like_what_they_should_be(target: str) -> None:
    assert not _doubts(
        target=target, bitext=f"sample:bitext.en-{target}.tsv", target_labels=f"sample:{target}.conllu"
    )


def test_test_data_of_another_language_is_noticed(tmp_path: Path) -> None:
    sentences = sample_path("en.conllu").read_text(encoding="utf-8").split("\n\n")
    (tmp_path / "a.conllu").write_text("\n\n".join(sentences[:60]), encoding="utf-8")
    request = admit(SAMPLE, Limits(), Path).model_copy(update={"target_labels": str(tmp_path / "a.conllu")})
    (note,) = [note for part in look(request).inputs for note in part.notes if "reads more like" in note]
    assert "the English side" in note


@pytest.mark.parametrize(("target", "name"), [("tr", "Turkish"), ("de", "German")])
def test_swapped_sides_are_refused_before_a_run_starts(target: str, name: str) -> None:
    with pytest.raises(InputError, match=f"The {name} side of .* swap the two sides"):
        _doubts(
            target=target,
            bitext=f"sample:bitext.en-{target}.tsv",
            train=f"sample:{target}.conllu",
            target_labels="sample:en.conllu",
        )
