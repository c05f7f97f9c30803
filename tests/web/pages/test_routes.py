"""The pages as a browser without script meets them."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta

import httpx2
import pytest
from msgspec.structs import replace

from tests.web.pages.conftest import browser
from tests.web.pages.gallery import READER, Gallery, muted_night, open_gallery, store_world
from tocsin.base.rights import Role
from tocsin.core.phases import Phase
from tocsin.core.state import IncidentState
from tocsin.runbook import compile_runbook
from tocsin.store import access, incidents, people, runbooks
from tocsin.store.database import Database
from tocsin.store.people import User
from tocsin.web.guard import SESSION_COOKIE

pytestmark = pytest.mark.anyio


async def link_for(gallery: Gallery, user: str | None) -> str:
    """Offer a link; None is the console's."""
    secret = gallery.context.ids.secret()
    until = gallery.context.clock.now() + timedelta(minutes=15)
    async with gallery.context.database.transaction() as connection:
        await access.offer_link(connection, secret, until, user)
    return secret


async def user(gallery: Gallery, id: str) -> User:  # noqa: A002
    async with gallery.context.database.reading() as connection:
        found = await people.get(connection, id)
    assert found is not None
    return found


async def state_of(gallery: Gallery, incident: str) -> IncidentState:
    async with gallery.context.database.reading() as connection:
        state = await incidents.get(connection, incident)
    assert state is not None
    return state


# -- Looking ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/incidents/INC-8",
        "/incidents/INC-3/postmortem",
        "/runbook",
        "/declare",
        "/me",
        "/people",
        "/audit",
    ],
)
async def test_pages_need_a_session(stranger: httpx2.AsyncClient, path: str) -> None:
    answer = await stranger.get(path)
    assert answer.status_code == 401
    assert "Sign in with a link" in answer.text
    assert "www-authenticate" not in answer.headers


