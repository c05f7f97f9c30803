"""Who looks at a page."""

from __future__ import annotations


class Reader:
    """Who reads the page. ``name`` is empty for somebody who is not signed in."""

    def __init__(
        self, name: str, *, may_respond: bool, may_audit: bool = False, is_admin: bool = False
    ) -> None:
        """Describe a reader by the name on the timeline."""
        self.name = name
        self.may_respond = may_respond
        self.may_audit = may_audit
        self.is_admin = is_admin

    def is_(self, name: str) -> bool:
        """Say whether this name is the reader's own."""
        return bool(self.name) and name.casefold() == self.name.casefold()
