"""Commands of a runbook: read from code blocks and back-ticks, judged, and their traps reported."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from tocsin.core.policy import Command, CommandClass, Placeholder
from tocsin.runbook.classify import FILTERS, TAIL_LINES, Trait, Verdict, classify, is_known_program
from tocsin.runbook.document import Code, Fence
from tocsin.runbook.notes import Notes
from tocsin.runbook.placeholders import placeholders_of
from tocsin.runbook.plaintext import is_no_command
from tocsin.runbook.shell import Comment, Output, Row, Statement, Word, read_shell
from tocsin.runbook.sql import Dialect, only_reads

_SHELL_LANGUAGES = frozenset(("bash", "sh", "shell", "console", "zsh", "shell-session", "terminal"))
# Control characters, marks without width, and those that turn the order of what is shown.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\x85\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_SQL_READS = frozenset(("SELECT", "WITH", "SHOW", "EXPLAIN", "FROM", "WHERE"))
_SQL_VERBS = _SQL_READS | frozenset(
    (
        "INSERT",
        "UPDATE",
        "DELETE",
        "DROP",
        "ALTER",
        "CREATE",
        "TRUNCATE",
        "GRANT",
        "REVOKE",
        "VACUUM",
        "REINDEX",
        "ANALYZE",
        "CALL",
        "COPY",
        "MERGE",
        "REFRESH",
    )
)
_FIRST_WORDS_TO_TRUST = 0.5
_BOUNDS = (f"--tail={TAIL_LINES}", f"--lines={TAIL_LINES}", "--no-stream")


class Judged(msgspec.Struct, frozen=True):
    """A command with what the findings need: its words and its verdict.

    ``as_written`` is the class of the text, which may never end where the bounded argv does.
    """

    command: Command
    statement: Statement
    verdict: Verdict
    as_written: CommandClass


class Block(msgspec.Struct, frozen=True):
    """Commands under one comment of a code block. ``comments`` is empty before the first one."""

    comments: tuple[str, ...]
    line: int
    end: int
    judged: tuple[Judged, ...]


def read_fence(fence: Fence, notes: Notes) -> tuple[Block, ...] | None:
    """Return a block's commands, grouped by the comments above them; None if it holds none.

    A block without a language counts as commands when most of its lines begin with a program.
    """
    rows = _rows(fence, notes)
    if fence.language not in _SHELL_LANGUAGES and fence.language:
        return None
    pieces = read_shell(rows)
    statements = [piece for piece in pieces if isinstance(piece, Statement)]
    if not fence.language:
        trusted = sum(_begins_with_program(s) for s in statements)
        prompted = any(isinstance(piece, Output) for piece in pieces)
        if not statements or (trusted <= len(statements) * _FIRST_WORDS_TO_TRUST and not prompted):
            return None
    blocks: list[Block] = []
    comments, line, judged = tuple[str, ...](), fence.body_line, list[Judged]()
    end = line

    def close() -> None:
        if comments or judged:
            blocks.append(Block(comments, line, end, tuple(judged)))

    for piece in pieces:
        if isinstance(piece, Comment):
            close()
            comments, line, end, judged = piece.texts, piece.line, piece.end, []
        elif isinstance(piece, Statement):
            if not comments and not judged:
                line = piece.line
            end = piece.end
            judged.append(judge(piece, notes))
    close()
    return tuple(blocks)


def read_code(code: Code, notes: Notes) -> Judged | None:
    """Return the command that a back-ticked span is, or None for a name, a value, a path."""
    first = code.text.strip().split(" ")[0]
    if not is_known_program(first) or not _has_arguments(code.text):
        return None
    pieces = read_shell((Row(code.text, code.line, code.column - 1),))
    statements = [piece for piece in pieces if isinstance(piece, Statement)]
    if len(statements) != 1:
        return None
    return judge(statements[0], notes)


def judge(statement: Statement, notes: Notes) -> Judged:
    """Classify a statement. What needs a shell has no argv."""
    words = [word.text for word in statement.words]
    verdict = classify(words)
    known = bool(words) and is_known_program(words[0])
    source = notes.source(statement.line)
    kind, why, argv = verdict.kind, verdict.why, verdict.argv
    if not known and words and words[0] in _SQL_VERBS:
        kind, why, argv = _bare_sql(statement)
    elif (statement.broken and not known) or is_no_command(words, known=known):
        kind, why, argv = CommandClass.NOT_A_COMMAND, "it does not read as a command", None
    elif _UNSEEN.search(statement.text):
        kind, why, argv = CommandClass.MUTATING, "it holds signs that nobody can see", None
    elif statement.trouble:
        kind, why, argv = _troubled(statement.trouble, verdict)
    elif statement.filters:
        kind, why, argv = _filtered(statement, verdict)
    holes: tuple[Placeholder, ...] = ()
    if kind is not CommandClass.NOT_A_COMMAND:
        holes = placeholders_of(statement, verdict, argv)
    if holes and argv is not None:
        named = ", ".join(dict.fromkeys(hole.text for hole in holes))
        why = f"{why}; it needs a value for {named}"
    program = words[0] if words else None
    bounded = kind is CommandClass.LONG_RUNNING and argv is not None
    would_do = CommandClass.READ_ONLY if bounded else kind
    command = Command(statement.text, argv, would_do, why, source, program, holes)
    return Judged(command, statement, verdict, kind)


def _troubled(trouble: str, verdict: Verdict) -> tuple[CommandClass, str, None]:
    """Judge what only a shell could run. A pattern in its words makes no command milder."""
    grave = (CommandClass.MUTATING, CommandClass.SENSITIVE_READ)
    if trouble.startswith("the shell would expand") and verdict.kind in grave:
        return verdict.kind, f"{verdict.why}; {trouble}", None
    return CommandClass.NEEDS_SHELL, trouble, None


def _bare_sql(statement: Statement) -> tuple[CommandClass, str, tuple[str, ...] | None]:
    """Judge SQL that stands where commands do. No shell runs it, but a person might, elsewhere."""
    if only_reads(statement.text, Dialect.POSTGRES)[0]:
        return CommandClass.NOT_A_COMMAND, "it is SQL, for a client of the database", None
    if statement.words[0].text in _SQL_READS:
        return CommandClass.NOT_A_COMMAND, "it is SQL, or part of it", None
    return CommandClass.MUTATING, "it is SQL that may change something", None


def report(judged: Sequence[Judged], notes: Notes) -> None:
    """Report the traps in the commands of one scenario, which are each other's neighbours."""
    for one in judged:
        for trait, at in one.verdict.traits:
            word = one.statement.words[at]
            _report_trait(trait, word, one, notes)
        _report_shape(one, notes)
    _report_terminals(judged, notes)
    _report_namespaces(judged, notes)