async def test_the_board_says_what_needs_the_reader(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/")
    assert "<h1>Five open. Two need you.</h1>" in answer.text
    assert answer.text.count('class="btn go"') == 1
    assert "no-store" in answer.headers["cache-control"]
    assert "script-src 'self'" in answer.headers["content-security-policy"]


async def test_the_board_filters_by_severity(http: httpx2.AsyncClient) -> None:
    text = (await http.get("/?severity=P1")).text
    assert 'value="P1" aria-pressed="true"' in text
    assert 'id="row-INC-6"' in text
    assert 'id="row-INC-5"' not in text


@pytest.mark.parametrize(
    "query", ["page=0", "page=99999999", "page=-1", "page=²", "severity=%00", "severity=P9"]
)
async def test_odd_questions_still_get_the_board(http: httpx2.AsyncClient, query: str) -> None:
    assert (await http.get(f"/?{query}")).status_code == 200


async def test_a_quiet_board_says_what_to_mend(database: Database) -> None:
    async with open_gallery(database) as gallery, browser(gallery, gallery.session) as http:
        text = (await http.get("/")).text
    assert "Nothing is burning." in text
    assert "things to mend before the next one" in text
    assert "There has been no incident yet." in text


async def test_a_reader_who_may_not_respond_is_offered_no_acts(night: Gallery) -> None:
    async with browser(night, night.reader_session) as http:
        room = (await http.get("/incidents/INC-8")).text
        board = (await http.get("/")).text
        refused = await http.post("/incidents/INC-8/acknowledge")
    assert 'method="post"' not in room
    assert 'method="post"' not in board
    assert refused.status_code == 403
    assert "This is not yours to do" in refused.text


async def test_htmx_gets_the_main_part_only(http: httpx2.AsyncClient) -> None:
    text = (await http.get("/", headers={"HX-Request": "true"})).text
    assert text.lstrip().startswith("<title>")
    assert "<main" in text
    assert "<html" not in text


async def test_an_unknown_incident_is_missed_politely(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/incidents/INC-999")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


async def test_the_runbook_shows_each_line_with_its_mark(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    text = (await http.get("/runbook")).text
    [document] = night.context.book.current.documents.values()
    for number, line in enumerate(document.splitlines(), start=1):
        assert f'id="L{number}"' in text, line
    assert "Every line has an answer:" in text


async def offered(night: Gallery, documents: dict[str, str]) -> bool:
    """Edit the runbook, as the watcher of its files would; say whether the edit is in force."""
    context = night.context
    compiled = compile_runbook(documents)
    return await context.book.offer(compiled, context.database, context.clock.now())  # type: ignore[attr-defined]


async def test_a_refused_edit_stands_above_the_runbook_in_force(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    [name] = night.context.book.current.documents
    assert not await offered(night, {name: "# About nothing\n"})
    text = (await http.get("/runbook")).text
    assert "An edit has 1 error and is not in force." in text
    assert "Every line has an answer:" in text


async def test_an_incident_leads_to_the_revision_it_keeps(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    [(name, document)] = night.context.book.current.documents.items()
    kept = night.context.book.current.policy.revision
    assert await offered(night, {name: document + "\n## A new chapter\n"})
    room = (await http.get("/incidents/INC-8")).text
    assert f"/runbook?revision={kept}" in room
    older = (await http.get(f"/runbook?revision={kept}")).text
    assert "An older revision" in older
    assert "A new chapter" not in older
    assert (await http.get("/runbook?revision=unheard-of")).status_code == 404


async def test_an_older_revision_keeps_the_times_it_was_obeyed_with(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    [(name, document)] = night.context.book.current.documents.items()
    compiled = compile_runbook({name: document})
    context = night.context
    short = replace(compiled, policy=compiled.policy.shortened(600))
    async with context.database.transaction() as connection:
        await runbooks.remember(
            connection, short.policy.revision, short.documents, short.policy, context.clock.now()
        )
    text = (await http.get("/runbook", params={"revision": short.policy.revision})).text
    assert "<strong>6 s</strong> Team lead" in text
    assert "<strong>1 h</strong>" not in text
    assert "an hour of the document lasts 6 s" in text
    plain = (await http.get("/runbook")).text
    assert "<strong>1 h</strong> Team lead" in plain
    assert "Times are shortened" not in plain


async def test_a_silenced_incident_says_what_it_waits_for(database: Database) -> None:
    async with open_gallery(database) as gallery:
        policy = gallery.context.book.current.policy
        await store_world(database, muted_night(policy, gallery.context.clock.now()))
        async with browser(gallery, gallery.session) as http:
            room = (await http.get("/incidents/INC-9")).text
            board = (await http.get("/")).text
            ack = (await http.get(gallery.ack_path("INC-9", "priya"))).text
    assert "Every firing alert is silenced by Sam Okafor until <time" in room
    assert "<q>new pool</q>. What is overdue then happens at once." in room
    assert "It would be due at" in room
    assert "1 alert firing, silenced" in board
    assert "while it is silenced: pages" in board
    assert "Held while it is silenced: pages you again" in ack


async def test_the_sign_in_page_says_how_to_get_a_link(stranger: httpx2.AsyncClient) -> None:
    for path in ("/login", "/login/nonsense"):
        assert "<code>tocsin user link</code>" in (await stranger.get(path)).text


async def test_the_post_mortem_reads_as_a_paper(http: httpx2.AsyncClient) -> None:
    text = (await http.get("/incidents/INC-3/postmortem")).text
    assert '<article class="paper md">' in text
    assert "The pool was full because revision 48 leaks." in text
    assert 'class="todo-mark"' in text
    assert 'download="INC-3.md"' in text


# -- Acting ----------------------------------------------------------------------------------------


async def test_acknowledging_ends_the_readers_own_page_only(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    answer = await http.post("/incidents/INC-8/acknowledge")
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/INC-8")
    pages = (await state_of(night, "INC-8")).pages
    assert pages["priya"].acknowledged_at is not None
    assert pages["lena"].acknowledged_at is None


async def test_an_act_from_a_foreign_page_is_refused(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    answer = await http.post(
        "/incidents/INC-8/acknowledge", headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert (await state_of(night, "INC-8")).pages["priya"].acknowledged_at is None


async def test_the_whole_way_of_an_incident(night: Gallery, http: httpx2.AsyncClient) -> None:
    room = "/incidents/INC-6"
    graded = await http.post(f"{room}/severity", data={"severity": "P0", "because": "all of it"})
    assert graded.status_code == 303
    assert (await state_of(night, "INC-6")).severity == "P0"
    assert "because you say so: all of it" in (await http.get(room)).text
    moved = await http.post(f"{room}/phase", data={"phase": "monitoring"})
    assert moved.status_code == 303
    noted = await http.post(f"{room}/notes", data={"text": "Pool is back\r\nto normal"})
    assert noted.headers["location"] == f"{room}#timeline"
    assert "Pool is back\nto normal" in (await http.get(room)).text
    assert (await http.post(f"{room}/breach")).status_code == 303
    assert (await state_of(night, "INC-6")).security_breach
    ended = await http.post(f"{room}/resolve", data={"because": "restarted"})
    assert ended.status_code == 303
    assert (await state_of(night, "INC-6")).phase is Phase.RESOLVED
    assert "It is over." in (await http.get(room)).text
    again = await http.post(f"{room}/reopen", data={"because": "it came back"})
    assert again.status_code == 303
    assert (await state_of(night, "INC-6")).is_open


async def test_a_refusal_stands_in_the_room(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/incidents/INC-3/phase", data={"phase": "fixing"})
    assert answer.status_code == 409
    assert "Not done." in answer.text
    assert "Reopen it first." in answer.text


async def test_a_new_severity_needs_a_reason(night: Gallery, http: httpx2.AsyncClient) -> None:
    answer = await http.post("/incidents/INC-6/severity", data={"severity": "P3", "because": "  "})
    assert answer.status_code == 422
    assert "A new severity needs a reason." in answer.text
    assert (await state_of(night, "INC-6")).severity == "P1"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"phase=sideways", "application/x-www-form-urlencoded", 422),
        (b"phase=%00", "application/x-www-form-urlencoded", 422),
        (b"phase=%ff", "application/x-www-form-urlencoded", 422),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 422),
        (b"&".join(b"a=1" for _ in range(50)), "application/x-www-form-urlencoded", 422),
        (b"text=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
    ],
)
async def test_what_no_form_of_ours_sends_is_refused(
    http: httpx2.AsyncClient, body: bytes, kind: str, status: int
) -> None:
    answer = await http.post("/incidents/INC-6/phase", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert "<h1>" in answer.text


async def test_reporting_opens_a_room(night: Gallery, http: httpx2.AsyncClient) -> None:
    answer = await http.post(
        "/declare", data={"title": " Cards  are\trefused ", "service": "payments", "severity": "p1"}
    )
    assert answer.status_code == 303
    incident = answer.headers["location"].removeprefix("/incidents/")
    state = await state_of(night, incident)
    assert (state.title, state.service, state.severity) == ("Cards are refused", "payments", "P1")
    assert (await http.get(answer.headers["location"])).status_code == 200


async def test_a_report_without_words_keeps_what_was_filled_in(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/declare", data={"title": " ", "service": "payments"})
    assert answer.status_code == 422
    assert 'value="payments"' in answer.text
    assert "Say what is wrong, in a few words." in answer.text


# -- The link in a page ----------------------------------------------------------------------------


async def test_looking_at_the_link_acknowledges_nothing(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    answer = await stranger.get(night.ack_path("INC-8", "priya"))
    assert answer.status_code == 200
    assert "Paged you" in answer.text
    assert (await state_of(night, "INC-8")).pages["priya"].acknowledged_at is None


async def test_the_link_acknowledges_just_its_page(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    path = night.ack_path("INC-8", "lena")
    answer = await stranger.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    pages = (await state_of(night, "INC-8")).pages
    assert pages["lena"].acknowledged_at is not None
    assert pages["priya"].acknowledged_at is None
    assert "You have it since" in (await stranger.get(path)).text
    assert (await stranger.post(path)).status_code == 303


async def test_the_link_of_a_page_that_ended_says_who_has_it(
    night: Gallery, http: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    incident = (
        (await http.post("/declare", data={"title": "Complete service outage"}))
        .headers["location"]
        .removeprefix("/incidents/")
    )
    await http.post(f"/incidents/{incident}/phase", data={"phase": "investigating"})
    text = (await stranger.get(night.ack_path(incident, "sam"))).text
    assert f"{READER} has it" in text
    assert "You need not do anything." in text
    assert "btn go" not in text


async def test_the_link_of_an_incident_that_is_over_says_so(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    text = (await stranger.get(night.ack_path("INC-3", "priya"))).text
    assert "It is over" in text
    assert "btn go" not in text


@pytest.mark.parametrize(
    "token", ["nonsense", "a.b", "%00", "WyJJTkMtOCIsInByaXlhIl0.AAAA", "x" * 3000]
)
async def test_a_link_that_we_did_not_sign_does_nothing(
    stranger: httpx2.AsyncClient, token: str
) -> None:
    for answer in (await stranger.get(f"/ack/{token}"), await stranger.post(f"/ack/{token}")):
        assert answer.status_code == 404
        assert "This link is not valid" in answer.text


async def test_a_signed_link_to_an_incident_that_is_not_there_is_not_valid(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    path = night.ack_path("INC-999", "priya")
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.post(path)).status_code == 404


async def test_a_link_whose_page_is_gone_says_so_and_does_nothing(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    path = night.ack_path("INC-8", "nobody")
    for answer in (await stranger.get(path), await stranger.post(path)):
        assert answer.status_code == 410
        assert "You are not asked any more" in answer.text


async def test_a_link_that_is_too_old_says_so_and_does_nothing(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    path = night.ack_path("INC-8", "priya", night.context.clock.now() - timedelta(days=15))
    for answer in (await stranger.get(path), await stranger.post(path)):
        assert answer.status_code == 410
        assert "works for 14 days" in answer.text
        assert "btn go" not in answer.text
    assert (await state_of(night, "INC-8")).pages["priya"].acknowledged_at is None


async def test_a_link_from_before_a_reopening_says_so_and_answers_only_a_page_that_waits(
    night: Gallery, http: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    # Priya was paged for INC-3, which is over; then it is reopened, and she is paged again.
    before = night.context.clock.now() - timedelta(hours=1)
    assert (await http.post("/incidents/INC-3/reopen")).status_code == 303
    state = await state_of(night, "INC-3")
    assert state.pages["priya"].acknowledged_at is None
    assert "lena" not in state.pages
    gone = night.ack_path("INC-3", "lena", before)
    for answer in (await stranger.get(gone), await stranger.post(gone)):
        assert answer.status_code == 410
        assert "INC-3 was reopened since" in answer.text
    again = night.ack_path("INC-3", "priya", before)
    assert "You opened an older link" in (await stranger.get(again)).text
    assert (await stranger.post(again)).status_code == 303
    assert (await state_of(night, "INC-3")).pages["priya"].acknowledged_at is not None
    assert "You have it" in (await stranger.get(again)).text
    rows = re.findall(r"acknowledged by the link of a page", (await http.get("/audit")).text)
    assert len(rows) == 2  # This one, and the one that was there before.


# -- Coming in -------------------------------------------------------------------------------------


async def test_a_link_shows_whom_it_signs_in_and_signs_in_once(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    path = f"/login/{await link_for(night, 'sam')}"
    for _ in range(2):  # Chats and scanners of mail look at links; that costs nobody theirs.
        seen = await stranger.get(path)
        assert "Sign in as Sam Okafor?" in seen.text
        assert "set-cookie" not in seen.headers
    first = await stranger.post(path)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    for word in (f"{SESSION_COOKIE}=", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=2592000"):
        assert word in cookie
    assert "Signed in as Sam Okafor" in (await stranger.get("/")).text
    async with browser(night, "") as another:
        again = await another.post(path)
    assert again.status_code == 410
    assert "set-cookie" not in again.headers


async def test_a_foreign_page_signs_nobody_in(night: Gallery, stranger: httpx2.AsyncClient) -> None:
    path = f"/login/{await link_for(night, 'sam')}"
    foreign = await stranger.post(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert (await stranger.post(path)).status_code == 303


async def test_the_link_of_the_console_asks_who_it_is_and_makes_somebody_new_an_admin(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    path = f"/login/{night.link}"
    seen = (await stranger.get(path)).text
    assert "somebody new becomes an admin" in seen
    for name in ("Sam Okafor", READER, "Lena Brandt", "Rae"):
        assert f'<span class="vh">, {name}</span>' in seen
    assert (await stranger.post(path, data={"name": " "})).status_code == 422
    assert (await stranger.post(path, data={"name": " Kim\tNg "})).status_code == 303
    assert (await user(night, "kim-ng")).role is Role.ADMIN
    assert "Signed in as Kim Ng" in (await stranger.get("/")).text


async def test_who_is_here_already_stays_what_they_are(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    # Also by writing their name: a name that somebody goes by is theirs.
    for said in ({"who": "rae"}, {"name": " RAE "}):
        link = await link_for(night, None)
        assert (await stranger.post(f"/login/{link}", data=said)).status_code == 303
        assert "Signed in as Rae" in (await stranger.get("/")).text
    assert (await user(night, "rae")).role is Role.VIEWER


async def test_a_person_of_the_settings_is_that_person(database: Database) -> None:
    async with open_gallery(database) as night:
        async with night.context.database.transaction() as connection:
            for table in ("sessions", "sign_in_links", "grants", "users"):
                await connection.execute(f"DELETE FROM {table}")  # noqa: S608 - four fixed names
        link = await link_for(night, None)
        async with browser(night, "") as http:
            seen = (await http.get(f"/login/{link}")).text
            assert "You are the first here, and will be an admin." in seen
            assert "Becomes an admin" in seen
            answer = await http.post(f"/login/{link}", data={"who": "priya"})
            assert answer.status_code == 303
        first = await user(night, "priya")
        assert (first.name, first.role) == (READER, Role.ADMIN)


async def test_nobody_signs_in_under_the_name_of_a_token_and_the_link_stays_good(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    path = f"/login/{night.link}"
    answer = await stranger.post(path, data={"name": "Admin"})
    assert answer.status_code == 422
    assert "is the name of a token" in answer.text
    assert "set-cookie" not in answer.headers
    assert (await stranger.post(path, data={"name": "Kim"})).status_code == 303


async def test_a_disabled_user_comes_in_by_no_link(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    own = await link_for(night, "sam")
    async with night.context.database.transaction() as connection:
        assert await people.disable(connection, await user(night, "sam")) == ""
    assert (await stranger.post(f"/login/{own}")).status_code == 410
    console = f"/login/{night.link}"
    # It may be they who opened it: it is withdrawn with their own.
    assert (await stranger.get(console)).status_code == 410
    fresh = night.context.ids.secret()
    async with night.context.database.transaction() as connection:
        now = await night.context.database.now(connection)
        await access.offer_link(connection, fresh, now + timedelta(minutes=15))
    console = f"/login/{fresh}"
    assert "Sam Okafor" not in (await stranger.get(console)).text
    for said in ({"who": "sam"}, {"name": "Sam Okafor"}):
        answer = await stranger.post(console, data=said)
        assert answer.status_code == 422
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("secret", ["never-offered", "%00", "%C3%A9", "x" * 500])
async def test_a_link_that_was_never_offered_signs_nobody_in(
    stranger: httpx2.AsyncClient, secret: str
) -> None:
    for answer in (await stranger.get(f"/login/{secret}"), await stranger.post(f"/login/{secret}")):
        assert answer.status_code == 410
        assert "set-cookie" not in answer.headers


async def test_over_https_the_cookie_can_be_set_by_nobody_else(
    night: Gallery, stranger: httpx2.AsyncClient
) -> None:
    night.app.state.context = dataclasses.replace(night.context, public_url="https://tocsin.test")
    link = await link_for(night, "sam")
    cookie = (await stranger.post(f"/login/{link}")).headers["set-cookie"]
    assert cookie.startswith(f"__Host-{SESSION_COOKIE}=")
    assert "Secure" in cookie
    assert "domain" not in cookie.lower()
    # The plain name, which another host could set, is not heard there.
    async with browser(night, night.session) as plain:
        assert (await plain.get("/")).status_code == 401
    # On the machine itself there is no https, and the console's link leads there.
    direct = {"Host": "127.0.0.1:8642"}
    link = await link_for(night, "sam")
    cookie = (await stranger.post(f"/login/{link}", headers=direct)).headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")


async def test_signing_out_ends_the_session(night: Gallery, http: httpx2.AsyncClient) -> None:
    assert (await http.post("/logout")).headers["location"] == "/login"
    async with browser(night, night.session) as same_cookie:
        assert (await same_cookie.get("/")).status_code == 401


async def test_no_page_holds_inline_script_or_style(
    night: Gallery, http: httpx2.AsyncClient
) -> None:
    paths = ("/", "/incidents/INC-8", "/incidents/INC-3/postmortem", "/runbook", "/declare",
             "/login", night.ack_path("INC-8", "priya"))  # fmt: skip
    for path in paths:
        text = (await http.get(path)).text
        assert " style=" not in text, path
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert not re.search(r"\son\w+=", text), path
