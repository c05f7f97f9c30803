"""People, tokens and the audit trail by the API."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.web.site import Site, open_site
from tocsin.base.clock import Clock
from tocsin.base.rights import Role
from tocsin.store import access
from tocsin.store.database import Database
from tocsin.web.door import flush
from tocsin.web.pages.live import broadcaster_of

pytestmark = pytest.mark.anyio


class Ahead:
    """A clock that is eleven seconds ahead of another."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=11)


async def told(site: Site, **query: Any) -> list[dict[str, Any]]:
    answer = await site.ask("GET", "/api/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["audit"]
    return found


async def make(site: Site, name: str, *scopes: str, **more: str) -> str:
    answer = await site.ask("POST", "/api/v1/tokens", json={"name": name, "scopes": scopes, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


async def by(site: Site, secret: str, method: str, path: str, **more: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {secret}"}
    return await site.http.request(method, path, headers=headers, **more)


# -- What each role may ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "read", "respond", "audit", "admin"),
    [
        (Role.VIEWER, 200, 403, 403, 403),
        (Role.RESPONDER, 200, 201, 403, 403),
        (Role.LEAD, 200, 201, 200, 403),
        (Role.ADMIN, 200, 201, 200, 200),
    ],
)
async def test_a_role_is_what_one_may(
    site: Site, role: Role, read: int, respond: int, audit: int, admin: int
) -> None:
    cookie = site.cookie(role)
    asked = (
        ("GET", "/api/v1/incidents", read, {}),
        ("POST", "/api/v1/incidents", respond, {"json": {"title": "Down", "service": "x"}}),
        ("GET", "/api/v1/audit", audit, {}),
        ("GET", "/api/v1/users", admin, {}),
    )
    for method, path, status, more in asked:
        answer = await site.http.request(method, path, headers=cookie, **more)
        assert answer.status_code == status, (path, answer.text)


async def test_an_act_of_a_user_stands_under_their_name(site: Site) -> None:
    made = await site.http.post(
        "/api/v1/incidents", headers=site.cookie(Role.RESPONDER), json={"title": "Down"}
    )
    line = await site.ask("GET", f"/api/v1/incidents/{made.json()['id']}/timeline")
    assert any(entry["who"] == "Rob" for entry in line.json()["timeline"])
    [row] = await told(site, actor="rob")
    assert (row["actor"], row["kind"], row["action"], row["status"]) == (
        "Rob",
        "user",
        "POST /api/v1/incidents",
        201,
    )


async def test_what_an_admin_does_to_a_user_counts_from_the_next_request_on(site: Site) -> None:
    cookie = site.cookie(Role.RESPONDER)

    async def ask() -> int:
        return (await site.http.get("/api/v1/audit", headers=cookie)).status_code

    assert await ask() == 403
    await site.ask("POST", "/api/v1/users/rob/role", json={"role": "lead"})
    assert await ask() == 200
    await site.ask("POST", "/api/v1/users/rob/disable")
    assert await ask() == 401
    await site.ask("POST", "/api/v1/users/rob/enable")
    assert await ask() == 401
    assert (await site.http.get("/api/v1/audit", headers=site.cookie(Role.LEAD))).status_code == 200
    await site.ask("POST", "/api/v1/users/lea/sign-out")
    assert (await site.http.get("/api/v1/audit", headers=site.cookie(Role.LEAD))).status_code == 401


async def test_sessions_are_listed_without_what_lets_in(site: Site) -> None:
    answer = await site.ask("GET", "/api/v1/users/ana/sessions")
    [only] = answer.json()["sessions"]
    assert set(only) == {"number", "started_at", "expires_at", "seen_at", "browser"}
    assert site.session not in answer.text


# -- Tokens ----------------------------------------------------------------------------------------


async def test_a_token_may_what_it_was_given_until_it_is_revoked(site: Site) -> None:
    secret = await make(site, "ci", "read")
    assert (await by(site, secret, "GET", "/api/v1/incidents")).status_code == 200
    assert (await by(site, secret, "GET", "/api/v1/users")).status_code == 403
    answer = await site.ask("POST", "/api/v1/tokens/CI/revoke")
    assert answer.status_code == 200
    refused = await by(site, secret, "GET", "/api/v1/incidents")
    assert refused.status_code == 401
    assert refused.json()["error"]["message"] == "The token ci was revoked."


async def test_a_token_ends_by_itself_and_is_not_remembered_longer(site: Site) -> None:
    secret = await make(site, "short", "read", expires="1m")
    assert (await by(site, secret, "GET", "/api/v1/incidents")).status_code == 200
    async with site.context.database.transaction() as c:
        await c.execute("UPDATE grants SET expires_at = now() WHERE name = 'short'")
    # The remembered one is good for ten seconds at most, and never past its own end.
    site.app.state.context = dataclasses.replace(site.context, clock=Ahead(site.context.clock))
    refused = await by(site, secret, "GET", "/api/v1/incidents")
    assert refused.json()["error"]["message"] == "The token short has expired."


async def test_nobody_makes_a_token_that_may_more_than_they(site: Site) -> None:
    # Tokens are made with the scope admin, which holds all; what is checked is checked anyway.
    for name in ("reader", "responder", "ingest", "silencer"):
        answer = await site.ask(
            "POST", "/api/v1/tokens", name, json={"name": "x", "scopes": ["read"]}
        )
        assert answer.status_code == 403
    cookie = site.cookie(Role.ADMIN)
    made = await site.http.post(
        "/api/v1/tokens", headers=cookie, json={"name": "mine", "scopes": ["admin", "ingest"]}
    )
    secret = made.json()["secret"]
    assert (await by(site, secret, "GET", "/api/v1/users")).status_code == 200
    await site.ask("POST", "/api/v1/users/ana/role", json={"role": "responder"})
    # The maker may less now, so the token does: at once, though it was remembered.
    assert (await by(site, secret, "GET", "/api/v1/users")).status_code == 403
    assert (await by(site, secret, "GET", "/api/v1/incidents")).status_code == 200
    await site.ask("POST", "/api/v1/users/ana/disable")
    assert (await by(site, secret, "GET", "/api/v1/incidents")).status_code == 403
    alerts = [{"labels": {"alertname": "A"}}]
    assert (await by(site, secret, "POST", "/api/v2/alerts", json=alerts)).status_code == 200


async def test_what_a_token_made_may_no_more_than_whoever_made_the_token(site: Site) -> None:
    made = await site.http.post(
        "/api/v1/tokens",
        headers=site.cookie(Role.ADMIN),
        json={"name": "mine", "scopes": ["admin"]},
    )
    mine = made.json()["secret"]
    child = await by(
        site, mine, "POST", "/api/v1/tokens", json={"name": "child", "scopes": ["admin"]}
    )
    secret = child.json()["secret"]
    assert (await by(site, secret, "GET", "/api/v1/users")).status_code == 200
    await site.ask("POST", "/api/v1/users/ana/disable")
    assert (await by(site, secret, "GET", "/api/v1/users")).status_code == 403


async def test_no_token_goes_by_a_name_that_reads_like_a_person(site: Site) -> None:
    for name in ("Priya", "P\uff52iya", "\uff21na", "ANA"):
        answer = await site.ask(
            "POST", "/api/v1/tokens", json={"name": name, "scopes": ["respond"]}
        )
        assert answer.status_code == 409, name
    await make(site, "\uff33cripts", "read")
    answer = await site.ask(
        "POST", "/api/v1/users", json={"id": "scripts", "name": "Bert", "role": "viewer"}
    )
    assert answer.status_code == 409


async def test_only_a_browser_signs_out(site: Site) -> None:
    answer = await site.ask("POST", "/logout", "reader")
    assert answer.status_code == 403
    async with site.context.database.reading() as c:
        assert not await c.fetchval("SELECT EXISTS (SELECT FROM audit WHERE action LIKE '%logout')")


async def test_revoking_a_token_names_what_it_had_made(site: Site) -> None:
    robot = await make(site, "robot", "admin")
    made = await by(
        site, robot, "POST", "/api/v1/tokens", json={"name": "child", "scopes": ["read"]}
    )
    answer = await site.ask("POST", "/api/v1/tokens/robot/revoke")
    assert answer.json()["made"] == ["child"]
    assert (await by(site, made.json()["secret"], "GET", "/api/v1/incidents")).status_code == 200


async def test_another_process_forgets_a_token_when_it_hears_of_it(database: Database) -> None:
    async with open_site(database) as site:
        secret = await make(site, "ci", "read")
        assert (await by(site, secret, "GET", "/api/v1/incidents")).status_code == 200
        # As another process would: revoked in the database, and announced.
        async with database.transaction() as c:
            [token] = [t for t in await access.tokens(c) if t.name == "ci"]
            await access.revoke(c, token, "x")
        assert (await by(site, secret, "GET", "/api/v1/incidents")).status_code == 200
        broadcaster_of(site.app).tell("access")
        assert (await by(site, secret, "GET", "/api/v1/incidents")).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"name": "x", "scopes": []}, 422, "at least one scope"),
        ({"name": "x", "scopes": ["king"]}, 422, 'There is no scope "king".'),
        (
            {"name": "x", "scopes": ["read"], "expires": "soon"},
            422,
            "no time that a token can last",
        ),
        ({"name": "x", "scopes": ["read"], "expires": "1s"}, 422, "no time that a token can last"),
        ({"name": "x", "scopes": ["read"], "expires": "9" * 40 + "d"}, 422, "no time"),
        ({"name": "Ana", "scopes": ["read"]}, 409, "is the name of the user ana"),
        ({"name": "reader", "scopes": ["read"]}, 409, "There is a token reader already."),
        ({"name": "a\u202eb", "scopes": ["read"]}, 409, "cannot be seen"),
        ({"name": "x", "scopes": "read"}, 422, "Expected `array`"),
        ({"name": "x"}, 422, "scopes"),
    ],
)
async def test_what_is_no_token_is_refused_with_a_sentence(
    site: Site, body: dict[str, object], status: int, said: str
) -> None:
    answer = await site.ask("POST", "/api/v1/tokens", json=body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]["message"]


