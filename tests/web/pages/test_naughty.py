"""Whatever text arrives, pages keep their shape: no element and no attribute that we did not write."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from tests.integrations.badinput import NEEDS_BAD_INPUT, naughty_strings
from tests.web.pages.conftest import browser
from tests.web.pages.gallery import (
    TUNING,
    Gallery,
    example,
    firing,
    open_gallery,
    store_world,
)
from tocsin.core import inputs
from tocsin.core.phases import Phase
from tocsin.core.surroundings import Directory, Person, Surroundings, role_key
from tocsin.sim.world import World
from tocsin.store.database import Database

pytestmark = [pytest.mark.anyio, NEEDS_BAD_INPUT]

# Where an attribute may hold text of others, it is one of these and cannot do anything.
_TEXT_ATTRIBUTES = {"title", "value", "aria-label", "id", "href", "action", "hx-post", "hx-get",
                    "hx-sse:connect", "datetime", "download", "name"}  # fmt: skip
_OURS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {% raw %}",
    "</title></main></body><h1>owned",
    "\x00\x01\x08 control \x7f",
    "half \ud800 of a pair",
    "\u202eright to left",
    "a" * 3000,
    "**bold** `code` [link](javascript:alert(1)) <!-- -->",
    "& &amp; &lt;script&gt; &#x3c;",
]


class Shape(HTMLParser):
    """Collects the elements of a page with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[tuple[str, tuple[str, ...]]] = set()
        self.attributes: dict[tuple[str, str], set[str]] = {}
        self.text: list[str] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, tuple(sorted(name for name, _ in attrs))))
        for name, value in attrs:
            self.attributes.setdefault((tag, name), set()).add(value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def shape_of(html: str) -> Shape:
    shape = Shape()
    shape.feed(html)
    shape.close()
    return shape


@pytest.fixture
async def hostile(database: Database) -> AsyncIterator[Gallery]:
    """An application where every text that others write is naughty, the runbook included."""
    strings = [*_OURS, *naughty_strings()]
    lines = "\n".join(f"- {s}" for s in (re.sub(r"[\r\n]+", " ", s) for s in strings) if s.strip())
    text = example() + f"\n## Naughty\n\n{lines}\n"
    text = text.encode("utf-8", "replace").decode()
    names = {f"p{n}": Person(f"p{n}", strings[n][:60] or "nobody") for n in range(3)}
    directory = Directory(
        people=names,
        roles={
            role_key("On-Call Engineer"): ("p0",),
            role_key("Team Lead"): ("p1",),
            role_key("Engineering Manager"): ("p2",),
        },
    )
    async with open_gallery(database, text, directory) as gallery:
        policy = gallery.context.book.current.policy
        now = gallery.context.clock.now()
        world = World(
            policy, Surroundings(directory=directory, tuning=TUNING), now - timedelta(hours=1)
        )
        for start in range(0, len(strings), 20):
            batch = strings[start : start + 20]
            service = batch[0][:120] or "empty"
            incident = ""
            for text in batch:
                world.receive(firing(text or "empty", service, world.at, summary=text))
                incident = incident or f"INC-{len(world.incidents)}"
                if text.strip():
                    world.act(incident, inputs.NoteWritten(by=text[:60], text=text))
            by = batch[-1][:60] or "somebody"
            world.act(incident, inputs.Acknowledged(by=by, via=batch[0][:60]))
            world.act(incident, inputs.SeverityChosen(by=by, level="P1", because=batch[-1] or "-"))
            if start % 40:
                world.act(incident, inputs.PhaseMoved(by=by, phase=Phase.INVESTIGATING))
                world.act(incident, inputs.ResolvedByPerson(by=by, because=batch[1]))
        await store_world(database, world)
        yield gallery


async def test_pages_keep_their_shape_whatever_text_arrives(hostile: Gallery) -> None:
    async with hostile.context.database.reading() as connection:
        count = await connection.fetchval("SELECT count(*) FROM incidents")
    rooms = [f"INC-{n}" for n in range(1, count + 1)]
    assert len(rooms) > 20
    paths = ["/", "/?page=2", "/?severity=%22%3E%3Cscript%3E", "/runbook", "/declare", "/login",
             "/me", "/people", "/people/rae", "/audit", "/incidents/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
             "/runbook?revision=%22%3E%3Cscript%3E", "/ack/%3Cscript%3E"]  # fmt: skip
    paths += [f"/incidents/{room}?all=1" for room in rooms]
    paths += [f"/incidents/{room}/postmortem" for room in rooms]
    paths += [hostile.ack_path(room, f"p{n}") for room in rooms[:5] for n in range(3)]
    faults: list[str] = []
    async with browser(hostile, hostile.session) as http:
        for path in paths:
            answer = await http.get(path)
            assert answer.status_code in (200, 404, 410), path
            faults += [f"{path}: {fault}" for fault in faults_of(answer.text)]
    assert faults == []


async def test_a_form_that_is_refused_shows_what_was_typed_as_text(hostile: Gallery) -> None:
    async with browser(hostile, hostile.session) as http:
        for text in (
            s for s in [*_OURS, *naughty_strings()] if "\0" not in s and "\ud800" not in s
        ):
            answer = await http.post("/declare", data={"title": "", "service": text})
            assert answer.status_code == 422
            assert faults_of(answer.text) == []


async def test_naughty_text_is_shown_as_it_is(hostile: Gallery) -> None:
    async with browser(hostile, hostile.session) as http:
        room = shape_of((await http.get("/incidents/INC-1?all=1")).text)
    text = "".join(room.text)
    for words in _OURS[:6]:
        assert words in text


def faults_of(html: str) -> list[str]:
    """Return what we did not write: elements, handlers, addresses that run, comments."""
    shape = shape_of(html)
    found = [f"comment {comment[:60]!r}" for comment in shape.comments]
    for tag, names in sorted(shape.elements):
        if tag not in _KNOWN:
            found.append(f"element {tag}")
        found += [
            f"attribute {name} of {tag}"
            for name in names
            if name not in _KNOWN_ATTRIBUTES or name.startswith("on")
        ]
    for (tag, name), values in shape.attributes.items():
        for value in values:
            if name in ("href", "action", "hx-post", "hx-get", "src", "hx-sse:connect"):
                if not value.startswith(("/", "#")) or value.startswith("//"):
                    found.append(f"{tag} {name}={value[:60]!r}")
            elif (
                name not in _TEXT_ATTRIBUTES
                and re.search(r"[<>\"']", value)
                and name not in ("content", "hx-config")
            ):
                found.append(f"{tag} {name}={value[:60]!r}")
    if re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", html):
        found.append("a control character")
    return found


_KNOWN = {
    "fieldset",
    "legend",
    "html",
    "head",
    "meta",
    "title",
    "link",
    "script",
    "body",
    "a",
    "header",
    "nav",
    "ul",
    "ol",
    "li",
    "span",
    "svg",
    "symbol",
    "path",
    "circle",
    "rect",
    "line",
    "use",
    "main",
    "div",
    "p",
    "h1",
    "h2",
    "h3",
    "q",
    "time",
    "strong",
    "em",
    "i",
    "b",
    "br",
    "code",
    "pre",
    "form",
    "button",
    "input",
    "label",
    "select",
    "option",
    "textarea",
    "datalist",
    "details",
    "summary",
    "progress",
    "section",
    "aside",
    "article",
    "dl",
    "dt",
    "dd",
    "dialog",
    "kbd",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "blockquote",
    "text",
    "hr",
}
_KNOWN_ATTRIBUTES = {
    "lang",
    "data-now",
    "charset",
    "name",
    "content",
    "media",
    "rel",
    "href",
    "type",
    "src",
    "defer",
    "class",
    "id",
    "role",
    "hidden",
    "aria-label",
    "aria-labelledby",
    "aria-live",
    "aria-hidden",
    "aria-current",
    "aria-pressed",
    "aria-describedby",
    "hx-get",
    "hx-trigger",
    "hx-select",
    "hx-swap",
    "hx-sync",
    "hx-post",
    "hx-target",
    "hx-sse:connect",
    "hx-config",
    "title",
    "datetime",
    "data-f",
    "data-until",
    "data-since",
    "data-clock",
    "data-fresh",
    "data-label",
    "method",
    "action",
    "value",
    "for",
    "required",
    "maxlength",
    "autocomplete",
    "rows",
    "placeholder",
    "selected",
    "checked",
    "list",
    "tabindex",
    "open",
    "max",
    "width",
    "height",
    "viewbox",
    "d",
    "cx",
    "cy",
    "r",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "rx",
    "ry",
    "fill",
    "points",
    "text-anchor",
    "scope",
    "download",
}
