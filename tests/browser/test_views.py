"""Every view of the page, run without a browser: what it shows, and what its inputs do."""

import html
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from platformdirs import user_cache_path
from streamlit.testing.v1 import AppTest

from advisor import app as the_page
from advisor.app._run import label
from advisor.app._trial import expected_gain
from advisor.findings import load_findings
from advisor.recommend import recommend
from advisor.report import Report, words
from advisor.service import Kind, Limits, RacePlan, Run, RunQueue, TrialPlan
from advisor.service._runs import Job
from tests.browser.conftest import APP, FinishedRun, OpenPage
from tests.browser.trials import make_trial
from tests.factories import ask, make_advice, make_open, make_signals
from tests.unit.service.stubs import SAMPLE, SESSION, WAITS, let_go, wait_for

HOSTILE = "<script>alert(1)</script>![x](https://evil.example/x.png)"


def _said(page: AppTest) -> str:
    """Everything on the page that is text."""
    kinds = ("html", "markdown", "caption", "subheader", "info", "warning", "error", "success")
    return "\n".join(
        str(getattr(element, "body", None) or getattr(element, "value", ""))
        for kind in kinds
        for element in page.get(kind)
    )


def _link(page: AppTest, name: str) -> str:
    """What the page's address says."""
    value = page.query_params[name]
    return value if isinstance(value, str) else value[0]


def _buttons(page: AppTest) -> dict[str, object]:
    return {button.label: button for button in page.button}


def _charts(page: AppTest) -> int:
    return len(page.get("vega_lite_chart")) or len(page.get("arrow_vega_lite_chart"))


# --- Ask -------------------------------------------------------------------------------------------------


def test_ask_gives_the_command_lines_answer(open_page: OpenPage) -> None:
    page = open_page()
    advice = ask(model="xlm-roberta-base", source="en", target="tr", task="pos", word_pairs="dictionary")
    said = _said(page)
    assert advice.summary in said
    assert all(html.escape(reason.text).replace("&#x27;", "&#39;") in said for reason in advice.reasons)
    assert "The nearest effects that were really measured" in said
    assert said.count('role="img"') >= 3


def test_a_changed_input_changes_the_answer_and_the_link(open_page: OpenPage) -> None:
    page = open_page()
    page.selectbox(key="target").set_value("yo").run()
    advice = ask(model="xlm-roberta-base", source="en", target="yo", task="pos", word_pairs="dictionary")
    assert advice.summary in _said(page)
    assert _link(page, "target") == "yo"
    page.slider(key="min-gain").set_value(5.0).run()
    assert "P(gain &gt; 5)" in _said(page)


def test_a_link_carries_the_question(open_page: OpenPage) -> None:
    page = open_page(model="my-org/my-encoder", source="en", target="tur_Latn", task="ner")
    assert page.selectbox(key="model").value == "my-org/my-encoder"
    assert page.selectbox(key="target").value == "tur_Latn"
    assert "unknown to the evidence" in _said(page) or "No published effect" in _said(page)


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ({"target": "no such language"}, "No language is called"),
        ({"task": "cooking"}, "names no task"),
        ({"source": "tr"}, "Source and target are both Turkish"),
    ],
)
def test_a_link_that_makes_no_sense_says_so(open_page: OpenPage, link: dict[str, str], message: str) -> None:
    page = open_page(**link)
    assert message in " ".join(error.value.replace("\\", "") for error in page.error)


@pytest.mark.parametrize("view", ["ask", "probe"])
def test_what_a_link_brings_is_text_and_nothing_else(open_page: OpenPage, view: str) -> None:
    page = open_page(view=view, model=HOSTILE, target=HOSTILE)
    said = _said(page)
    assert "<script>alert" not in said
    assert "![x](" not in said


def test_an_unknown_view_is_ask(open_page: OpenPage) -> None:
    assert open_page(view="../../etc").segmented_control(key="view").value == "ask"


def test_ask_leads_to_a_probe_of_the_same_question(open_page: OpenPage) -> None:
    page = open_page(target="de", task="topic", model="bundled")
    next(b for b in page.button if b.label == "Measure my model").click().run()
    assert page.segmented_control(key="view").value == "probe"
    assert (page.selectbox(key="target").value, page.selectbox(key="task").value) == ("de", "topic")


# --- Grid ------------------------------------------------------------------------------------------------


