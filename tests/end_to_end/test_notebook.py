"""The example notebook runs, opens with the question, and shows the answer in light and dark."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from advisor._notebook import in_notebook
from tests.conftest import Checkpoint

_LARGEST = 60_000
"""Characters that an output may take: a notebook is mailed around."""


@pytest.fixture(
    params=[
        pytest.param("tiny", marks=pytest.mark.slow),
        pytest.param("bundled", marks=pytest.mark.exhaustive),
    ]
)
def outputs(request: pytest.FixtureRequest, checkpoint: Checkpoint, tmp_path: Path) -> list[dict[str, Any]]:
    """What the cells show; the tiny model takes a tenth of the time."""
    import nbformat
    from nbclient import NotebookClient

    source = files("advisor").joinpath("guides", "notebook.ipynb").read_text(encoding="utf-8")
    notebook = nbformat.reads(source, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "what it shows is made when it runs"
    assert notebook.cells[0].source.startswith("# Should I align")
    if request.param == "tiny":
        for cell in notebook.cells:
            cell.source = cell.source.replace('    "bundled"', f"    {str(checkpoint('bert'))!r}")
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_the_notebook_shows_answer_numbers_and_picture(outputs: list[dict[str, Any]]) -> None:
    pages = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    cards = [page for page in pages if 'class="advice embedded"' in page]
    assert len(cards) == 2, "one from evidence, one measured"
    assert re.search(r"color-scheme:\s*light dark|prefers-color-scheme:\s*dark|light-dark\(", cards[0])
    assert "Frozen features" in cards[1]
    assert "vega" in json.dumps(outputs[-1]), "a chart that Altair draws"
    lines = [output["data"]["text/plain"] for output in outputs if "display_data" in output["output_type"]]
    assert [line for line in lines if line.startswith("measured in")], "progress is one line"
    assert not [output for output in outputs if output["output_type"] == "stream"], "nothing else is said"
    assert all(len(json.dumps(output)) < _LARGEST for output in outputs)


def test_a_process_that_only_imported_a_kernel_is_no_notebook() -> None:
    pytest.importorskip("ipykernel.ipkernel")
    assert not in_notebook()
