"""Where the shared documents and their summaries lie."""

from __future__ import annotations

from pathlib import Path

from tests.runbook.documents import SHARED
from tests.runbook.goldens.summary import summarise
from tocsin.runbook import compile_runbook

CORPUS = SHARED / "corpus"
RUNBOOKS = SHARED / "runbooks"
_HERE = Path(__file__).parent / "summaries"


def sources() -> dict[str, Path]:
    """Return the shared documents by the names of their summaries; empty where there are none."""
    found = {f"corpus/{p.relative_to(CORPUS)}": p for p in CORPUS.glob("*/*/**/*.md")}
    found |= {f"runbooks/{p.name}": p for p in RUNBOOKS.glob("*.md")}
    return dict(sorted(found.items()))


def summary_of(name: str) -> str:
    """Compile one shared document by itself and return its summary."""
    text = sources()[name].read_text(encoding="utf-8")
    return summarise(compile_runbook({name: text}))


def golden(name: str) -> Path:
    """Return the file that holds a document's summary."""
    return _HERE / f"{name}.txt"


def goldens() -> set[str]:
    """Return the names of all documents that have a summary."""
    return {str(p.relative_to(_HERE)).removesuffix(".txt") for p in _HERE.glob("**/*.md.txt")}
