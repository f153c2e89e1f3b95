"""Whatever a visitor writes stays text, and whatever a file is called stays inside its folder."""

import base64
import html
import tempfile
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree
from lxml import html as lxml_html
from markdown_it import MarkdownIt

from advisor.app import _show
from advisor.files import write_files
from advisor.report import Report
from advisor.report.words import clean
from advisor.service import Limits, RunStore, admit
from advisor.service._uploads import safe_name
from probes.errors import InputError
from probes.request import ProbeRequest
from probes.signals import Note
from tests.factories import make_advice

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>",
    "[x](javascript:alert(1))",
    "![x](http://example.org/pixel)",
    "`code` **bold** $x^2$ :smile: # title",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "&lt;script&gt;",
    "\x1b[31mred\u202egnp.exe",
    "a\nb",
)
texts = st.sampled_from(HOSTILE) | st.text(st.characters(codec="utf-8"), max_size=40)


@given(texts)
def test_text_in_the_page_is_text(text: str) -> None:
    shown = lxml_html.fromstring(f"<p title='{_show.text(text)}'>{_show.text(text)}</p>")
    assert list(shown) == []
    assert set(shown.attrib) == {"title"}
    assert shown.text_content() == clean(text)


@given(texts)
def test_text_where_markdown_is_taken_is_text(text: str) -> None:
    rendered = MarkdownIt("commonmark").enable("table").render(f"x {_show.markdown(text)} x")
    assert rendered.startswith("<p>")
    assert rendered.endswith("</p>\n")
    inner = rendered.removeprefix("<p>").removesuffix("</p>\n")
    assert "<" not in inner
    assert html.unescape(inner).split() == f"x {clean(text)} x".split()


def test_text_in_the_report_is_text() -> None:
    doubts = tuple(Note(code="hostile", text=text) for text in HOSTILE)
    advice = make_advice(summary=" ".join(HOSTILE), warnings=doubts)
    notebook = lxml_html.fromstring(Report(advice).fragment())
    assert not notebook.xpath("//script | //svg[@onload] | //@onmouseover | //@onerror | //@onload")
    for address in notebook.xpath(
        "//img/@src | //img[not(@src)]"
    ):  # the report's own pictures, and no others
        kind, _, content = str(address).partition(",")
        assert kind.startswith("data:image/svg+xml")
        picture = base64.b64decode(content) if kind.endswith(";base64") else unquote_to_bytes(content)
        drawn = etree.fromstring(picture)
        assert not drawn.xpath("//*[local-name() = 'script'] | //@*[starts-with(local-name(), 'on')]")
    assert all(clean(text) in notebook.text_content() for text in HOSTILE)


names = st.text(max_size=300) | st.sampled_from(
    [
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "/etc/passwd",
        "C:\\x",
        "a\0b",
        "文" * 200 + ".tsv",
        "." * 9,
        "~root",
    ]
)


@given(names)
@example("文" * 200)
def test_the_name_of_an_upload_is_one_plain_name(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not safe.startswith((".", "~", "-"))
    assert PurePosixPath(safe).name == PureWindowsPath(safe).name == safe
    assert not set(safe) & set("+,:\0 \n")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / safe).write_bytes(b"x")
        assert [path.name for path in Path(folder).iterdir()] == [safe]


paths = st.sampled_from(
    ["..", "../x", "/etc/passwd", "~/x", "a/../../x", "./../x", "link/x", "\0", "a\0/x"]
) | st.text(max_size=20)


@given(paths)
def test_only_what_lies_below_a_root_can_be_named(path: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "root"
        root.mkdir()
        (root.parent / "x").write_text("secret")
        (root / "link").symlink_to(root.parent)
        request: dict[str, Any] = {
            "model": "bundled",
            "source": "en",
            "target": "tr",
            "task": "pos",
            "train": "sample:en.conllu",
            "bitext": "sample:bitext.en-tr.tsv",
        }
        for field in ("train", "bitext", "model"):
            asked = ProbeRequest.model_construct(**{**request, field: path})
            try:
                probe = admit(asked, Limits(roots=(root,), hub_ids=()), lambda _: root / "upload")
            except InputError:
                continue
            named = getattr(probe, field)
            assert named in ("bundled", "bundled-enpt") or Path(named).is_relative_to(root)


@given(paths)
def test_nothing_is_written_outside_the_output_folder(path: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        with suppress(ValueError, InputError):
            write_files(out, {path: "x"})
        assert {found.name for found in Path(folder).iterdir()} <= {"out"}


def test_the_zip_of_a_recipe_holds_plain_relative_names(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    request = ProbeRequest(
        model="bundled", source="en", target="tr", task="pos", train="sample:en.conllu", bitext="sample:b"
    )
    run = store.create(request, "session")
    write_files(store.folder(run.id), {"recipe/train.py": "1", "recipe/recipe.yaml": "2"})
    store.finish(store.record(run.id), "done")
    with zipfile.ZipFile(BytesIO(store.recipe_zip(run.id))) as archive:
        assert archive.namelist() == ["recipe/recipe.yaml", "recipe/train.py"]
