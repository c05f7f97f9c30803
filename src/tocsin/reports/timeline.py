"""What would happen, drawn: a lane for each person and channel over time, and every line that says so."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from tocsin.core.events import Because
from tocsin.reports.course import (
    NOBODY,
    NOTICE,
    PAGE,
    PERSON,
    STATE,
    TOLD,
    Moment,
    gathered,
    sentence,
    since,
    span,
)
from tocsin.reports.paper import mark, page, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

_WIDTH = 1080
_LABELS = 210
_RIGHT = 24
_LANE = 38
_TOP = 46
_TICKS_S = (
    0,
    60,
    300,
    900,
    1800,
    3600,
    14_400,
    43_200,
    86_400,
    259_200,
    604_800,
    1_209_600,
    2_592_000,
)
_TICK_GAP = 64
_REPEATS_DRAWN_MAX = 400

_STYLE = """\
.chart{margin-top:8px}.chart .scroll svg{min-width:720px;width:100%;height:auto}
.chart .page{fill:var(--ink)}.chart .notice{fill:var(--bg);stroke:var(--ink);stroke-width:2}
.chart .told{fill:var(--ink3)}.chart .again{stroke:var(--ink);stroke-width:2}
.chart .left{fill:var(--bg);stroke:var(--ink2);stroke-width:1.6;stroke-dasharray:3 2.4}
.chart .nobody{stroke:var(--p0-text);stroke-width:2.4}.chart .ok{stroke:var(--ok);stroke-width:2.4;fill:none}
.chart .okline{stroke:var(--ok);stroke-dasharray:2 3}.chart .bad{fill:var(--p0)}
.key{display:flex;flex-wrap:wrap;gap:6px 20px;margin-top:12px;color:var(--ink2);font-size:.875rem}
.key li{display:flex;align-items:center;gap:7px}.key svg{flex:none}
.moments td:first-child,.moments td:nth-child(2){white-space:nowrap;color:var(--ink3)}
.moments .state td:nth-child(3){font-weight:600}.moments .nobody td:nth-child(3){color:var(--p0-text)}
.moments q{color:var(--ink2)}@media (max-width:640px){.moments thead{position:absolute;clip-path:inset(50%)}
.moments tr{display:grid;grid-template-columns:84px 1fr;padding-block:8px;
border-top:1px solid var(--rule)}.moments td{border:0;padding:0 8px 0 0}
.moments td:nth-child(n+3){grid-column:1/-1}}
.verdict{display:flex;align-items:center;gap:14px;margin-bottom:16px}
"""


class Sheet(msgspec.Struct, frozen=True):
    """What a timeline is about. ``facts`` are short; ``ranks`` says how bad each level is, 0 worst."""

    title: str
    facts: tuple[str, ...]
    started_at: datetime
    ended_at: datetime
    zone: tzinfo
    ranks: Mapping[str, int] = {}


def timeline_page(sheet: Sheet, moments: Sequence[Moment]) -> str:
    """Return the timeline as one self-contained HTML page, which also prints."""
    incidents = list(dict.fromkeys(moment.incident for moment in moments))
    facts = "".join(f"<span>{text(fact)}</span>" for fact in sheet.facts)
    body = [
        f'<p class="facts">{facts}</p><h1>{text(sheet.title)}</h1>',
        f'<p class="lead">{text(summary(moments))}</p>',
    ]
    is_one = len(incidents) == 1
    for incident in incidents:
        own = [moment for moment in moments if moment.incident == incident]
        body.append(_incident(sheet, incident, own, is_one=is_one))
    if not incidents:
        body.append("<section><p>Nothing happens: no incident is opened.</p></section>")
    body.append(
        "<footer>Simulated by Tocsin with the core that also runs in production. "
        "Nobody was paged.</footer>"
    )
    return page(sheet.title, "\n".join(body), style=_STYLE)


def summary(moments: Sequence[Moment]) -> str:
    """Return in a sentence or two who is paged, and what nobody will hear."""
    pages = [m for m in moments if m.kind == PAGE]
    people = list(dict.fromkeys(m.whom for m in pages))
    told = list(dict.fromkeys(m.whom for m in moments if m.kind == TOLD))
    said = []
    if people:
        said.append(f"{_count(len(pages), 'page')} to {_listed(people)}")
    else:
        said.append("Nobody is paged")
    if told:
        said.append(f"{_listed(told)} told" if not people else f"{_listed(told)} told as well")
    sentences = [", ".join(said) + "."]
    unheld = list(dict.fromkeys(m.whom for m in moments if m.kind == NOBODY))
    if unheld:
        sentences.append(
            f"Nobody holds the {'role' if len(unheld) == 1 else 'roles'} {_listed(unheld)}."
        )
    return " ".join(sentences)


# -- One incident ----------------------------------------------------------------------------------


def _incident(sheet: Sheet, incident: str, own: Sequence[Moment], *, is_one: bool) -> str:
    level = next((m.severity for m in reversed(own) if m.severity), "")
    head = f"<h2>{text(incident)}</h2>" if not is_one else "<h2>Who hears of it, and when</h2>"
    badge = mark(level, sheet.ranks.get(level)) if level else ""
    drawn = _chart(sheet, own)
    rows = "".join(_row(sheet, moment) for moment in gathered(own))
    return (
        f'<section><div class="verdict">{badge}{head}</div>'
        f'<figure class="chart"><div class="scroll" role="region" tabindex="0"'
        f' aria-label="Chart of {text(incident)}">{drawn}</div>{_key(own)}</figure></section>'
        f'<section><h2>Moment by moment</h2><div class="scroll" role="region" tabindex="0"'
        f' aria-label="Moments of {text(incident)}"><table class="moments">'
        f'<caption class="vh">What happens, and the runbook line that says so</caption>'
        '<thead><tr><th scope="col">After</th><th scope="col">At</th><th scope="col">What</th>'
        f'<th scope="col">Because the runbook says</th></tr></thead><tbody>{rows}</tbody></table>'
        "</div></section>"
    )


def _row(sheet: Sheet, moment: Moment) -> str:
    local = moment.at.astimezone(sheet.zone)
    kind = "state" if moment.kind == STATE else "nobody" if moment.kind == NOBODY else ""
    after = since(sheet.started_at, moment.at)
    said = sentence(moment)
    if moment.until is not None:
        said += f", until {since(sheet.started_at, moment.until)}"
    said = said[:1].upper() + said[1:]
    cite = ""
    if moment.source is not None:
        cite = (
            f'<code class="cite" title="{text(moment.source)}">L{moment.source.line}</code>'
            f" <q>{text(moment.source.quote)}</q>"
        )
    return (
        f'<tr class="{kind}"><td>{text(after)}</td>'
        f'<td><time datetime="{moment.at.isoformat()}">{local:%H:%M:%S}</time></td>'
        f"<td>{text(said)}</td><td>{cite}</td></tr>"
    )


# -- The drawing -----------------------------------------------------------------------------------


def _chart(sheet: Sheet, own: Sequence[Moment]) -> str:
    start = own[0].at
    # A page that repeats until the end says so by reaching the edge, and no further.
    last_s = max(60.0, max((m.at - start).total_seconds() for m in own))
    lanes = _lanes(own)
    height = _TOP + _LANE * (len(lanes) + 1) + 8
    parts = [_axis(last_s, height)]
    for number, (name, detail, moments) in enumerate(lanes):
        y = _TOP + _LANE * (number + 1) + _LANE / 2
        parts.append(
            f'<line class="hair" x1="0" x2="{_WIDTH}" y1="{y + _LANE / 2}" y2="{y + _LANE / 2}"/>'
            f'<text class="name" x="0" y="{y - 2 if detail else y + 4}">{text(_cut(name, 30))}</text>'
        )
        if detail:
            parts.append(f'<text class="meta" x="0" y="{y + 13}">{text(_cut(detail, 34))}</text>')
        parts += _marks(sheet, start, last_s, y, moments)
    parts.append(_states(sheet, start, last_s, height, own))
    label = f"{summary(own)} Each lane is a person or a channel; time runs to the right."
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{text(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _lanes(own: Sequence[Moment]) -> list[tuple[str, str, list[Moment]]]:
    """Return the lanes: people in the order in which they are reached, then channels."""
    people: dict[str, list[Moment]] = {}
    channels: dict[str, list[Moment]] = {}
    for moment in own:
        if moment.kind in (PAGE, NOTICE, NOBODY):
            people.setdefault(moment.whom, []).append(moment)
        elif moment.kind in (TOLD, PERSON):
            channels.setdefault(moment.whom, []).append(moment)
    lanes = []
    for name, moments in (*people.items(), *channels.items()):
        roles = list(dict.fromkeys(m.role for m in moments if m.role and m.role != name))
        ways = list(dict.fromkeys(m.via for m in moments if m.via))
        if any(m.kind == NOBODY for m in moments):
            detail = "nobody holds this role"
        elif moments[0].kind == PERSON:
            detail = "a person must do this"
        else:
            detail = ", ".join([*roles, "by " + " and ".join(ways)] if ways else roles)
        lanes.append((name, detail, moments))
    return lanes


def _x(last_s: float, after_s: float) -> float:
    """Return the place of a moment. The axis is stretched: the first minutes have the most room."""
    return _LABELS + (_WIDTH - _LABELS - _RIGHT) * math.log1p(after_s / 60) / math.log1p(
        last_s / 60
    )


def _axis(last_s: float, height: float) -> str:
    parts = []
    taken = -math.inf
    ticks = [s for s in _TICKS_S if s < last_s] + [last_s]
    ends_at = _x(last_s, last_s)
    for after_s in ticks:
        x = _x(last_s, after_s)
        is_last = after_s == last_s
        if x - taken < _TICK_GAP or (not is_last and ends_at - x < _TICK_GAP):
            continue
        taken = x
        label = "0" if after_s == 0 else span(timedelta(seconds=after_s))
        anchor = "end" if is_last and x > _LABELS + _TICK_GAP else "middle"
        parts.append(
            f'<line class="hair" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - 8:g}"/>'
            f'<text class="meta" x="{x:.1f}" y="{_TOP - 16}" text-anchor="{anchor}">{label}</text>'
        )
    parts.append(
        f'<text class="meta" x="0" y="{_TOP - 16}">after the start, early minutes wide</text>'
    )
    return "".join(parts)


def _marks(
    sheet: Sheet, start: datetime, last_s: float, y: float, moments: Sequence[Moment]
) -> list[str]:
    marks = []
    repeats = [m for m in moments if m.because == Because.REPEAT]
    step = max(1, len(repeats) // _REPEATS_DRAWN_MAX)
    drawn = {id(m) for m in repeats[::step]}
    stacked: dict[float, int] = {}
    for moment in moments:
        x = _x(last_s, (moment.at - start).total_seconds())
        said = text(f"{since(start, moment.at)}: {sentence(moment)}")
        title = f"<title>{said}</title>"
        if moment.because == Because.REPEAT:
            if id(moment) in drawn:
                marks.append(f'<path class="again" d="M{x:.1f} {y - 5}v10">{title}</path>')
            continue
        # Of two in the same instant the later stands beside the first.
        x += 15 * stacked.get(moment.at.timestamp(), 0)
        stacked[moment.at.timestamp()] = stacked.get(moment.at.timestamp(), 0) + 1
        marks.append(_SHAPES[moment.kind].format(x=f"{x:.1f}", y=f"{y:g}", title=title))
    return marks


_SHAPES = {
    PAGE: '<circle class="page" cx="{x}" cy="{y}" r="7">{title}</circle>',
    NOTICE: '<circle class="notice" cx="{x}" cy="{y}" r="6">{title}</circle>',
    TOLD: '<rect class="told" x="{x}" y="{y}" width="10" height="10"'
    ' transform="translate(-5 -5)">{title}</rect>',
    PERSON: '<circle class="left" cx="{x}" cy="{y}" r="6.5">{title}</circle>',
    NOBODY: '<g transform="translate({x} {y})"><path class="nobody"'
    ' d="M-6 -6L6 6M6 -6L-6 6"/>{title}</g>',
}


def _states(
    sheet: Sheet, start: datetime, last_s: float, height: float, own: Sequence[Moment]
) -> str:
    """Draw the lane of the incident itself: its severities, its acknowledgement, its end."""
    y = _TOP + _LANE / 2
    parts = [
        f'<line class="hair" x1="0" x2="{_WIDTH}" y1="{_TOP + _LANE}" y2="{_TOP + _LANE}"/>'
        f'<text class="name" x="0" y="{y + 4}">The incident</text>'
    ]
    for moment in own:
        if moment.kind != STATE:
            continue
        x = _x(last_s, (moment.at - start).total_seconds())
        title = f"<title>{text(f'{since(start, moment.at)}: {sentence(moment)}')}</title>"
        if moment.because == "graded":
            rank = sheet.ranks.get(moment.severity, 3)
            parts.append(
                f'<g transform="translate({x:.1f} {y})"><rect x="-15" y="-11" width="30"'
                f' height="22" rx="5" fill="var(--p{min(rank, 3)})"/><text text-anchor="middle"'
                f' y="4" font-weight="700" style="fill:{_ON[min(rank, 3)]};font-weight:700">'
                f"{text(_cut(moment.severity, 5))}</text>{title}</g>"
            )
        elif "acknowledged" in moment.words or "esolved" in moment.words:
            parts.append(
                f'<line class="okline" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 12}" y2="{height - 8:g}"/>'
                f'<g transform="translate({x:.1f} {y})"><circle r="9" fill="var(--bg)"'
                f' class="ok"/><path class="ok" d="M-4 0l3 3 5-6"/>{title}</g>'
            )
    return "".join(parts)


_ON = ("#fff", "#1c0c00", "#261d00", "#fff")


def _key(own: Sequence[Moment]) -> str:
    kinds = {moment.kind for moment in own}
    said = {
        PAGE: "a page: asks for an acknowledgement",
        NOTICE: "a notice to a person",
        TOLD: "a channel is told",
        PERSON: "a person must tell it",
        NOBODY: "nobody holds the role",
    }
    shown = [
        '<li><svg width="18" height="18" viewBox="-9 -9 18 18" aria-hidden="true">'
        + _SHAPES[kind].format(x="0", y="0", title="")
        + f"</svg>{words}</li>"
        for kind, words in said.items()
        if kind in kinds
    ]
    if any(moment.because == Because.REPEAT for moment in own):
        shown.append(
            '<li><svg width="18" height="18" viewBox="-9 -9 18 18" aria-hidden="true">'
            '<path class="again" d="M0 -5v10"/></svg>the same page again</li>'
        )
    return f'<ul class="key">{"".join(shown)}</ul>'


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number:,} {word}s"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
