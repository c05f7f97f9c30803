"""The pages: what each reads, and what each act of a person does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from msgspec.structs import replace

from tocsin.core import inputs
from tocsin.core.events import Hold
from tocsin.core.phases import Phase
from tocsin.reports.postmortem import draft
from tocsin.runbook import compile_runbook
from tocsin.store import incident_alerts, incidents, journal, runbooks, silences
from tocsin.store.audit import Entry
from tocsin.web.context import Context, context_of
from tocsin.web.door import door_of
from tocsin.web.errors import Problem
from tocsin.web.guard import PUBLIC, Scope, address_of, allow, caller_of
from tocsin.web.links import ACK_LINK_LASTS
from tocsin.web.pages import entrance, forms, live, people
from tocsin.web.pages.render import reader_of, show
from tocsin.web.pages.views.acknowledge import acknowledging
from tocsin.web.pages.views.board import board
from tocsin.web.pages.views.book import book_view
from tocsin.web.pages.views.parts import Citer, needs
from tocsin.web.pages.views.postmortem import paper
from tocsin.web.pages.views.room import room

if TYPE_CHECKING:
    from tocsin.core.policy import Finding, Policy
    from tocsin.core.state import IncidentState
    from tocsin.core.surroundings import Silence
    from tocsin.store.connection import Connection

OPEN_MAX: Final = 500
ENDED_MAX: Final = 200
ALERTS_READ_MAX: Final = 8
ENDED_WITHIN: Final = timedelta(days=30)
TITLE_CHARACTERS_MAX: Final = 160
SERVICE_CHARACTERS_MAX: Final = 120
REASON_CHARACTERS_MAX: Final = 500
NOTE_CHARACTERS_MAX: Final = 10_000
_DECIDED_WITHIN_S: Final = 3.0
_LOOK_EVERY_S: Final = 0.03
_VIA_ROOM: Final = "the room"
_VIA_LINK: Final = "the link"

router = APIRouter(include_in_schema=False, dependencies=[Depends(live.note_mark)])
router.include_router(live.router)
router.include_router(entrance.router)
router.include_router(people.router)


# -- Looking ---------------------------------------------------------------------------------------


@router.get("/", **allow(Scope.READ))
async def get_board(request: Request) -> Response:
    """Show what is open and what needs the reader."""
    context = context_of(request)
    at = context.clock.now()
    severity = request.query_params.get("severity", "")
    asked = request.query_params.get("page", "1")
    policies: dict[str, Policy] = {}
    async with context.database.reading() as connection:
        found = await incidents.find(connection, open_only=True, limit=OPEN_MAX)
        ended = await incidents.ended(connection, at - ENDED_WITHIN, limit=ENDED_MAX)
        for revision in {state.revision for state in (*found, *ended)}:
            policies[revision] = await context.book.fetch(connection, revision)
        first = await incident_alerts.find_each(connection, [s.id for s in found], ALERTS_READ_MAX)
    view = board(
        found,
        ended,
        policies.get,
        context.book.current.policy,
        _to_mend(context),
        context.directory,
        lambda revision: _citer(context, revision),
        reader_of(request),
        at,
        alerts=first,
        severity=severity,
        page=int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1,
    )
    return show(request, "board.html", at, board=view)


@router.get("/incidents/{incident}", **allow(Scope.READ))
async def get_room(request: Request, incident: str) -> Response:
    """Show an incident's room."""
    return await _show_room(request, incident)


@router.get("/incidents/{incident}/postmortem", **allow(Scope.READ))
async def get_postmortem(request: Request, incident: str) -> Response:
    """Show the post-mortem as drafted now."""
    context = context_of(request)
    at = context.clock.now()
    async with context.database.reading() as connection:
        state = await _known(connection, incident)
        recorded = await journal.read(connection, f"incident/{state.id}")
        policy = await context.book.fetch(connection, state.revision)
    text = draft(policy, state, [(entry.at, entry.event) for entry in recorded], at)
    events = [entry.event for entry in recorded]
    view = paper(state, text, events, policy, _citer(context, state.revision), at)
    return show(request, "postmortem.html", at, pm=view)


