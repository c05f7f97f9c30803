"""A test of a runbook as it is written: a timeline in virtual time, one statement a line.

    00:00 signal alertname=ApiDown severity=critical
    00:00 expect page on-call via slack because P0
    10:00 ack by Ona
    59:59 expect silence
    60:00 expect page team lead because not_resolved

Times are minutes and seconds, however many minutes; or hours, minutes and seconds; or a duration
such as ``1h30m``.
"""

from __future__ import annotations

import re
import shlex
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from tocsin.base.durations import parse_duration
from tocsin.core.phases import Phase
from tocsin.runbook.findings import did_you_mean
from tocsin.runbook.trials import MARK

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLOCK = re.compile(r"(?:T\+)?(\d{1,6}):(\d\d)(?::(\d\d))?")
_TIMED = re.compile(r"(?P<from>\S+?)(?:\s*(?:-|\u2013|\.\.)\s*(?P<to>\S+))?\s+(?P<rest>[a-z#].*)")
_FENCE = re.compile(r"^\s{0,3}(?P<marks>`{3,}|~{3,})\s*(?P<info>.*?)\s*$")
_HEADING = re.compile(r"^#{1,6}\s+(?P<title>.*?)\s*#*\s*$")
_ITEM = re.compile(r"^(?P<indent>\s*)(?:[-*+]|\d+[.)])\s+(?P<words>\S.*)$")
_STARTS = re.compile(r"starts?(?:\s+at)?\s+(?P<at>\S+(?: \d\d:\d\d(?::\d\d)?)?)")
VERBS = (
    "signal", "clear", "report", "declare", "ack", "resolve", "reopen", "severity", "phase",
    "breach", "silence", "expect",
)  # fmt: skip
_SAME = {"acknowledge": "ack", "resolved": "clear", "alert": "signal", "grade": "severity"}
_EXPECTED = ("page", "notice", "silence", "severity", "phase", "no")


class Wrong(Exception):  # noqa: N818 - it says what is wrong with a line
    """A line of a test cannot be understood: <why, and what would be>."""


class Act(msgspec.Struct, frozen=True):
    """Something happens. ``verb`` is one of VERBS but "expect"; ``words`` are its plain arguments."""

    verb: str
    words: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    by: str = ""
    lasts: timedelta | None = None


class Expected(msgspec.Struct, frozen=True):
    """Something must be so: ``what`` is "page", "notice", "silence", "severity" or "phase".

    ``whom`` is a role, a person or a channel, a level or a phase; ``because`` a reason of the core,
    a level, or a line such as "L208". With ``not_`` no such message may have left by then.
    """

    what: str
    whom: str = ""
    via: str = ""
    because: str = ""
    not_: bool = False


class Statement(msgspec.Struct, frozen=True):
    """One line: what happens or is expected, so long after the start. ``since`` begins a silence."""

    line: int
    text: str
    at: timedelta
    says: Act | Expected
    since: timedelta | None = None

    @property
    def begins(self) -> timedelta:
        """Return when what it speaks of begins."""
        return self.at if self.since is None else self.since


class Script(msgspec.Struct, frozen=True):
    """One test. ``wrong`` holds the lines that cannot be understood, and why; it runs without any.

    ``starts_at`` is what the test says of when it begins, as it stands there, or "".
    """

    file: str
    line: int
    name: str
    statements: tuple[Statement, ...]
    wrong: tuple[tuple[int, str], ...] = ()
    starts_at: str = ""


class _Lines(msgspec.Struct):
    """The statements of one test while its lines are gathered."""

    name: str
    line: int
    is_fence: bool = False
    lines: list[tuple[int, str]] = msgspec.field(default_factory=list)


def read_fences(file: str, text: str) -> list[Script]:
    """Return the tests in the fences of a document that are marked ``tocsin-test``, in order."""
    return [_script(file, found) for found in _gathered(text)]


def read_test_document(file: str, text: str) -> list[Script]:
    """Return the tests of a ``*.test.md``: its fences, and each heading with a timeline as a list."""
    return [_script(file, found) for found in _gathered(text, lists=True)]


# -- Lines -----------------------------------------------------------------------------------------