def test_a_grid_is_a_table_on_a_desk_and_a_list_on_a_phone(open_page: OpenPage) -> None:
    page = open_page(view="grid")
    page.multiselect(key="grid-model").set_value(["xlm-roberta-base", "mbert"]).run()
    page.multiselect(key="grid-target").set_value(["tr", "zh"]).run()
    assert not page.exception
    table = page.dataframe[0].value
    assert list(table.columns) == ["Language", "Task", "xlm-roberta-base", "mbert"]
    assert len(table) == 4
    advice = ask(model="xlm-roberta-base", source="en", target="tr", task="pos")
    assert advice.confidence in table["xlm-roberta-base"][0]
    assert _said(page).count("class='aa-cell'") == 8
    page.text_input(key="grid-filter").set_value("chinese nli").run()
    assert _said(page).count("class='aa-cell'") == 2
    page.text_input(key="grid-filter").set_value("nothing of the kind").run()
    assert not page.dataframe


def test_names_in_a_grid_cannot_write_html(open_page: OpenPage) -> None:
    page = open_page(view="grid")
    page.multiselect(key="grid-model").set_value([HOSTILE]).run()
    assert not page.exception
    assert HOSTILE not in _said(page)


# --- Probe -----------------------------------------------------------------------------------------------


def test_the_sample_is_read_and_its_cost_estimated(open_page: OpenPage) -> None:
    page = open_page(view="probe")
    labels = [expander.label.replace("\\", "") for expander in page.expander]
    assert any(
        label.startswith("labelled source data: 120 of 120 kept · en.conllu (conllu") for label in labels
    )
    assert any(label.startswith("bitext: 120 of 120 kept · bitext.en-tr.tsv (tsv") for label in labels)
    assert "Estimate." in _said(page)
    assert "Start the probe" in _buttons(page)


def test_the_sample_says_what_it_does_not_have(open_page: OpenPage) -> None:
    page = open_page(view="probe", target="yo")
    assert "The sample goes from en to" in _said(page)
    assert "Start the probe" not in _buttons(page)


def test_a_run_is_started_followed_and_ends(open_page: OpenPage, queue_of: Callable[..., RunQueue]) -> None:
    queue = queue_of(WAITS)
    page = open_page(view="probe")
    next(b for b in page.button if b.label == "Start the probe").click().run()
    run_id = _link(page, "run")
    wait_for(lambda: queue.store.run(run_id).step == 1)
    page.run()
    assert "embedding the bitext · 1 of 9" in "".join(_progress(page))
    let_go(queue, queue.store.run(run_id))
    wait_for(lambda: not queue.store.run(run_id).active)
    page.run()
    assert "Done" in page.success[0].value
    assert "Read the result" in _buttons(page)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_run_of_any_kind_is_followed(open_page: OpenPage, queue: RunQueue, kind: Kind) -> None:
    plans = {"trial": TrialPlan(options=("token-contrastive",)), "race": RacePlan()}
    cells = (SAMPLE, SAMPLE) if kind == "grid" else (SAMPLE,)
    run = queue.store.create(
        SAMPLE, SESSION, Job(cells=cells, **{name: plans[name] for name in plans if name == kind})
    )
    phase = "embed" if kind == "probe" else kind
    queue.store.change(queue.store.record(run.id), status="running", phase=phase, step=1, total=3)
    page = open_page(view="probe", run=run.id)
    assert "1 of 3" in "".join(_progress(page))


def test_a_grid_is_previewed_and_started(open_page: OpenPage, queue_of: Callable[..., RunQueue]) -> None:
    queue = queue_of(WAITS)
    page = open_page(view="probe", model="bundled", target="tr,de", task="pos")
    assert not page.error
    said = _said(page)
    assert "2 cells" in said
    labels = [expander.label.replace("\\", "") for expander in page.expander]
    assert any("bitext.en-tr.tsv" in label for label in labels)
    next(b for b in page.button if b.label == "Start 2 probes").click().run()
    assert queue.store.run(_link(page, "run")).kind == "grid"


def test_cells_that_cannot_be_probed_are_named_and_not_counted(open_page: OpenPage) -> None:
    page = open_page(view="probe", model="bundled,no/such model", target="tr,de", task="pos")
    assert [warning.value.partition(",")[0].replace("\\", "") for warning in page.warning] == [
        "no/such model"
    ] * 2
    assert "4 cells" in _said(page)
    assert "Start 2 probes" in _buttons(page)