def _rows(fence: Fence, notes: Notes) -> tuple[Row, ...]:
    rows: list[Row] = []
    lines = notes.document.lines
    content = fence.content.split("\n")
    if content and not content[-1]:
        content.pop()
    for offset, text in enumerate(content):
        number = fence.body_line + offset
        whole = lines[number - 1] if number <= len(lines) else text
        rows.append(Row(text, number, max(0, len(whole) - len(text))))
    return tuple(rows)


def _begins_with_program(statement: Statement) -> bool:
    return bool(statement.words) and is_known_program(statement.words[0].text)


def _has_arguments(text: str) -> bool:
    return len(text.split()) > 1


def _filtered(
    statement: Statement, verdict: Verdict
) -> tuple[CommandClass, str, tuple[str, ...] | None]:
    found = [(words, classify([word.text for word in words])) for words in statement.filters]
    names = [words[0].text if words else "another command" for words, _ in found]
    strange = next(
        (
            name
            for name, (_, judged) in zip(names, found, strict=True)
            if name not in FILTERS or judged.kind is not CommandClass.READ_ONLY
        ),
        None,
    )
    if strange is None:
        why = f"{verdict.why}; {', '.join(names)} only filters what it prints"
        return verdict.kind, why, verdict.argv
    # Only a shell could join them; what the worst of them does counts all the same.
    for kind in (CommandClass.MUTATING, CommandClass.SENSITIVE_READ):
        worst = next(
            (judged for judged in (verdict, *(j for _, j in found)) if judged.kind is kind), None
        )
        if worst is not None:
            return kind, f"{worst.why}; it pipes into {strange}", None
    return CommandClass.NEEDS_SHELL, f"it pipes into {strange}", None


def _report_trait(trait: Trait, word: Word, one: Judged, notes: Notes) -> None:
    line, column = word.line, word.column
    ran = one.command.argv is not None
    if trait is Trait.NEVER_ENDS:
        instead = next((w for w in one.command.argv or () if w in _BOUNDS), "")
        bounded = " A person must run it."
        if ran:
            how = f"with {instead}" if instead else "once"
            bounded = f" Tocsin would run it {how} instead."
        notes.find(
            "T107",
            line,
            column,
            f"`{word.text}` never ends.{bounded}",
            "Leave it out, or say how many lines are wanted.",
        )
    elif trait is Trait.LOCALHOST:
        notes.find(
            "T113",
            line,
            column,
            "localhost: of which machine? Tocsin runs elsewhere than the person who wrote this.",
            "Write the address of the service, or run the command inside its pod.",
        )
    elif trait is Trait.REPLICAS:
        notes.find(
            "T114",
            line,
            column,
            f"`{word.text}` is a fixed number: it scales down where more are running already.",
            "Look at the present number first, and say so in the step.",
        )
    elif trait is Trait.SECRET:
        notes.find(
            "T116",
            line,
            column,
            f"This may show secrets ({one.command.why}), so it is never run unasked.",
            "Ask for the names only, or leave it to a person.",
        )
    elif trait is Trait.OWN_CLUSTER:
        notes.find(
            "T116",
            line,
            column,
            f"{one.command.why[0].upper()}{one.command.why[1:]}; Tocsin will not run it.",
            "Leave the flag out: the settings decide which cluster is meant.",
        )
    elif trait is Trait.UNKNOWN and one.command.argv is not None:
        notes.find(
            "T117",
            line,
            column,
            f"`{word.text}` is not a program Tocsin knows, so it counts as mutating.",
            "Nothing to do: a person is asked before it runs.",
        )


