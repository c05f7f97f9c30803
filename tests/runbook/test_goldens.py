"""The shared documents compile to what was reviewed."""

from __future__ import annotations

import difflib

import pytest

from tests.runbook.documents import assert_ledger_is_complete
from tests.runbook.goldens.files import golden, goldens, sources, summary_of
from tocsin.runbook import compile_runbook

_NAMES = list(sources())
needs_documents = pytest.mark.skipif(not _NAMES, reason="../shared/corpus is not here")


@needs_documents
@pytest.mark.parametrize("name", _NAMES or ["none"])
def test_a_shared_document_compiles_to_its_reviewed_summary(name: str) -> None:
    reviewed = golden(name).read_text(encoding="utf-8") if golden(name).is_file() else ""
    now = summary_of(name)
    difference = "\n".join(difflib.ndiff(reviewed.split("\n"), now.split("\n")))
    assert now == reviewed, (
        f"{name} compiles differently. If that is right: python -m tests.runbook.goldens --write\n"
        f"{difference}"
    )


@needs_documents
@pytest.mark.parametrize("name", _NAMES or ["none"])
def test_a_shared_document_has_a_complete_ledger(name: str) -> None:
    assert_ledger_is_complete(compile_runbook({name: sources()[name].read_text(encoding="utf-8")}))


@needs_documents
def test_every_summary_has_its_document() -> None:
    assert goldens() == set(_NAMES)
