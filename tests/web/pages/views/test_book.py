"""The runbook page accounts for every line, whatever the document looks like."""

from __future__ import annotations

import pytest

from tests.web.pages.gallery import RUNBOOK, example
from tocsin.runbook import compile_runbook
from tocsin.web.pages.views.book import BookView, book_view
from tocsin.web.pages.views.markdown import inline
from tocsin.web.pages.views.parts import Citer


def draw(documents: dict[str, str]) -> BookView:
    compiled = compile_runbook(documents)
    return book_view(compiled, compiled.findings, None, Citer(compiled.documents))


@pytest.fixture(scope="module")
def view() -> BookView:
    return draw({RUNBOOK: example()})


def test_every_line_is_there_under_its_number(view: BookView) -> None:
    [document] = view.documents
    assert [line.number for line in document.lines] == list(range(1, example().count("\n") + 1))
    assert view.title == "incident-response.md"


def test_the_title_sentence_counts_what_the_ledger_says(view: BookView) -> None:
    compiled = compile_runbook({RUNBOOK: example()})
    assert sum(mark.count for mark in view.marks) == len(compiled.ledger)
    automated = view.marks[0].count
    count = {mark.word: mark.count for mark in view.marks}
    assert view.sentence == (
        f"Every line has an answer: {automated} carried by Tocsin, {count['Human']} asked of a"
        f" person, {count['Unsupported']} it cannot honour."
    )


def test_findings_stand_beside_their_lines(view: BookView) -> None:
    compiled = compile_runbook({RUNBOOK: example()})
    noted = {line.number for line in view.documents[0].lines if line.findings}
    assert noted == {finding.source.line for finding in compiled.findings}
    assert view.finding_count == len(compiled.findings)
    assert sum(entry.findings for entry in view.toc) <= view.finding_count


def test_the_ladder_says_who_is_paged_at_once_and_then(view: BookView) -> None:
    ladder = {row.mark.label: row for row in view.ladder}
    assert ladder["P0"].now[0].text == "On-call engineer, team lead and engineering manager"
    assert ladder["P0"].later[0].text == "CTO if a security breach"
    assert (ladder["P1"].later[0].after, ladder["P1"].later[0].text) == ("1 h", "Team lead")
    assert (ladder["P2"].later[0].text, ladder["P2"].later_tone) == ("Nobody new", "warn")
    assert ladder["P3"].now[0].text == "On-call engineer, told"


def test_an_undeclared_filter_is_said_to_be_no_level(view: BookView) -> None:
    assert ("“major incidents” is no level", "warn") in {(t.when, t.tone) for t in view.told}


def test_lines_end_where_the_compiler_ends_them() -> None:
    view = draw({"r.md": "# A\r\n\r\n- one\x0bstill one\u2028still\r- two\n"})
    lines = view.documents[0].lines
    assert [(line.number, line.kind) for line in lines] == [
        (1, "h1"), (2, "gap"), (3, "li"), (4, "li"),
    ]  # fmt: skip


def test_code_keeps_its_words_and_its_blank_lines() -> None:
    view = draw({"r.md": "```bash\nkubectl get pods -n prod\n\n# done\n```\n"})
    lines = view.documents[0].lines
    assert [line.kind for line in lines] == ["fence", "code", "code in", "code", "fence"]
    assert str(lines[1].html) == "kubectl get pods <i>-n</i> prod"


def test_bold_and_code_are_drawn_and_markup_is_not() -> None:
    assert str(inline("**Bold** `a -b` <b>")) == (
        "<strong>Bold</strong> <code>a <i>-b</i></code> &lt;b&gt;"
    )
    assert str(inline("`<script>`")) == "<code>&lt;script&gt;</code>"


def test_notes_that_would_cover_each_other_make_room(view: BookView) -> None:
    crowded = [line for line in view.documents[0].lines if line.flow]
    assert crowded, "lines with findings follow each other in the escalation criteria"


def test_an_empty_document_is_still_a_page() -> None:
    view = draw({"r.md": ""})
    assert view.ladder == ()
    assert view.plays == ()
    assert view.sentence == "Every line has an answer: 0 carried by Tocsin."
