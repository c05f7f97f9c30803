"""HTML: one Jinja environment that escapes everything, and a pen that templates write with.

The pen draws what carries a machine meaning: icons (it remembers which, so that a page holds only
its own symbols), instants (UTC for machines, the reader's zone by script) and countdowns.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import jinja2
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from tocsin.base.durations import say_duration
from tocsin.web.context import context_of
from tocsin.web.guard import Scope, caller_of
from tocsin.web.pages import saying
from tocsin.web.pages.reader import Reader
from tocsin.web.pages.views.markdown import inline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from fastapi import Request

    from tocsin.web.pages.views.parts import Cite, Mark

_NEAR_S = 120
_SYMBOL = re.compile(r'<symbol id="i-([\w-]+)".*?</symbol>', re.DOTALL)
_BELL = (
    '<symbol id="i-tocsin" viewBox="0 0 24 24"><path fill="currentColor" d="M12 1.6a1.5 1.5 0 0 1 1.5'
    " 1.5v.5c3.7.7 6 3.6 6 7.4 0 3.4.8 4.8 2 6.1.6.7.1 1.7-.8 1.7H3.3c-.9 0-1.4-1-.8-1.7 1.2-1.3 2-2.7"
    ' 2-6.1 0-3.8 2.3-6.7 6-7.4v-.5A1.5 1.5 0 0 1 12 1.6Z"/><circle cx="12" cy="21.2" r="1.9"'
    ' fill="currentColor"/></symbol>'
)
# Those outside of <main>, which a refreshed main part must not take away.
_SHELL_ICONS: Final = frozenset(
    {"tocsin", "chevron-left", "wifi-off", "flame", "book-open", "plus", "hand", "list-checks"}
    | {"history", "users"}
)


def static_bytes(path: str) -> bytes | None:
    """Return a file below ``static/``, or None for anything that is not one.

    Anybody may ask for anything: only what is there is looked for on the disk, or remembered.
    """
    return _content(path) if path in _static_files() else None


@cache
def _static_files() -> dict[str, Traversable]:
    return dict(_files_below(resources.files("tocsin.web") / "static", ""))


def _files_below(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files_below(entry, f"{prefix}{entry.name}/")
        elif not entry.name.startswith("."):
            yield f"{prefix}{entry.name}", entry


@cache
def _content(path: str) -> bytes:
    return _static_files()[path].read_bytes()


@cache
def static_hash(path: str) -> str:
    """Return the first characters of a static file's SHA-256: its version in addresses."""
    content = static_bytes(path)
    assert content is not None, f"no static file {path}"
    return hashlib.sha256(content).hexdigest()[:12]


def static_url(path: str) -> str:
    """Return the address of a static file, which changes whenever its bytes do."""
    return f"/static/{path}?v={static_hash(path)}"


@cache
def _symbols() -> dict[str, str]:
    sprite = static_bytes("vendor/lucide.svg")
    assert sprite is not None
    found = {match[1]: match[0] for match in _SYMBOL.finditer(sprite.decode())}
    return {**found, "tocsin": _BELL}