@router.get("/runbook", **allow(Scope.READ))
async def get_runbook(request: Request) -> Response:
    """Show the runbook in force line by line, or an older revision that an incident keeps."""
    context = context_of(request)
    book = context.book
    revision = request.query_params.get("revision", "")
    if revision and revision != book.current.policy.revision:
        async with context.database.reading() as connection:
            revision = revision.replace("\0", "")
            documents = await runbooks.documents(connection, revision)
            kept = await runbooks.policy(connection, revision)
        if documents is None:
            raise Problem(
                404, "No runbook of that revision was ever in force here.", "See the one in force."
            )
        compiled = await asyncio.to_thread(compile_runbook, documents)
        # What was obeyed, with its own times, and not what the same words would compile to now.
        compiled = replace(compiled, policy=kept or compiled.policy)
        cite = Citer(compiled.documents, revision)
        view = book_view(compiled, compiled.findings, None, cite, older=True)
    else:
        cite = _citer(context, "")
        view = book_view(book.current, book.findings, book.refused, cite)
    return show(request, "runbook.html", book=view)


# -- Acting ----------------------------------------------------------------------------------------


@router.post("/incidents/{incident}/acknowledge", **allow(Scope.RESPOND))
async def acknowledge(request: Request, incident: str) -> Response:
    """Take the incident: the reader's own page if they have one, else the whole incident."""
    context = context_of(request)
    reader = reader_of(request)
    async with context.database.reading() as connection:
        state = await _known(connection, incident)
    own = [page.person for page in needs(state, reader) if reader.is_(page.name)]
    act = inputs.Acknowledged(by=reader.name, via=_VIA_ROOM, person=own[0] if own else None)
    return await _act(request, state.id, act)


@router.post("/incidents/{incident}/phase", **allow(Scope.RESPOND))
async def move_phase(request: Request, incident: str) -> Response:
    """Move the incident to another phase."""
    said = await forms.read_form(request)
    try:
        phase = Phase(said.get("phase", ""))
    except ValueError as error:
        raise Problem(422, "There is no such phase.") from error
    return await _act(request, incident, inputs.PhaseMoved(by=caller_of(request).name, phase=phase))


@router.post("/incidents/{incident}/severity", **allow(Scope.RESPOND))
async def choose_severity(request: Request, incident: str) -> Response:
    """Grade the incident, with a reason."""
    said = await forms.read_form(request)
    because = forms.one_line(said.get("because", ""), REASON_CHARACTERS_MAX)
    if not because:
        return await _show_room(request, incident, "A new severity needs a reason.", 422)
    level = forms.one_line(said.get("severity", ""), REASON_CHARACTERS_MAX)
    by = caller_of(request).name
    return await _act(request, incident, inputs.SeverityChosen(by=by, level=level, because=because))


@router.post("/incidents/{incident}/breach", **allow(Scope.RESPOND))
async def declare_breach(request: Request, incident: str) -> Response:
    """Say that it is a security breach."""
    return await _act(request, incident, inputs.SecurityBreachDeclared(by=caller_of(request).name))


@router.post("/incidents/{incident}/notes", **allow(Scope.RESPOND))
async def write_note(request: Request, incident: str) -> Response:
    """Write on the timeline."""
    said = await forms.read_form(request)
    text = said.get("text", "").replace("\r\n", "\n")[:NOTE_CHARACTERS_MAX]
    act = inputs.NoteWritten(by=caller_of(request).name, text=text)
    return await _act(request, incident, act, "#timeline")


@router.post("/incidents/{incident}/resolve", **allow(Scope.RESPOND))
async def resolve(request: Request, incident: str) -> Response:
    """Say that it is over."""
    because = await _because(request)
    by = caller_of(request).name
    return await _act(request, incident, inputs.ResolvedByPerson(by=by, because=because))


