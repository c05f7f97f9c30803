"""SQL that writes, in commands and in code blocks of SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tocsin.base.source import Source
from tocsin.core.policy import Command, CommandClass, Policy
from tocsin.runbook.lint.pen import Pen

_CODE = "T175"
_TEXT_MAX = 20_000
_FENCE = re.compile(r"^\s*(?:>\s*)*(?P<marks>`{3,}|~{3,})\s*(?P<language>[\w+-]*)")
_SQL = frozenset(("sql", "psql", "postgresql", "postgres", "pgsql", "mysql", "sqlite", "tsql"))
_LINE_COMMENT = re.compile(r"--[^\n]*")
_STRING = re.compile(r"'(?:[^']|'')*'")
_VERB = r"""insert\s+into|update\s+[\w."$<{]+\s+(?:as\s+\w+\s+)?set|delete\s+from|merge\s+into|replace\s+into|truncate
    |drop\s+\w+|alter\s+(?!session)\w+|create\s+(?:or\s+replace\s+)?(?:unique\s+|temp\w*\s+)?\w+|grant\s+\w+|revoke\s+\w+
    |vacuum|reindex|analyze|refresh\s+materialized|copy\s+[\w."]+|call\s+\w+|cluster\s+\w+|lock\s+table|kill\s+\d"""
_STATEMENT = re.compile(rf"(?:^|;|\(|\bas\b)\s*(?P<verb>{_VERB})", re.IGNORECASE | re.VERBOSE)
_ENDS_PEERS = re.compile(
    r"\b(?P<verb>pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_switch_wal|setval|nextval"
    r"|pg_promote|pg_drop_replication_slot|lo_unlink|dblink_exec)\s*\(",
    re.IGNORECASE,
)
_CLIENTS = frozenset(("psql", "mysql", "mariadb", "sqlite3", "cockroach", "clickhouse-client"))
_HARMLESS = frozenset(("analyze",))


def check_statements(policy: Policy, pen: Pen) -> None:
    """Report each command and each block of SQL whose statements write, at the first verb that does."""
    told: set[tuple[str, int]] = set()
    for command in _commands(policy):
        for text, line in ((argument, command.source) for argument in _sql_of(command)):
            verb = writing_verb(text)
            if verb:
                source = _at(line, command.text, verb, pen)
                told.add((source.file, source.line))
                _report(source, verb, pen)
    for file in pen.texts.files:
        for number, text, verb in _blocks(pen.texts.lines(file)):
            if (file, number) not in told:
                _report(Source(file, number, text.strip()), verb, pen)


def writing_verb(sql: str) -> str:
    """Return the words that make SQL more than reading, "" if no statement here begins with any."""
    bare = _STRING.sub("''", _LINE_COMMENT.sub("", sql[:_TEXT_MAX]))
    found = _STATEMENT.search(bare) or _ENDS_PEERS.search(bare)
    if found is None or found["verb"].casefold() in _HARMLESS:
        return ""
    return " ".join(found["verb"].split())


def _report(source: Source, verb: str, pen: Pen) -> None:
    is_call = verb.split()[0].islower() and "_" in verb
    what = "the running server" if is_call else "the database"
    named = verb if is_call else verb.split()[0].upper()
    pen.find(
        _CODE,
        source,
        verb,
        f"`{named}` changes {what}, so this SQL is never run unasked.",
        "Say before it what to look at first, and how to take it back.",
    )


def _commands(policy: Policy) -> Iterator[Command]:
    for play in policy.plays:
        for step in play.steps:
            yield from step.commands


def _sql_of(command: Command) -> Iterator[str]:
    """Yield the arguments of a database client that may hold SQL; nothing for other programs."""
    if command.kind not in (CommandClass.MUTATING, CommandClass.NEEDS_SHELL):
        return
    if not any(re.search(rf"\b{client}\b", command.text) for client in _CLIENTS):
        return
    if command.argv is None:
        yield from re.findall(r"[\"']([^\"']{6,})[\"']", command.text)
        return
    yield from (argument for argument in command.argv[1:] if " " in argument)


def _at(source: Source, text: str, verb: str, pen: Pen) -> Source:
    """Return the line of a command of several lines on which the verb stands."""
    first = verb.split()[0].casefold()
    lines = pen.texts.lines(source.file)
    for number in range(source.line, min(len(lines), source.line + text.count("\n")) + 1):
        if first in lines[number - 1].casefold():
            return Source(source.file, number, lines[number - 1].strip())
    return source


def _blocks(lines: list[str]) -> Iterator[tuple[int, str, str]]:
    """Yield the first writing line of each code block of SQL, with its verb."""
    marks, is_sql, is_told = "", False, False
    for number, line in enumerate(lines, start=1):
        fence = _FENCE.match(line) if "`" in line or "~" in line else None
        if fence is not None and not marks:
            marks = fence["marks"]
            is_sql, is_told = fence["language"].casefold() in _SQL, False
        elif fence is not None and fence["marks"].startswith(marks) and not fence["language"]:
            marks = ""
        elif marks and is_sql and not is_told:
            verb = writing_verb(line)
            if verb:
                is_told = True
                yield number, line, verb
