"""``make bad-input``: whatever is sent, nothing breaks, and nobody suffers for a neighbour.

Against a real server:

- every file of JSONTestSuite and every naughty string, in every field of every route that the
  OpenAPI document names, in every parameter of every path and query, and as a member among others;
- bodies made to break readers: NUL, halves of surrogate pairs, numbers of five thousand digits, a
  hundred thousand brackets, ten megabytes;
- bodies by Hypothesis: alerts that are nearly right, and bytes that are nothing;
- schemathesis on the OpenAPI document.

What must hold: no answer of 500 or more, ever; wherever a good alert stood among bad ones and the
request was accepted, the alert is there; the memory of our process is flat. JSONTestSuite and the
naughty strings lie beside this tree, and are left out, which is said, where they do not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.integrations.badinput import json_fragments, naughty_strings
from tests.proof.harness import (
    Figures,
    Replica,
    Sink,
    arguments,
    deploy,
    query,
    wait_for,
    workplace,
)
from tests.proof.load import Memory

if TYPE_CHECKING:
    from collections.abc import Iterable

GROWTH_MB_MAX: Final = 96
WITHIN_S: Final = 60.0
RECEIVER: Final = "/api/v2/alerts"
TEN_MEGABYTES: Final = 10_485_760
POISON: Final = (
    b'{"labels":{"a":"\\u0000"}}',
    b'{"labels":{"a\\u0000":"b"}}',
    b'{"labels":{"a":"\\ud800"}}',
    b'{"labels":{"a":"\\udfff\\ud800"}}',
    b'{"labels":{"a":NaN}}',
    b'{"labels":{"a":Infinity}}',
    b'{"labels":{"a":' + b"9" * 5_000 + b"}}",
    b'{"labels":{"a":1e' + b"9" * 500 + b"}}",
    b'{"labels":{"a":"b","a":"c"}}',
    b'{"labels":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"labels":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
    b'{"labels":{"a":"' + b"x" * 900_000 + b'"}}',
    b'{"labels":{"' + b"a" * 5_000 + b'":"b"}}',
    b'{"labels":{"a":"b"},"startsAt":"9999-12-31T23:59:59-23:59"}',
    b'{"labels":{"a":"b"},"startsAt":"0000-00-00T00:00:00Z"}',
    b'{"labels":{"a":"b"},"startsAt":"2026-01-01T00:00:00"}',
    b'{"labels":{"a":"b"},"endsAt":"0001-01-01T00:00:00+23:59"}',
    b'{"labels":{"service":"\xff\xfe"}}',
    b"null",
    b"[]",
    b'"text"',
    b"-0",
)
WHOLE: Final = (
    b"",
    b"[" * 100_000,
    b"{" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b"\xef\xbb\xbf[]",
    "[]".encode("utf-16"),
    "[]".encode("utf-32"),
    b"\x00" * 1_000,
    b'["' + b"\\" * 99_999,
    b"x" * TEN_MEGABYTES,
)
Route = tuple[str, str, dict[str, Any]]


class Client:
    """One connection with the admin's token; counts every status."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.statuses: Counter[int] = Counter()
        self.broken: list[str] = []
        self._token = replica.token
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes | None = None) -> int:
        """Send one request and return the status."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            status = self._ask(method, path, body, headers)
        except (http.client.HTTPException, OSError):
            # The server may hang up on a body that is too long while it is still sent.
            self.close()
            if body is not None and len(body) > 1_000_000:
                status = 413
            else:
                status = self._ask(method, path, body, headers)
        self.statuses[status] += 1
        if status >= 500:
            self.broken.append(f"{status} {method} {path[:200]} {(body or b'')[:200]!r}")
        return status

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> int:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self.replica.port, timeout=WITHIN_S
            )
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.will_close:
            self.close()
        return answer.status

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Siblings:
    """Good alerts that stand among bad ones, and whether each is there in the end."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.accepted: list[str] = []
        self.refused = 0
        self._made = 0

    def send(self, bad: Iterable[bytes]) -> int:
        """Post bad members with a good one in their middle."""
        members = list(bad)
        self._made += 1
        name = f"Good{self._made}"
        good = b'{"labels":{"alertname":"%s","service":"good-%d"}}' % (
            name.encode(),
            self._made % 20,
        )
        members.insert(len(members) // 2, good)
        status = self.client.ask("POST", RECEIVER, b"[" + b",".join(members) + b"]")
        if status == 200:
            self.accepted.append(name)
        else:
            self.refused += 1
        return status

    def missing(self) -> int:
        """Return how many accepted ones are not there, once everything was judged."""
        url = self.client.replica.sql_url

        def is_judged() -> bool:
            waiting = "SELECT count(*) AS n FROM inbox WHERE done_at IS NULL"
            return asyncio.run(query(url, waiting))[0]["n"] == 0

        wait_for(is_judged, 300, "everything to be judged", every_s=0.2)
        rows = asyncio.run(query(url, "SELECT record FROM alerts WHERE service LIKE 'good-%'"))
        there = {json.loads(row["record"])["signal"]["title"] for row in rows}
        return len(set(self.accepted) - there)


def main(argv: list[str] | None = None) -> int:
    parser = arguments("bad-input", __doc__)
    parser.add_argument("--cases", type=int, default=0, help="of Hypothesis (100,000)")
    parser.add_argument("--examples", type=int, default=0, help="of schemathesis, each route (100)")
    parser.add_argument("--every", type=int, default=0, help="send each n-th naughty string only")
    options = parser.parse_args(argv)
    usual = (2_000, 2, 40) if options.short else (100_000, 100, 1)
    for name, value in zip(("cases", "examples", "every"), usual, strict=True):
        setattr(options, name, getattr(options, name) or value)
    figures = Figures(
        "bad-input",
        scale=f"{options.cases:,} cases of Hypothesis, {options.examples} a route of schemathesis",
        seed=options.seed,
    )
    with workplace("bad-input") as folder, Sink(folder) as sink:
        deploy(folder, sink, repeat_every="never")
        with Replica(folder) as replica:
            with contextlib.closing(Client(replica)) as client:
                _prove(options, figures, folder, replica, client)
            figures.add(
                "defects in the log",
                replica.output.count("Traceback"),
                "0",
                ok="Traceback" not in replica.output,
            )
    return figures.finish(write=options.write)


def _prove(
    options: argparse.Namespace, figures: Figures, folder: Path, replica: Replica, client: Client
) -> None:
    assert replica.pid is not None
    siblings = Siblings(client)
    routes = _routes(replica)
    client.ask("POST", "/api/v1/incidents", b'{"title":"x","service":"x"}')
    # The first of everything makes memory grow once: that is not what is measured.
    for body in (*POISON, *WHOLE):
        client.ask("POST", RECEIVER, body)
    memory = Memory(replica.pid)
    before_mb = memory.now()
    for n, member in enumerate(POISON):
        siblings.send([member, POISON[n - 1]])
    _whole_bodies(client, routes, [*WHOLE, *(b"[" + member + b"]" for member in POISON)])
    fragments = list(json_fragments().values())
    strings = naughty_strings()[:: options.every]
    if fragments:
        for fragment in fragments:
            siblings.send([fragment])
        _whole_bodies(client, routes, fragments[:: max(1, options.every // 4)])
        _fields(client, siblings, routes, strings)
        figures.add(
            "naughty strings and files of JSONTestSuite", f"{len(strings)} and {len(fragments)}"
        )
    else:
        figures.add("naughty strings and files of JSONTestSuite", "left out: not beside this tree")
    figures.add("routes and fields by the OpenAPI document", f"{len(routes)} routes")
    by_hand = client.statuses.total()
    _hypothesis(client, siblings, options.cases, options.seed)
    figures.add(
        "requests by hand, by Hypothesis", f"{by_hand:,}, {client.statuses.total() - by_hand:,}"
    )
    found, said = _schemathesis(replica, folder, options.examples, options.seed)
    figures.add("requests by schemathesis", said)
    figures.add("5xx by schemathesis", found, "0", ok=found == 0)
    memory.stop()
    answers = ", ".join(f"{n:,} x {status}" for status, n in sorted(client.statuses.items()))
    figures.add("answers", answers)
    for line in client.broken[:5]:
        figures.add("an answer that must not be", line, ok=False)
    figures.add("5xx", len(client.broken), "0", ok=not client.broken)
    figures.add(
        "good alerts among bad ones: accepted, and missing",
        f"{len(siblings.accepted):,}, and {(missing := siblings.missing())}",
        "0 missing",
        ok=missing == 0,
    )
    growth_mb = memory.samples[-1] - before_mb
    figures.add(
        "memory of our process, growth",
        f"{growth_mb:+.0f} MB, to {memory.samples[-1]:.0f} MB",
        f"<= {GROWTH_MB_MAX} MB",
        ok=growth_mb <= GROWTH_MB_MAX,
    )


# -- By the OpenAPI document -----------------------------------------------------------------------


def _routes(replica: Replica) -> list[Route]:
    """Return (method, path, operation) of everything that the document names."""
    document = replica.api.get("/openapi.json").raise_for_status().json()
    _resolve(document, document)
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict)
    ]


def _resolve(node: Any, document: dict[str, Any]) -> None:
    """Put what references name in their place, one level deep: our shapes are flat."""
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        if isinstance(child, dict) and isinstance(child.get("$ref"), str):
            target: Any = document
            for part in child.pop("$ref").removeprefix("#/").split("/"):
                target = target[part]
            child.update(target)
        elif isinstance(child, (dict, list)):
            _resolve(child, document)


def _properties(operation: dict[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return list(content.get("schema", {}).get("properties", {}))


def _whole_bodies(client: Client, routes: list[Route], bodies: Iterable[bytes]) -> None:
    """Send each body to every route that may read one."""
    bodies = list(bodies)
    for method, path, _ in routes:
        if method in ("POST", "PUT", "PATCH") and _is_harmless(path):
            for body in bodies:
                client.ask(method, _filled(path, "INC-1"), body)


def _fields(client: Client, siblings: Siblings, routes: list[Route], strings: list[str]) -> None:
    """Send each string in every field, path and query that the document names, and in alerts."""
    for text in strings:
        said = json.dumps(text)
        alert = (
            f'{{"labels":{{"alertname":{said},"service":{said}}},'
            f'"annotations":{{"summary":{said}}},"generatorURL":{said}}}'
        )
        named = f'{{"labels":{{{said}:"x"}},"startsAt":{said},"endsAt":{said}}}'
        siblings.send([alert.encode(), named.encode()])
        for method, path, operation in routes:
            if not _is_harmless(path):
                continue
            parameters = operation.get("parameters", [])
            for name in (p["name"] for p in parameters if p["in"] == "query"):
                asked = f"{_filled(path, 'INC-1')}?{quote(name)}={quote(text, safe='')}"
                client.ask(method, asked, b"{}" if method != "GET" else None)
            if "{" in path and text:
                client.ask(method, _filled(path, text), b"{}" if method != "GET" else None)
            properties = _properties(operation)
            for name in properties:
                body = dict.fromkeys(properties, "x") | {name: text}
                client.ask(method, _filled(path, "INC-1"), json.dumps(body).encode())
                client.ask(method, _filled(path, "INC-1"), json.dumps({name: text}).encode())


def _is_harmless(path: str) -> bool:
    """Say whether calling it with anything leaves the proof able to go on."""
    return not any(word in path for word in ("revoke", "disable", "sign-out", "rebuild", "tests"))


def _filled(path: str, value: str) -> str:
    return re.sub(r"\{[^}]*\}", lambda _: quote(value, safe=""), path)


def _schemathesis(replica: Replica, folder: Path, examples: int, chance: int) -> tuple[int, str]:
    """Return how many distinct defects it found, and what it says of itself."""
    report = folder / "schemathesis.xml"
    program = Path(sys.executable).with_name("schemathesis")
    options = [
        *("--header", f"Authorization: Bearer {replica.token}"),
        *("--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing"),
        *("--max-examples", str(examples), "--seed", str(chance), "--continue-on-failure"),
        *("--suppress-health-check", "all", "--warnings", "off", "--no-shrink"),
        *("--request-timeout", "30", "--report", "junit", "--report-junit-path", str(report)),
    ]
    for word in ("revoke", "disable", "sign-out", "rebuild"):
        options += ["--exclude-path-regex", word]
    done = subprocess.run(
        [str(program), "run", f"{replica.url}/openapi.json", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / "schemathesis.log").write_text(done.stdout + done.stderr)
    found = 0
    if report.exists():
        text = report.read_text()
        found = sum(int(n) for n in re.findall(r'<testsuite [^>]*?failures="(\d+)"', text))
        found += sum(int(n) for n in re.findall(r'<testsuite [^>]*?errors="(\d+)"', text))
    if done.returncode and not found:
        found = 1
    if found:
        print(done.stdout[-6_000:], done.stderr[-2_000:])  # noqa: T201 - what it found
    cases = re.findall(r"(\d[\d,]*) (?:generated|test cases)", done.stdout)
    return found, f"{cases[-1] if cases else 'some'} cases"


# -- By Hypothesis ---------------------------------------------------------------------------------


def _hypothesis(client: Client, siblings: Siblings, cases: int, chance: int) -> None:
    """Send what Hypothesis makes of alerts, silences, reports, and of bytes."""

    @seed(chance)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_requests())
    def send(request: tuple[str, bytes | list[bytes]]) -> None:
        path, body = request
        if isinstance(body, list):
            status = siblings.send(body)
            # Its members are whole, so that the good one can be told from them.
            assert status == 200, (status, body)
        else:
            client.ask("POST", path, body)

    send()


def _requests() -> st.SearchStrategy[tuple[str, bytes | list[bytes]]]:
    text = st.text(max_size=40) | st.sampled_from(["", "\0", "\ud800", "x" * 3_000, "2026-01-01"])
    scalar = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(min_value=10**300, max_value=10**301)
        | st.floats()
        | text
    )
    anything = st.recursive(
        scalar,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=12,
    )
    moment = (
        st.datetimes().map(lambda at: at.isoformat() + "Z")
        | st.sampled_from(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999-12:00", "now"])
        | anything
    )
    name = st.sampled_from(["alertname", "service", "severity", "app", "job", "a-b", ""]) | text
    labels = st.dictionaries(name, text | anything, max_size=5)
    alert = st.fixed_dictionaries(
        {},
        optional={
            "labels": labels | anything,
            "annotations": labels | anything,
            "startsAt": moment,
            "endsAt": moment,
            "generatorURL": text | anything,
        },
    )
    members = st.lists(alert | anything, max_size=4).map(
        lambda found: [json.dumps(member).encode() for member in found]
    )
    cut = st.tuples(alert, st.integers(0, 200), st.binary(max_size=4)).map(_mutilated)
    shaped = st.dictionaries(
        st.sampled_from(
            [
                "title",
                "text",
                "service",
                "reporter",
                "severity",
                "because",
                "phase",
                "matchers",
                "startsAt",
                "endsAt",
                "createdBy",
                "comment",
                "id",
                "name",
                "role",
                "security_breach",
            ]
        ),
        anything,
        max_size=6,
    ).map(lambda found: json.dumps(found).encode())
    path = st.sampled_from(
        [RECEIVER, "/api/v2/silences", "/api/v1/reports", "/api/v1/incidents"]
        + [f"/api/v1/incidents/INC-1/{act}" for act in ("notes", "severity", "phase", "resolve")]
    )
    return st.tuples(st.just(RECEIVER), members) | st.tuples(
        path, shaped | cut | st.binary(max_size=200)
    )


def _mutilated(given: tuple[dict[str, Any], int, bytes]) -> bytes:
    alert, at, put = given
    body = json.dumps([alert]).encode()
    at = min(at, len(body))
    return body[:at] + put + body[at + len(put) :]


if __name__ == "__main__":
    sys.exit(main())
