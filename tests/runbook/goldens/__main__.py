"""``python -m tests.runbook.goldens [--write]``: show, or accept, what the compiler now makes."""

from __future__ import annotations

import difflib
import sys

from tests.runbook.goldens.files import golden, goldens, sources, summary_of


def main(arguments: list[str]) -> int:
    """Print the differences and return 1 if there are any that were not written."""
    write = arguments == ["--write"]
    if arguments and not write:
        _say(__doc__)
        return 2
    changed = 0
    documents = sources()
    for name in documents:
        old = golden(name).read_text(encoding="utf-8") if golden(name).is_file() else ""
        new = summary_of(name)
        if old == new:
            continue
        changed += 1
        _say(name)
        for line in list(difflib.unified_diff(old.split("\n"), new.split("\n"), n=0))[2:]:
            if not line.startswith("@@"):
                _say(f"  {line}")
        if write:
            golden(name).parent.mkdir(parents=True, exist_ok=True)
            golden(name).write_text(new, encoding="utf-8")
    for name in sorted(goldens() - set(documents)) if documents else []:
        changed += 1
        _say(f"{name}: there is a summary and no document")
        if write:
            golden(name).unlink()
    _say(f"{len(documents)} documents, {changed} {'written' if write else 'changed'}")
    return 1 if changed and not write else 0


def _say(line: str | None) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
