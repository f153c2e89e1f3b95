"""Small studies: a plan of the repository's sample for tiny encoders."""

from pathlib import Path
from typing import Any

import yaml

from advisor.sample import sample_path
from advisor.study._plan import Plan, read_plan

__all__ = ["SENTENCES", "plan_file", "small_plan"]

SENTENCES = "sentence-contrastive:joint:0.1"
_PAIRS = _TEXTS = 16


def plan_file(folder: Path, model: Path, *, texts: int = _TEXTS, **changes: Any) -> Path:
    """Write a plan of two targets and one option, and the data it names, under ``folder``.

    Args:
        folder: where to.
        model: a tiny encoder.
        texts: labelled texts a language, and translation pairs.
        changes: keys of the plan to set; nested ones replace only what they name, None removes a key.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for language in ("en", "tr", "de"):
        sentences = sample_path(f"{language}.conllu").read_text(encoding="utf-8").split("\n\n")[:texts]
        (data / f"{language}.conllu").write_text("\n\n".join(sentences) + "\n\n", encoding="utf-8")
        if language != "en":
            pairs = sample_path(f"bitext.en-{language}.tsv").read_text(encoding="utf-8").splitlines()[:texts]
            (data / f"en-{language}.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    plan: dict[str, Any] = {
        "data": "data",
        "models": {"tiny": str(model)},
        "pairs": [{"target": name, "bitext": f"en-{name}.tsv"} for name in ("tr", "de")],
        "tasks": {"pos": {"train": "{source}.conllu", "target_test": "{target}.conllu"}},
        "options": [SENTENCES],
        "seeds": [0, 1],
        "training": {"steps": 2, "batch_size": 4, "align_batch_size": 4, "most_scored": 8},
        "probe": None,
    }
    for key, value in changes.items():
        plan[key] = plan[key] | value if key == "training" else value
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def small_plan(folder: Path, model: Path, **changes: Any) -> Plan:
    """The same, read."""
    return read_plan(plan_file(folder, model, **changes))
