"""The description of the API at ``/openapi.json``, made from the types that encode the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tocsin.web import access_shapes, shapes

if TYPE_CHECKING:
    from fastapi import FastAPI

_REF = "#/components/schemas/{name}"
_SAYS_BY_STATUS = {
    400: "The request cannot be read.",
    401: "No credential, or one that is not known.",
    403: "The credential lacks the scope.",
    404: "There is no such thing.",
    409: "It cannot be done now; the message says why.",
    413: "The body is too large.",
    422: "The request has the wrong shape.",
    503: "The database does not answer; try again after Retry-After seconds.",
}
_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token, as the first start writes to `admin.token` and `ingest.key`.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The token as password, under any name: for clients that know only this.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "tocsin_session",
        "description": "A browser that signed in with a one-time link.",
    },
}
_ABOUT = """\
Tocsin runs the incident runbook that a team already has. Here are its incidents, their timelines,
what will happen next, and the lines of the runbook that say so.

Senders of alerts may treat this server as an Alertmanager. Those that can set only a prefix use
`/in/<ingest key>/` in front of the Alertmanager routes.
"""


def says(
    declared: dict[str, Any],
    answer: type | None,
    *,
    hears: type | None = None,
    status: int = 200,
    also: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Return the arguments of a route of our own API: who may call it, what it hears and answers.

    ``also`` lists the ways it can fail beyond those that any route has.
    """
    errors = {401, 403, 503, *also}
    if hears is not None:
        errors |= {400, 413, 422}
    responses: dict[int | str, dict[str, Any]] = {
        number: {
            "description": _SAYS_BY_STATUS[number],
            "content": {"application/json": {"schema": _ref(shapes.ErrorAnswer)}},
        }
        for number in sorted(errors)
    }
    if answer is not None:
        about = (answer.__doc__ or "").splitlines()[0]
        content = {"application/json": {"schema": _ref(answer)}}
        responses[status] = {"description": about, "content": content}
    extra = dict(declared["openapi_extra"])
    if hears is not None:
        required = any(field.required for field in msgspec.structs.fields(hears))
        content = {"application/json": {"schema": _ref(hears)}}
        extra["requestBody"] = {"required": required, "content": content}
    return {
        **declared,
        "openapi_extra": extra,
        "responses": responses,
        "status_code": status,
        "response_model": None,
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application, with the shapes its routes refer to."""
    document = app.openapi()
    _forget_frameworks_refusal(document)
    named = [
        shape
        for room in (shapes, access_shapes)
        for shape in vars(room).values()
        if isinstance(shape, type) and shape.__module__ == room.__name__
    ]
    _, components = msgspec.json.schema_components(named, ref_template=_REF)
    found = document.setdefault("components", {})
    found["schemas"] = {**found.get("schemas", {}), **components}
    found["securitySchemes"] = _SCHEMES
    document["info"]["description"] = _ABOUT
    return document


def _forget_frameworks_refusal(document: dict[str, Any]) -> None:
    """Take out the shape in which FastAPI would refuse parameters: ``web.app`` says it in ours."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if _FRAMEWORKS_REFUSAL in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for name in (_FRAMEWORKS_REFUSAL, "ValidationError"):
        document.get("components", {}).get("schemas", {}).pop(name, None)


_FRAMEWORKS_REFUSAL = "HTTPValidationError"


def _ref(shape: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=shape.__name__)}
