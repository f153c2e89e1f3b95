"""The page as its users meet it: in a browser, with a server behind it."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
import pytest

from advisor.advice import Advice
from advisor.recommend import recommend
from advisor.report import Report
from advisor.sample import sample_path
from advisor.service import Run
from advisor.study import TrialResult
from probes.signals import Signals
from tests.browser.conftest import put_grid
from tests.browser.server import CHROMIUM, CHROMIUM_FLAGS, Server, serve
from tests.conftest import Checkpoint
from tests.factories import ask, make_advice, make_signals
from tests.unit.service.stubs import SAMPLE, SESSION, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

SECONDS = 120_000
"""Milliseconds the page gets for anything but a probe."""
A_PROBE = 900_000
"""Milliseconds a probe gets; that of a tiny encoder takes some seconds."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A page open to many: no roots, small uploads."""
    root = tmp_path_factory.mktemp("page")
    with serve(root, {"ADVISOR_MAX_UPLOAD_MB": "1", "ADVISOR_ROOTS": "", "ADVISOR_LIST_ALL": ""}) as served:
        yield served


@pytest.fixture
def server_of_a_model(tmp_path: Path, checkpoint: Checkpoint) -> Iterator[Server]:
    """A page open to many, on which a tiny encoder may be named, and nothing else of the machine."""
    with serve(tmp_path, {"ADVISOR_ROOTS": str(checkpoint("bert")), "ADVISOR_LIST_ALL": ""}) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        yield opened
        opened.close()


Visit = Callable[..., "Page"]


@pytest.fixture
def visit(server: Server, browser: "Browser") -> "Iterator[Visit]":
    """Opens the page as a visitor nobody has seen before; fails the test if the browser reports an error."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_it(
        link: str = "",
        width: int = 1280,
        scheme: Literal["light", "dark"] = "light",
        of: Server = server,
    ) -> "Page":
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        context.set_default_timeout(SECONDS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(of.url + link)
        page.get_by_text("Alignment advisor", exact=True).wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def finished(server: Server, written_report: Path) -> Run:
    """A finished run in the server's store."""
    store = server.store
    run = store.create(SAMPLE, SESSION)
    shutil.copytree(written_report, store.folder(run.id), dirs_exist_ok=True)
    store.finish(store.record(run.id), "done", decision="align", summary=make_advice().summary)
    return store.run(run.id)


def _answer(target: str = "tr") -> Advice:
    """What the page should answer before anything but the target is chosen."""
    return ask(model="xlm-roberta-base", source="en", target=target, task="pos")


def _choose(page: "Page", label: str, text: str) -> None:
    """Type into a list and take what it offers, by keyboard alone."""
    page.get_by_role("combobox", name=re.compile(label)).click()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("Enter")


def _pick(page: "Page", name: str) -> None:
    """Press one of the choices that lie side by side."""
    page.get_by_role("radio", name=name, exact=True).click()


def _upload(page: "Page", label: str, name: str, content: bytes) -> None:
    """Choose a file, again if it is not listed, as a person would: if the page is drawn anew at that moment,
    Streamlit drops its answer to the browser's question where to send the file."""
    uploader = page.get_by_test_id("stFileUploader").filter(has_text=label)
    for milliseconds in (20_000, 20_000, SECONDS):
        uploader.locator("input[type=file]").set_input_files(
            {"name": name, "mimeType": "text/plain", "buffer": content}
        )
        with suppress(playwright.TimeoutError):
            uploader.get_by_text(name).wait_for(timeout=milliseconds)
            return
    raise AssertionError(f"{name} is not listed")


def _run_id(page: "Page") -> str:
    page.wait_for_function("/run=[0-9a-f]{24}/.test(location.search)")
    found = re.search(r"run=([0-9a-f]{24})", page.url)
    assert found
    return found[1]


def test_ask_answers_and_follows_its_inputs(visit: Visit) -> None:
    page = visit()
    first = _answer()
    page.get_by_role("heading", name=first.summary).wait_for()
    _choose(page, "Target language", "Yoruba")
    second = _answer("yo")
    page.get_by_role("heading", name=second.summary).wait_for()
    page.wait_for_function("location.search.includes('target=yo')")
    page.reload()
    page.get_by_role("heading", name=second.summary).wait_for()


