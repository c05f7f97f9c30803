"""The small real backend of the demo: an HTTP process that can be broken and mended.

Run as ``python -m tocsin.cli.backend``; it prints the ports it listens on, for HTTP and for mail.
``/healthz`` and ``/metrics`` are what any service has; ``/break`` and ``/mend`` (POST) are for the
demo. It also stands for the team: ``/pager/NAME`` takes Tocsin's signed pages as somebody's
telephone would and ``/pages/NAME`` hands them on, ``/slack`` takes what a Slack webhook takes, and
the mail port takes mail. None of it leaves this machine.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer

UNTIL_EOF = "--until-eof"


class Backend(BaseHTTPRequestHandler):
    """Answers as a service with one fault. All state is the class's: one backend a process."""

    broken = False
    requests: dict[str, int] = {"200": 0, "500": 0}  # noqa: RUF012 - the process is the instance
    pages: defaultdict[str, list[object]] = defaultdict(list)  # noqa: RUF012 - as above

    def do_GET(self) -> None:
        """Answer health, metrics, pages; every other path is the API itself."""
        match self.path:
            case "/metrics":
                lines = "".join(
                    f'http_requests_total{{service="backend",code="{code}"}} {count}\n'
                    for code, count in self.requests.items()
                )
                healthy = f"backend_healthy {int(not Backend.broken)}\n"
                types = ("# TYPE http_requests_total counter\n", "# TYPE backend_healthy gauge\n")
                self._answer(200, types[0] + lines + types[1] + healthy)
            case path if path.startswith("/pages/"):
                self._answer(200, json.dumps(self.pages[path.removeprefix("/pages/")]))
            case _:
                code = 500 if Backend.broken else 200
                self.requests[str(code)] += 1
                self._answer(code, "broken" if Backend.broken else "ok")

    def do_POST(self) -> None:
        """Break, mend, or take a page."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        match self.path:
            case "/break":
                Backend.broken = True
            case "/mend":
                Backend.broken = False
            case path if path.startswith("/pager/"):
                self.pages[path.removeprefix("/pager/")].append(json.loads(body))
        self._answer(200, "ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay quiet: the demo tells the story."""

    def _answer(self, code: int, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Mailbox(StreamRequestHandler):
    """As much of SMTP as taking a mail needs; the mail itself is not kept."""

    def handle(self) -> None:
        """Talk to one client until it says QUIT."""
        self._say("220 demo")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"DATA":
                self._say("354 go on")
                for row in self.rfile:
                    if row == b".\r\n":
                        break
            self._say("221 bye" if word == b"QUIT" else "250 ok")
            if word == b"QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


def main() -> None:
    """Serve until the process is ended."""
    mail = ThreadingTCPServer(("127.0.0.1", 0), Mailbox)
    threading.Thread(target=mail.serve_forever, daemon=True).start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    sys.stdout.write(f"{server.server_port} {mail.server_address[1]}\n")
    sys.stdout.flush()
    # Ctrl-C at a terminal reaches the demo and this process alike; the demo ends us in its turn.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if UNTIL_EOF in sys.argv:
        # The demo holds the other end: however it dies, this process does not outlive it.
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
    else:
        server.serve_forever()


if __name__ == "__main__":
    main()
