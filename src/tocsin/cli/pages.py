"""The pages about findings: in the package when installed, else in the tree."""

from __future__ import annotations

from pathlib import Path


def page(code: str) -> str:
    """Return the page about a code as Markdown. Raises OSError where the package lacks it."""
    return (_folder() / f"{code}.md").read_text(encoding="utf-8")


def _folder() -> Path:
    packaged = Path(__file__).parent / "findings"
    in_tree = Path(__file__).parents[3] / "docs" / "findings"
    return packaged if packaged.is_dir() else in_tree
