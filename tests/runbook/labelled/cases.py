"""Labelled pieces of documents: what each one says, written by hand, in Markdown."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

HERE = Path(__file__).parent
_HEADING = re.compile(r"^(?P<marks>##|###) (?P<title>.+)$")
_LINE = "- "


class Case(msgspec.Struct, frozen=True):
    """One piece of a document, and the lines that label it. ``about`` is what its fence names."""

    title: str
    text: str
    labels: tuple[str, ...]
    about: str = ""
    near_miss: bool = False


def read_cases(name: str) -> list[Case]:
    """Return the cases of ``labelled/<name>.md`` in order.

    A case is a heading of the third rank, a fence of tildes and a list. Those below a heading of
    the second rank that says "near-misses" must give nothing.
    """
    cases: list[Case] = []
    lines = iter((HERE / f"{name}.md").read_text(encoding="utf-8").splitlines())
    title, about, near, body, labels = "", "", False, list[str](), list[str]()

    def close() -> None:
        if title:
            assert body, f"{name}.md: {title!r} has no fence"
            assert labels or near, f"{name}.md: {title!r} has no label"
            cases.append(Case(title, "\n".join(body), tuple(labels), about, near))

    for line in lines:
        if found := _HEADING.match(line):
            close()
            title, about, body, labels = "", "", [], []
            if found["marks"] == "##":
                near = found["title"].casefold() == "near-misses"
            else:
                title = found["title"]
        elif line.startswith("~~~"):
            about = line[3:].strip()
            body = []
            while (inner := next(lines)) != "~~~":
                body.append(inner)
        elif title and line.startswith(_LINE):
            labels.append(line[len(_LINE) :])
    close()
    return cases
