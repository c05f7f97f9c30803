"""Which channel tells whom, for which levels, how often, and whether somebody must agree first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from tocsin.base.durations import say_duration
from tocsin.core.policy import Checklist, ChecklistItem, Communication, LineStatus
from tocsin.runbook.cadence import (
    EVERY,
    bare_cadence,
    cadence_of,
    has_rhythm,
    is_review,
    rhythms_in,
)
from tocsin.runbook.channels import begins_with_channel, channel_of, channels_in, target_of
from tocsin.runbook.document import (
    Block,
    Fence,
    Inline,
    Listing,
    Paragraph,
    Section,
    Table,
    rows_of,
)
from tocsin.runbook.findings import did_you_mean
from tocsin.runbook.grid import Grid
from tocsin.runbook.levels import Named, Scheme, unknown_filter
from tocsin.runbook.messages import TEXT_LANGUAGES, is_message
from tocsin.runbook.notes import Notes

_EXTERNAL = re.compile(r"external|customer|public|outside|users?\b|client", re.IGNORECASE)
_INTERNAL = re.compile(r"internal|inside|\bteam\b|\bstaff\b|company", re.IGNORECASE)
_UPDATES = re.compile(r"\bupdat\w*|\bpost\w*|\bcommunicat\w*|\breport\w*|\bstatus\b", re.IGNORECASE)
_RHYTHM_WANTED = re.compile(
    r"\b(?:updat\w*|post\w*)\b.*\b(?:during|while|throughout|regular\w*|frequent\w*|periodic\w*|ongoing|as it)",
    re.IGNORECASE,
)
_APPROVAL = re.compile(
    r"(?:\b(?:requires?|needs?|with|after|pending|only (?:after|with)|subject to|upon)\b[^.;|]{0,40}"
    r"\b(?:approv\w*|sign[- ]?off|clearance|consent|permission)\b"
    r"|\b(?:approval|sign[- ]?off|clearance)\b[^.;|]{0,25}\b(?:required|needed|first|before)"
    r"|\b(?:approved|signed off|reviewed and approved|cleared) by\b|\bmust be (?:approved|cleared|signed off)\b"
    r"|\b(?:has|have|is|are) approved\b|\bapproval\s*:|\((?:[^()]*\s)?approval\)|\bonce approved\b)",
    re.IGNORECASE,
)
_NO_APPROVAL = re.compile(
    r"\b(?:no|without|don'?t need|does not (?:need|require)|not require)\b[^.;|]{0,20}"
    r"\b(?:approv|sign[- ]?off|clearance)|pre-?approved",
    re.IGNORECASE,
)
_TELLS = re.compile(
    r"\b(?:notif(?:y|ies|ied|ying)|inform(?:s|ed|ing)?|tell(?:s|ing)?|announc(?:e|es|ed|ing)|post(?:s|ed|ing)?(?![-\w])|publish\w*|send(?:s|ing)?|sent"
    r"|shar(?:e|es|ing)|messag\w+|e-?mail(?:s|ed|ing)?|updat(?:e|es|ed|ing)|alert(?:s|ed)?\s+(?:the|our|all|every\w*|on-?call|people|stakeholders)|broadcast\w*"
    r"|tweet\w*|brief(?:s|ed|ing)?|communicat(?:e|es|ed|ing)|escalat(?:e|es|ed|ing)|(?<!status )page[ds]?|call(?:s|ed)?|contact\w*)\b",
    re.IGNORECASE,
)
_TELLS_FIRST = re.compile(
    r"^\W*(?:\*\*[^*]+\*\*\s*:?\s*)?(?:for [^:]{1,30}:\s*)?(?:please\s+|also\s+|then\s+|always\s+)?"
    r"(?:notify|inform|tell|announce|post|publish|send|share|message|broadcast|tweet|brief)\b",
    re.IGNORECASE,
)
_MAKES_CHANNEL = re.compile(
    r"\b(?:create|open|start|set up|spin up|join|archive|disable|enable|check|monitor|watch|review"
    r"|acknowledge[sd]?|configure|retain\w*|log(?:s|ged)?|use the|record\w*)\b",
    re.IGNORECASE,
)
_NEVER = re.compile(
    r"^\W*(?:do not|don'?t|avoid)\b|\bnever\b|\bnot (?:\w+ )?(?:via|by|through)\b",
    re.IGNORECASE,
)
_MEDIA_LIST = re.compile(r"\s*(?:\+|,|;|&|/|\band\b|<br\s*/?>)\s*")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=[A-Z#])")
_IN_BRACKETS = re.compile(r"\([^()]*\)")
_BLANK = re.compile(
    r"^\W*(?:n/?a|none|no(?:ne)?\b.*|not required|not needed)?\W*(?:\(.*\))?\W*$", re.I
)


class _Given(msgspec.Struct, frozen=True):
    """What surrounds a rule: the label or heading above it, and whether outsiders are meant."""

    label: str = ""
    external: bool | None = None


class Told(msgspec.Struct, frozen=True):
    """The rules of a section, and what it asks people to do besides, one list a heading."""

    rules: tuple[Communication, ...] = ()
    checklists: tuple[Checklist, ...] = ()


def read_communications(section: Section, scheme: Scheme, notes: Notes) -> Told:
    """Read a communication section and those below it, in document order."""
    reader = _Reader(scheme, notes)
    rules = tuple(reader.section(section, external=None, inherited=""))
    return Told(rules, tuple(reader.checklists))


def needs_approval(words: str) -> bool:
    """Say whether these words ask that somebody agrees before anything is sent."""
    return _APPROVAL.search(words) is not None and _NO_APPROVAL.search(words) is None


class _Reader:
    def __init__(self, scheme: Scheme, notes: Notes) -> None:
        self._scheme = scheme
        self._notes = notes
        self._tasks: list[ChecklistItem] = []
        self.checklists: list[Checklist] = []

    def section(
        self, section: Section, *, external: bool | None, inherited: str
    ) -> list[Communication]:
        title = section.title.plain
        external = _is_external(title, external)
        # A level or a channel in a heading holds for what stands below it.
        about = title if self._scheme.named_in(title) or channel_of(title) else inherited
        found: list[Communication] = []
        for group in section.groups():
            label = group.label or about
            outside = _is_external(group.label, external) if group.label else external
            if group.label and not self._scheme.named_in(label) and self._scheme.named_in(about):
                label = f"{about} {label}"
            for block in group.blocks:
                found.extend(self._block(block, _Given(label, outside)))
        if self._tasks:
            source = self._notes.source(section.line)
            self.checklists.append(Checklist(title, source, tuple(self._tasks)))
            self._tasks = []
        for inner in section.sections:
            found.extend(self.section(inner, external=external, inherited=about))
        return found

    def _block(self, block: Block, given: _Given) -> list[Communication]:
        found: list[Communication] = []
        if isinstance(block, Listing):
            for item, depth in rows_of((block,)):
                for inner in item.blocks:
                    if isinstance(inner, Fence):
                        self._notes.mark_block(inner, LineStatus.TEMPLATE, "message template")
                read = self._rules(item.text.plain, item.text.line, item.text.before_colon, given)
                found.extend(read)
                if not read:
                    self._other(item.text.plain, item.text.line, item.text.end, depth)
        elif isinstance(block, Table):
            found.extend(self._table(block, given))
        elif isinstance(block, Fence) and (block.language in TEXT_LANGUAGES or is_message(block)):
            self._notes.mark_block(block, LineStatus.TEMPLATE, "message template")
        elif isinstance(block, Paragraph) and not block.text.is_label:
            found.extend(self._paragraph(block.text, given))
        return found

    def _paragraph(self, text: Inline, given: _Given) -> list[Communication]:
        words = text.plain
        is_rule = text.lead or given.label or _TELLS_FIRST.match(words) or EVERY.search(words)
        found = self._rules(words, text.line, text.lead, given) if is_rule else []
        return found or self._sentences(words, text.line, given)

    def _sentences(self, words: str, line: int, given: _Given) -> list[Communication]:
        """Read prose: each sentence that opens with a channel, or tells somebody by one."""
        found: list[Communication] = []
        for sentence in _SENTENCE.split(words):
            tells = _TELLS.search(sentence) is not None and channel_of(sentence) is not None
            if tells or begins_with_channel(sentence):
                found.extend(self._rules(sentence, line, "", given))
        return found

    def _table(self, table: Table, given: _Given) -> list[Communication]:
        grid = Grid([cell.plain for cell in table.header])
        found: list[Communication] = []
        by_column = self._levels_by_column(grid.header)
        for row in table.rows:
            cells = [cell.plain for cell in row.cells]
            if len(by_column) >= 2:
                found.extend(self._matrix_row(grid, by_column, cells, row.line, given))
                continue
            read = self._row(grid, cells, row.line, given)
            if not read:
                self._other_row(grid, cells, row.line)
            found.extend(read)
        if found:
            self._notes.mark(table.line, LineStatus.REFERENCE, "table header", end=table.line + 1)
        return found

    def _levels_by_column(self, header: Sequence[str]) -> dict[int, str]:
        """Return the columns that are headed by one level each."""
        named = {i: self._scheme.named_in(words) for i, words in enumerate(header)}
        return {
            i: n.levels[0] for i, n in named.items() if n and len(n.levels) == 1 and not n.is_all
        }

    def _matrix_row(
        self,
        grid: Grid,
        by_column: dict[int, str],
        cells: list[str],
        line: int,
        given: _Given,
    ) -> list[Communication]:
        """Read a row whose columns are levels: a blank or a dash says that nobody is told."""
        levels = tuple(
            level for i, level in by_column.items() if i < len(cells) and not _BLANK.match(cells[i])
        )
        others = " ".join(c for i, c in enumerate(cells) if i not in by_column)
        named = Named(levels, " ".join(levels))
        if not levels:
            self._notes.mark(line, LineStatus.REFERENCE, "nobody is told of any level")
            return []
        media = grid.text(cells, grid.channels) or others
        found: list[Communication] = []
        for channel in channels_in(media):
            found.append(self._rule(channel, others, line, named, given, None))
        if not found:
            self._other_row(grid, cells, line)
        return found

    def _row(self, grid: Grid, cells: list[str], line: int, given: _Given) -> list[Communication]:
        rhythm = grid.text(cells, grid.rhythm)
        if grid.by_level and (grid.channels or grid.rhythm):
            return self._level_row(grid, cells, line, given)
        filters = " ".join(c for i, c in enumerate(cells) if i in grid.filters and c)
        others = [c for i, c in enumerate(cells) if i not in grid.filters and c]
        words = _addressed(" ".join((*others, filters)), grid.text(cells, grid.audience))
        lead = grid.text(cells, grid.channels)
        cadence_s = cadence_of(words) or (bare_cadence(rhythm) if grid.rhythm else None)
        return self._rules(words, line, lead, given, cadence_s=cadence_s, is_table=True)

    def _level_row(
        self, grid: Grid, cells: list[str], line: int, given: _Given
    ) -> list[Communication]:
        """Read a row about one level: which channels hear of it, who, and how often."""
        named = self._scheme.named_in(grid.text(cells, grid.filters))
        if named is None or not named.levels:
            return []
        rhythm = grid.text(cells, grid.rhythm)
        cadence_s = cadence_of(rhythm) or bare_cadence(rhythm)
        audience = grid.text(cells, grid.audience)
        found: list[Communication] = []
        for at in grid.channels:
            cell = cells[at] if at < len(cells) else ""
            for piece in _MEDIA_LIST.split(cell):
                channel = channel_of(piece)
                if channel is not None and not _BLANK.match(piece):
                    words = _addressed(piece, audience)
                    found.append(self._rule(channel, words, line, named, given, cadence_s))
        if not found and cadence_s is not None:
            found.append(self._rule("other", rhythm, line, named, given, cadence_s))
        return found

    def _rules(
        self,
        words: str,
        line: int,
        lead: str,
        given: _Given,
        *,
        cadence_s: int | None = None,
        is_table: bool = False,
    ) -> list[Communication]:
        if _NEVER.search(words):
            return []
        clauses = rhythms_in(words)
        if len(clauses) > 1 and all(map(self._scheme.named_in, clauses)):
            above = _Given(f"{given.label} {lead}".strip(), given.external)
            return [rule for clause in clauses for rule in self._rhythm(clause, line, above)]
        is_led = channel_of(lead) is not None or begins_with_channel(words)
        tells = _TELLS.search(words) is not None
        names_levels = self._scheme.named_in(words) is not None
        if not is_table and not is_led and _MAKES_CHANNEL.match(words.lstrip("*_ ")):
            return []
        if not is_table and not is_led and not tells:
            return (
                self._rhythm(words, line, given)
                if channel_of(given.label) or cadence_of(words)
                else []
            )
        several = channels_in(words) if names_levels and not is_led else ()
        channels = several or tuple(
            c for c in (channel_of(lead) or channel_of(words) or channel_of(given.label),) if c
        )
        if not channels and (cadence_s or cadence_of(words)):
            return self._rhythm(words, line, given, cadence_s)
        named = self._scheme.named_in(words) or self._scheme.named_in(given.label)
        return [self._rule(c, words, line, named, given, cadence_s) for c in channels]

    def _rhythm(
        self, words: str, line: int, given: _Given, cadence_s: int | None = None
    ) -> list[Communication]:
        """Read how often people are told, where the channel stands above or nowhere."""
        cadence_s = cadence_s or cadence_of(words)
        about_updates = _UPDATES.search(f"{given.label} {words}") or self._scheme.named_in(words)
        channel = channel_of(words) or channel_of(given.label) or "other"
        if is_review(words) or not about_updates or not (cadence_s or has_rhythm(words)):
            return []
        named = self._scheme.named_in(words) or self._scheme.named_in(given.label)
        return [self._rule(channel, words, line, named, given, cadence_s)]

    def _rule(
        self,
        channel: str,
        words: str,
        line: int,
        named: Named | None,
        given: _Given,
        cadence_s: int | None,
    ) -> Communication:
        unknown = "" if named else unknown_filter(words)
        if named is not None and not named.levels:
            unknown = ", ".join(named.undeclared)
        levels = named.levels if named else () if unknown else self._scheme.words
        target = target_of(words, channel) or target_of(given.label, channel)
        rule = Communication(
            channel=channel,
            target=target,
            severity=levels,
            source=self._notes.source(line),
            cadence_s=cadence_s or cadence_of(words) or self._cadence_above(given),
            external=is_public(channel, target, given.external),
            unknown_filter=unknown or None,
            approval=needs_approval(words) or needs_approval(given.label),
        )
        self._account(rule, words, line)
        return rule

    def _cadence_above(self, given: _Given) -> int | None:
        return cadence_of(given.label) if _UPDATES.search(given.label) else None

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
        notes.mark(line, *_status_of(rule))

    def _other(self, words: str, line: int, end: int, depth: int) -> None:
        """Account for an entry that is no rule: something to do, or a rule without a channel."""
        notes = self._notes
        if _NEVER.search(words):
            notes.mark(line, LineStatus.HUMAN, "advice on communication", end=end)
        elif depth == 0 and _TELLS_FIRST.match(words) and not _MAKES_CHANNEL.match(words):
            self._refuse(words, line, end)
        else:
            notes.mark(line, LineStatus.HUMAN, "communication task for a person", end=end)
            if words:
                self._tasks.append(ChecklistItem(words, notes.source(line)))

    def _other_row(self, grid: Grid, cells: list[str], line: int) -> None:
        words = " | ".join(c for c in cells if c)
        told = grid.text(cells, grid.channels) or grid.text(cells, grid.rhythm)
        if grid.by_level and _BLANK.match(told):
            self._notes.mark(line, LineStatus.REFERENCE, "nobody is told of this level")
        elif grid.channels or (grid.by_level and grid.rhythm):
            self._refuse(words, line, line)

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


def _addressed(words: str, audience: str) -> str:
    """Return the words with whom a column of audiences names, as a sentence would."""
    who = _IN_BRACKETS.sub("", audience).strip()
    if not who or _BLANK.match(who):
        return words
    return f"{words} {who}" if _TELLS_FIRST.match(who) else f"{words} notify {who}"


def _status_of(rule: Communication) -> tuple[LineStatus, str]:
    reminder = ""
    if rule.cadence_s is not None:
        every = say_duration(timedelta(seconds=rule.cadence_s))
        reminder = f"; the reminder every {every} is not sent yet"
    if rule.approval:
        reminder = f"; somebody must approve it first{reminder}"
    if rule.channel not in ("slack", "email"):
        return LineStatus.HUMAN, f"communication rule: a person publishes{reminder}"
    if rule.target is None:
        nobody = f"communication rule that names no address: a person tells them{reminder}"
        return LineStatus.HUMAN, nobody
    if rule.approval:
        return LineStatus.HUMAN, f"communication rule: a person sends it{reminder}"
    return LineStatus.AUTOMATED, f"communication rule{reminder}"


def is_public(channel: str, target: str | None, external: bool | None) -> bool:
    """Say whether outsiders read it: by what stands above, by who is named, or by the channel.

    ``external`` is None where nothing above says whether insiders or outsiders are meant.
    """
    if external or _EXTERNAL.search(target or ""):
        return True
    return external is None and channel in ("status_page", "x")


def _is_external(words: str, inherited: bool | None) -> bool | None:
    if _INTERNAL.search(words):
        return False
    return True if _EXTERNAL.search(words) else inherited
