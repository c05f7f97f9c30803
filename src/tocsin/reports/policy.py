"""What a runbook decides, at the side of its document: levels, who is paged when, who hears, plays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from tocsin.base.durations import say_duration
from tocsin.base.source import Source
from tocsin.core.policy import Clock, EscalationRule, Play, Policy, StepKind, Urgency
from tocsin.reports.paper import mark, text
from tocsin.runbook.phrases import listed

Cite = Callable[[Source], str]

_WIDTH, _LEFT, _RIGHT, _LANE, _TOP = 340, 46, 12, 34, 26
_TICK_GAP = 44
_CHANNELS = {
    "slack": "Slack", "email": "E-mail", "status_page": "Status page", "x": "X", "sms": "SMS",
    "phone": "Telephone", "teams": "Teams", "other": "Other",
}  # fmt: skip
_CLOCKS = {
    Clock.UNRESOLVED: "unless resolved",
    Clock.UNACKNOWLEDGED: "unless acknowledged",
}


def policy_side(policy: Policy, cite: Cite) -> str:
    """Return the compiled policy as markup. ``cite`` makes the link to a line of the document."""
    return "".join(
        (
            '<aside class="side" id="policy" aria-label="Compiled policy">',
            _levels(policy, cite),
            _ladder(policy, cite),
            _told(policy, cite),
            _plays(policy, cite),
            "</aside>",
        )
    )


def _levels(policy: Policy, cite: Cite) -> str:
    if not policy.severities:
        return _part("Severity levels", _nothing("The document declares no severity levels."))
    rows = []
    for severity in policy.severities:
        count = len(severity.criteria)
        said = f"{count} criteria" if count != 1 else "1 criterion"
        rows.append(
            f"<li>{mark(severity.level, severity.rank)}<div><p><strong>"
            f"{text(severity.name or severity.level)}</strong> {cite(severity.source)}</p>"
            f'<p class="quiet">{said if count else "no criteria: a label or a person decides"}</p>'
            "</div></li>"
        )
    return _part("Severity levels", f'<ul class="levels">{"".join(rows)}</ul>')


# -- Who is paged ----------------------------------------------------------------------------------


def _ladder(policy: Policy, cite: Cite) -> str:
    title = "Who is paged, and when"
    if not policy.escalations:
        return _part(title, _nothing("The document says nobody to page; the on-call engineer is."))
    body = [_chart(policy)] if policy.severities else []
    rungs = [(s.level, s.rank, _rules_of(policy, s.level)) for s in policy.severities]
    if not policy.severities:
        rungs = [("", None, [r for r in policy.escalations if r.condition is None])]  # type: ignore[list-item]
    for level, rank, rules in rungs:
        steps = "".join(_rung(rule, cite) for rule in rules)
        steps = steps or '<li class="none">Nobody is paged.</li>'
        head = f"<h4>{mark(level, rank)}</h4>" if level else ""
        body.append(f'<div class="climb">{head}<ol class="rungs">{steps}</ol></div>')
    events = [rule for rule in policy.escalations if rule.condition is not None]
    if events:
        rows = "".join(
            f"<li><p>{text(_capital(listed(rule.to)))} if a"
            f" {text(str(rule.condition).replace('_', ' '))} is declared {cite(rule.source)}</p></li>"
            for rule in events
        )
        body.append(f'<ul class="events">{rows}</ul>')
    return _part(title, "".join(body))


def _rules_of(policy: Policy, level: str) -> list[EscalationRule]:
    rules = [r for r in policy.escalations if r.condition is None and level in r.severity]
    return sorted(rules, key=lambda rule: rule.after_s)


def _rung(rule: EscalationRule, cite: Cite) -> str:
    css = (
        "notice" if rule.urgency is Urgency.NOTICE else "nobody" if rule.reaches_nobody_new else ""
    )
    when = say_duration(timedelta(seconds=rule.after_s)) if rule.after_s else "at once"
    who = _capital(listed(rule.to))
    if rule.urgency is Urgency.NOTICE:
        who += ", told only"
    if rule.reaches_nobody_new:
        who += " again: nobody new"
    clock = _CLOCKS.get(rule.clock, "") if rule.after_s else ""
    clock = f' <span class="quiet">{clock}</span>' if clock else ""
    return (
        f'<li class="{css}"><p><strong>{text(when)}</strong>{clock}</p>'
        f"<p>{text(who)} {cite(rule.source)}</p></li>"
    )


def _chart(policy: Policy) -> str:
    """Draw a lane for each level: a dot wherever somebody is paged, time stretched at its beginning."""
    lanes = [(s, _rules_of(policy, s.level)) for s in policy.severities]
    last_s = max((rule.after_s for _, rules in lanes for rule in rules), default=0)
    if not last_s:
        return ""
    height = _TOP + _LANE * len(lanes) + 4
    parts = [_ticks(lanes, last_s, height)]
    said = []
    for number, (severity, rules) in enumerate(lanes):
        y = _TOP + _LANE * number + _LANE / 2
        parts.append(
            f'<line class="edge" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text class="name" x="0" y="{y + 4}">{text(_cut(severity.level, 6))}</text>'
        )
        taken: dict[int, int] = {}
        for rule in rules:
            offset = taken.get(rule.after_s, 0)
            taken[rule.after_s] = offset + 1
            x = _x(rule.after_s, last_s) + 9 * offset
            when = say_duration(timedelta(seconds=rule.after_s)) if rule.after_s else "at once"
            title = f"{severity.level}, {when}: {listed(rule.to)}"
            said.append(title)
            parts.append(_dot(rule, x, y, title))
    label = f"Who is paged, by level and time. {'; '.join(said)}."
    return (
        f'<svg class="ladder" viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{text(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _dot(rule: EscalationRule, x: float, y: float, title: str) -> str:
    inner = f"<title>{text(title)}</title>"
    if rule.reaches_nobody_new:
        return (
            f'<g transform="translate({x:.1f} {y:g})"><circle class="blank" r="7"/>'
            f'<path class="bad" d="M-4 -4L4 4M4 -4L-4 4"/>{inner}</g>'
        )
    css = "open" if rule.urgency is Urgency.NOTICE else "full"
    return f'<circle class="{css}" cx="{x:.1f}" cy="{y:g}" r="5.5">{inner}</circle>'


def _x(after_s: float, last_s: float) -> float:
    room = _WIDTH - _LEFT - _RIGHT - 16
    return _LEFT + 8 + room * math.log1p(after_s / 120) / math.log1p(last_s / 120)


def _ticks(
    lanes: Sequence[tuple[object, Sequence[EscalationRule]]], last_s: float, height: float
) -> str:
    times = sorted({rule.after_s for _, rules in lanes for rule in rules} | {0})
    parts = []
    taken = -math.inf
    for after_s in times:
        x = _x(after_s, last_s)
        if x - taken < _TICK_GAP:
            continue
        taken = x
        words = say_duration(timedelta(seconds=after_s)) if after_s else "0"
        anchor = "end" if after_s == last_s else "middle"
        at = x + 8 if after_s == last_s else x
        parts.append(
            f'<line class="hair" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height - 4:g}"/>'
            f'<text class="meta" x="{at:.1f}" y="{_TOP - 12}" text-anchor="{anchor}">{text(words)}</text>'
        )
    return "".join(parts)


# -- Who hears, and what is done -------------------------------------------------------------------


def _told(policy: Policy, cite: Cite) -> str:
    title = "Who hears of it"
    if not policy.communications:
        return _part(title, _nothing("The document names no channel."))
    every = {severity.level for severity in policy.severities}
    rows = []
    for rule in policy.communications:
        name = _CHANNELS.get(rule.channel, rule.channel.capitalize())
        if rule.target:
            name += f"{' to ' if rule.channel == 'email' else ' '}{rule.target}"
        bad = ""
        if rule.unknown_filter:
            when, bad = f"never: \u201c{rule.unknown_filter}\u201d is no level", ' class="bad"'
        elif not rule.severity or set(rule.severity) >= every:
            when = "all levels"
        else:
            when = ", ".join(rule.severity)
        if rule.cadence_s:
            when += f", every {say_duration(timedelta(seconds=rule.cadence_s))}"
        if rule.external:
            when += ", public"
        if rule.approval:
            when += ", after approval"
        rows.append(
            f"<li><span>{text(name)}</span><span{bad}>{text(when)} {cite(rule.source)}</span></li>"
        )
    return _part(title, f'<ul class="told">{"".join(rows)}</ul>')


def _plays(policy: Policy, cite: Cite) -> str:
    if not policy.plays:
        return _part("Plays", _nothing("The document describes no scenario."))
    rows = []
    for play in policy.plays:
        level = ""
        if play.severity is not None:
            declared = policy.severity(play.severity)
            level = mark(play.severity, declared.rank if declared else None)
        rows.append(
            f"<li>{level}<div><p><strong>{text(play.name)}</strong> {cite(play.source)}</p>"
            f'<p class="quiet">{text(_say_play(play))}</p></div></li>'
        )
    return _part(f"Plays ({len(policy.plays)})", f'<ul class="plays">{"".join(rows)}</ul>')


def _say_play(play: Play) -> str:
    kinds = Counter(step.kind for step in play.steps)
    words = {
        StepKind.DIAGNOSTIC: "only read",
        StepKind.ACTION: "change something",
        StepKind.CHECK: "check",
        StepKind.HUMAN: "for a person",
    }
    steps = f"{len(play.steps)} step{'' if len(play.steps) == 1 else 's'}"
    parts = [f"{kinds[kind]} {word}" for kind, word in words.items() if kinds[kind]]
    said = f"{steps}: {', '.join(parts)}." if parts else "No steps."
    if play.symptoms:
        said += f" {len(play.symptoms)} symptom{'' if len(play.symptoms) == 1 else 's'}."
    if play.alert:
        said += (
            f" Explains {', '.join(play.alert[:4])}{' and more' if len(play.alert) > 4 else ''}."
        )
    return said


def _part(title: str, body: str) -> str:
    return f"<section><h3>{title}</h3>{body}</section>"


def _nothing(said: str) -> str:
    return f'<p class="quiet">{text(said)}</p>'


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "\u2026"
