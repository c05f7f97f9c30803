"""The one error of the embedded database: a sentence for whoever started it."""

from __future__ import annotations


class EmbeddedError(Exception):
    """The embedded database cannot run: <why, and what to do>."""
