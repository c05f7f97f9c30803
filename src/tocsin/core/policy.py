"""What a runbook compiles to: the Policy, its Plays, and the post-mortem template.

Every rule carries the ``Source`` it was read from. ``tocsin.runbook`` builds these; the core
obeys them; nobody else makes one up.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
import msgspec.structs

from tocsin.base.source import Source


class Clock(StrEnum):
    """What starts, and what stops, the time of an escalation rule."""

    IMMEDIATE = "immediate"
    UNRESOLVED = "unresolved"
    UNACKNOWLEDGED = "unacknowledged"
    EVENT = "event"


class Urgency(StrEnum):
    """A page asks for an acknowledgement; a notice only tells."""

    PAGE = "page"
    NOTICE = "notice"


class Condition(StrEnum):
    """An event, not a severity, that a rule waits for."""

    SECURITY_BREACH = "security_breach"
    DATA_LOSS = "data_loss"


class Criterion(msgspec.Struct, frozen=True):
    """One bullet under a severity level: a description of what deserves that level."""

    text: str
    source: Source


class Severity(msgspec.Struct, frozen=True):
    """One declared level. ``rank`` is 0 for the worst; ``level`` is the document's own word."""

    level: str
    name: str
    rank: int
    source: Source
    criteria: tuple[Criterion, ...] = ()


class EscalationRule(msgspec.Struct, frozen=True):
    """Who is reached, for which levels, how long after which clock started.

    ``severity`` lists levels, worst first; it is empty where ``condition`` decides alone, and where
    the runbook declares no levels, so that the rule holds for every incident. ``to`` holds
    roles in the document's own words, never empty: where the document names nobody new
    (``reaches_nobody_new``) it holds the first responder again.
    """

    severity: tuple[str, ...]
    clock: Clock
    after_s: int
    to: tuple[str, ...]
    source: Source
    urgency: Urgency = Urgency.PAGE
    condition: Condition | None = None
    reaches_nobody_new: bool = False


class Communication(msgspec.Struct, frozen=True):
    """One channel that is told, and when.

    ``channel`` is "slack", "email", "status_page", "x", "sms", "phone", "teams" or "other".
    ``target`` is what the document names ("#incidents", "team", "users") or None.
    ``severity`` lists the levels that count, all levels where the document does not filter;
    it is empty where the filter names an undeclared level, so that the rule never fires by guess.
    ``approval`` says that a person must agree before anything is sent.
    """

    channel: str
    target: str | None
    severity: tuple[str, ...]
    source: Source
    cadence_s: int | None = None
    external: bool = False
    unknown_filter: str | None = None
    approval: bool = False


class ChecklistItem(msgspec.Struct, frozen=True):
    """One thing the process asks for."""

    text: str
    source: Source


class Checklist(msgspec.Struct, frozen=True):
    """One stage of the process ("2. Triage") with its items in order."""

    title: str
    source: Source
    items: tuple[ChecklistItem, ...] = ()


class CommandClass(StrEnum):
    """What running a command may do. Unknown is mutating."""

    READ_ONLY = "read_only"
    MUTATING = "mutating"
    SENSITIVE_READ = "sensitive_read"
    LONG_RUNNING = "long_running"
    NEEDS_SHELL = "needs_shell"
    NOT_A_COMMAND = "not_a_command"


class HoleType(StrEnum):
    """What may be put into a hole: one DNS label or object name, digits, or one plain word."""

    NAME = "name"
    INTEGER = "integer"
    TEXT = "text"


class Placeholder(msgspec.Struct, frozen=True):
    """A value that somebody must fill in, as ``<pod>`` in ``kubectl logs <pod>``.

    ``at`` is the index of its word: in the argv, or where that is None in the words as written.
    """

    name: str
    text: str
    at: int
    type: HoleType = HoleType.TEXT


class Command(msgspec.Struct, frozen=True):
    """A command as written, and how it could run.

    ``argv`` is None when it cannot run without a shell. ``why`` says in words what made the class,
    which is that of the argv: a log that is followed is read only, where its argv is bounded.
    """

    text: str
    argv: tuple[str, ...] | None
    kind: CommandClass
    why: str
    source: Source
    program: str | None = None
    placeholders: tuple[Placeholder, ...] = ()


class StepKind(StrEnum):
    """Who does a step: Tocsin at once, Tocsin after approval, Tocsin as proof, or a person."""

    DIAGNOSTIC = "diagnostic"
    ACTION = "action"
    CHECK = "check"
    HUMAN = "human"