def _report_shape(one: Judged, notes: Notes) -> None:
    statement = one.statement
    joined = bool(statement.filters or statement.trouble) and one.command.argv is None
    is_command = one.command.kind is not CommandClass.NOT_A_COMMAND
    if one.command.kind is CommandClass.NEEDS_SHELL or (joined and is_command):
        notes.find(
            "T108",
            statement.line,
            statement.column,
            f"No plain command: {one.command.why}. It is shown to a person as it stands.",
            "Write it as one command; pipes into grep, head, tail, sort, uniq, wc, cut, jq are fine.",
        )
    if statement.end > statement.line and one.command.argv is not None:
        long = next((w for w in statement.words if "\n" in w.text), None)
        if long is not None:
            what = "SQL" if "psql" in (w.text for w in statement.words) else "quoted text"
            notes.find(
                "T111",
                long.line,
                long.column,
                f"The {what} spans lines {long.line}-{statement.end}; it is read as one command.",
                "Nothing to do; on one line it is easier to copy.",
            )
    holes = [hole for hole in one.command.placeholders if not _is_stand_in(hole, one)]
    in_statement = one.command.argv is None and not joined and is_command
    if holes and (one.command.argv is not None or in_statement):
        word = next((w for w in statement.words if holes[0].text in w.text), statement.words[0])
        named = ", ".join(dict.fromkeys(hole.text for hole in holes))
        message = f"{named} must be filled in before this can run."
        remedy = "Nothing to do if an alert's labels name it; a person fills in the rest."
        if in_statement:
            message = (
                f"{named} must be filled in by a person, who runs this: it may become anything."
            )
            remedy = "Ask for all rows instead, and pipe them into grep."
        notes.find("T119", word.line, word.column, message, remedy)


def _is_stand_in(hole: Placeholder, one: Judged) -> bool:
    """Say whether a placeholder is a name that only looks real, which has a finding of its own."""
    return any(
        trait is Trait.STAND_IN and one.statement.words[at].text == hole.text
        for trait, at in one.verdict.traits
    )


def _report_terminals(judged: Sequence[Judged], notes: Notes) -> None:
    for one in judged:
        by_trait = {trait: one.statement.words[at] for trait, at in reversed(one.verdict.traits)}
        terminal, stand_in = by_trait.get(Trait.TERMINAL), by_trait.get(Trait.STAND_IN)
        if terminal is not None:
            remedy = "Leave it out; Tocsin does."
            if one.command.argv is None:
                remedy = "Name the command to run, or leave this to a person."
            notes.find(
                "T109",
                terminal.line,
                terminal.column,
                f"`{terminal.text}` needs a terminal, and Tocsin has none.",
                remedy,
            )
        if stand_in is not None:
            notes.find(
                "T109",
                stand_in.line,
                stand_in.column,
                f"`{stand_in.text}` looks like a stand-in for a real name.",
                "Write the workload (\u201cdeployment/\u2026\u201d), or a placeholder such as <pod>.",
            )


def _report_namespaces(judged: Sequence[Judged], notes: Notes) -> None:
    named: list[str] = []
    for one in judged:
        for trait, at in one.verdict.traits:
            if trait is Trait.NAMESPACE:
                words = one.statement.words
                following = words[at + 1].text if at + 1 < len(words) else ""
                flag = words[at].text
                named.append(f"{flag} {following}" if flag in ("-n", "--namespace") else flag)
    if not named:
        return
    usual = max(dict.fromkeys(named), key=named.count)
    for one in judged:
        if any(trait is Trait.NO_NAMESPACE for trait, _ in one.verdict.traits):
            at = next(i for t, i in one.verdict.traits if t is Trait.NO_NAMESPACE)
            word = one.statement.words[at]
            notes.find(
                "T110",
                word.line,
                word.column,
                f"This names no namespace; its neighbours say `{usual}`.",
                f"Add `{usual}`.",
            )
