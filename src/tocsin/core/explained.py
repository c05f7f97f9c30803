"""Which play explains an alert: by the link that it carries, or by its name. Nothing is guessed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

if TYPE_CHECKING:
    from tocsin.core.inputs import Signal
    from tocsin.core.policy import Play, Policy
    from tocsin.core.surroundings import Tuning

_LINKS = ("runbook_url", "runbook", "runbook_link")
_NAMES = ("alertname", "alert_name", "alert")
_NOT_WORD = re.compile(r"[\W_]+")
_ENDING = re.compile(r"\.(?:md|markdown|html?|adoc|mdx)$", re.IGNORECASE)
# A folder's own page: its address is that of the folder.
_INDEX = frozenset(("index", "_index", "readme"))


class Explained(msgspec.Struct, frozen=True):
    """The play that explains a signal, and by what: ``because`` is a word for people."""

    play: Play
    because: str


class ThisPolicy:
    """A policy as the key of a cache: itself, and no other that looks the same."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __hash__(self) -> int:
        return id(self.policy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ThisPolicy) and self.policy is other.policy


def alert_key(name: str) -> str:
    """Return the form in which names of alerts are compared: "disk-full" is "DiskFull"."""
    return _NOT_WORD.sub("", name.casefold())


def explained_by(policy: Policy, tuning: Tuning, signal: Signal) -> Explained | None:
    """Return the play that a signal's link leads to, else the one that its name belongs to, or None."""
    if not policy.plays:
        return None
    for key in _LINKS:
        link = signal.annotations.get(key, "") or signal.labels.get(key, "")
        play = play_at(policy, tuning.runbook_urls, link) if link else None
        if play is not None:
            return Explained(play, key)
    shelf = _shelf(ThisPolicy(policy))
    for key in _NAMES:
        named = shelf.by_alert.get(alert_key(signal.labels.get(key, "")))
        if named is not None:
            return Explained(named, f"{key}={signal.labels[key]}")
    return None


def play_at(policy: Policy, urls: dict[str, str], link: str) -> Play | None:
    """Return the play that a link leads to, or None.

    ``urls`` maps beginnings of addresses to folders of the runbook, the longest one counts. Where
    none fits, the end of the address must name one document and no other. An anchor chooses the
    scenario of its heading; without one the document must be one play.
    """
    try:
        address = urlsplit(link.strip())
    except ValueError:
        return None
    prefix = max((p for p in urls if link.startswith(p)), key=len, default=None)
    whole = link if prefix is None else urls[prefix].rstrip("/") + "/" + link[len(prefix) :]
    path = address.path if prefix is None else whole.split("#")[0].split("?")[0]
    parts = _parts(unquote(path))
    shelf = _shelf(ThisPolicy(policy))
    file = shelf.file_at(parts, must_match_all=prefix is not None)
    return shelf.play_in(file, unquote(address.fragment)) if file is not None else None


def _parts(path: str) -> tuple[str, ...]:
    parts = [part.casefold() for part in path.split("/") if part not in ("", ".", "..")]
    if parts:
        parts[-1] = _ENDING.sub("", parts[-1])
        if parts[-1] in _INDEX and len(parts) > 1:
            parts.pop()
    return tuple(parts)


class _Shelf:
    """The plays of one policy, by alert, by document and by anchor."""

    def __init__(self, policy: Policy) -> None:
        by_name = {play.name: play for play in reversed(policy.plays)}
        self.by_alert = {
            route.alert: by_name[route.play]
            for route in reversed(policy.alerts)
            if route.play in by_name
        }
        self._plays: dict[str, list[Play]] = {}
        for play in policy.plays:
            self._plays.setdefault(play.source.file, []).append(play)
        self._by_last: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for file in self._plays:
            parts = _parts(file)
            if parts:
                self._by_last.setdefault(parts[-1], []).append((parts, file))

    def file_at(self, parts: tuple[str, ...], *, must_match_all: bool) -> str | None:
        """Return the document whose path ends most like ``parts``; None if two do equally well."""
        best, files = 0, list[str]()
        for have, file in self._by_last.get(parts[-1] if parts else "", ()):
            same = _same_at_end(have, parts)
            if must_match_all and same < min(len(parts), len(have)):
                continue
            if same > best:
                best, files = same, [file]
            elif same == best:
                files.append(file)
        return files[0] if len(files) == 1 else None

    def play_in(self, file: str, anchor: str) -> Play | None:
        """Return the play of an anchor in a document, or the only one there is."""
        plays = self._plays[file]
        if anchor:
            for play in plays:
                if play.anchor and play.anchor.casefold() == anchor.casefold():
                    return play
        whole = [play for play in plays if not play.anchor]
        if len(whole) == 1:
            return whole[0]
        return plays[0] if len(plays) == 1 else None


def _same_at_end(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    count = 0
    for one, other in zip(reversed(a), reversed(b), strict=False):
        if one != other:
            break
        count += 1
    return count


@lru_cache(maxsize=16)
def _shelf(this: ThisPolicy) -> _Shelf:
    return _Shelf(this.policy)
