"""Text that stands where commands do and is none: sentences, heads of tables, output, settings."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tocsin.runbook.wordlists import words as words_of

_SMALL = words_of("""the a an that this these those if is are was were be been to of for with and or when then than
    whether must should can will may has have had not in on at by from it its your our their there please any""")
# Behind the name of a program these make it the first word of a sentence.
_AFTER_A_NAME = words_of("""the an that this these if sure your our is are was were to of whether must should can will
    may has have not on at by from it""")
_STATES = words_of("""running pending crashloopbackoff completed error imagepullbackoff errimagepull ready notready
    terminating active failed unknown oomkilled evicted bound""")
_DONE = words_of(
    "restarted created configured deleted scaled unchanged patched labeled annotated cordoned uncordoned drained"
)
_LEVELS = words_of("ERROR WARN WARNING INFO DEBUG FATAL CRITICAL TRACE NOTICE")
_NUMBER = re.compile(r"^[\d.,:/%+-]*\d[\d.,:/%TZ+-]*[a-zA-Z%]{0,3}$")
_PROMPT = re.compile(r"^\S+(?:=[#>]|[\w\]]>)$")


def is_no_command(words: Sequence[str], *, known: bool) -> bool:
    """Say whether words are no command. ``known``: the first is the name of a program."""
    if not words:
        return False
    if known:
        return _is_sentence_of_program(words)
    return _is_output(words) or _is_setting(words) or _is_sentence(words)


def _is_sentence_of_program(words: Sequence[str]) -> bool:
    if words[0] in ("echo", "printf") or len(words) < 3 or _has_flag(words):
        return False
    return words[1].casefold() in _AFTER_A_NAME


def _is_sentence(words: Sequence[str]) -> bool:
    first = words[0]
    if first[-1:] in ",;!?" or (first[-1:] == "." and len(first) > 2) or not first[:1].isascii():
        return True
    if len(words) < 2 or _has_flag(words):
        return False
    if re.match(r"^[A-Z][a-z]+$", first) or all(re.match(r"^[A-Z]{2,}$", word) for word in words):
        return True
    if first.isalpha() and first[0].isupper() and len(words) > 2:
        return not any("/" in word or "=" in word for word in words)
    small = sum(word.casefold().strip(".,:;") in _SMALL for word in words[1:])
    return len(words) > 2 and small > 0 and first.isalpha()


def _is_output(words: Sequence[str]) -> bool:
    first, rest = words[0], [word.casefold() for word in words[1:4]]
    if first[:1] in "|+*=()#\u2022\u2514\u251c" or re.match(r"^-(?:-+|$)", first):
        return True
    if _NUMBER.match(first) or _PROMPT.match(first) or first.startswith("HTTP/"):
        return True
    if first.strip("[]:") in _LEVELS and len(words) > 1:
        return True
    if any(re.match(r"^\d+/\d+$", word) for word in rest) and len(words) > 2:
        return True
    return not first.startswith(("./", "/")) and (
        (bool(rest) and words[-1] in _DONE and len(words) < 4)
        or (len(words) > 2 and any(word in _STATES for word in rest))
    )


def _is_setting(words: Sequence[str]) -> bool:
    first = words[0]
    return (first[-1:] == ":" and len(first) > 1) or words[1:2] in (["="], [":"], ["=>"])


def _has_flag(words: Sequence[str]) -> bool:
    return any(re.match(r"^--?[a-zA-Z]", word) for word in words[1:])
