"""Everybody who may not, at every door: no route lets anybody in without the right that it names.

The routes are those of the running application, under both prefixes. To each go people and programs
who may not: with nothing, with credentials that never were, that are over, revoked, too small, or
somebody's who was sent away, from foreign pages, by methods that the route does not take, and with
keys in paths that such keys do not open. Names in paths are those of things that are there. Every
attempt must be refused with the status that is meant, and no table may have changed but the audit
trail, which holds refusals only. At the end everybody who may comes in, so that a door that opens
for nobody is not taken for a safe one.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import structlog
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from tests.proof.harness import Figures, Postgres, arguments, query, workplace
from tests.web.site import PUBLIC_URL, USERS, Site, open_site, served
from tocsin.base.rights import SCOPES_BY_ROLE, Role, Scope, holds
from tocsin.core.inputs import IncidentDeclared
from tocsin.store import access, people
from tocsin.store.database import Database
from tocsin.web.door import flush
from tocsin.web.guard import (
    SESSION_COOKIE,
    Declared,
    UndeclaredRouteError,
    declared_routes,
)
from tocsin.web.trail import REFUSED_A_MINUTE_MAX

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN: tuple[dict[str, str], ...] = (
    {"Origin": "http://evil.test"},
    {"Origin": "null"},
    {"Origin": f"{PUBLIC_URL}.evil.test"},
    {"Origin": "http://tocsin.test:8080"},
    {"Sec-Fetch-Site": "cross-site", "Origin": PUBLIC_URL},
    {"Sec-Fetch-Site": "same-site", "Origin": PUBLIC_URL},
    {"Sec-Fetch-Site": "cross-site"},
)
# What runs by itself while the proof does: who is alive, what the clock showed.
NOT_OURS = ("audit", "processes", "clock_seen", "senders", "contacts")
OVER_HTTP = {False: 400, True: 80}


@dataclass(frozen=True)
class Attempt:
    """One request that must be refused, and how."""

    who: str
    method: str
    path: str
    headers: dict[str, str]
    expected: frozenset[int]


@dataclass
class Keys:
    """What those hold who may not: by the words that say who they are."""

    tokens: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    singles: dict[Scope | None, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    admin: str = ""
    link: str = ""


def main(argv: list[str] | None = None) -> int:
    """Run the proof; return 0 if everybody was refused and nothing changed."""
    given = arguments("no-entry", __doc__).parse_args(argv)
    with workplace("no-entry") as folder, Postgres(folder / "database") as postgres:
        return asyncio.run(_prove(postgres.url, given.seed, short=given.short, write=given.write))


async def _prove(url: str, seed: int, *, short: bool, write: bool) -> int:
    database = await Database.open(url)
    chance = random.Random(seed)  # noqa: S311 - which attempts go over HTTP, no secret
    try:
        with structlog.testing.capture_logs() as logs:
            async with open_site(database) as site:
                figures = await _besiege(site, url, chance, short=short)
    finally:
        await database.close()
    told = [line for line in logs if "Bearer" in str(line) or "secret-of" in str(line)]
    figures.add("lines of log", len(logs), "more than 4,000", len(logs) > 4_000)
    figures.add("of them with a credential in it", len(told), 0, not told)
    figures.seed = seed
    return figures.finish(write=write)


async def _besiege(site: Site, url: str, chance: random.Random, *, short: bool) -> Figures:
    keys = await _furnish(site)
    routes = declared_routes(site.app)
    attempts = list(_attempts(routes, keys, site))
    before = await _tables(url)
    wrong = Counter[str]()
    let_in: list[str] = []
    for attempt in attempts:
        await _try(site.http, attempt, wrong, let_in)
    sample = chance.sample(attempts, min(OVER_HTTP[short], len(attempts)))
    async with served(site.app) as address, httpx2.AsyncClient(base_url=address) as client:
        for attempt in sample:
            await _try(client, attempt, wrong, let_in)
    await flush(site.app)
    changed = sorted(_different(before, await _tables(url)))
    acts = await query(url, "SELECT count(*) AS n FROM audit WHERE action <> 'refused'")
    told = await query(
        url,
        "SELECT coalesce(max(n), 0) AS n FROM (SELECT count(*) AS n FROM audit"
        " WHERE action = 'refused' AND status IS NOT NULL GROUP BY date_trunc('minute', at)) AS minutes",
    )
    shut = await _control(site, routes, keys)
    pairs = sum(len(route.methods) for route in routes)
    refused = len(attempts) + len(sample) - len(let_in)
    figures = Figures("no-entry", scale=f"{pairs} routes, {len(Counter(a.who for a in attempts))} kinds of intruders")  # fmt: skip
    figures.add("routes with their methods", pairs, "all there are")
    figures.add("of them for anybody", sum(len(r.methods) for r in routes if r.needs is None))
    figures.add("attempts in the process", len(attempts))
    figures.add("attempts over HTTP, by chance", len(sample))
    share = 100.0 * refused / (len(attempts) + len(sample))
    figures.add("denied", f"{share:.2f}%", "100%", not let_in)
    figures.add("let in", "; ".join(let_in[:5]) or 0, 0, not let_in)
    said = "; ".join(f"{what} ({n})" for what, n in wrong.most_common(5))
    figures.add("denied by another status than is meant", said or 0, 0, not wrong)
    figures.add("tables that changed", ", ".join(changed) or 0, 0, not changed)
    figures.add("acts on the audit trail", acts[0]["n"], 0, acts[0]["n"] == 0)
    most = told[0]["n"]
    figures.add(
        "refusals on the trail in any minute, at most",
        most,
        f"1 to {2 * REFUSED_A_MINUTE_MAX}",
        0 < most <= 2 * REFUSED_A_MINUTE_MAX,
    )
    figures.add("routes that open for nobody", "; ".join(shut[:5]) or 0, 0, not shut)
    found = _undeclared_are_found(site)
    figures.add("undeclared routes that keep the application from starting", found, 2, found == 2)
    return figures


# -- Who tries ---------------------------------------------------------------------------------


async def _furnish(site: Site) -> Keys:
    """Put things behind the doors, and keys that open none into the hands of intruders."""
    context, keys = site.context, Keys(admin=site.tokens["admin"])
    now, ids = context.clock.now(), context.ids

    def secret(of: str) -> str:
        return f"secret of {of} ".replace(" ", "-") + ids.secret()

    keys.tokens = {
        "an expired token": secret("expired"),
        "a revoked token": secret("revoked"),
        "a token of somebody sent away": secret("orphan"),
    }
    async with context.database.transaction() as c:
        await access.grant(
            c, "expired", keys.tokens["an expired token"], ["admin"], expires_at=now - timedelta(1)
        )
        await access.grant(c, "revoked", keys.tokens["a revoked token"], ["admin"])
        for single in (None, *(scope for scope in Scope if scope is not Scope.ADMIN)):
            keys.singles[single] = secret(f"only {single}")
            await access.grant(
                c, f"only {single}", keys.singles[single], [single] if single else []
            )
        for id_ in ("gone", "there"):
            assert await people.add(c, id_, id_.title(), Role.ADMIN, "proof") == ""
        orphan = keys.tokens["a token of somebody sent away"]
        await access.grant(c, "orphan", orphan, ["admin"], user="gone")
        keys.sessions = {
            "a session that is over": site.over,
            "a session that never was": secret("never"),
            "a session of somebody disabled": secret("disabled"),
            "a session that was ended": secret("ended"),
        }
        later = now + timedelta(hours=1)
        gone, ended = secret("there"), keys.sessions["a session that was ended"]
        await access.start_session(
            c, keys.sessions["a session of somebody disabled"], "gone", later
        )
        await access.start_session(c, ended, "there", later)
        await access.end_session(c, ended)
        await access.start_session(c, gone, "there", later)
        # As an old process or a hand might leave it: kept out, and the session is still there.
        await c.execute("UPDATE users SET disabled_at = now() WHERE id = 'gone'")
        for token in await access.tokens(c):
            if token.name == "revoked":
                await access.revoke(c, token, "proof")
        useless = next(t for t in await access.tokens(c) if t.name == "useless")
        keys.link = secret("link")
        await access.offer_link(c, keys.link, later, "there")
    incident = await context.engine.declare("api", IncidentDeclared("Down", "proof"))
    keys.parameters = {
        "incident": incident,
        "user": "there",
        "name": "useless",
        "number": useless.number,
        "silence_id": await _silence(site),
        "path": "tocsin.css",
        "secret": "no-such-link",
        "token": "no.such",
    }
    return keys


async def _silence(site: Site) -> str:
    body = {
        "matchers": [{"name": "a", "value": "b", "isRegex": False}],
        "startsAt": "2030-01-01T00:00:00Z",
        "endsAt": "2030-01-02T00:00:00Z",
        "createdBy": "proof",
        "comment": "proof",
    }
    made = await site.ask("POST", "/api/v2/silences", json=body)
    number = str(made.json()["silenceID"])
    async with site.context.database.transaction() as c:
        await c.execute("DELETE FROM audit")
    return number


def _attempts(routes: tuple[Declared, ...], keys: Keys, site: Site) -> Iterator[Attempt]:
    declared: dict[str, set[str]] = {}
    for route in routes:
        declared.setdefault(route.path, set()).update(route.methods)
        for method in sorted(route.methods):
            if route.needs is None:
                yield from _at_an_open_door(route, method, keys)
            elif "{ingest_key}" in route.path:
                yield from _with_a_key_in_the_path(route, method, keys)
            else:
                yield from _at_a_closed_door(route, method, keys, site)
    yield from _by_wrong_methods(declared, keys)
    yield from _keys_where_none_belong(routes, keys)


def _at_an_open_door(route: Declared, method: str, keys: Keys) -> Iterator[Attempt]:
    """Yield foreign pages that want to change something where anybody may call."""
    path = _path(route.path, keys, keys.admin)
    if method in SAFE:
        return
    for foreign in FOREIGN:
        yield Attempt("a foreign page", method, path, foreign, frozenset({403}))
    # The link is there; whoever does not know it has none.
    yield Attempt("a link that never was", method, path, {"Origin": PUBLIC_URL}, frozenset({404, 410}))  # fmt: skip


def _at_a_closed_door(route: Declared, method: str, keys: Keys, site: Site) -> Iterator[Attempt]:
    path = _path(route.path, keys, "")
    unknown = frozenset({401})
    yield Attempt("nobody", method, path, {}, unknown)
    for odd in ("Bearer", "Bearer .", "bearer x", f"Bearer {'x' * 5000}", "Digest a", "Basic !", "Bearer \xff"):  # fmt: skip
        yield Attempt("an unreadable credential", method, path, {"Authorization": odd}, unknown)
    yield Attempt("an unknown token", method, path, _bearer("never-was"), unknown)
    yield Attempt("an unknown token as a password", method, path, _basic("never-was"), unknown)
    yield Attempt("a session used as a token", method, path, _bearer(site.session), unknown)
    yield Attempt("a link used as a token", method, path, _bearer(keys.link), unknown)
    for who in ("an expired token", "a revoked token"):
        yield Attempt(who, method, path, _bearer(keys.tokens[who]), unknown)
        yield Attempt(f"{who} as a password", method, path, _basic(keys.tokens[who]), unknown)
    for who, secret in keys.sessions.items():
        yield Attempt(who, method, path, _cookie(secret, {"Origin": PUBLIC_URL}), unknown)
    yield Attempt("a token used as a session", method, path, _cookie(keys.admin, {"Origin": PUBLIC_URL}), unknown)  # fmt: skip
    # A right cookie does not mend a wrong header.
    both = {**_bearer("never-was"), **_cookie(site.session, {"Origin": PUBLIC_URL})}
    yield Attempt("a wrong token beside a right session", method, path, both, unknown)
    yield from _with_too_little(route, method, path, keys, site)
    if method not in SAFE:
        yield from _from_foreign_pages(method, path, keys, site)


def _with_too_little(
    route: Declared, method: str, path: str, keys: Keys, site: Site
) -> Iterator[Attempt]:
    assert route.needs is not None
    little = frozenset({403})
    if Scope.INGEST not in route.needs:
        who = "a token of somebody sent away"
        yield Attempt(who, method, path, _bearer(keys.tokens[who]), little)
    for scope, secret in keys.singles.items():
        if scope not in route.needs:
            yield Attempt(f"a token for {scope or 'nothing'} only", method, path, _bearer(secret), little)  # fmt: skip
            yield Attempt(f"a token for {scope or 'nothing'} only, as a password", method, path, _basic(secret), little)  # fmt: skip
    for role in USERS:
        if not any(holds(SCOPES_BY_ROLE[role], scope) for scope in route.needs):
            yield Attempt(f"a {role}", method, path, _cookie(site.sessions[role], {"Origin": PUBLIC_URL}), little)  # fmt: skip


def _from_foreign_pages(method: str, path: str, keys: Keys, site: Site) -> Iterator[Attempt]:
    little = frozenset({403})
    for foreign in (*FOREIGN, {}):
        yield Attempt("a foreign page with a right session", method, path, _cookie(site.session, foreign), little)  # fmt: skip
    for foreign in FOREIGN:
        yield Attempt("a foreign page with a right password", method, path, {**_basic(keys.admin), **foreign}, little)  # fmt: skip


def _with_a_key_in_the_path(route: Declared, method: str, keys: Keys) -> Iterator[Attempt]:
    assert route.needs is not None
    unknown, little = frozenset({401}), frozenset({403})
    right = _bearer(keys.admin)
    for who, key in (("an unknown key in the path", "never-was"), *keys.tokens.items()):
        if who == "a token of somebody sent away":
            if Scope.INGEST not in route.needs:
                yield Attempt(f"{who}, in the path", method, _path(route.path, keys, key), {}, little)  # fmt: skip
            continue
        # A right header does not mend a wrong key.
        for headers in ({}, right):
            yield Attempt(f"{who}, in the path", method, _path(route.path, keys, key), headers, unknown)  # fmt: skip
    for scope, key in keys.singles.items():
        if scope not in route.needs:
            for headers in ({}, right):
                yield Attempt(f"a key for {scope or 'nothing'} only, in the path", method, _path(route.path, keys, key), headers, little)  # fmt: skip


def _by_wrong_methods(declared: dict[str, set[str]], keys: Keys) -> Iterator[Attempt]:
    for path, methods in declared.items():
        for method in METHODS:
            if method not in methods and not (method == "HEAD" and "GET" in methods):
                yield Attempt(
                    "an admin by a method that the route does not take",
                    method,
                    _path(path, keys, keys.admin),
                    {**_bearer(keys.admin), "Origin": PUBLIC_URL},
                    frozenset({405}),
                )


def _keys_where_none_belong(routes: tuple[Declared, ...], keys: Keys) -> Iterator[Attempt]:
    """Yield the admin's key in the path of everything that such a key does not open."""
    under = {route.path.removeprefix("/in/{ingest_key}") for route in routes if "{ingest_key}" in route.path}  # fmt: skip
    for route in routes:
        if "{ingest_key}" in route.path or route.path in under:
            continue
        for method in sorted(route.methods):
            path = f"/in/{keys.admin}{_path(route.path, keys, '')}"
            yield Attempt("an admin's key in a path it does not open", method, path, {}, frozenset({404, 405}))  # fmt: skip
        odd = _path(route.path, keys, "")
        if route.needs is None or odd == "/" or "{path" in route.path:
            continue
        for spelled in (f"{odd}/", f"/{odd}", odd.upper(), f"{odd}/.", f"{odd};x", f"{odd}%00"):
            for method in sorted(route.methods):
                yield Attempt("nobody, by an odd spelling", method, spelled, {}, frozenset({401, 404, 405}))  # fmt: skip


