"""SQL lives in files, named and described; Python asks for a statement by name.

A file under ``queries/`` is a row of statements, each opened by two comment lines::

    -- name: claim
    -- about: Lock one stream for this transaction, or find it locked by another.
    SELECT ...
"""

from __future__ import annotations

import re
from importlib import resources

_OPENING = re.compile(r"^-- name: (?P<name>[a-z_]+)\n-- about: (?P<about>\S.*)\n", re.MULTILINE)


def statements(room: str) -> dict[str, str]:
    """Return the statements of ``queries/<room>.sql`` by name.

    Raises ValueError for a file that says something before its first name, or says a name twice:
    such a statement could never be reached.
    """
    text = resources.files("tocsin.store").joinpath("queries", f"{room}.sql").read_text("utf-8")
    openings = list(_OPENING.finditer(text))
    if not openings or text[: openings[0].start()].strip():
        raise ValueError(f"queries/{room}.sql must open with '-- name:' and '-- about:'.")
    ends = [opening.start() for opening in openings[1:]] + [len(text)]
    found: dict[str, str] = {}
    for opening, end in zip(openings, ends, strict=True):
        if opening["name"] in found:
            raise ValueError(f"queries/{room}.sql names '{opening['name']}' twice.")
        found[opening["name"]] = text[opening.end() : end].strip().removesuffix(";")
    return found
