"""How we say no: one shape for programs, one sentence for people."""

from __future__ import annotations

from starlette.exceptions import HTTPException


class Problem(HTTPException):
    """An answer other than success: a status, a sentence, and what to do about it.

    Our own API answers ``{"error": {"message", "hint"}}``, Alertmanager's routes a JSON string,
    pages an HTML page. Neither text may hold a credential.
    """

    def __init__(
        self, status: int, message: str, hint: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, message, headers)
        self.message = message
        self.hint = hint