class _Gatherer:
    """Goes through the lines of a document and keeps those of its tests."""

    def __init__(self, *, lists: bool) -> None:
        self.found: list[_Lines] = []
        self._lists = lists
        self._heading = ("", 0)
        self._listed: _Lines | None = None
        self._fence: tuple[str, _Lines | None] | None = None

    def line(self, number: int, line: str) -> None:
        marks = _FENCE.match(line)
        title = _HEADING.match(line)
        if self._fence is not None:
            self._in_fence(number, line, marks)
        elif marks is not None:
            self._open(number, marks)
        elif title is not None:
            self._heading, self._listed = (title["title"], number), None
        elif self._lists:
            self._in_list(number, line)

    def _open(self, number: int, marks: re.Match[str]) -> None:
        mark, _, name = marks["info"].partition(" ")
        inside = None
        if mark == MARK:
            inside = _Lines(name.strip() or self._heading[0] or f"line {number}", number, True)
            self.found.append(inside)
        self._fence = (marks["marks"], inside)

    def _in_fence(self, number: int, line: str, marks: re.Match[str] | None) -> None:
        assert self._fence is not None
        opened, into = self._fence
        if marks is not None and not marks["info"] and marks["marks"].startswith(opened):
            self._fence = None
        elif into is not None and line.strip() and not line.lstrip().startswith("#"):
            into.lines.append((number, line.strip()))

    def _in_list(self, number: int, line: str) -> None:
        item = _ITEM.match(line)
        if item is not None:
            if self._listed is None:
                title, at = self._heading
                self._listed = _Lines(title or f"line {number}", at or number)
                self.found.append(self._listed)
            self._listed.lines.append((number, item["words"].replace("`", "").strip()))
        elif self._listed is not None and line[:1].isspace() and line.strip():
            # A line that is broken to fit goes on.
            at, begun = self._listed.lines[-1]
            self._listed.lines[-1] = (at, f"{begun} {line.strip()}")


def _gathered(text: str, *, lists: bool = False) -> list[_Lines]:
    gatherer = _Gatherer(lists=lists)
    for number, line in enumerate(text.splitlines(), 1):
        gatherer.line(number, line)
    # A list in which no line begins with a time is a list of something else; a fence says what it is.
    return [each for each in gatherer.found if each.is_fence or any(map(_is_timed, each.lines))]


def _is_timed(line: tuple[int, str]) -> bool:
    return re.match(r"(?:T\+)?\d+(?::\d|\s*[smhd]\b)", line[1]) is not None


def _script(file: str, found: _Lines) -> Script:
    statements: list[Statement] = []
    wrong: list[tuple[int, str]] = []
    starts_at = ""
    for number, line in found.lines:
        starts = _STARTS.fullmatch(line)
        if starts is not None:
            starts_at = starts["at"]
            continue
        try:
            statement = _statement(number, line)
        except Wrong as error:
            wrong.append((number, str(error)))
            continue
        if statements and statement.begins < statements[-1].begins:
            before = f"it comes before line {statements[-1].line}"
            order = "write the lines in the order of time; times are minutes:seconds"
            wrong.append((number, f"{before}: {order}"))
        statements.append(statement)
    return Script(file, found.line, found.name, tuple(statements), tuple(wrong), starts_at)


# -- One line --------------------------------------------------------------------------------------


def _statement(number: int, line: str) -> Statement:
    found = _TIMED.fullmatch(line)
    begins = _time_of(found["from"]) if found is not None else None
    if found is None or begins is None:
        raise Wrong(_no_time(line))
    ends = _time_of(found["to"]) if found["to"] else None
    if found["to"] and ends is None:
        raise Wrong(_no_time(found["to"]))
    says = _says(found["rest"])
    is_silence = isinstance(says, Expected) and says.what == "silence"
    if ends is not None and not is_silence:
        raise Wrong("only `expect silence` lasts from one time to another")
    if ends is not None and ends < begins:
        raise Wrong("it ends before it begins")
    return Statement(number, line, ends or begins, says, begins if ends is not None else None)


def _time_of(word: str) -> timedelta | None:
    found = _CLOCK.fullmatch(word)
    if found is not None:
        first, second, third = (None if part is None else int(part) for part in found.groups())
        assert first is not None
        assert second is not None
        if third is None:
            return timedelta(minutes=first, seconds=second) if second < 60 else None
        if second > 59 or third > 59:
            return None
        return timedelta(hours=first, minutes=second, seconds=third)
    return (
        parse_duration(word.removeprefix("T+")) if word[:1].isdigit() or word[:2] == "T+" else None
    )