@cache
def environment() -> jinja2.Environment:
    """Return the environment of all templates: escaping on, an unknown name is an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("tocsin.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(static=static_url, counted=saying.counted, number=saying.number)
    made.filters.update(capital=saying.capital, initials=saying.initials, inline=inline)
    return made


class Pen:
    """What one page is written with, at one instant."""

    def __init__(self, at: datetime) -> None:
        """Begin a page as it stands at ``at``, aware and in UTC."""
        self.at = at
        self._icons = set(_SHELL_ICONS)

    def icon(self, name: str, tone: str = "") -> Markup:
        """Return an icon by its Lucide name; one we do not carry becomes a plain circle."""
        known = name if name in _symbols() else "circle-dashed"
        self._icons.add(known)
        classes = f"icon {tone}".strip()
        return Markup('<svg class="{}" aria-hidden="true"><use href="#i-{}"/></svg>').format(
            classes, known
        )

    def sprite(self) -> Markup:
        """Return the symbols that the page has used so far."""
        symbols = Markup("").join(Markup(_symbols()[name]) for name in sorted(self._icons))  # noqa: S704 - our own file
        return Markup('<svg width="0" height="0" aria-hidden="true" class="vh">{}</svg>').format(
            symbols
        )

    def time(self, instant: datetime, form: str = "hm") -> Markup:
        """Return an instant.

        ``form`` is "hm", "hms" or "day"; "event" (hms) and "when" (hm) tell the day once it is old.
        """
        utc = instant.astimezone(UTC)
        told = {
            "hm": f"{utc:%H:%M}",
            "hms": f"{utc:%H:%M:%S}",
            "day": f"{utc.day} {utc:%B %Y}",
            "event": f"{utc:%H:%M:%S}",
            "when": f"{utc:%H:%M}",
        }[form]
        if form in ("event", "when") and abs((self.at - utc).total_seconds()) > 64_800:
            told = f"{utc.day} {utc:%b %H:%M}"
        return Markup('<time datetime="{}" title="{}" data-f="{}">{}</time>').format(
            _iso(utc), f"{utc.day} {utc:%b %Y %H:%M:%S} UTC", form, told
        )

    def left(self, due: datetime, tone: str = "") -> Markup:
        """Return a countdown that script keeps running to its instant."""
        near = "" if tone or (due - self.at).total_seconds() >= _NEAR_S else "near"
        classes = " ".join(filter(None, ("left", tone, near)))
        return Markup('<span class="{}" data-until="{}">{}</span>').format(
            classes, _iso(due), saying.until(due, self.at)
        )

    def due(self, due: datetime, tone: str = "") -> Markup:
        """Return a countdown above its clock time, for the axis of time."""
        utc = due.astimezone(UTC)
        return Markup('<time datetime="{}" title="{}">{}<span data-f="hm">{}</span></time>').format(
            _iso(utc),
            f"{utc.day} {utc:%b %Y %H:%M:%S} UTC",
            self.left(due, tone),
            f"{utc:%H:%M}",
        )

    def num(self, due: datetime) -> Markup:
        """Return a countdown inside a sentence."""
        near = " warn" if (due - self.at).total_seconds() < _NEAR_S else ""
        return Markup('<strong class="num{}" data-until="{}">{}</strong>').format(
            near, _iso(due), saying.until(due, self.at)
        )

    def age(self, since: datetime) -> Markup:
        """Return how long something lasts already; script keeps it true."""
        return Markup('<span class="num" data-since="{}">{}</span>').format(
            _iso(since), say_duration(self.at - since)
        )

    def iso(self, instant: datetime) -> str:
        """Return an instant for machines."""
        return _iso(instant)

    def cite(self, cite: Cite | None) -> Markup:
        """Return the link to the line that decided, or nothing where none did."""
        if cite is None:
            return Markup("")
        return Markup('<a class="cite" href="{}" title="{}">{}</a>').format(
            cite.href, cite.title, cite.label
        )

    def sev(self, mark: Mark, size: str = "") -> Markup:
        """Return the mark of a severity; ``size`` is "", "s" or "l"."""
        classes = " ".join(filter(None, ("sev", mark.css, size, "wide-mark" if mark.wide else "")))
        return Markup('<span class="{}"><span class="vh">Severity </span>{}</span>').format(
            classes, mark.label
        )

    def argv(self, argv: tuple[str, ...]) -> Markup:
        """Return one box an argument, so that nothing hides in a space."""
        boxes = Markup(" ").join(Markup("<span>{}</span>").format(word) for word in argv)
        return Markup('<code class="argv line">{}</code>').format(boxes)


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reader_of(request: Request) -> Reader:
    """Return who reads; nobody on public pages."""
    caller = getattr(request.state, "caller", None)
    if caller is None:
        return Reader("", may_respond=False)
    caller = caller_of(request)
    return Reader(
        caller.name,
        may_respond=caller.may(Scope.RESPOND),
        may_audit=caller.may(Scope.AUDIT),
        is_admin=caller.may(Scope.ADMIN),
    )


def show(
    request: Request, template: str, at: datetime | None = None, status: int = 200, **view: Any
) -> HTMLResponse:
    """Return a page. Asked by htmx, only its main part, which is morphed into the open page."""
    at = at or context_of(request).clock.now()
    reader = reader_of(request)
    partial = request.headers.get("hx-request") == "true" and "boost" not in request.query_params
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    html = (
        environment()
        .get_template(template)
        .render(
            pen=Pen(at),
            at=at,
            reader=reader,
            layout="partial.html" if partial else "whole.html",
            address=address,
            signed_in=bool(reader.name),
            live_mark=getattr(request.state, "live_mark", ""),
            version=context_of(request).version,
            **view,
        )
    )
    return HTMLResponse(
        saying.sayable(html),
        status_code=status,
        headers={
            "Cache-Control": "no-store",
            "Vary": "HX-Request, Cookie",
            # Without a referrer browsers send "Origin: null" with a form, and the guard could not
            # tell our own pages from foreign ones. Never the path: it may hold a key.
            "Referrer-Policy": "strict-origin",
        },
    )
