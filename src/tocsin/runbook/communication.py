"""Which channel tells whom, for which levels, how often."""

from __future__ import annotations

import re
from datetime import timedelta

from tocsin.base.durations import find_duration, say_duration
from tocsin.core.policy import Communication, LineStatus
from tocsin.runbook.document import Block, Fence, Listing, Paragraph, Section, Table, rows_of
from tocsin.runbook.findings import did_you_mean
from tocsin.runbook.levels import Scheme, unknown_filter
from tocsin.runbook.notes import Notes

_CHANNELS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (channel, re.compile(pattern, re.IGNORECASE))
    for channel, pattern in (
        ("status_page", r"status ?page|statuspage|\bstatus site\b"),
        ("slack", r"\bslack\b|(?<![\w/])#[a-z][\w-]*"),
        ("teams", r"\b(?:ms |microsoft )?teams (?:channel|chat)|microsoft teams"),
        ("email", r"e-?mails?\b|mailing list|[\w.+-]+@[\w-]+\.\w+"),
        ("x", r"\btwitter\b|\bX\b(?= ?[:(]|$)|social media|@[a-z]\w+ on x\b"),
        ("sms", r"\bsms\b|text message"),
        ("phone", r"\bphone\b|\bcall\b|conference bridge|\bbridge\b"),
        (
            "other",
            r"pager ?duty|opsgenie|discord|\bzoom\b|intercom|war room|in-app|banner|\bjira\b",
        ),
    )
)
_CHANNEL_NAME = re.compile(r"(?<![\w/])#[a-z][\w-]*", re.IGNORECASE)
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")
_AUDIENCE = re.compile(
    r"\b(?:notify|inform|tell|tells|message|write to|reach|reaches|goes to|sent to|send to|mail to|update)\s+"
    r"(?:(?:all|the|our|affected|every)\s+)*"
    r"(?P<who>(?!(?:for|during|on|in|when|about|as|if|with|at|every)\b)[a-z][\w-]*(?:\s+(?!(?:for|during|on|in|when"
    r"|about|as|if|by|via|with|every|at|of|and|or|only)\b)[a-z][a-z-]*(?!\w))?)",
    re.IGNORECASE,
)
_EXTERNAL = re.compile(r"external|customer|public|outside|users?\b|client", re.IGNORECASE)
_INTERNAL = re.compile(r"internal|inside|\bteam\b|\bstaff\b|company", re.IGNORECASE)
_EVERY = re.compile(
    r"\bevery\s+(?=\d|an?\b|half|hour|day|minute|[a-z]+[ -](?:min|hour|day))", re.IGNORECASE
)
_HOURLY = re.compile(r"\bhourly\b", re.IGNORECASE)
_DAILY = re.compile(r"\bdaily\b", re.IGNORECASE)
_RHYTHM_WANTED = re.compile(
    r"\b(?:updat\w*|post\w*)\b.*\b(?:during|while|throughout|regular\w*|frequent\w*|periodic\w*|ongoing|as it)",
    re.IGNORECASE,
)
_COLUMN_FILTER = re.compile(r"severity|priority|when|incident|level", re.IGNORECASE)


def read_communications(
    section: Section, scheme: Scheme, notes: Notes
) -> tuple[Communication, ...]:
    """Read a communication section and those below it, in document order."""
    return tuple(_Reader(scheme, notes).section(section, external=False))


