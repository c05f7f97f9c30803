"""Catalogue, pages and examples belong together: no code without its page, no page that is wrong."""

from __future__ import annotations

import pytest

from tests.runbook import explained
from tests.runbook.explained import FOLDER, GROUPS, WITHOUT_EXAMPLE
from tocsin.runbook.findings import CATALOGUE

CODES = sorted(CATALOGUE)


def test_every_code_has_a_page_and_every_page_a_code():
    pages = {path.stem for path in FOLDER.glob("*.md")} - {"README"}
    assert pages == set(CODES)


def test_every_code_is_in_one_group_of_the_index():
    assert sorted(code for codes in GROUPS.values() for code in codes) == CODES
    assert explained.INDEX.read_text(encoding="utf-8") == explained.index()


@pytest.mark.parametrize("code", CODES)
def test_a_page_says_what_it_means_what_happens_and_how_to_mend_it(code):
    text = explained.page(code)
    level, title = CATALOGUE[code]
    assert text.startswith(f"# {code}: {title.rstrip('.')}\n\nLevel: {level}.\n\n")
    said, example, _ = text.partition("\n## An example\n")
    headings = [line for line in said.splitlines() if line.startswith("## ")]
    assert headings == ["## At 3 a.m.", "## Mend it"]
    assert bool(example) is (code not in WITHOUT_EXAMPLE)
    meaning = text.partition("\n\n")[2].partition("\n\n")[2].partition("## At 3 a.m.")[0]
    assert len(meaning.split()) > 5


@pytest.mark.parametrize("code", [code for code in CODES if code not in WITHOUT_EXAMPLE])
def test_the_example_brings_the_finding_about_and_shows_what_is_printed(code):
    text = explained.page(code)
    found, _ = explained.example_in(text).findings()
    assert code in {finding.code for finding in found}
    assert "```console\n$ tocsin check " in text
    assert text == explained.with_output(code, text)
