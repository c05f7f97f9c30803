"""Whether a comment above a command and a step of a response mean the same thing, by their words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tocsin.runbook.wordlists import words as words_of

_WORD = re.compile(r"[a-z0-9]+")
_NUMBER = re.compile(r"^\s*(?:step\s*)?\d+[.):]\s*|^[-=*#\s]+", re.IGNORECASE)
_CONDITION = re.compile(r"\b(?:if|when|unless|in case|as)\b.*$", re.IGNORECASE)
_LOOKING = frozenset(
    [
        "check",
        "review",
        "verify",
        "view",
        "inspect",
        "see",
        "monitor",
        "get",
        "list",
        "show",
        "look",
        "examine",
        "find",
        "confirm",
        "test",
        "analyze",
        "analyse",
        "identify",
        "query",
        "watch",
        "read",
        "describe",
    ]
)
_SAME = {
    "db": "database",
    "postgres": "database",
    "postgresql": "database",
    "revert": "rollback",
    "undo": "rollback",
    "reboot": "restart",
    "bounce": "restart",
    "deploy": "deployment",
    "release": "deployment",
    "svc": "service",
}
_EMPTY = words_of("the a an of for to in on and or any all recent current its your with from by")
_MATCH_MIN = 0.6
_RULE = re.compile(r"^[\W_]*$")


def label_of(comments: Sequence[str]) -> str:
    """Return what comment lines say, as one label without numbers and ruled lines."""
    kept = [_NUMBER.sub("", text).strip() for text in comments if not _RULE.match(text)]
    return ". ".join(text.rstrip(".") for text in kept if text and not text.startswith("!"))


def best_match(label: str, steps: Sequence[str]) -> int | None:
    """Return the index of the step that a label means, or None when none clearly is meant.

    Acts must agree: "Restart backend" means "Restart services if needed" and nothing that looks.
    Among steps that look, most of the label's things must be named: "Check database" means "Check
    database pod status"; "Check error rate" does not mean "Check Sentry for error patterns".
    """
    verb, things = _parts(label)
    best: tuple[float, int] | None = None
    for index, step in enumerate(steps):
        score = _score(verb, things, *_parts(step))
        if score > 0 and (best is None or score > best[0]):
            best = (score, index)
    return best[1] if best else None


def _score(verb: str, things: set[str], step_verb: str, step_things: set[str]) -> float:
    shared = len(things & step_things)
    union = len(things | step_things) or 1
    if _is_act(verb) or _is_act(step_verb):
        if verb != step_verb:
            return 0.0
        return 1.0 + shared / union
    if not things or not step_things:
        return 0.0
    # Among steps about the same thing, the one that begins with the same word is meant.
    same_word = 0.3 if verb and verb == step_verb else 0.0
    covered = max(shared / len(things), shared / len(step_things) if len(step_things) > 1 else 0.0)
    return covered + shared / union + same_word if covered >= _MATCH_MIN else 0.0


def _is_act(verb: str) -> bool:
    return bool(verb) and verb not in _LOOKING


def _parts(text: str) -> tuple[str, set[str]]:
    said = _CONDITION.sub("", re.sub(r"\broll(?:ing)?[\s-]back\b", "rollback", text.casefold()))
    words = [_stem(word) for word in _WORD.findall(said)]
    if not words:
        return "", set()
    verb = words[0] if words[0] in _VERBS else ""
    rest = words[1:] if verb else words
    return verb, {_SAME.get(word, word) for word in rest if word not in _EMPTY}


def _stem(word: str) -> str:
    for ending, least in (("ing", 6), ("ies", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    # "status" and "redis" only look like plurals.
    word = {"statu": "status", "redi": "redis", "cpu": "cpu", "scal": "scale"}.get(word, word)
    return _SAME.get(word, word)


_VERBS = _LOOKING | words_of("""restart rollback scale increase decrease delete kill clear flush drain cordon stop start
    enable disable apply patch update upgrade failover promote reset rotate revoke block create
    add remove set run notify vacuum reload redeploy resize expand clean purge truncate cancel
    terminate force recreate evict undo""")
