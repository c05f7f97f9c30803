"""Steps that change something although nothing takes them back and nothing proves them."""

from __future__ import annotations

import re

from tocsin.core.policy import Command, CommandClass, Level, Play, Policy, Step, StepKind
from tocsin.runbook.lint.pen import Pen, lines_said

_CODE = "T171"
# A line without end is looked at as far as anybody would read it.
_TEXT_MAX = 2000
_PROVES = re.compile(
    r"\b(?:verif\w+|confirm\w*|validat\w+|monitor(?:ing)?|observ\w+|re-?check\w*|re-?test\w*|smoke[- ]test\w*"
    r"|health[- ]?checks?|watch(?:ing)?|make sure|ensure|wait (?:for|until)"
    r"|(?:check|see|test|look|look at)\b.*\b(?:if|that|whether|health\w*|recover\w*|status|running|ready|again|metric\w*"
    r"|dashboard\w*|error\w*|logs?|back|drop\w*|fall\w*|normal\w*|works?|succeed\w*)"
    r"|(?:should|must|will) (?:be|show|return|now|have|drop|fall|recover|become|stabili\w+)"
    r"|until\b|is (?:resolved|healthy|back))",
    re.IGNORECASE,
)
_TAKES_BACK = re.compile(
    r"\b(?:roll(?:ing|ed)?[- ]?back|rollback|revert\w*|undo\w*|restor\w+|uncordon|resume\w*|unpause\w*)\b",
    re.IGNORECASE,
)
# What is known to change something. Unknown programs and interpreters count as mutating as well, but
# nobody knows that they do change anything.
_CHANGES = re.compile(
    r"(?:^|[\s/\"'])(?:restart|reload|reboot|stop|start|kill|pkill|killall|shutdown|halt|scale|autoscale|apply|create"
    r"|delete|patch|replace|edit|set|unset|annotate|label|taint|drain|cordon|evict|undo|rollback|promote|failover"
    r"|switchover|reset|flush\w*|purge|prune|truncate|remove|rm|rmi|mv|cp|chmod|chown|tee|install|uninstall|upgrade"
    r"|downgrade|migrate|push|deploy|publish|merge|revert|rotate|revoke|grant|enable|disable|mask|unmask|import"
    r"|restore|resize|attach|detach|terminate\S*|update\S*|modify\S*|put\S*|run-instances|del|expire|incr|config set"
    r"|vacuum|insert|alter|drop|reindex)(?=$|[\s;\"'])"
    r"|(?:-X|--request)[\s=]*['\"]?(?:POST|PUT|PATCH|DELETE)\b|\s(?:-d|--data\S*)[\s=]"
    r"|\bpg_(?:terminate|cancel)_backend\b|\biptables\s+-[AID]\b",
    re.IGNORECASE,
)
# What these take away does not come back by running something again.
_DESTROYS = re.compile(
    r"(?:^|[\s;&|])(?:delete|destroy|terminate(?:-instances)?|purge|prune|flushall|flushdb|rm|rmi|wipefs"
    r"|mkfs\S*|uninstall)(?=$|[\s;])"
    r"|\b(?:drop\s+(?:database|table|schema|user|role|index|view|column)|truncate\s+(?:table\s+)?\w|delete\s+from)\b"
    r"|(?:-X|--request)[\s=]*['\"]?DELETE\b",
    re.IGNORECASE,
)
_INTERPRETERS = frozenset(("python", "python3", "node", "ruby", "perl", "php", "bash", "sh"))
_GROWS_BACK = re.compile(r"\bdelete\s+(?:pods?|po|jobs?)\b|\brm\b.*/(?:var/)?tmp\b", re.IGNORECASE)


def check_steps(policy: Policy, pen: Pen) -> None:
    """Report changing steps of a play without an undo, and without a look at the effect after them.

    A later step that proves counts for all before it. Each command that destroys is a warning of its
    own; the others of a play are one finding, at the last of them.
    """
    for play in policy.plays:
        _check_play(play, pen)


def _check_play(play: Play, pen: Pen) -> None:
    plain: list[Command] = []
    for step in reversed(play.steps):
        if _proves(step):
            break
        if step.undo or _TAKES_BACK.search(step.text[:_TEXT_MAX]):
            continue
        for command in _changing(step):
            if _destroys(command):
                _report(command, " takes something away for good", pen, level=Level.WARNING)
            else:
                plain.append(command)
    if plain:
        last = max(plain, key=lambda command: command.source.line)
        others = sorted({c.source.line for c in plain} - {last.source.line})
        like = f", like {lines_said(others)}," if others else ""
        _report(last, f"{like} changes something", pen)


def _destroys(command: Command) -> bool:
    text = command.text[:_TEXT_MAX]
    return _DESTROYS.search(text) is not None and _GROWS_BACK.search(text) is None


def _report(command: Command, what: str, pen: Pen, *, level: Level | None = None) -> None:
    pen.find(
        _CODE,
        command.source,
        command.text.split("\n")[0].strip(),
        f"This{what}; no step after it looks whether it helped, and nothing says how to take it"
        " back.",
        "Add a step such as \u201cVerify that the errors stop\u201d, or say `undo:` in a `tocsin` block"
        " under the step.",
        level=level,
    )


def _changing(step: Step) -> list[Command]:
    """Return the commands that are known to change something."""
    return [
        command
        for command in step.commands
        if command.kind is CommandClass.MUTATING
        and command.argv is not None
        and command.program not in _INTERPRETERS
        and _CHANGES.search(command.text[:_TEXT_MAX])
    ]


def _proves(step: Step) -> bool:
    if step.verification or step.query or step.kind in (StepKind.CHECK, StepKind.DIAGNOSTIC):
        return True
    last = step.commands[-1].kind if step.commands else None
    if last is CommandClass.READ_ONLY or last is CommandClass.LONG_RUNNING:
        return True
    return _PROVES.search(step.text[:_TEXT_MAX]) is not None
