"""The commands that talk to a running server: what people do at a terminal in an incident.

They know nothing but the HTTP API. What a server says is shown as text, never obeyed: control
characters and markup in titles and notes stay visible characters.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn
from urllib.parse import quote, urlsplit

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

DEFAULT_SERVER: Final = "http://127.0.0.1:8642"
TOKEN_FILE: Final = Path("tocsin-data/admin.token")
_ANSWERS_WITHIN_S: Final = 30.0
_WIDTH_WITHOUT_TERMINAL: Final = 160
# The API names its own address; who sits at a terminal has a command for it.
_AT_A_TERMINAL: Final = ("GET /api/v1/incidents", "`tocsin incidents`")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Format(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"


Server = Annotated[
    str, typer.Option("--server", envvar="TOCSIN_SERVER", help="Address of the running Tocsin.")
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="TOCSIN_TOKEN",
        show_default=False,
        help=f"Token of the server. Without one, {TOKEN_FILE} is read if it exists.",
    ),
]
Shown = Annotated[Format, typer.Option("--format", help="Tables for people, JSON for programs.")]
Id = Annotated[str, typer.Argument(metavar="ID", help='An incident, such as "INC-7" or just "7".')]


def register(app: typer.Typer) -> None:
    """Add the client commands to the program."""
    panel = "Incidents on a running server"
    for command in (incidents, show, declare, ack, note, phase, severity, resolve, reopen):
        app.command(rich_help_panel=panel)(command)
    for command in (timeline, postmortem):
        app.command(rich_help_panel=panel)(command)
    app.command(rich_help_panel=panel)(deliveries)
    app.command(rich_help_panel=panel)(login)


# -- Commands --------------------------------------------------------------------------------------


def incidents(
    phase: Annotated[list[str] | None, typer.Option(help="Only this phase; repeatable.")] = None,
    severity: Annotated[str, typer.Option(help="Only this level, such as P1.")] = "",
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """List incidents: open first, worst first."""
    query = [("phase", word) for word in phase or ()]
    query += [(k, v) for k, v in (("severity", severity), ("service", service)) if v]
    answer = _Remote(server, token).get("incidents", query)
    if shown is Format.JSON:
        _print_json(answer)
        return
    rows = [
        (
            each["id"],
            each["severity"] or "-",
            each["phase"],
            each["service"],
            _when(each["opened_at"]),
            each["title"],
        )
        for each in answer["incidents"]
    ]
    if rows:
        _print_table(("ID", "SEVERITY", "PHASE", "SERVICE", "OPENED", "TITLE"), rows)
    else:
        typer.echo("No incidents.")


def show(
    incident: Id,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Show one incident: why it has its severity, who was paged, what will happen next."""
    remote = _Remote(server, token)
    answer = remote.get(_path(incident))
    if shown is Format.JSON:
        _print_json(answer)
        return
    upcoming = remote.get(_path(incident, "upcoming"))["upcoming"]
    for line in _about(answer):
        typer.echo(line)
    if answer["pages"]:
        typer.echo()
        _print_table(
            ("WHO", "ROLE", "ASKED", "DELIVERED", "ACKNOWLEDGED", "BY"),
            [
                (
                    page["name"],
                    page["role"],
                    _when(page["asked_at"]),
                    "unreachable" if page["unreachable"] else _when(page["delivered_at"]),
                    _when(page["acknowledged_at"]),
                    _cited(page),
                )
                for page in answer["pages"]
            ],
        )
    if upcoming:
        typer.echo()
        _print_table(
            ("NEXT", "WHAT", "BY"),
            [
                (
                    _when(each["due_at"]),
                    each["sentence"]
                    + (f" ({_within(each['waits_for'])})" if each["waits_for"] else ""),
                    _cited(each),
                )
                for each in upcoming
            ],
        )


