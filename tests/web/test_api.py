"""Our own API: an incident from its declaration to its post-mortem."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.web.site import PUBLIC_URL, Site, eventually
from tocsin.core.effects import Message, SendNotice, Topic
from tocsin.core.surroundings import Contact
from tocsin.runbook import compile_runbook
from tocsin.store import deliveries

pytestmark = pytest.mark.anyio


async def _declared(site: Site, **more: Any) -> dict[str, Any]:
    body = {"title": "The site is down", "severity": "P0", "service": "web", **more}
    answer = await site.ask("POST", "/api/v1/incidents", "responder", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_declared_incident_is_graded_paged_and_cited(site: Site) -> None:
    found = await _declared(site)
    assert (found["title"], found["severity"], found["service"]) == (
        "The site is down",
        "P0",
        "web",
    )
    assert found["phase"] == "triggered"
    assert found["is_open"] is True
    assert found["severity_because"]["because"] == "person"
    assert datetime.fromisoformat(found["opened_at"]).tzinfo is not None
    assert found["opened_at"].endswith("Z")
    assert {page["person"] for page in found["pages"]} == {"priya", "sam"}
    assert all(page["file"] == "runbook.md" and page["line"] > 0 for page in found["pages"])
    assert found["revision"] == site.context.book.current.policy.revision

    same = await site.ask("GET", f"/api/v1/incidents/{found['id']}", "reader")
    assert same.json() == found


async def test_without_a_severity_the_runbook_grades_it(site: Site) -> None:
    body = {"title": "Data breach suspected"}
    answer = await site.ask("POST", "/api/v1/incidents", json=body)
    found = answer.json()
    assert answer.headers["location"] == f"/api/v1/incidents/{found['id']}"
    assert found["severity"]
    assert found["service"] == "unknown/Data breach suspected"


async def test_incidents_are_listed_and_filtered(site: Site) -> None:
    first = await _declared(site)
    second = await _declared(site, severity="P3", service="docs")
    listed = (await site.ask("GET", "/api/v1/incidents", "reader")).json()["incidents"]
    assert [each["id"] for each in listed] == [first["id"], second["id"]]
    for query, ids in {
        "severity=P3": [second["id"]],
        "severity=p3": [second["id"]],
        "service=web": [first["id"]],
        "phase=triggered": [first["id"], second["id"]],
        "phase=resolved": [],
        "phase=resolved&phase=triggered&severity=P0": [first["id"]],
        "limit=1": [first["id"]],
        "service=nothing": [],
    }.items():
        listed = (await site.ask("GET", f"/api/v1/incidents?{query}")).json()["incidents"]
        assert [each["id"] for each in listed] == ids, query


async def test_people_take_it_work_on_it_and_end_it(site: Site) -> None:
    incident = (await _declared(site))["id"]

    async def act(part: str, **body: Any) -> dict[str, Any]:
        path = f"/api/v1/incidents/{incident}/{part}"
        answer = await site.ask("POST", path, "responder", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    found = await act("acknowledge")
    assert (found["phase"], found["acknowledged_by"]) == ("acknowledged", "responder")
    assert found["acknowledged_at"]
    assert (await act("phase", phase="investigating"))["phase"] == "investigating"
    found = await act("severity", severity="p1", because="only half of it is down")
    assert found["severity"] == "P1"
    assert found["severity_because"]["reason"] == "only half of it is down"
    await act("notes", text="The load balancer lost its mind.")
    found = await act("resolve", because="restarted it")
    assert found["phase"] == "resolved"
    assert found["resolved_at"]
    assert found["is_open"] is False
    assert (await act("reopen", because="it is back"))["is_open"] is True
    assert (await act("security-breach"))["security_breach"] is True

    told = (await site.ask("GET", f"/api/v1/incidents/{incident}/timeline", "reader")).json()
    events = [entry["event"] for entry in told["timeline"]]
    for event in ("IncidentAcknowledged", "NoteAdded", "IncidentResolved", "IncidentReopened"):
        assert event in events
    note = next(entry for entry in told["timeline"] if entry["event"] == "NoteAdded")
    assert note["kind"] == "people"
    assert note["who"] == "responder"
    assert "lost its mind" in note["text"] + note["words"]
    assert [entry["at"] for entry in told["timeline"]] == sorted(
        entry["at"] for entry in told["timeline"]
    )
    assert any(entry["line"] and entry["file"] == "runbook.md" for entry in told["timeline"])


async def test_what_cannot_be_done_is_409_with_the_reason(site: Site) -> None:
    incident = (await _declared(site))["id"]
    path = f"/api/v1/incidents/{incident}"
    assert (await site.ask("POST", f"{path}/resolve")).status_code == 200
    answer = await site.ask("POST", f"{path}/resolve")
    assert answer.status_code == 409
    assert answer.json()["error"]["message"].endswith(".")


async def test_upcoming_says_what_when_and_why(site: Site) -> None:
    incident = (await _declared(site, severity="P1"))["id"]
    answer = await site.ask("GET", f"/api/v1/incidents/{incident}/upcoming", "reader")
    entries = answer.json()["upcoming"]
    [lead] = (entry for entry in entries if "team lead" in entry["sentence"])
    assert lead["file"] == "runbook.md"
    assert "1 hour" in lead["quote"]
    opened = (await site.ask("GET", f"/api/v1/incidents/{incident}")).json()["opened_at"]
    waited = datetime.fromisoformat(lead["due_at"]) - datetime.fromisoformat(opened)
    assert waited.total_seconds() == 3600


async def test_the_postmortem_is_markdown_or_json(site: Site) -> None:
    incident = (await _declared(site))["id"]
    path = f"/api/v1/incidents/{incident}/postmortem"
    answer = await site.ask("GET", path, "reader")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "The site is down" in answer.text
    answer = await site.ask("GET", path, "reader", headers={"Accept": "application/json"})
    assert "The site is down" in answer.json()["markdown"]


async def test_an_unknown_incident_is_404_everywhere(site: Site) -> None:
    for incident in ("INC-999", "x", "%00", "INC-1%20OR%201=1", "..%2Fincidents"):
        for method, part in (
            ("GET", ""),
            ("GET", "/timeline"),
            ("GET", "/upcoming"),
            ("GET", "/postmortem"),
            ("POST", "/acknowledge"),
            ("POST", "/resolve"),
        ):
            answer = await site.ask(method, f"/api/v1/incidents/{incident}{part}")
            assert answer.status_code in (404, 405), (incident, method, part)
            assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("incidents", "{", 400, "not JSON"),
        ("incidents", "\xff", 400, "not JSON"),
        ("incidents", "[]", 422, "Expected `object`"),
        ("incidents", "{}", 422, "title"),
        ("incidents", '{"title": 5}', 422, "Expected `str`"),
        ("incidents", '{"title": "x", "colour": "red"}', 422, "unknown field `colour`"),
        ("incidents", '{"title": "  "}', 422, "title is empty."),
        ("incidents", '{"title": "x", "severity": "P9"}', 422, 'no severity "P9"'),
        ("incidents", '{"title": "x\\u0000"}', 422, "U+0000"),
        ("incidents", '{"title": "' + "x" * 300 + '"}', 422, "200 are the most"),
        ("incidents", '{"title": "' + "[" * 100 + '"', 400, "not JSON"),
        ("incidents", '{"title": ' + "[" * 100_000, 422, "Expected `str`"),
        ("incidents", '{"a": ' + "[" * 100_000, 422, "unknown field `a`"),
        ("incidents/{id}/phase", '{"phase": "asleep"}', 422, 'no phase "asleep"'),
        ("incidents/{id}/severity", '{"severity": "P1"}', 422, "because"),
        ("incidents/{id}/severity", '{"severity": "P1", "because": ""}', 422, "because is empty."),
        ("incidents/{id}/notes", '{"text": ""}', 422, "text is empty."),
        ("incidents/{id}/acknowledge", '{"by": "somebody else"}', 422, "unknown field `by`"),
        ("reports", '{"text": "no title"}', 422, "title"),
        ("reports", "nope", 400, "not a report"),
    ],
)
async def test_a_bad_body_is_refused_in_one_sentence(
    site: Site, path: str, body: str, status: int, said: str
) -> None:
    if "{id}" in path:
        path = path.replace("{id}", (await _declared(site))["id"])
    answer = await site.ask("POST", f"/api/v1/{path}", content=body.encode("latin-1"))
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert said in error["message"]
    assert set(error) == {"message", "hint"}
    assert "\n" not in error["message"]


@pytest.mark.parametrize(
    "query", ["phase=asleep", "limit=0", "limit=many", "service=%00", "severity=%00"]
)
async def test_a_bad_query_is_refused_in_one_sentence(site: Site, query: str) -> None:
    answer = await site.ask("GET", f"/api/v1/incidents?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]


async def test_a_report_opens_an_incident_and_the_next_one_joins(site: Site) -> None:
    body = {"title": "I cannot log in", "text": "since noon", "service": "login"}
    answer = await site.ask("POST", "/api/v1/reports", "ingest", json=body)
    assert answer.status_code == 202
    incident = answer.json()["incident"]
    assert incident is not None
    again = await site.ask("POST", "/api/v1/reports", "responder", json=body)
    assert again.json()["incident"] == incident
    assert again.json()["fingerprint"] != answer.json()["fingerprint"]

    async def counted() -> bool:
        found = (await site.ask("GET", f"/api/v1/incidents/{incident}")).json()
        return found["reports"] == 2

    await eventually(counted)


async def test_pages_stand_in_the_inbox_while_the_incident_is_open(site: Site) -> None:
    incident = (await _declared(site))["id"]
    pages = (await site.ask("GET", "/api/v1/pages", "reader")).json()["pages"]
    assert {(page["incident"], page["person"]) for page in pages} == {
        (incident, "priya"),
        (incident, "sam"),
    }
    await site.ask("POST", f"/api/v1/incidents/{incident}/resolve")
    assert (await site.ask("GET", "/api/v1/pages")).json() == {"pages": []}


async def test_deliveries_are_listed_by_incident(site: Site) -> None:
    message = Message(Topic.NOTICE, "INC-1", "Hello", "P0", 0, "web")
    async with site.context.database.transaction() as connection:
        await deliveries.add(
            connection, "INC-1", [SendNotice("INC-1/d1", Contact("slack", "C1"), message)]
        )
        await deliveries.settle(
            connection, [deliveries.Settled("INC-1/d1", 0, False, "no such channel")]
        )
    [found] = (await site.ask("GET", "/api/v1/deliveries?incident=INC-1", "reader")).json()[
        "deliveries"
    ]
    assert found["id"] == "INC-1/d1"
    assert (found["kind"], found["contact"], found["state"], found["detail"]) == (
        "notice",
        "slack:C1",
        "failed",
        "no such channel",
    )
    other = await site.ask("GET", "/api/v1/deliveries?incident=INC-2")
    assert other.json() == {"deliveries": []}


async def test_the_runbook_is_shown_as_compiled(site: Site) -> None:
    found = (await site.ask("GET", "/api/v1/runbook", "reader")).json()
    assert found["title"] == "Incident Response"
    assert found["revision"] == site.context.book.current.policy.revision
    assert sum(found["ledger"].values()) > 10
    assert [level["level"] for level in found["policy"]["severities"]] == ["P0", "P1", "P2", "P3"]
    assert all(finding["remedy"] for finding in found["findings"])
    assert found["refused"] is None


async def test_a_refused_edit_is_shown_beside_the_runbook_in_force(site: Site) -> None:
    before = site.context.book.current.policy.revision
    edit = compile_runbook({"runbook.md": "# Nothing in it\n"})
    await site.context.book.offer(edit, site.context.database, site.context.clock.now())  # type: ignore[attr-defined]
    found = (await site.ask("GET", "/api/v1/runbook")).json()
    assert found["revision"] == before
    assert any(finding["level"] == "error" for finding in found["refused"]["findings"])


async def test_alerts_say_where_they_were_filed(site: Site) -> None:
    sent = [{"labels": {"alertname": "Slow", "service": "api", "severity": "warning"}}]
    await site.ask("POST", "/api/v2/alerts", "ingest", json=sent)

    async def filed() -> Any:
        rows = (await site.ask("GET", "/api/v1/alerts?firing=true", "reader")).json()["alerts"]
        return [row for row in rows if row["incident"]]

    [row] = await eventually(filed)
    assert (row["service"], row["title"], row["source"], row["sender"]) == (
        "api",
        "Slow",
        "prometheus",
        "ingest",
    )
    incident = await eventually(lambda: _shown(site, row["incident"]))
    assert [alert["fingerprint"] for alert in incident["alerts"]] == [row["fingerprint"]]
    assert incident["severity"] == "P2"
    assert incident["severity_because"]["because"] == "label"
    by_incident = await site.ask("GET", f"/api/v1/alerts?incident={row['incident']}")
    assert len(by_incident.json()["alerts"]) == 1


async def _shown(site: Site, incident: str) -> Any:
    answer = await site.ask("GET", f"/api/v1/incidents/{incident}")
    return answer.json() if answer.status_code == 200 else None


async def test_hostile_words_come_back_as_they_were_said(site: Site) -> None:
    title = "<img src=x onerror=alert(1)> {{7*7}} '; DROP TABLE incidents;-- \u202e 💥"
    found = await _declared(site, title=title)
    assert found["title"] == title
    assert (await site.ask("GET", f"/api/v1/incidents/{found['id']}")).json()["title"] == title


async def test_openapi_describes_every_route_of_ours(site: Site) -> None:
    answer = await site.http.get("/openapi.json")
    document = answer.json()
    assert document["openapi"].startswith("3.")
    assert {"bearer", "basic", "session"} <= set(document["components"]["securitySchemes"])
    names = set(document["components"]["schemas"])
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in names, reference
    assert "HTTPValidationError" not in names
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"].endswith("."), (method, path)
            assert "security" in operation, (method, path)
            if path.startswith("/api/v1/"):
                good = next(code for code in operation["responses"] if code.startswith("2"))
                assert "content" in operation["responses"][good], (method, path)
                assert "401" in operation["responses"]
                if method == "post":
                    assert "requestBody" in operation, path
    assert "/api/v1/incidents/{incident}/acknowledge" in document["paths"]
    assert not any(path.startswith("/in/") for path in document["paths"])


def _references(node: Any) -> list[str]:
    return [
        line.split('"')[3] for line in json.dumps(node, indent=0).splitlines() if '"$ref"' in line
    ]


async def test_a_sign_in_link_works_once_and_for_a_quarter_of_an_hour(site: Site) -> None:
    before = site.context.clock.now()
    answer = await site.ask("POST", "/api/v1/sign-in-links")
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert set(found) == {"url", "expires_at"}
    lasts = datetime.fromisoformat(found["expires_at"]) - before
    assert timedelta(minutes=15) <= lasts < timedelta(minutes=16)
    path = found["url"].removeprefix(PUBLIC_URL)
    own = {"Sec-Fetch-Site": "same-origin"}
    who = {"name": "Kim Ng"}
    opened = await site.http.post(path, data=who, headers=own, follow_redirects=False)
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert "tocsin_session" in opened.headers["set-cookie"]
    site.http.cookies.clear()
    again = await site.http.post(path, data=who, headers=own, follow_redirects=False)
    assert again.status_code == 410
    another = (await site.ask("POST", "/api/v1/sign-in-links", json={})).json()
    assert another["url"] != found["url"]


async def test_the_description_says_how_to_let_somebody_in(site: Site) -> None:
    described = (await site.http.get("/openapi.json")).json()
    operation = described["paths"]["/api/v1/sign-in-links"]["post"]
    assert operation["x-tocsin-scopes"] == ["admin"]
    schema = operation["responses"]["201"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/SignInLink"}
    assert set(described["components"]["schemas"]["SignInLink"]["required"]) == {
        "url",
        "expires_at",
    }