@router.post("/incidents/{incident}/reopen", **allow(Scope.RESPOND))
async def reopen(request: Request, incident: str) -> Response:
    """Say that it is not over."""
    because = await _because(request)
    by = caller_of(request).name
    return await _act(request, incident, inputs.ReopenedByPerson(by=by, because=because))


@router.get("/declare", **allow(Scope.RESPOND))
async def declare_page(request: Request) -> Response:
    """Show the form that reports an incident."""
    return await _show_declare(request, {})


@router.post("/declare", **allow(Scope.RESPOND))
async def declare(request: Request) -> Response:
    """Open an incident, or join the open one of its service, and show its room."""
    context = context_of(request)
    said = await forms.read_form(request)
    title = forms.one_line(said.get("title", ""), TITLE_CHARACTERS_MAX)
    service = forms.one_line(said.get("service", ""), SERVICE_CHARACTERS_MAX)
    severity = said.get("severity", "")
    if not title:
        return await _show_declare(request, said, "Say what is wrong, in a few words.")
    declared = context.book.current.policy.severity(severity) if severity else None
    if severity and declared is None:
        return await _show_declare(request, said, "The runbook declares no such severity.")
    incident = await context.engine.declare(
        service or f"unknown/{title}",
        inputs.IncidentDeclared(
            title=title,
            by=caller_of(request).name,
            severity=declared.level if declared else None,
            security_breach=said.get("security_breach") == "yes",
        ),
    )
    await _until_decided(context, incident)
    return RedirectResponse(f"/incidents/{incident}", 303)


# -- The link in a page ----------------------------------------------------------------------------


@router.get("/ack/{token}", **allow(PUBLIC))
async def ack_page(request: Request, token: str) -> Response:
    """Show what the person was paged for. Looking acknowledges nothing: previews look, too."""
    return await _show_ack(request, token)


@router.post("/ack/{token}", **allow(PUBLIC))
async def ack(request: Request, token: str) -> Response:
    """Acknowledge just this page, if it still waits."""
    context = context_of(request)
    link = context.signer.read_ack(token)
    if link is None or link.is_over(context.clock.now()):
        return await _show_ack(request, token)
    async with context.database.reading() as connection:
        state = await incidents.get(connection, link.incident)
    page = state.pages.get(link.page) if state else None
    if state is None or page is None:
        return await _show_ack(request, token)
    refusal = ""
    if page.acknowledged_at is None:
        entry = Entry(
            page.name, "link", "acknowledge by link", state.id, address=address_of(request)
        )
        request.state.act = await door_of(request.app).trail.begin(entry)
        act = inputs.Acknowledged(by=page.name, via=_VIA_LINK, person=page.person)
        refusal = await context.engine.act(state.id, act)
    if refusal:
        return await _show_ack(request, token, refusal)
    return RedirectResponse(f"/ack/{token}", 303)


# -- Shared steps ----------------------------------------------------------------------------------


async def _show_room(
    request: Request, incident: str, refusal: str = "", status: int = 200
) -> Response:
    context = context_of(request)
    at = context.clock.now()
    async with context.database.reading() as connection:
        state = await _known(connection, incident)
        recorded = await journal.read(connection, f"incident/{state.id}")
        policy = await context.book.fetch(connection, state.revision)
        first = await incident_alerts.find(connection, state.id)
        muting = await _silences_of(connection, state)
    older = state.revision != context.book.current.policy.revision
    view = await asyncio.to_thread(
        # A storm takes a while to tell, and others want answers meanwhile.
        room,
        state,
        [(entry.at, entry.event) for entry in recorded],
        policy,
        context.directory,
        _citer(context, state.revision),
        reader_of(request),
        at,
        kind=request.query_params.get("show", ""),
        everything="all" in request.query_params,
        older_revision=state.revision if older else "",
        alerts=first.values(),
        silences=muting,
    )
    return show(request, "room.html", at, status, room=view, refusal=refusal)