def declare(
    title: Annotated[str, typer.Argument(help="What is wrong, in a few words.")],
    severity: Annotated[str, typer.Option(help="A level; else the runbook grades it.")] = "",
    service: Annotated[str, typer.Option(help="What it is about.")] = "",
    security_breach: Annotated[
        bool, typer.Option("--security-breach", help="It is a security breach.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Declare an incident."""
    body: dict[str, object] = {"title": title, "security_breach": security_breach}
    body |= {k: v for k, v in (("severity", severity), ("service", service)) if v}
    _print_incident(_Remote(server, token).post("incidents", body), shown)


def ack(
    incident: Id,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Take an incident: its pages stop repeating."""
    _act(incident, "acknowledge", {}, server, token, shown)


def note(
    incident: Id,
    text: Annotated[str, typer.Argument(help="Words for the timeline.")],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Write on the timeline of an incident."""
    _act(incident, "notes", {"text": text}, server, token, shown)


def phase(
    incident: Id,
    to: Annotated[
        str, typer.Argument(metavar="PHASE", help="investigating, fixing, monitoring, reviewed.")
    ],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Move an incident to another phase."""
    _act(incident, "phase", {"phase": to}, server, token, shown)


def severity(
    incident: Id,
    level: Annotated[str, typer.Argument(help="A level of the runbook, such as P1.")],
    because: Annotated[str, typer.Option(help="Why it is right; stands on the timeline.")],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Grade an incident; this outweighs what the runbook made of it."""
    _act(incident, "severity", {"severity": level, "because": because}, server, token, shown)


def resolve(
    incident: Id,
    because: Annotated[str, typer.Option(help="What ended it.")] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Say that an incident is over: nobody is paged any more."""
    _act(incident, "resolve", {"because": because} if because else {}, server, token, shown)


def reopen(
    incident: Id,
    because: Annotated[str, typer.Option(help="Why it was not over.")] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Say that an incident was not over: the clocks of its escalation start again."""
    _act(incident, "reopen", {"because": because} if because else {}, server, token, shown)


def timeline(
    incident: Id,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Tell what happened, oldest first, with the runbook lines that decided it."""
    answer = _Remote(server, token).get(_path(incident, "timeline"))
    if shown is Format.JSON:
        _print_json(answer)
        return
    _print_table(
        ("AT", "WHAT", "BY"),
        [
            (
                _when(entry["at"]),
                entry["text"] + (f": {entry['words']}" if entry["words"] else ""),
                entry["who"] or _cited(entry),
            )
            for entry in answer["timeline"]
        ],
    )


def postmortem(
    incident: Id,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Print the post-mortem as drafted now, in Markdown."""
    answer = _Remote(server, token).get(_path(incident, "postmortem"))
    if shown is Format.JSON:
        _print_json(answer)
    else:
        typer.echo(_CONTROL.sub("", answer["markdown"]).rstrip("\n"))


def deliveries(
    incident: Annotated[
        str, typer.Option(metavar="ID", help='Only of this incident, "INC-7" or just "7".')
    ] = "",
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """List the pages and notices that were sent, newest first, with what the channel answered."""
    query = [("incident", _name(incident))] if incident else []
    remote = _Remote(server, token)
    answer = remote.get("deliveries", query)
    if incident and not answer["deliveries"]:
        remote.get(_path(incident))  # "Nothing" would hide that there is no such incident.
    if shown is Format.JSON:
        _print_json(answer)
        return
    rows = [
        (
            each["incident"],
            each["to"],
            _by(each["contact"], each["to"]),
            each["state"],
            str(each["attempts"]),
            each["detail"] or "-",
            _when(each["updated_at"]),
        )
        for each in answer["deliveries"]
    ]
    if rows:
        _print_table(("ID", "TO", "BY", "STATE", "ATTEMPTS", "DETAIL", "WHEN"), rows)
    else:
        typer.echo("Nothing was sent.")


def login(
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    shown: Shown = Format.TABLE,
) -> None:
    """Print a link that signs one browser in, once. Needs the admin token."""
    answer = _Remote(server, token).post("sign-in-links", {})
    if shown is Format.JSON:
        _print_json(answer)
        return
    typer.echo(_plain(answer["url"]))
    typer.echo(f"It signs one browser in, once, until {_when(answer['expires_at'])}.", err=True)


# -- Talking to the server -------------------------------------------------------------------------


class _Remote:
    """A server and the token to use there. Whatever fails ends the program with one line."""

    def __init__(self, server: str, token: str) -> None:
        self._server = server.rstrip("/")
        try:
            parts = urlsplit(self._server)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
            port_is_known = parts.port is None or parts.port > 0
        except ValueError:
            usable = port_is_known = False
        if not (usable and port_is_known):
            _fail(f"--server {server} is not an address such as {DEFAULT_SERVER}.", code=2)
        self._is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        self._token, self._origin = _find_token(token)

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """Return the decoded answer of a GET under ``/api/v1/``."""
        return self._ask("GET", path, query, None)

    def post(self, path: str, body: dict[str, object]) -> Any:
        """Return the decoded answer of a POST under ``/api/v1/``."""
        return self._ask("POST", path, (), body)

    def _ask(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: dict[str, object] | None,
    ) -> Any:
        import httpx2

        try:
            # A proxy of the environment is for the world outside, not for this machine.
            with httpx2.Client(timeout=_ANSWERS_WITHIN_S, trust_env=not self._is_local) as client:
                response = client.request(
                    method,
                    f"{self._server}/api/v1/{path}",
                    params=list(query),
                    json=body,
                    headers={
                        "Authorization": f"Bearer {self._token}",
                        "Accept": "application/json",
                    },
                )
        except httpx2.ConnectError:
            _fail(
                f"Nothing answers at {self._server}."
                " Start Tocsin there with `tocsin serve --runbook PATH`, or name it with --server."
            )
        except httpx2.TimeoutException:
            _fail(f"{self._server} did not answer within {_ANSWERS_WITHIN_S:.0f} s.")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            _fail(f"Talking to {self._server} failed: {error}")
        return self._understand(response)

    def _understand(self, response: httpx2.Response) -> Any:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.status_code == 401:
            _fail(f"{self._server} does not know the token from {self._origin}.")
        if not response.is_success:
            said = answer.get("error") if isinstance(answer, dict) else None
            if not isinstance(said, dict):
                _fail(f"{self._server} answered {response.status_code}, not as Tocsin would.")
            hint = str(said.get("hint") or "").replace(*_AT_A_TERMINAL)
            sentences = (str(said.get("message") or ""), hint)
            _fail(" ".join(sentence for sentence in sentences if sentence))
        if not isinstance(answer, dict):
            _fail(f"{self._server} answers, but it is not Tocsin.")
        return answer


def _find_token(given: str) -> tuple[str, str]:
    """Return the token and, for messages, where it came from."""
    if given:
        return _sendable(given.strip(), "--token or TOCSIN_TOKEN")
    try:
        return _sendable(TOKEN_FILE.read_text("utf-8").strip(), str(TOKEN_FILE))
    except FileNotFoundError:
        _fail(
            f"There is no token: give --token, set TOCSIN_TOKEN, or run where {TOKEN_FILE} lies.",
            code=2,
        )
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        _fail(f"The token in {TOKEN_FILE} cannot be read: {reason}.", code=2)


def _sendable(token: str, origin: str) -> tuple[str, str]:
    if not token or not token.isascii() or not token.isprintable():
        _fail(f"The token from {origin} is empty or not plain text.", code=2)
    return token, origin


def _act(
    incident: str, act: str, body: dict[str, object], server: str, token: str, shown: Format
) -> None:
    _print_incident(_Remote(server, token).post(_path(incident, act), body), shown)


def _path(incident: str, part: str = "") -> str:
    """Return the path of an incident, or of a part of it."""
    return f"incidents/{quote(_name(incident), safe='')}" + (f"/{part}" if part else "")


def _name(incident: str) -> str:
    """Return the id of an incident; "7" and "inc-7" mean INC-7."""
    name = f"INC-{incident}" if incident.isdecimal() else incident
    return name.upper() if name.lower().startswith("inc-") else name


# -- Printing --------------------------------------------------------------------------------------


def _print_incident(answer: dict[str, Any], shown: Format) -> None:
    if shown is Format.JSON:
        _print_json(answer)
        return
    if "phase" not in answer:
        typer.echo(f"{_plain(answer['id'])} is declared.")
        return
    for line in _about(answer):
        typer.echo(line)


def _about(incident: dict[str, Any]) -> list[str]:
    lines = [f"{incident['id']}  {incident['severity'] or '-'}  {incident['title']}"]
    because = incident["severity_because"]
    if because:
        words = ", ".join(because["words"]) if because["because"] != "label" else ""
        lines.append(because["sentence"] + (f" Matched {words}." if words else ""))
    state = [incident["phase"], f"service {incident['service']}"]
    state.append(f"opened {_when(incident['opened_at'])}")
    counts = incident["alert_counts"]
    if counts["total"]:
        state.append(f"{counts['firing']} of {counts['total']} alerts firing")
    lines.append(", ".join(state))
    if incident["acknowledged_at"]:
        lines.append(
            f"acknowledged {_when(incident['acknowledged_at'])} by {incident['acknowledged_by']}"
        )
    if incident["resolved_at"]:
        lines.append(f"resolved {_when(incident['resolved_at'])}")
    if incident["play"]:
        lines.append(f"scenario: {incident['play']}")
    if incident["holds"]:
        lines.append(f"escalation waits: {', '.join(incident['holds'])}")
    return [_plain(line) for line in lines]


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads):
        table.add_column(head, no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_plain(cell)) for cell in row))
    console.print(table)


def _print_json(answer: object) -> None:
    typer.echo(json.dumps(answer, indent=2))


def _plain(text: str) -> str:
    return _CONTROL.sub("\ufffd", text.replace("\n", " "))


def _when(instant: str | None) -> str:
    """Return an instant of the API to the second: "2026-03-01 02:11:00Z"."""
    if not instant:
        return "-"
    return instant[:19].replace("T", " ") + "Z"


def _within(sentence: str) -> str:
    """Return a sentence as it stands inside another: it begins with a small letter."""
    return sentence[:1].lower() + sentence[1:]


def _by(contact: str, to: str) -> str:
    """Return how a delivery went: the contact, or just its kind where ``to`` is its address."""
    kind, _, address = contact.partition(":")
    return kind if address == to else contact or "-"


def _cited(entry: dict[str, Any]) -> str:
    """Return the runbook line as ``name:line``: a whole path would leave a table no room."""
    return f"{Path(entry['file']).name}:{entry['line']}" if entry["line"] is not None else ""


def _fail(message: str, *, code: int = 1) -> NoReturn:
    typer.echo(f"tocsin: {_plain(message)}", err=True)
    raise typer.Exit(code)
