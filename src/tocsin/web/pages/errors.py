"""Saying no to a person: the same calm page for what is missing, forbidden or broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tocsin.web.pages.render import show

if TYPE_CHECKING:
    from fastapi import Request, Response

    from tocsin.web.errors import Problem

_HEADINGS: Final = {
    403: "This is not yours to do",
    404: "There is nothing here",
    405: "This address does not take that",
    408: "That took too long",
    409: "Not done",
    413: "That is too long",
    422: "That could not be read",
    500: "Something broke here",
    503: "Tocsin cannot answer now",
}
_NOT_PAGES: Final = ("/api/", "/in/", "/static/", "/live", "/metrics", "/healthz", "/readyz")


def wants_page(request: Request) -> bool:
    """Say whether a refusal is read by a person: a browser asks for a page, not for data."""
    if request.url.path.startswith(_NOT_PAGES) or request.url.path == "/openapi.json":
        return False
    return "text/html" in request.headers.get("accept", "")


def refusal_page(request: Request, problem: Problem) -> Response:
    """Return a refusal as a page. Who is not signed in learns how to sign in."""
    if problem.status_code == 401:
        response: Response = show(request, "sign_in.html", status=401, stage="needed")
    else:
        response = show(
            request,
            "problem.html",
            status=problem.status_code,
            heading=_HEADINGS.get(problem.status_code, "That did not work"),
            message=problem.message,
            hint=problem.hint,
        )
    for name, value in (problem.headers or {}).items():
        if name.lower() != "www-authenticate":  # A browser would open its own password box.
            response.headers[name] = value
    return response
