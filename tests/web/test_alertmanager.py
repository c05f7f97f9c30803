"""The Alertmanager API, in-process; what the real programs make of it is in test_real_clients."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from tests.web.site import Site, eventually
from tocsin.core.surroundings import Matcher
from tocsin.store import quarantine
from tocsin.web.alertmanager import parse_matcher
from tocsin.web.errors import Problem

pytestmark = pytest.mark.anyio


def alert(name: str, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, **labels}, "annotations": {"summary": f"{name}!"}}


async def _fires(site: Site, *alerts: dict[str, Any]) -> list[dict[str, Any]]:
    """Send alerts and wait until all of them are listed."""
    answer = await site.ask("POST", "/api/v2/alerts", "ingest", json=list(alerts))
    assert (answer.status_code, answer.content) == (200, b"")

    async def listed() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = (await site.ask("GET", "/api/v2/alerts", "ingest")).json()
        return found if len(found) >= len(alerts) else None

    found: list[dict[str, Any]] = await eventually(listed)
    return found


async def test_an_alert_sent_is_an_alert_listed(site: Site) -> None:
    [found] = await _fires(
        site, {**alert("ApiDown", service="api"), "generatorURL": "http://prometheus.test/g"}
    )
    assert found["labels"] == {"alertname": "ApiDown", "service": "api"}
    assert found["annotations"] == {"summary": "ApiDown!"}
    assert found["status"] == {"state": "active", "silencedBy": [], "inhibitedBy": []}
    assert found["receivers"] == [{"name": "tocsin"}]
    assert found["generatorURL"] == "http://prometheus.test/g"
    assert found["startsAt"] < found["endsAt"]
    assert found["startsAt"].endswith("Z")


async def test_the_key_in_the_path_does_the_same(site: Site) -> None:
    prefix = f"/in/{site.tokens['ingest']}"
    answer = await site.http.post(f"{prefix}/api/v2/alerts", json=[alert("A", service="api")])
    assert answer.status_code == 200
    found = await eventually(lambda: _json(site, f"{prefix}/api/v2/alerts"))
    assert [each["labels"]["alertname"] for each in found] == ["A"]
    assert (await site.http.get(f"{prefix}/api/v2/silences")).status_code == 403
    assert (await site.http.get(f"{prefix}/-/ready")).text == "OK"


async def _json(site: Site, path: str) -> Any:
    return (await site.http.get(path)).json()


async def test_a_resolved_alert_is_listed_no_more(site: Site) -> None:
    await _fires(site, {**alert("A", service="api"), "startsAt": "2026-01-01T00:00:00Z"})
    over = {
        **alert("A", service="api"),
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2026-01-01T01:00:00Z",
    }
    assert (await site.ask("POST", "/api/v2/alerts", "ingest", json=[over])).status_code == 200

    async def gone() -> bool:
        return (await site.ask("GET", "/api/v2/alerts")).json() == []

    await eventually(gone)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (['service="api"'], {"A", "B"}),
        (["service=api"], {"A", "B"}),
        (['service!="api"'], {"C"}),
        (['alertname=~"A|C"'], {"A", "C"}),
        (['alertname!~"A|C"'], {"B"}),
        (['service="api"', 'alertname="B"'], {"B"}),
        (['pod=""'], {"A", "C"}),
        (['pod=~".+"'], {"B"}),
        (['alertname=~"A"', 'alertname=~"B"'], set()),
        # Hours for a backtracking engine, nothing for RE2.
        ([f'service=~"{"(a+)+" * 20}$"'], set()),
    ],
)
async def test_filters_select_as_in_alertmanager(
    site: Site, filters: list[str], names: set[str]
) -> None:
    await _fires(
        site,
        alert("A", service="api"),
        alert("B", service="api", pod="p1"),
        alert("C", service="db"),
    )
    answer = await site.ask("GET", "/api/v2/alerts", params=[("filter", f) for f in filters])
    assert {each["labels"]["alertname"] for each in answer.json()} == names


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("filter=bad", "bad matcher format: bad"),
        ("filter=a%3D~%22(%22", "error parsing regexp: missing ): ("),
        (
            f"filter=a%3D~%22{'(a%3F){900}' * 20}%22",
            "error parsing regexp: pattern too large - compile failed",
        ),
        ("filter=a%3D%22unclosed", 'bad matcher format: a="unclosed'),
        ("receiver=%28", "failed to parse receiver param: ("),
    ],
)
async def test_a_bad_filter_is_refused_with_a_json_string(
    site: Site, query: str, message: str
) -> None:
    answer = await site.ask("GET", f"/api/v2/alerts?{query}", "ingest")
    assert (answer.status_code, answer.json()) == (400, message)


async def test_groups_are_services(site: Site) -> None:
    await _fires(
        site, alert("A", service="api"), alert("B", service="api"), alert("C", service="db")
    )
    groups = (await site.ask("GET", "/api/v2/alerts/groups", "ingest")).json()
    assert [(g["labels"], len(g["alerts"]), g["receiver"]) for g in groups] == [
        ({"service": "api"}, 2, {"name": "tocsin"}),
        ({"service": "db"}, 1, {"name": "tocsin"}),
    ]


async def test_one_bad_alert_is_set_aside_and_its_siblings_go_on(site: Site) -> None:
    good, bad = '{"labels":{"alertname":"Good","service":"api"}}', '{"labels":{}}'
    body = f'[{good},{bad},{{"labels":17}},{good.replace("Good", "Fine")}]'
    answer = await site.ask("POST", "/api/v2/alerts", "ingest", content=body)
    assert answer.status_code == 200

    async def both() -> bool:
        found = (await site.ask("GET", "/api/v2/alerts")).json()
        return {each["labels"]["alertname"] for each in found} == {"Good", "Fine"}

    await eventually(both)
    async with site.context.database.reading() as connection:
        assert await quarantine.count(connection) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('[{"labels":{}}]', "at least one label pair required"),
        (
            '[{"labels":{"a":"b"},"startsAt":"2026-11-25T00:00:00Z","endsAt":"2026-11-24T00:00:00Z"}]',
            "start time must be before end time",
        ),
    ],
)
async def test_only_bad_alerts_are_refused_in_alertmanagers_words(
    site: Site, body: str, message: str
) -> None:
    answer = await site.ask("POST", "/api/v2/alerts", "ingest", content=body)
    assert (answer.status_code, answer.json()) == (400, message)
    async with site.context.database.reading() as connection:
        assert await quarantine.count(connection) == 1


@pytest.mark.parametrize("body", ["", "{", "nope", '[{"labels":', "{}", "\0", "[1,2"])
async def test_what_is_not_json_is_refused_saying_where(site: Site, body: str) -> None:
    answer = await site.ask("POST", "/api/v2/alerts", "ingest", content=body)
    assert answer.status_code == 400
    assert "byte " in answer.json()


async def test_an_empty_batch_is_fine(site: Site) -> None:
    answer = await site.ask("POST", "/api/v2/alerts", "ingest", content="[]")
    assert answer.status_code == 200


# -- Silences --------------------------------------------------------------------------------------


def silence(site: Site, *, hours: float = 1, **more: Any) -> dict[str, Any]:
    now = site.context.clock.now()
    return {
        "matchers": [{"name": "service", "value": "api", "isRegex": False}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=hours)).isoformat(),
        "createdBy": "ana",
        "comment": "deploying",
        **more,
    }


async def test_a_silence_suppresses_and_its_end_reveals(site: Site) -> None:
    await _fires(site, alert("A", service="api"), alert("B", service="db"))
    made = await site.ask("POST", "/api/v2/silences", "silencer", json=silence(site))
    assert made.status_code == 200, made.text
    name = made.json()["silenceID"]
    assert str(uuid.UUID(name)) == name

    async def states() -> dict[str, tuple[str, list[str]]]:
        found = (await site.ask("GET", "/api/v2/alerts")).json()
        return {
            each["labels"]["alertname"]: (each["status"]["state"], each["status"]["silencedBy"])
            for each in found
        }

    assert await states() == {"A": ("suppressed", [name]), "B": ("active", [])}
    shown = (await site.ask("GET", "/api/v2/alerts?silenced=false")).json()
    assert [each["labels"]["alertname"] for each in shown] == ["B"]
    shown = (await site.ask("GET", "/api/v2/alerts?active=false")).json()
    assert [each["labels"]["alertname"] for each in shown] == ["A"]

    one = (await site.ask("GET", f"/api/v2/silence/{name}", "silencer")).json()
    assert one["status"] == {"state": "active"}
    assert one["matchers"] == [
        {"name": "service", "value": "api", "isRegex": False, "isEqual": True}
    ]
    assert (one["createdBy"], one["comment"]) == ("ana", "deploying")

    ended = await site.ask("DELETE", f"/api/v2/silence/{name}", "silencer")
    assert (ended.status_code, ended.content) == (200, b"")
    assert (await states())["A"] == ("active", [])
    one = (await site.ask("GET", f"/api/v2/silence/{name}", "silencer")).json()
    assert one["status"] == {"state": "expired"}
    again = await site.ask("DELETE", f"/api/v2/silence/{name}", "silencer")
    assert again.status_code == 200


async def test_a_silence_is_changed_by_its_id_and_replaced_for_other_matchers(site: Site) -> None:
    first = (await site.ask("POST", "/api/v2/silences", json=silence(site))).json()["silenceID"]
    longer = await site.ask(
        "POST", "/api/v2/silences", json=silence(site, hours=5, id=first, comment="still")
    )
    assert longer.json()["silenceID"] == first
    other = [{"name": "service", "value": "db", "isRegex": False}]
    second = (
        await site.ask("POST", "/api/v2/silences", json=silence(site, id=first, matchers=other))
    ).json()["silenceID"]
    assert second != first
    listed = (await site.ask("GET", "/api/v2/silences")).json()
    assert [(each["id"], each["status"]["state"]) for each in listed] == [
        (second, "active"),
        (first, "expired"),
    ]
    only = (await site.ask("GET", '/api/v2/silences?filter=service="db"')).json()
    assert [each["id"] for each in only] == [second]
    # As in Alertmanager: a silence that is over is not brought back, another one is made.
    third = (await site.ask("POST", "/api/v2/silences", json=silence(site, id=first))).json()
    assert third["silenceID"] not in (first, second)


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"matchers": []}, 422, "matchers in body should have"),
        (
            {"matchers": [{"name": "a", "value": "(", "isRegex": True}]},
            400,
            "silence invalid: invalid label matcher 0: error parsing regexp",
        ),
        (
            {"matchers": [{"name": "a", "value": "", "isRegex": False}]},
            400,
            "silence invalid: at least one matcher must not match the empty string",
        ),
        (
            {"endsAt": "2020-01-01T00:00:00Z"},
            400,
            "Failed to create silence: start time must be before end time",
        ),
        (
            {"startsAt": "2019-01-01T00:00:00Z", "endsAt": "2020-01-01T00:00:00Z"},
            400,
            "Failed to create silence: end time can't be in the past",
        ),
        ({"id": "11111111-1111-4111-8111-111111111111"}, 404, "silence not found"),
        ({"comment": None}, 422, "The silence has the wrong shape"),
        ({"startsAt": "2026-01-01T00:00:00"}, 400, "a time has no zone"),
        ({"comment": "\0"}, 400, "U+0000"),
    ],
)
async def test_a_bad_silence_is_refused(
    site: Site, change: dict[str, Any], status: int, message: str
) -> None:
    answer = await site.ask("POST", "/api/v2/silences", json=silence(site, **change))
    assert answer.status_code == status, answer.text
    assert message in answer.json()
    assert (await site.ask("GET", "/api/v2/silences")).json() == []


async def test_a_silence_nested_without_end_is_refused(site: Site) -> None:
    body = '{"extra":' + "[" * 100_000
    answer = await site.ask("POST", "/api/v2/silences", content=body)
    assert answer.status_code == 400


async def test_an_unknown_silence_is_404(site: Site) -> None:
    for name in ("11111111-1111-4111-8111-111111111111", "abc", "%00"):
        assert (await site.ask("GET", f"/api/v2/silence/{name}")).status_code == 404
        assert (await site.ask("DELETE", f"/api/v2/silence/{name}")).status_code == 404


# -- Matchers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ("a=b", Matcher("a", "b")),
        (' a = "b c" ', Matcher("a", "b c")),
        ('a!="b"', Matcher("a", "b", is_equal=False)),
        ('a=~"b|c"', Matcher("a", "b|c", is_regex=True)),
        ("a!~b.*", Matcher("a", "b.*", is_regex=True, is_equal=False)),
        (r'a="q\"u\\o\nte"', Matcher("a", 'q"u\\o\nte')),
        ('a=""', Matcher("a", "")),
        ("a=", Matcher("a", "")),
    ],
)
def test_matchers_are_read_as_alertmanager_reads_them(text: str, matcher: Matcher) -> None:
    assert parse_matcher(text) == matcher


@pytest.mark.parametrize("text", ["", "a", "=b", "1a=b", 'a="b', 'a="b"c"', "a b=c"])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="400"):
        parse_matcher(text)
