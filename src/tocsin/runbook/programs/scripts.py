"""Small languages inside an argument: of sed, of awk, of jq. A script is harmless only if all of it is known."""

from __future__ import annotations

import re

_ADDRESS = r"(?:\d+|\$|/(?:[^/\\\n]|\\.)*/I?|\d+~\d+)"
_SED_PLAIN = re.compile(
    rf"\s*(?:{_ADDRESS}(?:\s*,\s*\+?{_ADDRESS})?)?\s*!?\s*(?:[pdDPnNhHgGxl=]|q\d*)?\s*"
)
_SED_BEFORE = re.compile(rf"\s*(?:{_ADDRESS}(?:\s*,\s*\+?{_ADDRESS})?)?\s*!?\s*(?=[sy][^\w\s\\])")
_SED_FLAGS = re.compile(r"[gpiIM\d]*\s*")


def sed_trouble(script: str) -> str:
    """Return why a script of sed may write or run something, or nothing."""
    at = 0
    while at < len(script):
        if before := _SED_BEFORE.match(script, at):
            end = _after_replacement(script, before.end())
            flags = _SED_FLAGS.match(script, end) if end else None
            if flags is None:
                return "a replacement of sed is not understood"
            at = flags.end()
        elif plain := _SED_PLAIN.match(script, at):
            at = plain.end()
        if at < len(script):
            if script[at] not in ";\n":
                return "a command of sed may write or run something"
            at += 1
    return ""


def _after_replacement(script: str, at: int) -> int:
    """Return where the third delimiter of ``s/a/b/`` ends, or 0."""
    delimiter = script[at + 1]
    seen, i = 0, at + 2
    while i < len(script):
        if script[i] == "\\":
            i += 2
            continue
        # Inside brackets a delimiter would be one character among others.
        if script[i] in "[\n":
            close = script.find("]", i + 2)
            if script[i] == "\n" or close < 0 or delimiter in script[i:close]:
                return 0
        if script[i] == delimiter:
            seen += 1
            if seen == 2:
                return i + 1
        i += 1
    return 0


_AWK_BAD = re.compile(
    r"\b(?:system|getline|close|fflush|ARGV|ARGC|ARGIND|SYMTAB|FUNCTAB|PROCINFO|BINMODE|extension)\b|@"
)


def awk_trouble(script: str) -> str:
    """Return why a program of awk may write, read or run something else, or nothing."""
    if found := _AWK_BAD.search(script):
        return f"awk is told to use {found[0]}"
    bare, is_certain = _without_strings(script)
    if not is_certain:
        # Where a division may be a pattern, or a pattern a division, quotes cannot be trusted.
        if ">" in script or re.search(r"(?<!\|)\|(?!\|)", script):
            return "the program of awk is not understood"
        return ""
    if re.search(r"(?<!\|)\|(?!\|)", bare):
        return "awk pipes into another program"
    for statement in re.split(r"[;{}]", bare):
        printed = re.search(r"\bprintf?\b", statement)
        if printed and ">" in statement[printed.end() :]:
            return "awk writes a file"
    return ""


def awk_shows_environment(script: str) -> bool:
    """Say whether a program of awk looks at environment variables."""
    return "ENVIRON" in script


def _without_strings(script: str) -> tuple[str, bool]:
    """Return a program without its strings and patterns, and whether their ends are certain."""
    kept: list[str] = []
    at = 0
    while at < len(script):
        sign = script[at]
        if sign in "#\\":
            return "", False
        if sign == "/":
            before = next((s for s in reversed(kept) if not s.isspace()), "")
            if before.isalnum() or before in ("_", ")", "]", "$", "+", "-", "."):
                return "", False
        if sign in '"/':
            end = _end_of(script, at)
            if end is None:
                return "", False
            kept.append("0")
            at = end
            continue
        kept.append(sign)
        at += 1
    return "".join(kept), True


def _end_of(script: str, at: int) -> int | None:
    quote, i = script[at], at + 1
    while i < len(script):
        if script[i] == "\\":
            i += 2
            continue
        if script[i] == "\n" or (
            quote == "/" and script[i] == "[" and "/" in script[i:].partition("]")[0]
        ):
            return None
        if script[i] == quote:
            return i + 1
        i += 1
    return None


_JQ_BAD = re.compile(
    r"\b(?:import|include|input_filename|get_search_list|input_line_number|modulemeta|getpath_file)\b"
)
_JQ_SECRET = re.compile(r"\benv\b|\$ENV|\$__prog", re.IGNORECASE)


def jq_trouble(script: str) -> str:
    """Return why a filter of jq may read another file, or nothing."""
    found = _JQ_BAD.search(script)
    return f"jq is told to use {found[0]}" if found else ""


def jq_shows_environment(script: str) -> bool:
    """Say whether a filter of jq looks at environment variables."""
    return _JQ_SECRET.search(script) is not None