def test_the_page_works_with_the_keyboard_alone(visit: Visit) -> None:
    page = visit()
    page.get_by_role("heading", name=_answer().summary).wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role')") == "radio":
            break
    for key in ("ArrowRight", "ArrowRight", "Space"):  # over Grid to Probe
        page.keyboard.press(key)
    page.get_by_role("button", name="Start the probe").wait_for()
    assert page.get_by_role("radio", name="Probe", exact=True).get_attribute("aria-checked") == "true"
    for label, then in (("Start the probe", "Cancel the run"), ("Cancel the run", "New probe")):
        _tab_to(page, label)
        page.keyboard.press("Enter")
        page.get_by_role("button", name=then).wait_for()
    page.get_by_text("Cancelled").wait_for()


def _tab_to(page: "Page", label: str) -> None:
    """Go to a button by Tab alone; where one is must show."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == label:
            break
    ring = page.evaluate(
        "(e => [e.textContent.trim(), (s => s.boxShadow !== 'none' || s.outlineStyle !== 'none')"
        "(getComputedStyle(e))])(document.activeElement)"
    )
    assert ring == [label, True]


def test_every_target_has_its_own_files(visit: Visit) -> None:
    page = visit("?view=probe&model=bundled&target=tr,de&task=pos")
    _pick(page, "Upload files")
    _upload(page, "Labelled source data", "en.conllu", sample_path("en.conllu").read_bytes())
    for target in ("tr", "de"):
        name = f"bitext.en-{target}.tsv"
        _upload(page, "Bitext", name, sample_path(name).read_bytes())
    page.get_by_role("button", name="Start 2 probes").wait_for()
    page.get_by_text("bitext: 120 of 120 kept · bitext.en-tr.tsv").wait_for()
    _upload(page, "Bitext", "second-tr.tsv", sample_path("bitext.en-tr.tsv").read_bytes())
    page.get_by_text("are both of tr").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_grid_opens_the_card_of_a_cell(
    visit: Visit, server: Server, width: int, scheme: Literal["light", "dark"]
) -> None:
    run = put_grid(server.store, Report(make_advice(), make_signals()))
    page = visit(f"?view=read&run={run.id}", width, scheme)
    page.get_by_role("heading", name="align tr and fi together").wait_for()
    _choose(page, "Card", "Finnish")
    page.get_by_role("heading", name=make_advice().summary).wait_for()
    page.locator(_PICTURE).locator("visible=true").first.wait_for()
    assert page.evaluate(_CUT_OFF) == []
    assert _barriers(page) == []


@pytest.mark.parametrize(
    ("width", "scheme"),
    [(1280, "light"), (390, "dark"), pytest.param(1280, "dark", marks=pytest.mark.exhaustive)],
)
@pytest.mark.parametrize("view", ["ask", "grid", "probe", "read", "explore", "compare", "trial"])
def test_nothing_sticks_out_and_nobody_is_kept_out(
    visit: Visit, finished: Run, view: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    link = f"?view={view}" + (f"&run={finished.id}" if view in ("read", "compare") else "")
    page = visit(link, width, scheme)
    if view in ("ask", "read", "explore"):
        page.locator(_PICTURE).locator("visible=true").first.wait_for()
    page.locator("[data-testid=stMain] :is(p, h2, label)").nth(3).wait_for()
    page.wait_for_function("!document.querySelector('[data-testid=stApp][data-test-script-state=running]')")
    wide = page.evaluate(
        "(m => m.scrollWidth - m.clientWidth)(document.querySelector('[data-testid=stMain]'))"
    )
    assert wide <= 0
    assert page.evaluate(_CUT_OFF) == []
    assert _barriers(page) == []


_PICTURE = "[data-testid=stMain] :is([data-testid=stVegaLiteChart] :is(canvas, svg), svg[role=img], img[alt])"

_CUT_OFF = """
() => [
  ...document.querySelectorAll('[data-testid=stMain] :is([data-testid=stVegaLiteChart], svg[role=img], img)')
  ]
  .filter(e => e.checkVisibility())
  .filter(e => !(e instanceof SVGElement) && e.scrollWidth > e.clientWidth + 1
    || e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => `${e.scrollWidth} in ${e.clientWidth}, up to ${e.getBoundingClientRect().right}`)
