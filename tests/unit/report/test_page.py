import re

import pytest
from lxml import html
from markupsafe import escape

from advisor.advice import Advice, EvidenceRow, NextMove, Question, Reason, Support
from advisor.options import NO_ALIGNMENT
from advisor.report import Report
from probes.signals import DataFacts, Note, TaskFacts
from tests.factories import make_advice, make_open, make_signals

pytestmark = pytest.mark.slow

SIGNALS = make_signals(layers=4)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}\x1b[31m"


@pytest.fixture(scope="module")
def page() -> str:
    return Report(make_advice(), SIGNALS).to_html()


@pytest.fixture(scope="module")
def hostile_page() -> str:
    signals = make_signals(
        layers=2,
        objectives=("token-contrastive", HOSTILE),
        source=HOSTILE,
        target=HOSTILE,
        task=TaskFacts(name=HOSTILE, level="token", metric="accuracy", labels=(HOSTILE,)),
        data=(
            DataFacts(
                role=HOSTILE,
                spec=HOSTILE,
                format=HOSTILE,
                sha256=HOSTILE,
                read=2,
                kept=1,
                dropped={HOSTILE: 1},
            ),
        ),
        unavailable={HOSTILE: HOSTILE},
        notes=(Note(code=HOSTILE, text=HOSTILE),),
    )
    return Report(hostile_advice(), signals).to_html()


def test_further_doubts_are_listed_where_nothing_follows_the_answer(page: str) -> None:
    further = make_advice().warnings[1].text
    assert "And 1 more below" in page
    part = Report(make_advice()).fragment(whole=False)
    assert "below" not in part
    assert further in html.fromstring(part).text_content()


def test_fine_tuning_alone_rests_on_nothing_but_its_definition(page: str) -> None:
    rows = html.fromstring(page).xpath("//tr[th[normalize-space()='none']]")
    cells = [[cell.text_content().strip() for cell in row] for row in rows]
    assert ["none", "0.0", "0 by definition", "–", "–", "by definition"] in [row[:6] for row in cells]
    assert not [row for row in cells if "measured elsewhere" in row]


def hostile_advice(url: str = "javascript:alert(3)") -> Advice:
    return make_open(
        question=Question(model=HOSTILE, source=HOSTILE, target=HOSTILE, task=HOSTILE),
        summary=HOSTILE,
        next_moves=(NextMove(text=HOSTILE),),
        reasons=(Reason(text=HOSTILE, feature=HOSTILE, effect=1.0, evidence=(HOSTILE,)),),
        warnings=(Note(code=HOSTILE, text=HOSTILE),),
        support=Support(
            nearest=(
                EvidenceRow(
                    source_id=HOSTILE,
                    citation=HOSTILE,
                    url=url,
                    model=HOSTILE,
                    task=HOSTILE,
                    target=HOSTILE,
                    option=HOSTILE,
                    gain=1.0,
                    distance=0.0,
                ),
            ),
            distance=0.0,
            in_range=True,
            unseen=(),
        ),
    )


def test_the_decision_stands_at_the_top_with_gain_and_interval(page: str) -> None:
    text = " ".join(
        html.fromstring(page).xpath("//section[contains(@class, 'card')]")[0].text_content().split()
    )
    advice = make_advice()
    assert text.startswith(f"Align likely {advice.summary}")
    assert "+1.6 points, 80% interval +0.5 to +2.8" in text


def test_every_reason_warning_and_source_is_on_the_page(page: str) -> None:
    advice = make_advice()
    for text in (
        *(reason.text for reason in advice.reasons),
        *(warning.text for warning in advice.warnings),
        *(row.citation for row in advice.support.nearest),
    ):
        assert str(escape(text)) in page
    assert 'href="https://arxiv.org/abs/2502.12959"' in page


def test_the_page_runs_no_script_and_fetches_nothing(page: str) -> None:
    tree = html.fromstring(page)
    assert not tree.xpath("//script | //iframe | //object | //embed | //link | //img | //base")
    assert not tree.xpath("//@src | //@*[starts-with(name(), 'on')]")
    assert not re.search(r"url\((?!#)|@import", page)
    policy = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_ids_are_unique_and_every_link_within_the_page_arrives(page: str) -> None:
    tree = html.fromstring(page)
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    targets = {href[1:] for href in tree.xpath("//a/@href") if href.startswith("#")}
    assert targets
    assert targets <= set(ids)
    clips = set(re.findall(r"url\(#([^)]+)\)", page))
    assert clips
    assert clips <= set(ids)


def test_every_chart_has_words_for_those_who_cannot_see_it_and_a_table(page: str) -> None:
    tree = html.fromstring(page)
    charts = tree.xpath("//figure//svg")
    assert charts
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in charts)
    for part in ("direction", "magnitude", "lookahead", "distance"):
        (folded,) = tree.xpath(f"//details[@id='{part}']")
        assert folded.xpath(".//figure//svg")
        assert folded.xpath(".//details//table//tr[2]")
        assert [term.text for term in folded.xpath(".//dl[@class='reading']//dt")] == [
            "What it means",
            "How to read it",
            "What it cannot tell",
        ]


def test_the_tables_hold_every_row(page: str) -> None:
    tree = html.fromstring(page)
    signals, advice = SIGNALS, make_advice()
    for label, rows in (
        ("All options", advice.alternatives),
        ("All cosines", signals.cosines),
        ("Norm, ceiling and noise scale of every loss", signals.losses),
        ("All lookahead steps", signals.lookahead),
        ("All distances", signals.distances),
    ):
        assert len(tree.xpath(f"//table[caption='{label}']//tbody/tr")) == len(rows)