def test_the_result_of_a_grid_is_read(open_page: OpenPage, grid_run: Run) -> None:
    page = open_page(view="probe", run=grid_run.id)
    assert "what was finished is kept" in _said(page)
    next(b for b in page.button if b.label == "Read the result").click().run()
    assert not page.exception
    said = _said(page)
    assert "align tr and fi together" in said
    assert "no study here shows" in said, "the doubts"
    shown = {frame.value.columns[0]: frame.value for frame in page.dataframe}
    assert list(shown["Language"]["bundled"].str.split(",").str[0]) == [
        "Align",
        "Align",
        "no answer",
        "not run yet",
    ]
    assert shown["token-contrastive"]["fi"][0].startswith("0.52")
    page.selectbox(key="grid-opened").select_index(2).run()
    assert not page.exception
    assert _report(page) == _unpictured(Report(make_advice(), make_signals()).fragment())
    page.selectbox(key="grid-opened").select_index(3).run()
    assert "No bitext" in _said(page)


def test_the_finished_cells_of_a_grid_are_read_while_it_runs(
    open_page: OpenPage, queue: RunQueue, grid_run: Run
) -> None:
    queue.store.change(queue.store.record(grid_run.id), status="running", phase="grid", step=2, total=3)
    page = open_page(view="probe", run=grid_run.id)
    next(b for b in page.button if b.label == "Read the finished cells").click().run()
    assert not page.exception
    assert "align tr and fi together" in _said(page)


def _progress(page: AppTest) -> list[str]:
    return [str(element.proto.text).replace("\\", "") for element in page.get("progress")]


def test_a_new_page_finds_the_run_by_its_link(open_page: OpenPage, queue_of: Callable[..., RunQueue]) -> None:
    queue = queue_of(WAITS, Limits(list_all=True))
    run = queue.submit(SAMPLE, SESSION)
    wait_for(lambda: queue.store.run(run.id).step == 1)
    page = open_page(view="probe", run=run.id)
    assert _progress(page)
    next(b for b in page.button if b.label == "Cancel the run").click().run()
    wait_for(lambda: not queue.store.run(run.id).active)
    page.run()
    assert "Cancelled" in _said(page)
    next(b for b in page.button if b.label == "New probe").click().run()
    assert "Start the probe" in _buttons(page)
    assert "run" not in page.query_params


def test_the_queue_is_visible(open_page: OpenPage, queue_of: Callable[..., RunQueue]) -> None:
    queue = queue_of(WAITS)
    queue.submit(SAMPLE, SESSION)
    second = queue.submit(SAMPLE, SESSION)
    wait_for(lambda: queue.store.runs()[-1].status == "running")
    assert "1 run comes first" in _said(open_page(view="probe", run=second.id))


def test_a_full_queue_is_refused_in_words(open_page: OpenPage, queue_of: Callable[..., RunQueue]) -> None:
    queue = queue_of(WAITS, Limits(queue_length=1))
    first = queue.submit(SAMPLE, SESSION)
    wait_for(lambda: queue.store.run(first.id).status == "running")
    queue.submit(SAMPLE, SESSION)
    page = open_page(view="probe")
    next(b for b in page.button if b.label == "Start the probe").click().run()
    assert "1 runs are waiting" in page.error[0].value
    assert "run" not in page.query_params


def test_a_failed_run_says_why(open_page: OpenPage, queue: RunQueue) -> None:
    run = queue.store.create(SAMPLE, SESSION)
    queue.store.finish(queue.store.record(run.id), "failed", error=f"No memory {HOSTILE}")
    page = open_page(view="probe", run=run.id)
    assert "No memory" in page.error[0].value
    assert "![x](" not in page.error[0].value


def test_a_link_to_no_run_says_so(open_page: OpenPage) -> None:
    page = open_page(view="probe", run="../../etc/passwd")
    assert "not here" in page.warning[0].value
    assert "run" not in page.query_params


def test_sessions_do_not_list_each_others_runs(
    open_page: OpenPage, queue_of: Callable[..., RunQueue], finished_run: FinishedRun
) -> None:
    queue_of("", Limits(list_all=False))
    run = finished_run()
    assert not [button for button in open_page(view="probe").button if button.key == f"open-{run.id}"]
    assert open_page(view="read").selectbox(key="reading").options == ["Files of mine"]