"""


def _barriers(page: "Page") -> list[str]:
    """What keeps people out, by the rules of axe-core (WCAG 2.2 AA and its good practices)."""
    return [
        f"{violation['id']}: {node['html'][:120]}"
        for violation in Axe().run(page).response["violations"]
        if violation["id"] not in _STREAMLITS_OWN
        for node in violation["nodes"]
    ]


_STREAMLITS_OWN = ("presentation-role-conflict",)  # the area that files are dropped on takes focus, too


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (390, "dark"),
        pytest.param(390, "light", marks=pytest.mark.exhaustive),
        pytest.param(1280, "dark", marks=pytest.mark.exhaustive),
    ],
)
def test_the_report_keeps_nobody_out_and_fits(
    browser: "Browser", written_report: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto((written_report / "report.html").as_uri())
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
    assert page.locator("section").nth(2).bounding_box()["y"] < 6000
    assert _barriers(page) == []
    page.close()


def test_every_input_has_a_name(visit: Visit) -> None:
    page = visit("?view=probe")
    page.get_by_role("button", name="Start the probe").wait_for()
    nameless = page.evaluate(
        "[...document.querySelectorAll('[data-testid=stMain] :is(input, button, select, textarea)')]"
        ".filter(e => e.offsetParent && !(e.getAttribute('aria-label') || e.textContent.trim() || e.title"
        " || e.labels?.length || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML)"
    )
    assert nameless == []


def test_results_are_downloaded(visit: Visit, finished: Run, tmp_path: Path) -> None:
    page = visit(f"?view=read&run={finished.id}")
    page.get_by_role("heading", name=make_advice().summary).wait_for()
    for name in ("advice.json", "signals.json", "report.html", "recipe.zip"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name).click()
        waiting.value.save_as(tmp_path / name)
    assert Advice.load(tmp_path / "advice.json") == make_advice()
    assert Signals.load(tmp_path / "signals.json") == make_signals()
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert zipfile.ZipFile(tmp_path / "recipe.zip").namelist() == ["recipe/train.py"]


def test_charts_are_drawn_and_described(visit: Visit, finished: Run) -> None:
    page = visit(f"?view=read&run={finished.id}")
    distances = page.locator("details").filter(has_text="Distance: how close")
    distances.locator("summary").first.click()
    distances.get_by_role("img", name="Share of translations retrieved, by layer.").wait_for()
    assert distances.locator("img[alt]").locator("visible=true").count() >= 4


def test_a_hostile_path_is_refused(visit: Visit) -> None:
    page = visit("?view=probe")
    _pick(page, "Paths and data sets")
    for label in ("Labelled source data", "Bitext"):
        field = page.get_by_label(label, exact=True)
        field.fill("/etc/passwd")
        field.press("Enter")
    page.get_by_role("alert").filter(has_text="cannot be used").wait_for()
    assert page.get_by_role("button", name="Start the probe").count() == 0


def test_an_oversized_upload_is_refused(visit: Visit, server: Server) -> None:
    page = visit("?view=probe")
    _pick(page, "Upload files")
    _upload(page, "Labelled source data", "big.tsv", b"x" * (2 << 20))
    page.get_by_text(re.compile("1.0MB or smaller|must be 1")).first.wait_for()
    assert not list(server.root.rglob("big.tsv"))


def test_a_link_cannot_smuggle_markup_in(visit: Visit) -> None:
    page = visit("?model=%3Cimg%20src%3Dx%20onerror%3Ddocument.title%3D'owned'%3E&target=tr")
    page.get_by_role("heading", level=2).first.wait_for()
    assert page.locator("[data-testid=stMain] img[src=x]").count() == 0
    assert page.title() == "Alignment advisor"


@contextmanager
def _held(server: Server, run_id: str) -> Iterator[None]:
    """Hold a run's process once it knows how long it will take: to those who look it takes ten minutes."""
    wait_for(lambda: server.store.run(run_id).seconds_left, seconds=A_PROBE / 1000)
    (process,) = psutil.Process(server.process.pid).children()
    process.suspend()
    versions: list[int] = []

    def all_is_written() -> bool:  # of what the process had told before
        versions.append(server.store.run(run_id).version)
        return versions.count(versions[-1]) > 50

    wait_for(all_is_written, seconds=A_PROBE / 1000)
    record = server.store.record(run_id)
    assert record.cost is not None
    server.store.change(record, cost=record.cost.model_copy(update={"seconds": 600.0}))
    yield
    process.resume()


