"""What is wrong with a page that should stand alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = {"meta", "br", "line", "path", "circle", "rect"}
_LOADS = re.compile(r"""(?:src|href)=["'](?!#)|url\(|@import|<link|<iframe|<script""")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.images = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        said = dict(attributes)
        if tag == "svg" and said.get("aria-hidden") != "true":
            self.images += 1
            if said.get("role") != "img" or not said.get("aria-label"):
                self.wrong.append("a drawing without words")
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.wrong.append(f"<{tag}/>")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


def problems_of(text: str) -> list[str]:
    """Return what of a page is not closed, not said in words, or has to be loaded."""
    tags = _Tags()
    tags.feed(text)
    tags.close()
    found = [*tags.wrong, *(f"<{tag}> stays open" for tag in tags.open)]
    found += [f"it loads {hit}" for hit in _LOADS.findall(text)]
    if not tags.images:
        found.append("it has no drawing")
    return found