async def test_when_a_token_was_used_last_is_written_once_in_a_while(site: Site) -> None:
    await site.ask("GET", "/api/v1/incidents", "reader")
    await site.http.get("/api/v1/incidents", headers=site.cookie(Role.LEAD))

    async def seen() -> tuple[object, object]:
        tokens = (await site.ask("GET", "/api/v1/tokens")).json()["tokens"]
        user = (await site.ask("GET", "/api/v1/users/lea")).json()
        return next(t["seen_at"] for t in tokens if t["name"] == "reader"), user["seen_at"]

    before = await seen()
    assert before[0] is None
    await flush(site.app)
    after = await seen()
    assert after[0] is not None
    assert after[1] is not None


# -- The audit trail -------------------------------------------------------------------------------


async def test_every_change_of_people_is_told_with_its_detail_and_no_secret(site: Site) -> None:
    await site.ask("POST", "/api/v1/users", json={"id": "kim", "role": "viewer", "name": "Kim"})
    await site.ask("POST", "/api/v1/users/kim/role", json={"role": "lead"})
    link = (await site.ask("POST", "/api/v1/users/kim/sign-in-link")).json()["url"]
    secret = await make(site, "ci", "read", "respond", expires="90d")
    console = (await site.ask("POST", "/api/v1/sign-in-links")).json()["url"]
    path = link.removeprefix("http://tocsin.test")
    await site.http.post(path, headers={"Origin": "http://tocsin.test"})
    rows = await told(site)
    assert [(r["actor"], r["kind"], r["action"], r["target"], r["detail"]) for r in rows] == [
        ("Kim", "link", "sign in", "kim", "by a link made for them"),
        ("admin", "token", "POST /api/v1/sign-in-links", "", ""),
        ("admin", "token", "POST /api/v1/tokens", "", "ci: read, respond, for 90 days"),
        ("admin", "token", "POST /api/v1/users/{user}/sign-in-link", "kim", "Kim"),
        ("admin", "token", "POST /api/v1/users/{user}/role", "kim", "Kim: viewer -> lead"),
        ("admin", "token", "POST /api/v1/users", "", "kim, Kim, viewer"),
    ]
    everything = str(rows)
    for private in (secret, link.rpartition("/")[2], console.rpartition("/")[2]):
        assert private not in everything