class _Reader:
    def __init__(self, scheme: Scheme, notes: Notes) -> None:
        self._scheme = scheme
        self._notes = notes

    def section(self, section: Section, *, external: bool) -> list[Communication]:
        external = _is_external(section.title.plain, external)
        found: list[Communication] = []
        for group in section.groups():
            outside = _is_external(group.label, external) if group.label else external
            for block in group.blocks:
                found.extend(self._block(block, group.label, outside))
        for inner in section.sections:
            found.extend(self.section(inner, external=external))
        return found

    def _block(self, block: Block, label: str, external: bool) -> list[Communication]:
        found: list[Communication] = []
        if isinstance(block, Listing):
            for item, depth in rows_of((block,)):
                words = item.text.plain
                read = self._rule(words, item.text.line, item.text.lead, label, external)
                if read is not None:
                    found.append(read)
                elif depth == 0:
                    self._refuse(words, item.text.line, item.text.end)
        elif isinstance(block, Table):
            found.extend(self._table(block, external))
        elif isinstance(block, Fence):
            self._notes.mark_block(block, LineStatus.TEMPLATE, "message template")
        elif isinstance(block, Paragraph) and (block.text.lead or label):
            read = self._rule(block.text.plain, block.line, block.text.lead, label, external)
            if read is not None:
                found.append(read)
        return found

    def _table(self, table: Table, external: bool) -> list[Communication]:
        header = [cell.plain for cell in table.header]
        filters = [i for i, h in enumerate(header) if _COLUMN_FILTER.search(h)]
        found: list[Communication] = []
        for row in table.rows:
            cells = [cell.plain for cell in row.cells]
            order = [i for i in range(len(cells)) if i not in filters] + [
                i for i in filters if i < len(cells)
            ]
            words = " ".join(cells[i] for i in order if cells[i])
            read = self._rule(words, row.line, "", "", external)
            if read is None:
                self._refuse(" | ".join(c for c in cells if c), row.line, row.line)
            else:
                found.append(read)
        if found:
            self._notes.mark(table.line, LineStatus.REFERENCE, "table header", end=table.line + 1)
        return found

    def _rule(
        self, words: str, line: int, lead: str, label: str, external: bool
    ) -> Communication | None:
        channel = _channel_of(lead) or _channel_of(words) or _channel_of(label)
        if channel is None:
            return None
        named = self._scheme.named_in(words)
        unknown = "" if named else unknown_filter(words)
        if named is not None and not named.levels:
            unknown = ", ".join(named.undeclared)
        levels = named.levels if named else () if unknown else self._scheme.words
        cadence_s = _cadence_of(words)
        rule = Communication(
            channel=channel,
            target=_target_of(words, channel),
            severity=levels,
            source=self._notes.source(line),
            cadence_s=cadence_s,
            external=external,
            unknown_filter=unknown or None,
        )
        self._account(rule, words, line)
        return rule

    def _account(self, rule: Communication, words: str, line: int) -> None:
        notes = self._notes
        if rule.unknown_filter is not None:
            notes.mark(line, LineStatus.UNSUPPORTED, "communication for an undeclared severity")
            known = (*self._scheme.words, *(d.name for d in self._scheme.levels if d.name))
            hint = did_you_mean(rule.unknown_filter.split(" ")[0], known)
            worst = self._scheme.words[0] if self._scheme.words else "P0"
            hint = hint or f"Did you mean \u201c{worst}\u201d?"
            notes.find(
                "T134",
                line,
                rule.unknown_filter,
                f"\u201c{rule.unknown_filter}\u201d is not a declared severity;"
                " this is never sent by guess.",
                f"Name the levels. {hint}",
            )
            return
        if rule.cadence_s is None and (wanted := _RHYTHM_WANTED.search(words)):
            notes.mark(line, LineStatus.HUMAN, "updates without a rhythm: a person writes them")
            notes.find(
                "T131",
                line,
                wanted[0],
                f"\u201c{wanted[0]}\u201d gives no rhythm, so nobody is reminded.",
                "Add one: \u201cevery 30 minutes\u201d.",
            )
            return
        reminder = ""
        if rule.cadence_s is not None:
            every = say_duration(timedelta(seconds=rule.cadence_s))
            reminder = f"; the reminder every {every} is not sent yet"
        if rule.channel not in ("slack", "email"):
            notes.mark(line, LineStatus.HUMAN, f"communication rule: a person publishes{reminder}")
        elif rule.target is None:
            nobody = f"communication rule that names no address: a person tells them{reminder}"
            notes.mark(line, LineStatus.HUMAN, nobody)
        else:
            notes.mark(line, LineStatus.AUTOMATED, f"communication rule{reminder}")

    def _refuse(self, words: str, line: int, end: int) -> None:
        notes = self._notes
        notes.mark(line, LineStatus.UNSUPPORTED, "communication rule not understood", end=end)
        short = words if len(words) <= 60 else words[:57] + "\u2026"
        notes.find(
            "T135",
            line,
            1,
            f"\u201c{short}\u201d names no channel that is known.",
            "Begin with the channel: \u201cSlack: #incidents\u201d, \u201cE-mail: notify the team for P0\u201d.",
        )


def _is_external(words: str, inherited: bool) -> bool:
    if _INTERNAL.search(words):
        return False
    return True if _EXTERNAL.search(words) else inherited


def _channel_of(words: str) -> str | None:
    if not words:
        return None
    # The channel that is named first is meant: "E-mail: link to the status page".
    hits = [(m.start(), name) for name, pattern in _CHANNELS if (m := pattern.search(words))]
    return min(hits)[1] if hits else None


def _target_of(words: str, channel: str) -> str | None:
    if channel == "slack":
        found = _CHANNEL_NAME.search(words)
        return found[0] if found else None
    if channel in ("email", "sms", "phone", "teams"):
        if address := _ADDRESS.search(words):
            return address[0]
        if who := _AUDIENCE.search(words):
            return who["who"]
    return None


def _cadence_of(words: str) -> int | None:
    if every := _EVERY.search(words):
        following = words[every.end() :]
        # "every hour" names no number; it is one.
        found = find_duration(following)
        if found is None or found[1] > 0:
            found = find_duration(f"1 {following}")
        return round(found[0].total_seconds()) if found else None
    if _HOURLY.search(words):
        return 3600
    return 86_400 if _DAILY.search(words) else None