class Step(msgspec.Struct, frozen=True):
    """One step of a play. ``condition`` holds words such as "if needed" that a person judges.

    ``query`` proves the step, in the language of the metrics; ``approval`` is the role that must
    agree, or None for whoever leads; ``undo`` is the command that takes the step back.
    """

    text: str
    kind: StepKind
    source: Source
    commands: tuple[Command, ...] = ()
    condition: str | None = None
    query: str | None = None
    approval: str | None = None
    undo: str | None = None
    verification: bool = False


class Symptom(msgspec.Struct, frozen=True):
    """One observable thing that says a scenario is under way."""

    text: str
    source: Source


class Play(msgspec.Struct, frozen=True):
    """One scenario. ``severity`` is the level its heading or text names, if any.

    ``alert`` holds the names of the alerts that it explains, as written. ``anchor`` is that of its
    heading, as Markdown renderers make it, and "" for a play that is a whole document.
    """

    name: str
    source: Source
    symptoms: tuple[Symptom, ...] = ()
    steps: tuple[Step, ...] = ()
    severity: str | None = None
    alert: tuple[str, ...] = ()
    anchor: str = ""


class AlertRoute(msgspec.Struct, frozen=True):
    """An alert that a play explains. ``alert`` is in the form in which names are compared.

    ``because`` says in words what named it: "the name of its file", for instance.
    """

    alert: str
    play: str
    because: str
    source: Source


class PostmortemPrompt(msgspec.Struct, frozen=True):
    """One question the template asks."""

    text: str
    source: Source


class PostmortemSection(msgspec.Struct, frozen=True):
    """One heading of the template with its prompts."""

    title: str
    source: Source
    prompts: tuple[PostmortemPrompt, ...] = ()


class Postmortem(msgspec.Struct, frozen=True):
    """The post-mortem template and the action items the document always asks for."""

    sections: tuple[PostmortemSection, ...] = ()
    action_items: tuple[ChecklistItem, ...] = ()
    source: Source | None = None


class Policy(msgspec.Struct, frozen=True):
    """All that a runbook decides. ``severities`` is ordered worst first and may be empty.

    ``revision`` is the SHA-256 of the documents, in hexadecimal: the same words, the same policy.
    """

    revision: str
    title: str
    severities: tuple[Severity, ...] = ()
    escalations: tuple[EscalationRule, ...] = ()
    communications: tuple[Communication, ...] = ()
    checklists: tuple[Checklist, ...] = ()
    sources: tuple[ChecklistItem, ...] = ()
    plays: tuple[Play, ...] = ()
    postmortem: Postmortem | None = None
    alerts: tuple[AlertRoute, ...] = ()

    def severity(self, level: str) -> Severity | None:
        """Return the declared level of that name, whatever its case, or None."""
        wanted = level.casefold()
        return next((s for s in self.severities if s.level.casefold() == wanted), None)

    def shortened(self, divisor: float) -> Policy:
        """Return the same policy with every delay divided, at least a second long: for demos.

        Its revision differs, so that no incident takes one for the other.
        """
        if divisor == 1:
            return self
        replace = msgspec.structs.replace
        return replace(
            self,
            revision=f"{self.revision}/{divisor:g}",
            escalations=tuple(
                replace(rule, after_s=rule.after_s and max(1, round(rule.after_s / divisor)))
                for rule in self.escalations
            ),
        )

    def play(self, name: str | None) -> Play | None:
        """Return the play of that name, or None."""
        return next((p for p in self.plays if p.name == name), None)


class Level(StrEnum):
    """How bad a finding is. Only an error keeps a runbook from coming into force."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Finding(msgspec.Struct, frozen=True):
    """What ``check`` says about a runbook. ``column`` counts characters from 1.

    ``end_column`` is that of the first character behind the words that are meant; 0 if nobody
    said, and then they are one word.
    """

    code: str
    level: Level
    source: Source
    column: int
    message: str
    remedy: str
    end_column: int = 0


class LineStatus(StrEnum):
    """What becomes of a line."""

    AUTOMATED = "automated"
    HUMAN = "human"
    REFERENCE = "reference"
    TEMPLATE = "template"
    UNSUPPORTED = "unsupported"


class LedgerEntry(msgspec.Struct, frozen=True):
    """The account of one non-blank line: its status and the rule that says so."""

    file: str
    line: int
    status: LineStatus
    rule: str