async def test_silences_by_amtools_paths_are_told_and_alerts_are_not(site: Site) -> None:
    silence = {
        "matchers": [{"name": "a", "value": "b", "isRegex": False}],
        "startsAt": "2030-01-01T00:00:00Z",
        "endsAt": "2030-01-02T00:00:00Z",
        "createdBy": "x",
        "comment": "x",
    }
    key = site.tokens["silencer"]
    made = await site.http.post(f"/in/{key}/api/v2/silences", json=silence)
    assert made.status_code == 200, made.text
    number = made.json()["silenceID"]
    await site.ask("DELETE", f"/api/v2/silence/{number}", "silencer")
    await site.ask("POST", "/api/v2/alerts", "ingest", json=[{"labels": {"alertname": "A"}}])
    await site.ask("POST", "/api/v1/reports", "ingest", json={"title": "I cannot log in"})
    rows = await told(site)
    assert [(r["actor"], r["action"], r["target"], r["status"]) for r in rows] == [
        ("silencer", "DELETE /api/v2/silence/{silence_id}", number, 200),
        ("silencer", "POST /api/v2/silences", "", 200),
    ]
    assert key not in str(rows)


async def test_an_act_that_is_refused_by_the_core_is_told_with_its_status(site: Site) -> None:
    made = await site.ask("POST", "/api/v1/incidents", json={"title": "Down"})
    path = f"/api/v1/incidents/{made.json()['id']}"
    await site.ask("POST", f"{path}/resolve")
    await site.ask("POST", f"{path}/resolve")
    await site.ask("POST", "/api/v1/incidents/INC-99/resolve")
    await site.ask("POST", f"{path}/notes", content=b"not json")
    assert [row["status"] for row in await told(site)] == [400, 404, 409, 200, 201]


async def test_the_trail_is_filtered_and_paged(site: Site) -> None:
    for number in range(5):
        await site.ask("POST", "/api/v1/incidents", "responder", json={"title": f"Down {number}"})
    await site.ask("POST", "/api/v1/users/lea/sign-out")
    assert len(await told(site, actor="RESPONDER")) == 5
    assert await told(site, since="2100-01-01T00:00:00Z") == []
    assert len(await told(site, since="2000-01-01T00:00:00 02:00")) == 6
    first = (await site.ask("GET", "/api/v1/audit", params={"limit": 4})).json()
    rest = (
        await site.ask("GET", "/api/v1/audit", params={"limit": 4, "before": first["next"]})
    ).json()
    assert (len(first["audit"]), len(rest["audit"]), rest["next"]) == (4, 2, None)
    for query in ({"since": "soon"}, {"before": 0}, {"limit": 0}, {"actor": "a\0"}):
        assert (await site.ask("GET", "/api/v1/audit", params=query)).status_code == 422