def _path(template: str, keys: Keys, key: str) -> str:
    path = template.replace("{ingest_key}", key)
    while "{" in path:
        opening, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        path = f"{opening}{keys.parameters.get(name.partition(':')[0], 'x')}{after}"
    return path


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def _basic(secret: str) -> dict[str, str]:
    value = base64.b64encode(f"anyone:{secret}".encode()).decode()
    return {"Authorization": f"Basic {value}"}


def _cookie(secret: str, more: dict[str, str]) -> dict[str, str]:
    return {"Cookie": f"{SESSION_COOKIE}={secret}", **more}


# -- What came of it -------------------------------------------------------------------------------


async def _try(
    client: httpx2.AsyncClient, attempt: Attempt, wrong: Counter[str], let_in: list[str]
) -> None:
    headers = [(k, v.encode("latin-1")) for k, v in attempt.headers.items()]
    if not any(k == "Host" for k, _ in headers):
        headers.append(("Host", PUBLIC_URL.removeprefix("http://").encode()))
    answer = await client.request(
        attempt.method,
        attempt.path,
        headers=headers,
        content=b"{}" if attempt.method not in SAFE else None,
        follow_redirects=False,
    )
    said = f"{attempt.who}: {attempt.method} {attempt.path.partition('/in/')[0] or '/in/***'}"
    if answer.status_code < 400:
        let_in.append(f"{said} answered {answer.status_code}")
    elif answer.status_code not in attempt.expected:
        wrong[f"{said} answered {answer.status_code}"] += 1


