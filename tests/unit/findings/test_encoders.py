"""Facts per encoder, what is found under a name, and nothing said that is not known."""

import json
from pathlib import Path

import pytest

from advisor.findings import load_tables
from advisor.findings.evidence import find_encoder, find_task, nearest_names
from probes.errors import InputError
from probes.languages import parse_language

ENCODERS = load_tables().encoders
RELEASED = {encoder.name: encoder for encoder in ENCODERS.values() if encoder.kind == "encoder"}


def test_many_encoders_are_on_file_each_with_its_source() -> None:
    assert len(RELEASED) >= 50
    for encoder in RELEASED.values():
        assert encoder.citation
        assert encoder.family


def test_languages_of_corpora_are_languages() -> None:
    codes = {
        code for e in RELEASED.values() for c in e.corpora for code in (c.languages or frozenset()) | c.open
    }
    own = load_tables().languages
    for code in codes - set(own):
        assert parse_language(code).code == code


@pytest.mark.parametrize(
    ("hub_id", "name"),
    [
        ("FacebookAI/xlm-roberta-base", "xlm-roberta-base"),
        ("google-bert/bert-base-multilingual-cased", "bert-base-multilingual-cased"),
        ("sentence-transformers/LaBSE", "labse"),
        ("intfloat/multilingual-e5-base", "multilingual-e5-base"),
        ("microsoft/mdeberta-v3-base", "mdeberta-v3-base"),
        ("jhu-clsp/mmBERT-base", "mmbert-base"),
        ("castorini/afriberta_large", "afriberta-large"),
        ("ai4bharat/IndicBERTv2-MLM-only", "indicbertv2-mlm-only"),
        ("mbert", "bert-base-multilingual-cased"),
        ("cis-lmu/glot500-base", "glot500-base"),
    ],
)
def test_hub_ids_and_aliases_are_matched(hub_id: str, name: str) -> None:
    assert find_encoder(hub_id, ENCODERS).name == name


@pytest.mark.parametrize(
    ("name", "language", "answer", "gib"),
    [
        ("xlm-roberta-base", "de", "yes", 66.6),
        ("xlm-roberta-base", "bm", "no", None),
        (
            "xlm-roberta-base",
            "yo",
            "unknown",
            None,
        ),  # in the later release of CC-100, not in the paper's table
        ("bert-base-multilingual-cased", "yo", "yes", None),
        ("bert-base-multilingual-cased", "am", "no", None),
        ("bert-base-multilingual-uncased", "th", "no", None),
        ("labse", "yo", "yes", None),
        ("mmbert-base", "de", "unknown", None),
        ("infoxlm-base", "de", "yes", 66.6),
        ("afro-xlmr-base", "yo", "yes", None),
        ("afro-xlmr-base", "bm", "no", None),
        ("glot500-base", "bm", "unknown", None),
        ("afriberta-large", "en", "no", None),
        ("muril-base-cased", "te", "yes", None),
        ("muril-base-cased", "de", "no", None),
    ],
)
def test_what_pretraining_saw(name: str, language: str, answer: str, gib: float | None) -> None:
    seen = ENCODERS[name].saw(language)
    assert seen.answer == answer
    if gib is not None:
        assert seen.gib == pytest.approx(gib)
    if answer != "yes":
        assert seen.gib is None


def test_amounts_are_those_of_the_corpus_the_encoder_was_trained_on() -> None:
    languages = load_tables().languages
    assert ENCODERS["mbert"].saw("tr").gib == languages["tr"].wikipedia_gib
    assert ENCODERS["xlm-roberta-large"].saw("tr").gib == languages["tr"].cc100_gib
    assert ENCODERS["labse"].saw("tr").gib is None


def test_facts_that_tell_encoders_apart() -> None:
    assert (ENCODERS["xlm-roberta-base"].parallel, ENCODERS["xlm-roberta-base"].contrastive) == (False, False)
    assert (ENCODERS["labse"].parallel, ENCODERS["labse"].contrastive) == (True, True)
    assert ENCODERS["mmbert-base"].parallel is None
    assert ENCODERS["mdeberta-v3-base"].objectives == ("rtd",)


