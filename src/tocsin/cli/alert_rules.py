"""The alerting rules of Prometheus files: names, links, and the labels that their alerts carry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tocsin.runbook.lint import KnownAlert

if TYPE_CHECKING:
    import yaml

_ENDINGS = (".yml", ".yaml")
_BYTES_MAX = 16_777_216
_RULES_MAX = 100_000
_GROUPED = re.compile(r"\b(?:by|on|group_left|group_right)\s*\(([^()]*)\)", re.IGNORECASE)
_SHOWN = re.compile(r"\$labels\.(\w+)|\.Labels\.(\w+)")
_LINKS = ("runbook_url", "runbook", "runbook_link")


class RulesError(Exception):
    """A file of alerting rules cannot be used. The message names it."""


class RuleFiles(msgspec.Struct, frozen=True):
    """What files of rules hold. ``left_out`` says, file by file, what could not be read."""

    alerts: tuple[KnownAlert, ...]
    left_out: tuple[str, ...] = ()


def read_rules(paths: Iterable[Path]) -> RuleFiles:
    """Read files and folders of alerting rules, as Prometheus or its operator takes them.

    In a folder, files that are no YAML are left out, and said. Raises RulesError for a file
    that was named itself, and for a folder without a rule.
    """
    found: list[KnownAlert] = []
    left_out: list[str] = []
    for path in paths:
        if not path.exists():
            raise RulesError(f"{path}: there is no such file or folder.")
        is_folder = path.is_dir()
        files = _files_in(path) if is_folder else [path]
        here: list[KnownAlert] = []
        for file in files:
            try:
                here += _alerts_in(file)
            except RulesError as error:
                if not is_folder:
                    raise
                left_out.append(str(error))
        if not here:
            raise RulesError(f"{path}: holds no alerting rules.")
        found += here
    return RuleFiles(tuple(found), tuple(left_out))


def _files_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in _ENDINGS and p.is_file())


def _alerts_in(file: Path) -> list[KnownAlert]:
    # Imported late: most runs of ``check`` read no rules.
    import yaml

    try:
        with file.open("rb") as opened:
            data = opened.read(_BYTES_MAX + 1)
        if len(data) > _BYTES_MAX:
            raise RulesError(f"{file}: is over {_BYTES_MAX >> 20} MiB.")
        text = data.decode("utf-8-sig")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = list(yaml.compose_all(text, Loader=loader))
    except OSError as error:
        raise RulesError(f"{file}: cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise RulesError(f"{file}: is not UTF-8 text at byte {error.start}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise RulesError(f"{file}: is not YAML{where}.") from error
    except RecursionError as error:
        raise RulesError(f"{file}: is nested too deep.") from error
    found = [rule for document in documents for rule in _rules(document, file)]
    return found[:_RULES_MAX]


def _rules(node: yaml.Node | None, file: Path, depth: int = 0) -> Iterator[KnownAlert]:
    """Yield the rules of one document: plain groups, a PrometheusRule, or a list of those."""
    fields = _fields(node)
    for group in _items(fields.get("groups")):
        for rule in _items(_fields(group).get("rules")):
            alert = _alert(rule, file)
            if alert is not None:
                yield alert
    if depth < 2:
        for item in (*_items(fields.get("items")), fields.get("spec")):
            yield from _rules(item, file, depth + 1)


def _alert(rule: yaml.Node, file: Path) -> KnownAlert | None:
    fields = _fields(rule)
    name = _text(fields.get("alert"))
    if not name:
        return None
    annotations = {key: _text(value) for key, value in _fields(fields.get("annotations")).items()}
    labels = list(_fields(fields.get("labels")))
    grouped = ",".join(_GROUPED.findall(_text(fields.get("expr"))))
    labels += [label for part in grouped.split(",") if (label := part.strip())]
    for said in annotations.values():
        labels += [a or b for a, b in _SHOWN.findall(said)]
    return KnownAlert(
        name=name,
        file=str(file),
        line=fields["alert"].start_mark.line + 1,
        runbook_url=next((annotations[key] for key in _LINKS if annotations.get(key)), ""),
        labels=tuple(dict.fromkeys(labels)),
    )


def _fields(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if node is None or node.id != "mapping":
        return {}
    return {str(key.value): value for key, value in node.value if key.id == "scalar"}


def _items(node: yaml.Node | None) -> Sequence[yaml.Node]:
    return node.value if node is not None and node.id == "sequence" else ()


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if node is not None and node.id == "scalar" else ""