async def _tables(url: str) -> dict[str, str]:
    """Return a hash of the rows of every table."""
    names = await query(
        url,
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'pgqueuer%'",
    )
    found = {}
    for (name,) in names:
        if name in NOT_OURS:
            continue
        columns = "to_jsonb(t) - 'seen_at'" if name in ("grants", "sessions", "users") else "t"
        # What is over by itself is tidied away now and then, whoever knocks.
        lasting = "WHERE expires_at > now()" if name in ("sessions", "sign_in_links") else ""
        rows = await query(
            url,
            f'SELECT ({columns})::text AS row FROM "{name}" t {lasting} ORDER BY 1',  # noqa: S608 - names of our tables
        )
        found[name] = hashlib.sha256("\n".join(row["row"] for row in rows).encode()).hexdigest()
    return found


def _different(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


async def _control(site: Site, routes: tuple[Declared, ...], keys: Keys) -> list[str]:
    """Let everybody in who may; return the routes that refuse even them.

    Looking comes first, and leaving last: it takes the session along.
    """
    shut = []
    ordered = sorted(
        itertools.chain.from_iterable(
            ((method, route) for method in sorted(route.methods)) for route in routes
        ),
        key=lambda each: (each[0] not in SAFE, each[1].path == "/logout", each[1].path),
    )
    for method, route in ordered:
        path = _path(route.path, keys, keys.admin)
        if path == "/live":
            continue  # A stream: it would not end. Its guard was tried like all others.
        headers = _cookie(site.session, {"Origin": PUBLIC_URL})
        if "{ingest_key}" in route.path:
            headers = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                answer = await site.http.request(method, path, headers=headers, follow_redirects=False)  # fmt: skip
        if answer.status_code in (401, 403, 405):
            shut.append(f"{method} {route.path} answered {answer.status_code}")
    return shut


def _undeclared_are_found(site: Site) -> int:
    """Return how many of two routes that declare nothing keep the application from starting."""

    async def forgotten() -> PlainTextResponse:
        return PlainTextResponse("")

    def route(app: FastAPI) -> Any:
        return app.add_api_route("/forgotten", forgotten)

    def mount(app: FastAPI) -> Any:
        return app.router.routes.append(Mount("/inner", app=PlainTextResponse("")))

    found = 0
    for add in (route, mount):
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        add(app)
        try:
            declared_routes(app)
        except UndeclaredRouteError:
            found += 1
    return found


if __name__ == "__main__":
    raise SystemExit(main())