def test_a_link_shares_a_run_and_does_not_give_it_away(
    open_page: OpenPage, queue_of: Callable[..., RunQueue], finished_run: FinishedRun
) -> None:
    queue = queue_of(WAITS, Limits(list_all=False))
    running, done = queue.submit(SAMPLE, SESSION), finished_run()
    wait_for(lambda: queue.store.run(running.id).step == 1)
    page = open_page(view="probe", run=running.id)
    assert "embedding the bitext" in "".join(_progress(page))
    assert "started in another browser" in _said(page)
    assert "Cancel the run" not in _buttons(page)
    page = open_page(view="probe", run=done.id)
    assert "Read the result" in _buttons(page)
    assert "Remove for good" not in _buttons(page)
    assert make_advice().summary in _said(open_page(view="read", run=done.id))
    let_go(queue, running)


def test_ones_own_run_can_be_removed(open_page: OpenPage, queue: RunQueue, finished_run: FinishedRun) -> None:
    run = finished_run()
    page = open_page(view="probe", run=run.id)
    next(b for b in page.button if b.label == "Remove for good").click().run()
    assert not page.exception
    assert not queue.store.runs()
    assert "Start the probe" in _buttons(page)


def test_paths_outside_the_roots_are_refused(open_page: OpenPage) -> None:
    page = open_page(view="probe")
    page.segmented_control(key="data").set_value("Paths and data sets").run()
    for path in ("/etc/passwd", "../secret.tsv", "hf:/etc", "upload:" + "0" * 32):
        page.text_input(key="path-train").set_value(path)
        page.text_input(key="path-bitext").set_value(path).run()
        assert not page.exception
        assert page.error, path
        assert "Start the probe" not in _buttons(page)


def test_uploads_are_read_and_kept_for_the_session_only(
    open_page: OpenPage, queue: RunQueue, tmp_path: Path
) -> None:
    from advisor.sample import sample_path

    page = open_page(view="probe")
    page.segmented_control(key="data").set_value("Upload files").run()
    for role, name in (("train", "en.conllu"), ("bitext", "bitext.en-tr.tsv")):
        page.file_uploader(key=f"upload-{role}").set_value(
            (name, sample_path(name).read_bytes(), "text/plain")
        )
    page.run()
    assert not page.exception
    labels = [expander.label.replace("\\", "") for expander in page.expander]
    assert any(
        label.startswith("labelled source data: 120 of 120 kept · en.conllu (conllu") for label in labels
    )
    (stored,) = (tmp_path / "store").rglob("en.conllu")
    with pytest.raises(ValueError, match="no such upload"):
        queue.store.upload("another session", stored.parent.name)


# --- Read ------------------------------------------------------------------------------------------------


def test_a_finished_run_is_read_as_its_report(open_page: OpenPage, finished_run: FinishedRun) -> None:
    page = open_page(view="read", run=finished_run().id)
    assert _report(page) == _unpictured(Report(make_advice(), make_signals()).fragment())


def _report(page: AppTest) -> list[str]:
    """The words of the report that is shown, without its pictures."""
    (shown,) = [block.body for block in page.get("html") if 'class="advice' in block.body]
    return _unpictured(shown)


def _unpictured(markup: str) -> list[str]:
    return re.sub('src="[^"]*"', "", markup).split()


TRIES = """
job = json.loads((folder / "job.json").read_text())
assert job["trial"]["seeds"] == 3, job
(folder / "trial.json").write_text(pathlib.Path(os.environ["A_TRIAL"]).read_text())
say(event="phase", name="trial", total=1)
say(event="step")
say(event="done", decision="align", summary="It gained.")
"""