async def _silences_of(connection: Connection, state: IncidentState) -> list[Silence]:
    """Return the silences that hold an incident back, those that end first in front."""
    if Hold.SILENCED not in state.holds:
        return []
    muting = await incident_alerts.muting(connection, state.id)
    return [
        row.silence for row in reversed(await silences.find(connection)) if row.silence.id in muting
    ]


async def _act(
    request: Request, incident: str, act: inputs.IncidentInput, anchor: str = ""
) -> Response:
    """Have a person's act decided; show the room as it is then, or with the refusal in it."""
    context = context_of(request)
    async with context.database.reading() as connection:
        state = await _known(connection, incident)
    refusal = await context.engine.act(state.id, act)
    if refusal:
        return await _show_room(request, state.id, refusal, 409)
    return RedirectResponse(f"/incidents/{state.id}{anchor}", 303)


async def _because(request: Request) -> str:
    said = await forms.read_form(request)
    return forms.one_line(said.get("because", ""), REASON_CHARACTERS_MAX)


async def _show_declare(request: Request, said: dict[str, str], refusal: str = "") -> Response:
    context = context_of(request)
    async with context.database.reading() as connection:
        found = await incidents.find(connection, open_only=True, limit=OPEN_MAX)
    return show(
        request,
        "declare.html",
        status=422 if refusal else 200,
        said={
            name: said.get(name, "") for name in ("title", "service", "severity", "security_breach")
        },
        services=sorted({state.service for state in found}),
        levels=context.book.current.policy.severities,
        refusal=refusal,
    )


async def _show_ack(request: Request, token: str, refusal: str = "") -> Response:
    context = context_of(request)
    at = context.clock.now()
    link = context.signer.read_ack(token)
    view, older = None, False
    # Why there is nothing to press: "" where there is something, or the link is none of ours.
    stale = ""
    if link is not None:
        async with context.database.reading() as connection:
            state = await incidents.get(connection, link.incident)
            if state is not None:
                policy = await context.book.fetch(connection, state.revision)
                first = await incident_alerts.find(connection, state.id, ALERTS_READ_MAX)
        if state is not None and link.is_over(at):
            stale = "over"
        elif state is not None:
            cite = _citer(context, state.revision)
            view = acknowledging(state, link.page, policy, cite, at, first.values())
            older = link.is_before(state.started_at)
            if view is None:
                stale = "reopened" if older else "unasked"
    status = 410 if stale else 404 if view is None else 409 if refusal else 200
    return show(
        request,
        "ack.html",
        at,
        status,
        ack=view,
        older=older,
        stale=stale,
        incident=link.incident if link else "",
        lasts_days=ACK_LINK_LASTS.days,
        token=token,
        refusal=refusal,
    )


async def _known(connection: Connection, incident: str) -> IncidentState:
    state = None if "\0" in incident else await incidents.get(connection, incident)
    if state is None:
        raise Problem(
            404, f"There is no incident {incident[:40]}.", "The board shows what is open."
        )
    return state


async def _until_decided(context: Context, incident: str) -> None:
    """Wait until an incident that is durable already has had its first turn, for a while."""
    for _ in range(int(_DECIDED_WITHIN_S / _LOOK_EVERY_S)):
        async with context.database.reading() as connection:
            if await incidents.get(connection, incident) is not None:
                return
        await asyncio.sleep(_LOOK_EVERY_S)


def _to_mend(context: Context) -> list[Finding]:
    """Return the findings, those about people first: an unheld role hurts more than a flag."""
    about_words = set(context.book.current.findings)
    return sorted(context.book.findings, key=lambda finding: finding in about_words)


def _citer(context: Context, revision: str) -> Citer:
    current = context.book.current
    older = revision not in ("", current.policy.revision)
    return Citer(current.documents, revision if older else "")
