"""The document annotated: what becomes of each line, what there is to say of it, what it decides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tocsin.base.source import Source
from tocsin.core.policy import Finding, LedgerEntry, Level, LineStatus
from tocsin.reports.inline import FENCE, shape
from tocsin.reports.ledger_style import STYLE
from tocsin.reports.paper import page, text
from tocsin.reports.policy import policy_side
from tocsin.runbook import Compiled, split_lines
from tocsin.runbook.findings import CATALOGUE

_STATUSES = {
    LineStatus.AUTOMATED: ("a", "automated", "Tocsin does it"),
    LineStatus.HUMAN: ("h", "human", "asked of a person"),
    LineStatus.REFERENCE: ("r", "reference", "shown to people"),
    LineStatus.TEMPLATE: ("t", "template", "text to fill in"),
    LineStatus.UNSUPPORTED: ("u", "unsupported", "cannot be honoured"),
}
_LEVELS = {Level.ERROR: ("e", "Error"), Level.WARNING: ("w", "Warning"), Level.INFO: ("i", "Note")}
_HINT = re.compile(r"\s*Did you mean (\u201c[^\u201d]*\u201d)\?")
_FOUND_LISTED_MAX = 60
# What a reader sees without being told.
_PLAIN = frozenset(("heading", "label of a group", "layout"))

Anchor = Callable[[str, int], str]


def ledger_page(compiled: Compiled, findings: Sequence[Finding]) -> str:
    """Return the annotated document as one self-contained HTML page, which also prints.

    ``findings`` are in the order in which they are listed; those of a file that is no document of
    the runbook (a file of alerting rules) are listed with their place and stand at no line.
    """
    policy = compiled.policy
    title = policy.title or next(iter(compiled.documents), "Runbook")
    files = {file: number for number, file in enumerate(compiled.documents)}

    def anchor(file: str, line: int) -> str:
        return f"L{line}" if len(files) <= 1 else f"d{files.get(file, 0)}L{line}"

    def cite(source: Source) -> str:
        return (
            f'<a class="cite" href="#{anchor(source.file, source.line)}"'
            f' title="{text(source)}">L{source.line}</a>'
        )

    documents = "".join(
        _document(file, compiled, findings, anchor, is_one=len(files) == 1) for file in files
    )
    body = (
        _head(compiled, findings, title)
        + _filters(findings)
        + _found(findings, anchor, files)
        + '<div class="book"><div class="docs" id="doc">'
        + documents
        + "</div>"
        + policy_side(policy, cite)
        + "</div>"
        + f"<footer>Compiled by Tocsin. Revision {text(policy.revision[:12])}.</footer>"
    )
    return page(title, body, style=STYLE)


# -- The top ---------------------------------------------------------------------------------------


def _head(compiled: Compiled, findings: Sequence[Finding], title: str) -> str:
    counts = Counter(entry.status for entry in compiled.ledger)
    total = sum(counts.values())
    files = list(compiled.documents)
    where = files[0] if len(files) == 1 else f"{len(files)} documents"
    shares = "".join(
        f'<li class="{css}" style="flex:{counts[status]}"></li>'
        for status, (css, _, _) in _STATUSES.items()
        if counts[status]
    )
    keys = "".join(
        f'<li><span class="mk {css}" aria-hidden="true"></span><span>{word.capitalize()}</span>'
        f'<span class="quiet">{what}</span><span class="n">{counts[status]:,}</span></li>'
        for status, (css, word, what) in _STATUSES.items()
    )
    return (
        f'<header class="top"><div><p class="facts"><span>{text(where)}</span>'
        f"<span>{total:,} lines</span></p><h1>{text(title)}</h1>"
        f'<p class="lead">{text(_sentence(counts, findings))}</p></div></header>'
        f'<ul class="share" aria-hidden="true">{shares}</ul><ul class="keys">{keys}</ul>'
    )


def _sentence(counts: Mapping[LineStatus, int], findings: Sequence[Finding]) -> str:
    parts = [f"{counts.get(LineStatus.AUTOMATED, 0)} carried by Tocsin"]
    if counts.get(LineStatus.HUMAN):
        parts.append(f"{counts[LineStatus.HUMAN]} asked of a person")
    if counts.get(LineStatus.UNSUPPORTED):
        parts.append(f"{counts[LineStatus.UNSUPPORTED]} that it cannot honour")
    said = f"Every line has an answer: {', '.join(parts)}."
    levels = Counter(finding.level for finding in findings)
    if levels[Level.ERROR]:
        said += f" {_counted(levels[Level.ERROR], 'error')} keep it from coming into force."
    if levels[Level.WARNING]:
        holes = _counted(levels[Level.WARNING], "hole")
        said += f" {holes} that somebody could fall into one night."
    return said


def _filters(findings: Sequence[Finding]) -> str:
    choices = (
        ("all", "All lines"),
        ("only-found", f"With findings ({len({f.source for f in findings})})"),
        ("only-h", "Human"),
        ("only-u", "Unsupported"),
    )
    labels = "".join(
        f'<label><input type="radio" name="show" id="{name}"{" checked" if name == "all" else ""}>'
        f"{text(words)}</label>"
        for name, words in choices
    )
    return f'<fieldset class="show"><legend>Show</legend>{labels}</fieldset>'


def _found(findings: Sequence[Finding], anchor: Anchor, files: Mapping[str, int]) -> str:
    """List the kinds of findings, worst first, each with the lines where it stands."""
    if not findings:
        return "<section><h2>Findings</h2><p>There is nothing to mend.</p></section>"
    kinds: dict[tuple[Level, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.level, finding.code), []).append(finding)
    order = list(_LEVELS)
    rows = []
    for (level, code), own in sorted(kinds.items(), key=lambda k: (order.index(k[0][0]), k[0][1])):
        css, word = _LEVELS[level]
        links = []
        places = list(dict.fromkeys(finding.source for finding in own))
        for source in places[:_FOUND_LISTED_MAX]:
            if source.file in files:
                href = anchor(source.file, source.line)
                links.append(
                    f'<a class="cite" href="#{href}" title="{text(source)}">L{source.line}</a>'
                )
            else:
                links.append(f'<span class="quiet">{text(source)}</span>')
        more = (
            f" and {len(places) - _FOUND_LISTED_MAX} more"
            if len(places) > _FOUND_LISTED_MAX
            else ""
        )
        rows.append(
            f'<li><strong class="{css}">{word} {code}</strong> {text(CATALOGUE[code][1])}'
            f" {' '.join(links)}{more}</li>"
        )
    return f'<section><h2>Findings</h2><ul class="found">{"".join(rows)}</ul></section>'


# -- The document ----------------------------------------------------------------------------------


def _document(
    file: str, compiled: Compiled, findings: Sequence[Finding], anchor: Anchor, *, is_one: bool
) -> str:
    entries = {entry.line: entry for entry in compiled.ledger if entry.file == file}
    noted: dict[int, list[Finding]] = {}
    for finding in findings:
        if finding.source.file == file:
            noted.setdefault(finding.source.line, []).append(finding)
    rows: list[str] = []
    fence = ""
    before: LedgerEntry | None = None
    lines = split_lines(compiled.documents[file])
    last = max(noted, default=1)
    while len(lines) > last and not lines[-1].strip():
        lines.pop()
    for number, raw in enumerate(lines, start=1):
        entry = entries.get(number)
        here = noted.get(number, ())
        if not raw.strip() and not here:
            rows.append(_blank(before, in_fence=bool(fence), anchor=anchor(file, number)))
            continue
        repeats = (
            entry is not None
            and before is not None
            and (entry.status, entry.rule) == (before.status, before.rule)
        )
        rows.append(_line(raw, anchor(file, number), number, entry, here, bool(fence), repeats))
        before = entry
        opening = FENCE.match(raw)
        if opening and not fence:
            fence = opening[1]
        elif opening and opening[1].startswith(fence) and not raw.strip(" `~>\t"):
            fence = ""
    name = "" if is_one else f'<h2 class="docname"><code>{text(file)}</code></h2>'
    return f'{name}<div class="doc" role="list" aria-label="{text(file)}, line by line">{"".join(rows)}</div>'


def _blank(before: LedgerEntry | None, *, in_fence: bool, anchor: str) -> str:
    if not in_fence or before is None:
        return f'<div class="gap" role="presentation" id="{anchor}"></div>'
    css = _STATUSES[before.status][0]
    return (
        f'<div class="l code in is-{css}" role="presentation" id="{anchor}"><span></span>'
        f'<span class="mk {css}"></span><span class="tx"></span></div>'
    )


def _line(
    raw: str,
    anchor: str,
    number: int,
    entry: LedgerEntry | None,
    findings: Sequence[Finding],
    in_fence: bool,
    repeats: bool,
) -> str:
    status = entry.status if entry is not None else LineStatus.REFERENCE
    rule = entry.rule if entry is not None else ""
    css, word, _ = _STATUSES[status]
    meant = [(f.column - 1, f.end_column - 1) for f in findings if f.end_column > f.column]
    drawn = shape(raw, in_fence=in_fence, meant=meant)
    classes = f"l {drawn.kind} is-{css}"
    if findings:
        worst = min((_LEVELS[f.level][0] for f in findings), key="ewi".index)
        classes += f" has {worst}"
    words = drawn.html
    if drawn.lead:
        words = f'<span class="b">{text(drawn.lead)}</span><span>{words}</span>'
    shown = "" if repeats or rule in _PLAIN else text(rule)
    notes = "".join(_note(finding) for finding in findings)
    return (
        f'<div class="{classes}" role="listitem" id="{anchor}"><a class="no" href="#{anchor}">{number}</a>'
        f'<span class="mk {css}" title="{word}: {text(rule)}"><span class="vh">{word}</span></span>'
        f'<div class="tx">{words}</div><div class="ru" title="{text(rule)}">{shown}</div>{notes}</div>'
    )


def _note(finding: Finding) -> str:
    css, word = _LEVELS[finding.level]
    remedy, hint = finding.remedy, ""
    found = _HINT.search(remedy)
    if found is not None:
        hint = f' <span class="hint">Did you mean {text(found[1])}?</span>'
        remedy = (remedy[: found.start()] + remedy[found.end() :]).strip()
    mend = f'<p class="mend">{_ticked(remedy)}{hint}</p>' if remedy or hint else ""
    return (
        f'<div class="fd {css}"><p><span class="code-of">{word} {finding.code}</span>'
        f" {_ticked(finding.message)}</p>{mend}</div>"
    )


def _ticked(words: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(words))


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