def test_colours_follow_the_page_so_that_charts_can_be_read_in_the_dark(page: str) -> None:
    fills = set(html.fromstring(page).xpath("//figure//svg//@fill | //figure//svg//@stroke"))
    assert fills <= {"none", "transparent"} | {fill for fill in fills if fill.startswith("var(--")}
    for name in {fill[6:-1] for fill in fills if fill.startswith("var(--")}:
        assert page.count(f"--{name}: light-dark(") == 1, f"{name} needs a light and a dark value"


def test_evidence_alone_makes_a_page_without_measured_sections() -> None:
    page = Report(make_open()).to_html()
    tree = html.fromstring(page)
    assert "from evidence alone" in page
    assert "A hundred labelled Yoruba sentences" in page
    assert not tree.xpath("//details[@id='direction' or @id='distance'] | //section[@id='measured']")
    assert tree.xpath("//section[@id='pictures']//figure//svg")


def test_do_not_align_shows_what_the_best_option_would_have_brought() -> None:
    none = next(row for row in make_advice().alternatives if row.option == NO_ALIGNMENT)
    advice = make_advice(
        decision="do-not-align", option=none.option, gain=none.gain, summary="Leave it as it is."
    )
    page = Report(advice).to_html()
    text = " ".join(
        html.fromstring(page).xpath("//section[contains(@class, 'card')]")[0].text_content().split()
    )
    assert text.startswith("Fine-tune alone")
    assert "The best alignment, token-contrastive, sequential" in text
    assert "80% interval" in text


def test_bare_signals_make_a_page() -> None:
    bare = make_signals(
        losses=(), cosines=(), conflicts=(), lookahead=(), distances=(), projection=None, notes=(), data=()
    )
    advice = make_advice(reasons=(), warnings=(), alternatives=(), gain=None)
    page = Report(advice, bare).to_html()
    for sentence in (
        "No distance was measured",
        "No lookahead was taken",
        "No aligning option could be rated",
    ):
        assert sentence in page


def test_source_gradients_alone_are_said_not_to_speak_of_transfer(page: str) -> None:
    alone = tuple(row for row in SIGNALS.cosines if row.task_gradient == "source")
    sentence = "No task gradient on target text was measured"
    assert sentence in Report(make_advice(), make_signals(layers=4, cosines=alone)).to_html()
    assert sentence not in page


def test_strings_from_outside_stay_strings(hostile_page: str) -> None:
    tree = html.fromstring(hostile_page)
    assert not tree.xpath("//script | //img | //@onerror")
    assert "<script>alert" not in hostile_page
    assert "{{ 7 * 7 }}" in hostile_page
    assert "\x1b" not in hostile_page
    text = tree.text_content()
    assert text.count("<script>alert(1)</script>") > 20
    chart_text = "".join(tree.xpath("//figure//svg")[-1].itertext())
    assert chart_text
    assert any("<script>" in "".join(svg.itertext()) for svg in tree.xpath("//figure//svg"))


def test_a_citation_cannot_send_the_reader_to_a_script(hostile_page: str) -> None:
    links = html.fromstring(hostile_page).xpath("//a/@href")
    assert links
    assert all(href.startswith(("#", "https://", "http://")) for href in links)


def test_a_part_of_another_page_shows_the_same_view_without_a_page_around_it(page: str) -> None:
    report = Report(make_advice(), SIGNALS)
    shown = report.fragment()
    assert not re.search(r"<script|<body|<html|^\s*(body|:root|\*) *{", shown, re.MULTILINE)
    (body,) = html.fromstring(shown).xpath("//div[contains(@class, 'advice')]")
    (main,) = html.fromstring(page).xpath("//main")
    charts = main.xpath(".//svg")
    assert [chart.get("aria-label") for chart in charts] == body.xpath(".//img/@alt")
    for chart in charts:
        chart.clear(keep_tail=True)
    assert body.text_content().split() == main.text_content().split()
    assert "<script>alert" not in Report(hostile_advice()).fragment()
    card = report._repr_html_()
    assert card == report.fragment(whole=False), "a notebook shows the answer, and keeps what it shows"
    assert len(card) < 50_000


def test_what_was_measured_stands_with_its_judgement_and_the_slope() -> None:
    before = make_advice().alternatives[2].gain
    (reason, *rest) = make_advice().reasons
    worded = reason.model_copy(update={"text": "moves the gain by -0.1 points (mean-l2, pre-trained)."})
    advice = make_advice(evidence_only=before, reasons=(worded, *rest))
    page = Report(advice, make_signals()).to_html()
    assert "by −0.1 points (mean-l2, pre-trained)" in page, "the minus of all other figures"
    (section,) = html.fromstring(page).xpath("//section[@id='measured']")
    text = " ".join(section.text_content().split())
    assert "88.1 to 61.4 points: gap 26.7" in text
    assert "wide gap" in text
    assert "Cosine, sentence-contrastive−0.10 [−0.13, −0.08]null" in text
    assert "conflict" in text
    assert "evidence alone+1.4" in text
    assert "with the probe+1.6" in text


def test_options_without_a_known_difference_share_a_row() -> None:
    tree = html.fromstring(Report(make_advice()).to_html())
    rows = tree.xpath("//table[contains(@class, 'options')]/tbody/tr")
    assert "advised" in rows[0].get("class")
    assert "or joint, lower half frozen: no difference known" in rows[0].text_content()
    assert len(rows) < len(make_advice().alternatives)
