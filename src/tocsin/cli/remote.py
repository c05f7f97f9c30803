"""A running server, as the commands talk to it, and how its answers are printed.

What a server says is shown as text, never obeyed: control characters and markup in titles and notes
stay visible characters.
"""

from __future__ import annotations

import contextlib
import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx2

DEFAULT_SERVER: Final = "http://127.0.0.1:8642"
TOKEN_FILE: Final = Path("tocsin-data/admin.token")
_ANSWERS_WITHIN_S: Final = 30.0
_NEXT_LINE_WITHIN_S: Final = 300.0
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


class Remote:
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
            fail(f"--server {server} is not an address such as {DEFAULT_SERVER}.", code=2)
        self._is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        self._token, self._origin = _find_token(token, self._server if not self._is_local else "")

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """Return the decoded answer of a GET under ``/api/v1/``."""
        return self._ask("GET", path, query, None)

    def post(self, path: str, body: dict[str, object]) -> Any:
        """Return the decoded answer of a POST under ``/api/v1/``."""
        return self._ask("POST", path, (), body)

    @contextlib.contextmanager
    def stream(
        self, method: str, path: str, body: dict[str, object] | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Lend the lines of a long answer as they come, each with its end.

        Leaving ends the request. What fails on the way ends the program.
        """
        import httpx2

        timeout = httpx2.Timeout(_ANSWERS_WITHIN_S, read=_NEXT_LINE_WITHIN_S)
        with self._failing_plainly(), self._client(timeout) as client:
            request = client.build_request(
                method, f"{self._server}/api/v1/{path}", json=body, headers=self._headers
            )
            response = client.send(request, stream=True)
            try:
                if not response.is_success:
                    response.read()
                    self._understand(response)
                yield _lines(response.iter_bytes())
            finally:
                response.close()

    def _ask(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: dict[str, object] | None,
    ) -> Any:
        import httpx2

        with self._failing_plainly(), self._client(httpx2.Timeout(_ANSWERS_WITHIN_S)) as client:
            response = client.request(
                method,
                f"{self._server}/api/v1/{path}",
                params=list(query),
                json=body,
                headers=self._headers,
            )
        return self._understand(response)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}

    def _client(self, timeout: httpx2.Timeout) -> httpx2.Client:
        import httpx2

        # A proxy of the environment is for the world outside, not for this machine.
        return httpx2.Client(timeout=timeout, trust_env=not self._is_local)

    @contextlib.contextmanager
    def _failing_plainly(self) -> Iterator[None]:
        import httpx2

        try:
            yield
        except httpx2.ConnectError:
            fail(
                f"Nothing answers at {self._server}."
                " Start Tocsin there with `tocsin serve --runbook PATH`, or name it with --server."
            )
        except httpx2.TimeoutException:
            fail(f"{self._server} did not answer within {_ANSWERS_WITHIN_S:.0f} s.")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            fail(f"Talking to {self._server} failed: {error}")

    def _understand(self, response: httpx2.Response) -> Any:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.status_code == 401:
            said = answer.get("error") if isinstance(answer, dict) else None
            why = str(said.get("message") or "") if isinstance(said, dict) else ""
            if why.startswith("The token "):  # It was one: it has expired, or was revoked.
                fail(f"{why} It comes from {self._origin}.")
            fail(f"{self._server} does not know the token from {self._origin}.")
        if not response.is_success:
            said = answer.get("error") if isinstance(answer, dict) else None
            if not isinstance(said, dict):
                fail(f"{self._server} answered {response.status_code}, not as Tocsin would.")
            hint = str(said.get("hint") or "").replace(*_AT_A_TERMINAL)
            sentences = (str(said.get("message") or ""), hint)
            fail(" ".join(sentence for sentence in sentences if sentence))
        if not isinstance(answer, dict):
            fail(f"{self._server} answers, but it is not Tocsin.")
        return answer


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield whole lines out of parts of any size, each with its end; the last may have none."""
    begun = b""
    for part in parts:
        *whole, begun = (begun + part).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if begun:
        yield begun


def _find_token(given: str, elsewhere: str) -> tuple[str, str]:
    """Return the token and, for messages, where it came from.

    ``elsewhere`` is a server on another machine: the file of this one is not for it.
    """
    if given:
        return _sendable(given.strip(), "--token or TOCSIN_TOKEN")
    if elsewhere:
        fail(
            f"There is no token for {elsewhere}: give --token or set TOCSIN_TOKEN."
            f" {TOKEN_FILE} is for the server on this machine.",
            code=2,
        )
    try:
        return _sendable(TOKEN_FILE.read_text("utf-8").strip(), str(TOKEN_FILE))
    except FileNotFoundError:
        fail(
            f"There is no token: give --token, set TOCSIN_TOKEN, or run where {TOKEN_FILE} lies.",
            code=2,
        )
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        fail(f"The token in {TOKEN_FILE} cannot be read: {reason}.", code=2)


def _sendable(token: str, origin: str) -> tuple[str, str]:
    if not token or not token.isascii() or not token.isprintable():
        fail(f"The token from {origin} is empty or not plain text.", code=2)
    return token, origin


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings; the first column is never broken."""
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
        table.add_row(*(Text(plain(cell)) for cell in row))
    console.print(table)


def print_json(answer: object) -> None:
    """Print an answer as programs read it."""
    typer.echo(json.dumps(answer, indent=2))


def plain(text: str) -> str:
    """Return text on one line, each control character shown as U+FFFD."""
    return _CONTROL.sub("\ufffd", text.replace("\n", " "))


def without_controls(text: str) -> str:
    """Return text of several lines without its control characters."""
    return _CONTROL.sub("", text)


def when(instant: str | None) -> str:
    """Return an instant of the API to the second: "2026-03-01 02:11:00Z"."""
    if not instant:
        return "-"
    return instant[:19].replace("T", " ") + "Z"


def fail(message: str, *, code: int = 1) -> NoReturn:
    """End the program with one line on standard error."""
    typer.echo(f"tocsin: {plain(message)}", err=True)
    raise typer.Exit(code)