def test_a_mistyped_name_is_not_known_and_the_nearest_is_offered() -> None:
    encoder = find_encoder("xlm-robreta-base", ENCODERS)
    assert not encoder.known
    assert encoder.saw("de").answer == "unknown"
    assert nearest_names("xlm-robreta-base", ENCODERS)[0] == "xlm-roberta-base"
    assert nearest_names("something-else-entirely", ENCODERS) == ()
    assert nearest_names("someone/xlm-roberta-base-finetuned-ner", ENCODERS)[0] == "xlm-roberta-base"


@pytest.mark.parametrize("name", ["intfloat/e5-base", "intfloat/e5-small", "xlm-r"])
def test_names_that_may_mean_another_encoder_are_not_matched(name: str) -> None:
    assert not find_encoder(name, ENCODERS).known


@pytest.mark.parametrize(
    "name",
    [
        "gpt2",
        "openai-community/gpt2",
        "bigscience/bloom-560m",
        "meta-llama/Llama-3-8B-Instruct",
        "Qwen/Qwen3-8B",
    ],
)
def test_decoders_are_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(InputError, match="is a decoder-only language model") as refused:
        find_encoder(name, ENCODERS)
    assert str(refused.value).count(". ") == 0


@pytest.mark.parametrize("name", [*RELEASED, "embeddinggemma-300m", "optimus-bert", "bloomberg/some-bert"])
def test_encoders_are_not_taken_for_decoders(name: str) -> None:
    assert find_encoder(name, ENCODERS).kind == "encoder"


def _folder(path: Path, **config: object) -> str:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    return str(path)


def test_sizes_of_an_unknown_checkpoint_are_read_from_its_configuration(tmp_path: Path) -> None:
    sizes = {"hidden_size": 768, "num_hidden_layers": 12, "vocab_size": 250_002, "intermediate_size": 3072}
    encoder = find_encoder(_folder(tmp_path / "mine", model_type="xlm-roberta", **sizes), ENCODERS)
    assert (encoder.layers, encoder.width, encoder.vocabulary) == (12, 768, 250_002)
    assert encoder.parameters_m == pytest.approx(277, abs=2)
    assert encoder.told == "config.json"
    assert encoder.saw("de").answer == "unknown"
    assert encoder.parallel is None


def test_a_folder_is_a_decoder_by_its_configuration_whatever_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="decoder-only"):
        find_encoder(_folder(tmp_path / "mine", model_type="llama"), ENCODERS)
    with pytest.raises(InputError, match="decoder-only"):
        find_encoder(_folder(tmp_path / "other", architectures=["NewForCausalLM"]), ENCODERS)
    assert find_encoder(_folder(tmp_path / "gpt2-no-more", model_type="bert"), ENCODERS).kind == "encoder"
    encoder_decoder = _folder(tmp_path / "mt5", model_type="mt5", is_encoder_decoder=True)
    assert find_encoder(encoder_decoder, ENCODERS).kind == "encoder"


def test_a_damaged_configuration_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[1,")
    assert find_encoder(str(tmp_path), ENCODERS).told == "nowhere"


def test_the_user_says_what_it_is_like_and_what_it_saw() -> None:
    like = find_encoder("mine", ENCODERS, like="FacebookAI/xlm-roberta-base")
    assert like.name == "mine"
    assert not like.known
    assert like.saw("de").gib == pytest.approx(66.6)
    told = find_encoder("mine", ENCODERS, pretrained_on=("te", "en"))
    assert told.saw("te").answer == "yes"
    assert told.saw("te").gib is None
    assert told.saw("de").answer == "no"
    both = find_encoder("mine", ENCODERS, pretrained_on=("te",), like="labse")
    assert both.parallel
    assert both.saw("de").answer == "no"
    with pytest.raises(InputError, match="did you mean xlm-roberta-base"):
        find_encoder("mine", ENCODERS, like="xlm-robreta-base")


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("xquad", "qa"),
        ("qa", "qa"),
        ("XNLI", "nli"),
        ("part of speech", "pos"),
        ("WikiANN", "ner"),
        ("pos", "pos"),
    ],
)
def test_tasks_go_by_their_benchmarks_too(name: str, task: str) -> None:
    assert find_task(name).name == task


def test_an_unknown_task_lists_those_there_are() -> None:
    with pytest.raises(InputError, match=r"choose one of pos, .*, qa"):
        find_task("translation")