def test_a_probe_leads_to_its_trial_and_that_to_the_answer_that_counts_it(
    queue_of: Callable[..., RunQueue],
    open_page: OpenPage,
    written_report: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result, _ = make_trial()
    result = result.model_copy(update={"model": "bundled", "target": "tr", "task": "pos"})
    (tmp_path / "a-trial.json").write_text(result.model_dump_json())
    monkeypatch.setenv("A_TRIAL", str(tmp_path / "a-trial.json"))
    queue = queue_of(TRIES, Limits(list_all=True))
    probe = queue.store.create(SAMPLE, SESSION)
    shutil.copytree(written_report, queue.store.folder(probe.id), dirs_exist_ok=True)
    queue.store.finish(queue.store.record(probe.id), "done", decision="align", summary="Align.")
    page = open_page(view="read", run=probe.id)
    next(b for b in page.button if b.label.startswith("Start a trial: token-contrastive")).click().run()
    run_id = _link(page, "run")
    assert queue.store.run(run_id).kind == "trial"
    wait_for(lambda: not queue.store.run(run_id).active)
    page.run()
    next(b for b in page.button if b.label == "Read the result").click().run()
    assert page.segmented_control(key="view").value == "trial"
    counted = recommend(make_signals(), trial=result)
    shown = _said(page)
    assert result.verdict.replace(">", "&gt;") in shown
    assert counted.summary in shown
    again = open_page(view="trial", run=run_id)
    assert counted.summary in _said(again)


def test_everything_can_be_taken_away(open_page: OpenPage, finished_run: FinishedRun) -> None:
    page = open_page(view="read", run=finished_run().id)
    assert [button.label for button in page.download_button] == [
        "report.html",
        "advice.json",
        "signals.json",
        "recipe.zip",
    ]


def test_saved_files_can_be_read(open_page: OpenPage) -> None:
    page = open_page(view="read")
    page.file_uploader(key="saved").set_value(
        [
            ("advice.json", make_open().model_dump_json().encode(), "application/json"),
        ]
    ).run()
    assert make_open().summary in _said(page)
    assert make_open().next_moves[0].text in _said(page)
    assert "Measured on this model" not in _said(page)


def test_other_files_are_refused_in_words(open_page: OpenPage) -> None:
    page = open_page(view="read")
    for content in (b"{}", b"[1]", b"\xff", b'{"decision": 3}', b"[" * 100_000):
        page.file_uploader(key="saved").set_value([("mine.json", content, "application/json")]).run()
        assert not page.exception
        assert "mine" in page.error[0].value


def test_names_from_files_are_text_and_nothing_else(open_page: OpenPage, finished_run: FinishedRun) -> None:
    question = make_advice().question.model_copy(update={"model": HOSTILE, "target": HOSTILE})
    model = make_signals().model.model_copy(update={"id": HOSTILE})
    report = Report(
        make_advice(question=question, summary=HOSTILE),
        make_signals(2, ("token-l2",), model=model, unavailable={"mlm": HOSTILE}),
    )
    run = finished_run(SAMPLE.model_copy(update={"model": HOSTILE}), report=report)
    said = _said(open_page(view="read", run=run.id))
    assert "<script>alert" not in said
    assert 'src="http' not in said


# --- Explore ---------------------------------------------------------------------------------------------


def test_the_evidence_can_be_filtered_and_grouped(open_page: OpenPage) -> None:
    page = open_page(view="explore")
    everything = page.dataframe[0].value
    page.toggle(key="kept-apart").set_value(True).run()
    assert len(page.dataframe[0].value) > len(everything)
    page.toggle(key="kept-apart").set_value(False)
    page.multiselect(key="filter-task").set_value(["ner"]).run()
    some = page.dataframe[0].value
    assert 0 < len(some) < len(everything)
    assert set(some["task"]) == {"ner"}
    for group in ("model", "task", "option", "source_id"):
        page.segmented_control(key="group").set_value(group).run()
        assert not page.exception
        assert _charts(page) == 1
    page.multiselect(key="filter-target").set_value(["zu"] if "zu" in set(everything["target"]) else ["th"])
    page.multiselect(key="filter-source_id").set_value(["cao2020"]).run()
    assert not page.exception


def test_every_part_of_explore_opens(open_page: OpenPage) -> None:
    page = open_page(view="explore")
    for part in page.segmented_control(key="explore").options:
        page.segmented_control(key="explore").set_value(part).run()
        assert not page.exception, part
    assert "Regret" in _said(page) or "regret" in _said(page)


# --- Compare ---------------------------------------------------------------------------------------------


def test_probes_stand_side_by_side(open_page: OpenPage, finished_run: FinishedRun) -> None:
    first = finished_run()
    second = finished_run(
        SAMPLE.model_copy(update={"target": "de"}),
        report=Report(make_open(provenance=make_advice().provenance), make_signals(target="de")),
    )
    page = open_page(view="compare")
    assert "two probes or more" in _said(page)
    page.multiselect(key="compared").set_value([label(first), label(second)]).run()
    assert not page.exception
    shown = page.dataframe[0].value
    assert list(shown.columns) == ["measure", "bundled, en → tr, pos", "bundled, en → de, pos"]
    assert list(shown.iloc[0])[1:] == ["Align, likely", "Fine-tune alone, open"]
    assert {"gain, token-contrastive", "Cosine, token-contrastive"} <= set(shown["measure"])


def test_two_of_one_kind_get_names_of_their_own(open_page: OpenPage) -> None:
    page = open_page(view="compare")
    file = ("signals.json", make_signals().model_dump_json().encode(), "application/json")
    page.file_uploader(key="compared-files").set_value([file, file]).run()
    assert not page.exception
    names = list(page.dataframe[0].value.columns)[1:]
    assert names == ["bundled, en → tr, pos (1)", "bundled, en → tr, pos (2)"]


# --- Trial -----------------------------------------------------------------------------------------------


def test_a_trial_is_shown_beside_what_was_expected(open_page: OpenPage) -> None:
    result, _ = make_trial()
    page = open_page(view="trial")
    files = [("trial.json", result.model_dump_json().encode(), "application/json")]
    page.file_uploader(key="trial-files").set_value(files).run()
    said = _said(page)
    assert result.verdict.replace(">", "&gt;") in said
    assert "What it cannot tell" in said
    assert "9 runs, all finished" in said
    table = page.dataframe[0].value
    joint = table[table["option"].str.startswith("token-contrastive")].iloc[0]
    assert joint["gain"].startswith("1.9")
    (expected,) = [
        row.gain.mean
        for row in ask(model=result.model, source="en", target="wo", task="pos").alternatives
        if str(row.option.objective) == "token-contrastive"
        and row.option.schedule == "joint"
        and row.option.frozen_layers == "none"
    ]
    assert joint["expected"].startswith(words.signed(expected))
    counted = ask(model=result.model, source="en", target="wo", task="pos", trial=result)
    assert counted.summary in said


def test_a_trial_that_is_brought_along_stands_beside_the_probe_of_its_question(
    open_page: OpenPage, finished_run: FinishedRun
) -> None:
    result, _ = make_trial()
    finished_run(SAMPLE.model_copy(update={"model": result.model, "target": "Wolof"}))
    finished_run()
    page = open_page(view="trial")
    files = [("trial.json", result.model_dump_json().encode(), "application/json")]
    page.file_uploader(key="trial-files").set_value(files).run()
    assert not page.exception
    assert result.verdict in _said(page)
    gain = expected_gain(make_advice(), result.options[1].option)
    assert gain is not None
    assert words.signed(gain.mean) in str(page.dataframe[0].value["expected"][1])


def test_what_is_no_trial_is_refused(open_page: OpenPage) -> None:
    page = open_page(view="trial")
    for content in (b"{}", b"[" * 100_000, make_advice().model_dump_json().encode()):
        page.file_uploader(key="trial-files").set_value([("x.json", content, "application/json")]).run()
        assert not page.exception
        assert "x.json is no " in page.error[0].value.replace("\\", "")


# --- the page as a whole -----------------------------------------------------------------------------------


def test_no_view_needs_torch(tmp_path: Path) -> None:
    load_findings()  # so that they are in the cache
    code = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        "for view in ('ask', 'grid', 'probe', 'read', 'explore', 'compare', 'trial'):\n"
        f"    page = AppTest.from_file({str(APP)!r}, default_timeout=60)\n"
        "    page.query_params['view'] = view\n"
        "    page.run()\n"
        "    assert not page.exception\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env={
            "PATH": "",
            "ADVISOR_STORE": str(tmp_path),
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(user_cache_path()),
        },
    )
    assert done.returncode == 0


def test_both_ways_to_start_the_page_have_the_same_settings() -> None:
    ours = tomllib.loads((Path(the_page.__file__).parent / "streamlit.toml").read_text())
    assert tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text()) == ours


def test_the_settings_are_ones_that_streamlit_knows() -> None:
    from streamlit import config

    config.get_config_options()
    for name, _ in the_page.page_options():
        assert config.get_options_for_section(name.rpartition(".")[0]).keys() >= {name.rpartition(".")[2]}
