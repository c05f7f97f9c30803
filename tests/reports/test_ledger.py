"""The annotated document: one page that needs nothing else, and says nothing that was not written."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runbook.documents import EXAMPLE, PROCESS, line_of
from tests.web.pages.axe import axe_source
from tests.web.pages.gallery import CHROMIUM
from tocsin.reports.inline import inline, shape
from tocsin.reports.ledger import ledger_page
from tocsin.runbook import compile_runbook
from tocsin.runbook.lint import check

VOID = frozenset(("meta", "input", "br", "link", "circle", "line", "path", "rect"))


class Strict(HTMLParser):
    """Fails where an element is closed that is not the one open; keeps ids, links and tags."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.tags = [], [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"])
        if given.get("href", "").startswith("#"):
            self.links.append(given["href"][1:])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def page_of(documents):
    compiled = compile_runbook(documents)
    return ledger_page(compiled, check(compiled))


def read(page):
    reader = Strict()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    assert set(reader.links) <= set(reader.ids)
    return reader


def example():
    return {"incident-response.md": EXAMPLE.read_text(encoding="utf-8")}


def test_the_page_needs_nothing_but_itself():
    page = page_of(example())
    tags = read(page).tags
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert "url(" not in page
    assert "@import" not in page


def test_every_line_is_there_with_its_status_in_words_and_its_rule():
    documents = example()
    compiled = compile_runbook(documents)
    page = page_of(documents)
    for entry in compiled.ledger:
        [line] = re.findall(
            rf'<div class="l [^>]*id="L{entry.line}">.*?</a>(<span.*?)</span></span>', page
        )
        assert f'title="{entry.status.value}: ' in line
        assert line.endswith(entry.status.value)


def test_each_finding_stands_below_its_line_with_its_remedy():
    page = page_of(example())
    line = page[page.index('id="L84"') : page.index('id="L85"')]
    assert "Warning T107" in line
    assert '<p class="mend">Leave it out, or say how many lines are wanted.</p>' in line
    assert "<mark>-f</mark>" in line


def test_the_policy_stands_beside_it_with_links_to_its_lines():
    page = page_of({"r.md": PROCESS})
    side = page[page.index('id="policy"') :]
    assert "Engineering Manager" in side
    assert "<strong>4 h</strong>" in side
    assert f'href="#L{line_of("P0: Escalate immediately")}"' in side
    assert '<svg class="ladder"' in side


def test_lines_of_several_documents_have_names_of_their_own():
    page = page_of(
        {"a.md": PROCESS, "b/c.md": "# Full\n\n## Meaning\n\nx\n\n## Mitigation\n\n1. y\n"}
    )
    reader = read(page)
    assert {"d0L1", "d1L1"} <= set(reader.ids)
    assert "b/c.md" in page


def test_what_a_document_says_is_never_markup():
    evil = "# <script>alert(1)</script>\n\n- <img src=x onerror=y> **P0** `</code><b>`\n\n</div>\x00\u202e\n"
    page = page_of({'"><script>.md': evil})
    assert read(page).tags.isdisjoint({"script", "img"})
    assert "\x00" not in page
    assert "\u202e" not in page


def test_emphasis_code_and_links_are_drawn_and_the_rest_is_as_written():
    assert inline("a **b** `c*d*` *e* [f](g.md) 2 * 3 * 4") == (
        'a <strong>b</strong> <code>c*d*</code> <em>e</em> <span class="to">f</span> 2 * 3 * 4'
    )


def test_words_that_are_meant_are_marked_unless_markup_begins_within_them():
    assert shape("- P7: page", in_fence=False, meant=[(2, 4)]).html == "<mark>P7</mark>: page"
    assert "<mark>" not in shape("- a **b** c", in_fence=False, meant=[(2, 7)]).html


@given(
    st.text(),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), max_size=4),
)
def test_any_line_is_balanced_markup(line, in_fence, meant):
    drawn = shape(line, in_fence=in_fence, meant=meant)
    reader = Strict()
    reader.feed(drawn.html)
    reader.close()
    assert reader.open == []
    assert "\ue000" not in drawn.html
    assert "\ue001" not in drawn.html


@given(
    st.text(alphabet=st.sampled_from("#-*`|>[]()\n\t P0<&\"'\ue000\ue002\u202e1.a"), max_size=300)
)
def test_any_document_is_a_page(text):
    read(page_of({"r.md": text}))


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"{CHROMIUM} is not installed")
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_used_by_everybody_and_fits_a_telephone(tmp_path, width, scheme):
    from playwright.sync_api import sync_playwright

    source = axe_source()
    if source is None:
        pytest.skip("axe-core cannot be had here")
    file = tmp_path / "page.html"
    long = f"{'long-name-of-a-folder/' * 6}incident-response.md"
    text = page_of({long: EXAMPLE.read_text(encoding="utf-8")})
    file.write_text(text, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        page.goto(f"file://{file}")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        page.evaluate(source)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        page.check("#only-u")
        shown = page.locator(".doc .l:visible").count()
        browser.close()
    assert [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in result["violations"]] == []
    assert over <= 0
    assert 0 < shown == text.count(" is-u")
