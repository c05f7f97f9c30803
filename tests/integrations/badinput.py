"""Where the bad inputs are: beside the source tree, or nowhere, which skips with a reason."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

_FOLDER = Path(__file__).parents[3] / "shared" / "badinput"
NEEDS_BAD_INPUT = pytest.mark.skipif(
    not _FOLDER.is_dir(), reason="the bad inputs (JSONTestSuite, blns) are not beside this tree"
)


def json_fragments() -> dict[str, bytes]:
    """Return every file of JSONTestSuite by name; empty where they are missing."""
    return {path.name: path.read_bytes() for path in sorted(_FOLDER.glob("JSONTestSuite/*/*.json"))}


def naughty_strings() -> list[str]:
    """Return the Big List of Naughty Strings; empty where it is missing."""
    path = _FOLDER / "blns" / "blns.json"
    return msgspec.json.decode(path.read_bytes(), type=list[str]) if path.exists() else []