def test_a_whole_probe_in_the_browser(
    visit: Visit, server_of_a_model: Server, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """One visitor uploads, starts, reloads and reads; another neither sees the uploads nor waits unseen."""
    server = server_of_a_model
    mine = visit(f"?view=probe&model={checkpoint('bert')}&target=tr&task=pos", of=server)
    _pick(mine, "Upload files")
    _upload(mine, "Labelled source data", "mine.conllu", sample_path("en.conllu").read_bytes())
    _upload(mine, "Bitext", "mine.tsv", sample_path("bitext.en-tr.tsv").read_bytes())
    mine.get_by_text("bitext: 120 of 120 kept").wait_for()
    mine.get_by_text("Estimate.").wait_for()
    (upload,) = server.root.glob("uploads/*/*/mine.conllu")
    mine.get_by_role("button", name="Start the probe").click()
    run_id = _run_id(mine)
    with _held(server, run_id):
        theirs, waiting = _another_visitor(visit, server, upload, run_id)
        mine.reload()
        mine.get_by_label("Phases").wait_for()
        mine.get_by_role("button", name="Cancel the run").wait_for()
        mine.get_by_text(re.compile("left")).first.wait_for()

    mine.get_by_role("button", name="Read the result").wait_for(timeout=A_PROBE)
    assert list(server.root.rglob("mine.conllu")) == [upload]  # the sender's again, for a run that follows
    mine.get_by_role("button", name="Read the result").click()
    with mine.expect_download() as download:
        mine.get_by_role("button", name="advice.json").click()
    download.value.save_as(tmp_path / "advice.json")
    advice = Advice.load(tmp_path / "advice.json")
    mine.get_by_role("heading", name=advice.summary).wait_for()
    measured = json.loads(server.store.artefact(run_id, "signals.json").read_bytes())
    assert [row["spec"] for row in measured["data"]] == ["mine.conllu", "mine.tsv"]

    theirs.get_by_label("Phases").wait_for()
    theirs.get_by_role("button", name="Cancel the run").click()  # reloaded since: the browser is known again
    theirs.get_by_text("Cancelled").wait_for()
    assert wait_for(lambda: server.store.run(waiting).status == "cancelled")


def test_a_question_leads_to_a_trial_and_its_answer(
    visit: Visit, server_of_a_model: Server, checkpoint: Checkpoint
) -> None:
    """Ask, measure, read, try for real, read the answer that counts it; a reload changes nothing."""
    server, model = server_of_a_model, checkpoint("bert")
    page = visit(f"?view=ask&model={model}&target=tr&task=topic", of=server)
    page.get_by_role("button", name="Measure my model").click()
    page.get_by_role("button", name="Start the probe").wait_for()
    page.wait_for_function("location.search.includes('view=probe')")
    page.reload()
    page.get_by_role("button", name="Start the probe").click()
    probe = _run_id(page)
    page.reload()
    page.get_by_role("button", name="Read the result").click(timeout=A_PROBE)
    page.get_by_role("heading", name="Measured on this model").wait_for()
    page.reload()
    page.get_by_text("sample data").first.wait_for()
    page.get_by_role("button", name=re.compile("Start a trial")).click()
    page.wait_for_function(f"!location.search.includes('{probe}')")
    trial = _run_id(page)
    page.reload()
    page.get_by_role("button", name="Read the result").click(timeout=A_PROBE)
    page.get_by_role("heading", name="The answer that counts this trial").wait_for()
    page.reload()
    result = TrialResult.model_validate_json(server.store.artefact(trial, "trial.json").read_bytes())
    signals = Signals.model_validate_json(server.store.artefact(probe, "signals.json").read_bytes())
    page.get_by_role("heading", name=recommend(signals, trial=result).summary).wait_for()


def _another_visitor(visit: Visit, server: Server, upload: Path, run_id: str) -> "tuple[Page, str]":
    """Tries in vain to use the upload and to cancel the run, and starts one of the offline encoder."""
    theirs = visit("?view=probe", of=server)
    assert theirs.get_by_text("mine.conllu").count() == 0
    _pick(theirs, "Paths and data sets")
    for label, spec in (("Labelled source data", f"upload:{upload.parent.name}"), ("Bitext", str(upload))):
        theirs.get_by_label(label, exact=True).fill(spec)
        theirs.get_by_label(label, exact=True).press("Enter")
    theirs.get_by_role("alert").filter(has_text="no such upload").wait_for()
    _pick(theirs, "The sample")
    theirs.get_by_role("button", name="Start the probe").click()
    theirs.get_by_text("1 run comes first").wait_for()
    waiting = _run_id(theirs)

    theirs.goto(f"{server.url}?view=probe&run={run_id}")
    theirs.get_by_text("started in another browser").wait_for()
    assert theirs.get_by_role("button", name="Cancel the run").count() == 0
    theirs.goto(f"{server.url}?view=probe&run={waiting}")
    return theirs, waiting
