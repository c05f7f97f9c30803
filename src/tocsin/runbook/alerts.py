"""Which alerts the documents of a folder explain: by file names, titles, fields and front matter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tocsin.core.explained import alert_key
from tocsin.core.policy import AlertRoute, Play

_STEM = re.compile(r"([^/\\]+?)(?:\.\w+)?$")
# These names say where a document lies, not what it explains.
_PLACES = frozenset(("readme", "index", "runbook", "runbooks", "alerts", "incidentresponse"))


def routes_of(plays: Sequence[Play]) -> tuple[AlertRoute, ...]:
    """Return which play explains which alert, each alert once.

    A file's own name counts before a title, and a title before what a field or front matter lists;
    among equals the first document counts. Plays need names of their own.
    """
    found: dict[str, AlertRoute] = {}
    for naming in (_by_file, _by_title, _by_field):
        for play in plays:
            for name, because in naming(play):
                key = alert_key(name)
                if key and key not in found:
                    found[key] = AlertRoute(key, play.name, because, play.source)
    return tuple(found.values())


def _by_file(play: Play) -> Iterator[tuple[str, str]]:
    stem = _STEM.search(play.source.file)
    if not play.anchor and stem and alert_key(stem[1]) not in _PLACES:
        yield stem[1], "the name of its file"


def _by_title(play: Play) -> Iterator[tuple[str, str]]:
    yield play.name, "its title"


def _by_field(play: Play) -> Iterator[tuple[str, str]]:
    for name in play.alert:
        yield name, "what it lists as alerts"
