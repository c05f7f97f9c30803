"""The little Markdown that stands within one line: bold and code."""

from __future__ import annotations

import re

from markupsafe import Markup

_INLINE = re.compile(r"(`+)(?P<code>.+?)\1|\*\*(?P<strong>.+?)\*\*")


def inline(text: str) -> Markup:
    """Return a line of Markdown with its bold and code drawn, and everything else as it stands."""
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        parts.append(Markup("{}").format(text[end : match.start()]))
        if match["code"] is not None:
            parts.append(Markup("<code>{}</code>").format(whole_words(match["code"])))
        else:
            parts.append(Markup("<strong>{}</strong>").format(match["strong"]))
        end = match.end()
    parts.append(Markup("{}").format(text[end:]))
    return Markup("").join(parts)


def whole_words(command: str) -> Markup:
    """Return a command in which no line break can follow the hyphen of an option."""
    words = [
        Markup("<i>{}</i>").format(word)
        if "-" in word or "/" in word
        else Markup("{}").format(word)
        for word in command.split(" ")
    ]
    return Markup(" ").join(words)
