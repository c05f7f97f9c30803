"""What an edited runbook changes, as one page: figures, charts, and the incidents that go otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tocsin.reports.account import Comparison, Example, Row, headline
from tocsin.reports.paper import page, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from tocsin.base.source import Source

EXAMPLES_SHOWN_MAX = 40
_WIDTH = 1080
_BAR = 18
_LABELS = 190
_FIGURES = 130
_STYLE = """\
.chart svg{width:100%;min-width:640px;height:auto}
.chart .old{fill:var(--rule2)}.chart .new{fill:var(--ink)}.chart .night{fill:var(--sunk)}
.key{display:flex;flex-wrap:wrap;gap:6px 20px;margin:0 0 12px;color:var(--ink2);font-size:.875rem}
.key li{display:flex;align-items:center;gap:7px}.key i{width:14px;height:10px;background:var(--rule2)}
.key i.n{background:var(--ink)}.more{font-weight:600}td q{color:var(--ink2)}
.two{display:grid;gap:0 48px}@media (min-width:860px){.two{grid-template-columns:1fr 1fr}}
.stats dd small{white-space:nowrap;font:400 .875rem var(--sans);color:var(--ink3)}
"""


class Sheet(msgspec.Struct, frozen=True):
    """What a comparison is about. ``model`` says in a sentence how people act in it."""

    old: str
    new: str
    facts: tuple[str, ...]
    model: str
    zone: tzinfo
    since: datetime | None = None
    until: datetime | None = None


def backtest_page(sheet: Sheet, found: Comparison) -> str:
    """Return the comparison as one self-contained HTML page, which also prints."""
    facts = "".join(f"<span>{text(fact)}</span>" for fact in sheet.facts)
    key = '<ul class="key"><li><i aria-hidden="true"></i>before</li><li><i class="n"'
    key += ' aria-hidden="true"></i>with the edited runbook</li></ul>'
    body = [
        f'<p class="facts">{facts}</p><h1>{text(headline(found))}</h1>',
        f'<p class="lead">{text(sheet.model)}</p>',
        _stats(found),
        f"<section><h2>Pages by the hour of day</h2>{key}{_hours(found.hours)}</section>",
        _bars("Pages by person", "person", found.people, key),
        _bars("Night pages by person, 22:00 to 7:00", "person", found.nights, key),
        _bars("Incidents by severity", "severity", found.levels, key),
        '<div class="two">',
        _table("Escalations", "role", found.escalations),
        _table("Channels that are told", "channel", found.notices),
        "</div>",
        _table("Roles that nobody holds", "role", found.unheld),
        _examples(sheet, found.examples),
        f"<footer>{text(sheet.old)} against {text(sheet.new)}. Replayed by Tocsin with the core"
        " that also runs in production. Nobody was paged.</footer>",
    ]
    return page("Backtest", "\n".join(body), style=_STYLE)


def _stats(found: Comparison) -> str:
    cells = "".join(
        f"<div><dt>{text(row.name)}</dt><dd>{row.new:,} <small>{_change(row)}</small></dd></div>"
        for row in found.totals
        if row.old or row.new
    )
    return f'<dl class="stats">{cells}</dl>'


def _change(row: Row) -> str:
    return f"{row.change:+,}" if row.change else "as before"


# -- Charts ----------------------------------------------------------------------------------------


def _bars(title: str, what: str, rows: Sequence[Row], key: str) -> str:
    if not any(row.old or row.new for row in rows):
        return ""
    most = max(max(row.old, row.new) for row in rows)
    room = _WIDTH - _LABELS - _FIGURES
    parts = []
    step = 2 * _BAR + 14
    for number, row in enumerate(rows):
        y = number * step
        name = row.name or "none"
        shown = name if len(name) <= 26 else name[:25] + "…"
        parts.append(f'<text class="name" x="0" y="{y + _BAR + 4}">{text(shown)}</text>')
        for place, (kind, value) in enumerate((("old", row.old), ("new", row.new))):
            top = y + place * (_BAR + 1)
            width = room * value / most
            parts.append(
                f'<rect class="{kind}" x="{_LABELS}" y="{top}" width="{max(width, 1):.1f}"'
                f' height="{_BAR}"><title>{text(name)}, {kind}: {value:,}</title></rect>'
                f'<text x="{_LABELS + width + 8:.1f}" y="{top + 13}">{value:,}</text>'
            )
    said = "; ".join(f"{row.name or 'none'}: {row.old:,} before, {row.new:,} now" for row in rows)
    drawn = _svg(len(rows) * step, f"{title}. {said}.", parts)
    return f"<section><h2>{text(title)}</h2>{key}{drawn}{_as_table(what, rows)}</section>"


def _hours(rows: Sequence[Row]) -> str:
    most = max([1, *(max(row.old, row.new) for row in rows)])
    height, base = 200, 176
    width = _WIDTH / 24
    parts = [
        f'<rect class="night" x="0" y="0" width="{7 * width}" height="{base}"/>',
        f'<rect class="night" x="{22 * width}" y="0" width="{2 * width}" height="{base}"/>',
        '<text class="meta" x="6" y="14">night</text>',
    ]
    for hour, row in enumerate(rows):
        x = hour * width
        for place, (kind, value) in enumerate((("old", row.old), ("new", row.new))):
            tall = (base - 24) * value / most
            parts.append(
                f'<rect class="{kind}" x="{x + 5 + place * 17}" y="{base - tall:.1f}" width="16"'
                f' height="{tall:.1f}"><title>{row.name}:00, {kind}: {value:,}</title></rect>'
            )
        parts.append(
            f'<text class="meta" x="{x + width / 2}" y="{height - 8}" text-anchor="middle">'
            f"{row.name}</text>"
        )
    parts.append(f'<line class="edge" x1="0" x2="{_WIDTH}" y1="{base}" y2="{base}"/>')
    said = "; ".join(f"{r.name}: {r.old:,} before, {r.new:,} now" for r in rows if r.old or r.new)
    return _svg(height, f"Pages by the hour of day. {said or 'None'}.", parts)


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<figure class="chart"><div class="scroll" role="region" tabindex="0"'
        f' aria-label="{text(label.partition(".")[0])}"><svg viewBox="0 0 {_WIDTH} {height:g}"'
        f' role="img" aria-label="{text(label)}">{"".join(parts)}</svg></div></figure>'
    )


# -- Tables ----------------------------------------------------------------------------------------


def _table(title: str, what: str, rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    return f"<section><h2>{text(title)}</h2>{_figures(title, what, rows)}</section>"


def _as_table(what: str, rows: Sequence[Row]) -> str:
    """Return the same figures as a table, for whoever does not see the chart."""
    return f'<div class="vh">{_figures("The same as a table", what, rows)}</div>'


def _figures(title: str, what: str, rows: Sequence[Row]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{text(row.name or "none")}</th><td class="num">{row.old:,}</td>'
        f'<td class="num">{row.new:,}</td><td class="num{" more" if row.change else ""}">'
        f"{_change(row)}</td></tr>"
        for row in rows
    )
    return (
        f'<table><caption class="vh">{text(title)}</caption><thead><tr><th scope="col">{what}</th>'
        '<th scope="col" class="num">before</th><th scope="col" class="num">now</th>'
        f'<th scope="col" class="num">change</th></tr></thead><tbody>{lines}</tbody></table>'
    )


def _examples(sheet: Sheet, examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    rows = "".join(_example(sheet, example) for example in examples[:EXAMPLES_SHOWN_MAX])
    more = ""
    if len(examples) > EXAMPLES_SHOWN_MAX:
        more = f'<p class="quiet">The first {EXAMPLES_SHOWN_MAX} of {len(examples):,}.</p>'
    return (
        '<section><h2>Incidents that go otherwise</h2><div class="scroll" role="region"'
        ' tabindex="0" aria-label="Incidents that go otherwise"><table><caption class="vh">'
        "What differs, and the lines that say so</caption><thead><tr>"
        '<th scope="col">Opened</th><th scope="col">Incident</th><th scope="col">Before</th>'
        f'<th scope="col">Now</th></tr></thead><tbody>{rows}</tbody></table></div>{more}</section>'
    )


def _example(sheet: Sheet, example: Example) -> str:
    local = example.at.astimezone(sheet.zone)
    return (
        f'<tr><td class="num"><time datetime="{example.at.isoformat()}">{local:%Y-%m-%d %H:%M}'
        f"</time></td><td>{text(example.title)}<br>"
        f'<span class="quiet">{text(example.service)}</span></td>'
        f"<td>{text(example.old)}{_cite(example.old_source)}</td>"
        f"<td>{text(example.new)}{_cite(example.new_source)}</td></tr>"
    )


def _cite(source: Source | None) -> str:
    if source is None:
        return ""
    return (
        f'<br><code class="cite" title="{text(source)}">L{source.line}</code>'
        f" <q>{text(source.quote)}</q>"
    )
