"""Every route, and everybody who may not call it."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from starlette.routing import Mount

from tests.web.site import PUBLIC_URL, SCOPES, Site
from tocsin.web.door import door_of
from tocsin.web.guard import (
    PUBLIC,
    SESSION_COOKIE,
    Declared,
    Scope,
    UndeclaredRouteError,
    allow,
    declared_routes,
)

pytestmark = pytest.mark.anyio
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


def _every(site: Site) -> Iterator[tuple[Declared, str, str]]:
    """Yield each route with one of its methods and a path that reaches it."""
    for route in declared_routes(site.app):
        for method in sorted(route.methods):
            path = route.path.replace("{ingest_key}", "KEY")
            while "{" in path:
                opening, _, rest = path.partition("{")
                path = f"{opening}x{rest.partition('}')[2]}"
            yield route, method, path


async def test_the_router_has_the_routes_we_think_it_has(site: Site) -> None:
    paths = {(method, route.path) for route, method, _ in _every(site)}
    assert ("POST", "/api/v2/alerts") in paths
    assert ("POST", "/in/{ingest_key}/api/v2/alerts") in paths
    assert ("POST", "/api/v1/incidents/{incident}/acknowledge") in paths
    assert ("POST", "/api/v1/sign-in-links") in paths
    assert ("GET", "/metrics") in paths
    public = {route.path for route, _, _ in _every(site) if route.needs is None}
    assert {"/healthz", "/readyz", "/openapi.json", "/-/healthy", "/-/ready"} <= public
    assert not any(path.startswith("/api/") or path == "/metrics" for path in public)


async def test_nobody_gets_in_without_a_credential(site: Site) -> None:
    for route, method, path in _every(site):
        if route.needs is None:
            continue
        answer = await site.http.request(method, path, follow_redirects=False)
        assert answer.status_code == 401, (method, path, answer.text)
        assert "bearer" in answer.headers["www-authenticate"].lower()


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer ",
        "bearer",
        "Basic !!!",
        "Basic " + base64.b64encode(b"admin:wrong").decode(),
        "Digest username=x",
        "Bearer " + "x" * 5000,
    ],
)
async def test_nobody_gets_in_with_a_wrong_credential(site: Site, header: str) -> None:
    for route, method, path in _every(site):
        if route.needs is None:
            continue
        answer = await site.http.request(method, path, headers={"Authorization": header})
        assert answer.status_code == 401, (method, path, answer.text)


async def test_nobody_gets_in_with_a_wrong_key_in_the_path(site: Site) -> None:
    # A right header does not help: the key in the path is the credential there.
    for route, method, path in _every(site):
        if route.needs is not None and path.startswith("/in/"):
            answer = await site.ask(method, path, "admin")
            assert answer.status_code == 401, (method, path)
            assert "KEY" not in answer.text


async def test_a_session_that_is_over_lets_nobody_in(site: Site) -> None:
    for route, method, path in _every(site):
        if route.needs is None:
            continue
        for secret in (site.over, "never-was", ""):
            answer = await site.http.request(
                method,
                path,
                headers={"Cookie": f"{SESSION_COOKIE}={secret}", "Origin": PUBLIC_URL},
            )
            assert answer.status_code == 401, (method, path, answer.text)


@pytest.mark.parametrize("name", ["ingest", "reader", "silencer", "responder", "useless"])
async def test_too_little_scope_is_refused(site: Site, name: str) -> None:
    tried = 0
    scopes = set(SCOPES[name])
    for route, method, path in _every(site):
        if route.needs is None or route.needs & scopes:
            continue
        if path.startswith("/in/"):
            path = path.replace("KEY", site.tokens[name])
        answer = await site.ask(method, path, name)
        assert answer.status_code == 403, (method, path, answer.text)
        tried += 1
    assert tried > 5


async def test_the_ingest_key_sends_and_reads_alerts_and_nothing_else(site: Site) -> None:
    allowed = {
        (method, route.path)
        for route, method, _ in _every(site)
        if route.needs and Scope.INGEST in route.needs
    }
    bare = {
        ("POST", "/api/v2/alerts"),
        ("GET", "/api/v2/alerts"),
        ("GET", "/api/v2/alerts/groups"),
        ("GET", "/api/v2/receivers"),
        ("GET", "/api/v2/status"),
    }
    prefixed = {(method, f"/in/{{ingest_key}}{path}") for method, path in bare}
    assert allowed == bare | prefixed | {("POST", "/api/v1/reports")}


async def test_only_the_admin_lets_others_in(site: Site) -> None:
    for_admins = {
        (method, route.path) for route, method, _ in _every(site) if route.needs == {Scope.ADMIN}
    }
    assert ("POST", "/api/v1/sign-in-links") in for_admins
    for name in SCOPES:
        answer = await site.ask("POST", "/api/v1/sign-in-links", name)
        assert answer.status_code == (201 if name == "admin" else 403), (name, answer.text)


async def test_a_key_in_a_path_never_does_what_people_do(site: Site) -> None:
    key = site.tokens["admin"]
    answer = await site.http.get(f"/in/{key}/api/v2/silences")
    assert answer.status_code == 200
    answer = await site.http.get(f"/in/{key}/api/v1/incidents")
    assert answer.status_code == 404
    assert key not in answer.text


async def test_a_wrong_method_is_refused_everywhere(site: Site) -> None:
    methods_by_path: dict[str, set[str]] = {}
    for _, method, path in _every(site):
        methods_by_path.setdefault(path, set()).add(method)
    for path, methods in methods_by_path.items():
        for method in {"PATCH", "PUT", "TRACE", "OPTIONS"} - methods:
            answer = await site.ask(method, path.replace("KEY", site.tokens["admin"]))
            assert answer.status_code == 405, (method, path, answer.text)


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": f"{PUBLIC_URL}.evil.test"},
        {"Sec-Fetch-Site": "cross-site", "Origin": PUBLIC_URL},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
async def test_a_foreign_page_changes_nothing_with_somebodys_session(
    site: Site, foreign: dict[str, str]
) -> None:
    tried = 0
    for route, method, path in _every(site):
        if route.needs is None or method not in UNSAFE or path.startswith("/in/"):
            continue
        cookie = {"Cookie": f"{SESSION_COOKIE}={site.session}"}
        answer = await site.http.request(method, path, headers={**cookie, **foreign})
        assert answer.status_code == 403, (method, path, answer.text)
        tried += 1
    assert tried > 5


async def test_a_foreign_page_changes_nothing_where_anybody_may_call(site: Site) -> None:
    for route, method, path in _every(site):
        if route.needs is None and method in UNSAFE:
            answer = await site.http.request(
                method, path, headers={"Origin": "http://evil.test"}, follow_redirects=False
            )
            assert answer.status_code == 403, (method, path, answer.text)


async def test_our_own_pages_may_use_a_session(site: Site) -> None:
    for own in ({"Origin": PUBLIC_URL}, {"Sec-Fetch-Site": "same-origin"}):
        answer = await site.http.post(
            "/api/v1/incidents",
            headers={"Cookie": f"{SESSION_COOKIE}={site.session}", **own},
            json={"title": "The site is down", "service": "web"},
        )
        assert answer.status_code == 201, answer.text


async def test_where_https_is_public_a_page_over_http_is_foreign(site: Site) -> None:
    site.app.state.context = dataclasses.replace(site.context, public_url="https://tocsin.test")
    cookie = {"Cookie": f"__Host-{SESSION_COOKIE}={site.session}"}
    for origin, status in (("http://tocsin.test", 403), ("https://tocsin.test", 201)):
        answer = await site.http.post(
            "/api/v1/incidents", headers={**cookie, "Origin": origin}, json={"title": "Down"}
        )
        assert answer.status_code == status, answer.text


async def test_without_a_database_nobody_comes_in(site: Site) -> None:
    await site.context.database.close()
    for route, method, path in _every(site):
        if route.needs is not None and route.path != "/metrics":
            answer = await site.ask(method, path.replace("KEY", site.tokens["admin"]))
            assert answer.status_code == 503, (method, path, answer.text)
            cookie = {"Cookie": f"{SESSION_COOKIE}={site.session}", "Origin": PUBLIC_URL}
            if not path.startswith("/in/"):
                answer = await site.http.request(method, path, headers=cookie)
                assert answer.status_code == 503, (method, path, answer.text)


async def test_basic_takes_the_token_as_password_but_not_from_a_foreign_page(site: Site) -> None:
    value = base64.b64encode(f"anyone:{site.tokens['silencer']}".encode()).decode()
    headers = {"Authorization": f"Basic {value}"}
    assert (await site.http.get("/api/v2/silences", headers=headers)).status_code == 200
    headers["Origin"] = "http://evil.test"
    assert (await site.http.post("/api/v2/silences", headers=headers)).status_code == 403


async def test_a_withdrawn_token_is_not_asked_about_on_every_request(site: Site) -> None:
    # Remembered by its hash only: the secret itself is nowhere in the application's state.
    assert (await site.ask("GET", "/api/v2/status", "ingest")).status_code == 200
    remembered = door_of(site.app).remembered
    assert len(remembered) == 1
    assert site.tokens["ingest"] not in repr(vars(remembered))


def test_an_undeclared_route_keeps_the_application_from_starting() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/declared", **allow(PUBLIC))
    async def declared(request: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    assert [route.path for route in declared_routes(app)] == ["/declared"]

    @app.get("/forgotten")
    async def forgotten(request: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    with pytest.raises(UndeclaredRouteError, match="GET /forgotten"):
        declared_routes(app)


def test_a_mounted_application_counts_as_undeclared() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.router.routes.append(Mount("/inner", app=PlainTextResponse("")))
    with pytest.raises(UndeclaredRouteError, match="/inner"):
        declared_routes(app)
