"""The application: every router, what wraps them, and how they say no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from tocsin.web.guard import declared_routes

if TYPE_CHECKING:
    from tocsin.web.context import Context


def create_app(context: Context) -> FastAPI:
    """Return the application; raise UndeclaredRoute if a route does not say who may call it."""
    app = FastAPI(
        title="Tocsin",
        version=context.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.context = context
    app.state.grants_remembered = {}
    declared_routes(app)
    return app