def _no_time(line: str) -> str:
    word = line.split()[0] if line.split() else line
    clock = _CLOCK.fullmatch(word)
    if clock is not None:
        return f"{word} has more than 59 seconds: times are minutes:seconds, or 1:30:00, or 90m"
    return f"{word!r} is no time: begin with minutes:seconds (90:00), 1:30:00, or 90m"


def _says(rest: str) -> Act | Expected:
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise Wrong(f"{error}: close the quotation mark".lower()) from error
    verb = _SAME.get(words[0].casefold(), words[0].casefold())
    if verb == "expect":
        return _expected(words[1:])
    if verb not in VERBS:
        hint = did_you_mean(verb, VERBS) or f"There is {', '.join(VERBS)}."
        raise Wrong(f"{words[0]!r} is not something that happens. {hint}")
    return _act(verb, words[1:])


def _act(verb: str, words: Sequence[str]) -> Act:
    plain, by = _cut(words, "by")
    plain, lasts_for = _cut(plain, "for") if verb == "silence" else (plain, "")
    labels: dict[str, str] = {}
    said: list[str] = []
    for word in plain:
        name, equals, value = word.partition("=")
        if equals and re.fullmatch(r"[A-Za-z_]\w*", name):
            labels[name] = value
        else:
            said.append(word)
    lasts = parse_duration(lasts_for) if lasts_for else None
    wants = {
        "signal": bool(labels) and not said,
        "clear": bool(labels) and not said,
        "silence": bool(labels) and not said and lasts is not None,
        "report": len(said) == 1,
        "declare": len(said) == 1,
        "severity": len(said) == 1,
        "phase": len(said) == 1 and said[0] in tuple(Phase),
    }
    if not wants.get(verb, not said):
        raise Wrong(f"write it like this: {_USAGE.get(verb, f'{verb} by NAME')}")
    return Act(verb, tuple(said), labels, by, lasts)


_USAGE = {
    "signal": 'signal alertname=ApiDown severity=critical summary="No answer"',
    "clear": "clear alertname=ApiDown",
    "silence": "silence service=backend for 2h",
    "report": 'report "Nobody can log in" service=auth',
    "declare": 'declare "All is down" severity=P0 service=backend by Ona',
    "severity": "severity P1 by Ona",
    "phase": f"phase {'|'.join(Phase)} by Ona",
}


def _cut(words: Sequence[str], mark: str) -> tuple[list[str], str]:
    """Return the words before a mark, and those after it as one text."""
    lowered = [word.casefold() for word in words]
    if mark not in lowered:
        return list(words), ""
    place = len(lowered) - 1 - lowered[::-1].index(mark)
    after = " ".join(words[place + 1 :])
    if not after:
        raise Wrong(f"it ends with {mark!r}")
    return list(words[:place]), after


def _expected(words: Sequence[str]) -> Expected:
    plain, because = _cut(words, "because")
    plain, via = _cut(plain, "via")
    what = plain[0].casefold() if plain else ""
    not_ = what == "no"
    if not_:
        what, plain = (plain[1].casefold() if len(plain) > 1 else ""), plain[1:]
    whom = " ".join(plain[1:])
    if what not in _EXPECTED[:-1] or (not_ and what not in ("page", "notice")):
        hint = did_you_mean(what, _EXPECTED[:-1])
        told = "page WHOM, notice WHOM, silence, severity LEVEL, phase PHASE, no page WHOM"
        raise Wrong(f"{what or 'nothing'!r} cannot be expected. {hint or f'There is {told}.'}")
    if what == "silence":
        if whom or via or because:
            raise Wrong("`expect silence` stands alone: nobody is paged or told")
    elif not whom and not not_:
        raise Wrong(f"say whom or what: expect {what} NAME")
    if what == "phase" and whom not in tuple(Phase):
        raise Wrong(f"{whom!r} is no phase. {did_you_mean(whom, tuple(Phase))}".rstrip())
    if what in ("severity", "phase") and (via or because):
        raise Wrong(f"`expect {what}` takes neither via nor because")
    return Expected(what, whom, via, because, not_)


def starts_at(script: Script, usual: datetime) -> datetime | None:
    """Return when a test begins, aware; None where what it says is no instant with an offset."""
    if not script.starts_at:
        return usual
    try:
        at = datetime.fromisoformat(script.starts_at)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=usual.tzinfo)
