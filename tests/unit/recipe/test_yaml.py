"""Recipes as files: what is written is read back, and what cannot be run is refused in one sentence."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from advisor.options import NO_ALIGNMENT, FrozenLayers, Option, Schedule, WordPairs, option_space
from advisor.recipe import Recipe, read_recipe, write_recipe
from probes.bundled import BUNDLED
from probes.errors import InputError
from tests.examples import examples

OPTIONS = [
    option.model_copy(update={"weight": 0.1}) if option.schedule is Schedule.JOINT else option
    for pairs in WordPairs
    for option in option_space(pairs)
]
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


def make_recipe(**fields: object) -> Recipe:
    usual = {"model": "bundled", "source": "en", "target": "tr", "task": "pos", "train": "/data/en.conllu"}
    return Recipe.model_validate({**usual, "output": "/data/trained", **fields})


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@examples(40)
@given(
    option=st.sampled_from(OPTIONS),
    model=st.sampled_from([*BUNDLED, "xlm-roberta-base", "org/model: with # marks", "no", "1e5"]),
    target=st.sampled_from(["no", "tr", "zh-Hans", "on"]),
    rate=st.floats(1e-9, 1.0),
    columns=st.dictionaries(st.sampled_from(["text", "label", "tags"]), NAMES, max_size=2),
    steps=st.none() | st.integers(1, 10**6),
)
def test_a_written_recipe_is_read_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory,
    option: Option,
    model: str,
    target: str,
    rate: float,
    columns: dict[str, str],
    steps: int | None,
) -> None:
    recipe = make_recipe(
        model=model,
        target=target,
        option=option,
        bitext="/data/en-tr.tsv",
        dictionary="/data/words.tsv",
        word_links="/data/links",
        learning_rate=rate,
        columns=columns,
        align_steps=steps,
        mixed_precision="no",
    )
    path = written(tmp_path_factory.mktemp("recipe"), write_recipe(recipe, "A header. " * 40, NO_ALIGNMENT))

    assert read_recipe(path) == recipe
    # Any other YAML reader must see the same, although it takes a bare "no" for false.
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == recipe.model_dump(mode="json")


def test_every_key_has_a_comment_above_it() -> None:
    lines = write_recipe(make_recipe()).splitlines()

    for name in (*Recipe.model_fields, *(f"  {part}" for part in Option.model_fields)):
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{name}:"))
        assert lines[at - 1].lstrip().startswith("# ")


def test_the_alternative_can_be_switched_to(tmp_path: Path) -> None:
    other = Option(objective="sentence-contrastive", schedule=Schedule.JOINT, weight=0.1)
    recipe = make_recipe(bitext="/data/en-tr.tsv")
    text = write_recipe(recipe, alternative=other)
    above, block = text.split("put this in place of the one above:\n")
    before, _, _ = above.rpartition("option:\n")
    switched = block.replace("# option:", "option:", 1).replace("\n#   ", "\n  ")

    assert read_recipe(written(tmp_path, before + switched)) == recipe.model_copy(update={"option": other})
    with pytest.raises(InputError, match=r"line \d+: 'option' stands here twice"):
        read_recipe(written(tmp_path, f"{above}\n{switched}"))


def test_numbers_and_words_are_read_as_people_write_them(tmp_path: Path) -> None:
    text = write_recipe(make_recipe()).replace("learning_rate: 2.0e-05", "learning_rate: 3e-5")
    text = text.replace("mixed_precision: auto", "mixed_precision: no").replace("target: tr", "target: no")

    recipe = read_recipe(written(tmp_path, text))

    assert (recipe.learning_rate, recipe.mixed_precision, recipe.target) == (3e-5, "no", "no")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("learning_rte: 0.1", "learning_rte: there is no such key"),
        ("learning_rate: -1", "learning_rate: .*greater than 0"),
        ("learning_rate: .nan", "learning_rate: .*finite"),
        ("learning_rate: 20", "learning_rate: .*less than or equal to 1"),
        ("batch_size: 2.5", "batch_size: .*integer"),
        ("batch_size: '32'", "batch_size: .*integer"),
        ("epochs: true", "epochs: .*integer"),
        ("seed: -1", "seed: "),
        ("mixed_precision: fp16", "mixed_precision: "),
        ("columns: {texts: a}", "columns"),
        ("option: {objective: mlm}", "option: 'mlm' needs a schedule"),
        ("option: {objective: tlm, schedule: sequential}", "'tlm' needs a bitext"),
        ("bitext: b.tsv\noption: {objective: tlm, schedule: joint}", "joint training needs a weight"),
        (
            "bitext: b.tsv\noption: {objective: token-l2, schedule: sequential, word_pairs: dictionary}",
            "needs a dictionary",
        ),
        (
            "bitext: b.tsv\noption: {objective: token-l2, schedule: sequential, word_pairs: file}",
            "needs word_links",
        ),
        ("model: twice", "line 6: 'model' stands here twice"),
        ("option: [unclosed", "not valid YAML"),
        ("option: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_key(tmp_path: Path, line: str, problem: str) -> None:
    required = "model: bundled\nsource: en\ntarget: tr\ntask: pos\ntrain: en.conllu\n"

    with pytest.raises(InputError, match=problem) as caught:
        read_recipe(written(tmp_path, required + line))

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="is no recipe"):
        read_recipe(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        read_recipe(tmp_path / "nowhere.yaml")


def test_relative_paths_count_from_the_recipes_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my-model").mkdir()
    (tmp_path / "set").mkdir()
    (tmp_path / "elsewhere").mkdir()
    recipe = make_recipe(
        model="my-model",
        train="hf:set:train",
        bitext="a.en,a.tr+hf:opus:en-tr:train+b.tsv",
        target_labels="hf:org/name:test",
        output="out",
    )
    path = written(tmp_path, write_recipe(recipe))
    monkeypatch.chdir(tmp_path / "elsewhere")

    read = read_recipe(path)

    assert read.model == str(tmp_path / "my-model")
    assert read.train == f"hf:{tmp_path / 'set'}:train"
    assert read.bitext == f"{tmp_path / 'a.en'},{tmp_path / 'a.tr'}+hf:opus:en-tr:train+{tmp_path / 'b.tsv'}"
    assert read.target_labels == "hf:org/name:test"
    assert read.output == str(tmp_path / "out")


@pytest.mark.parametrize("name", BUNDLED)
def test_an_offline_encoder_is_no_path_even_beside_a_folder_of_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    assert read_recipe(written(tmp_path, write_recipe(make_recipe(model=name)))).model == name


def test_at_most_shortens_but_never_lengthens() -> None:
    short = make_recipe(max_steps=3, align_steps=50)

    assert (short.at_most(10).max_steps, short.at_most(10).align_steps) == (3, 10)
    assert (make_recipe().at_most(10).max_steps, make_recipe().at_most(10).align_steps) == (10, None)


def test_frozen_layers_survive_strict_reading(tmp_path: Path) -> None:
    option = Option(objective="mlm", schedule=Schedule.SEQUENTIAL, frozen_layers=FrozenLayers.UPPER_HALF)
    path = written(tmp_path, write_recipe(make_recipe(option=option, bitext="/data/b.tsv")))

    assert read_recipe(path).option.frozen_layers is FrozenLayers.UPPER_HALF
