"""Scenarios that nothing calls for, and symptoms that nobody could see."""

from __future__ import annotations

import re

from tocsin.core.policy import Play, Policy
from tocsin.runbook.lint.known import Known
from tocsin.runbook.lint.pen import Pen
from tocsin.runbook.phrases import short

_NONE, _UNSEEN = "T173", "T174"
_WORD = re.compile(r"[a-z]{4,}")
_MEASURED = re.compile(r"[\d%<>=\u2265\u2264`/_\"\u201c]|[a-z][A-Z]|\b[A-Z]{2,}s?\b")
# Stems of what monitoring, logs, tests and people report. One of them is enough.
_SEEN = re.compile(
    r"\b(?:alert|alarm|error|exception|fail|fault|crash|panic|oom|kill|restart|reboot|down|outage|offline"
    r"|unavailab|unreachab|unrespons|not respond|timeout|timed? ?out|timing out|latenc|slow|delay|lag|behind"
    r"|stuck|hang|hung|freez|block|deadlock|lock|queue|backlog|pending|throttl|reject|refus|denied|denial"
    r"|drop|los[st]|missing|disappear|stale|expired?|expir|invalid|corrupt|malform|inconsist|mismatch|diverg|drift"
    r"|high|low|spik|increas|decreas|ris(?:e|ing)|grow|exceed|above|below|over|under|full|exhaust|saturat"
    r"|leak|pressure|degrad|flap|unstable|intermittent|spurious|duplicat|unusual|unexpected|anomal|abnormal|suspicious"
    r"|memory|cpu|disk|storage|volume|space|network|packet|connect|dns|tls|ssl|certificat|port|socket|proxy"
    r"|request|response|traffic|load|throughput|rate|ratio|count|metric|gauge|graph|dashboard|log|trace"
    r"|pod|node|container|replica|cluster|instance|server|host|service|endpoint|api|page|site|app|backend|frontend"
    r"|database|databas|query|queries|replicat|cache|index|migration|deploy|release|rollout|build|pipeline|job|cron"
    r"|backup|snapshot|webhook|message|email|notif|sms|login|log(?:ged)? ?in|sign(?:ed)? ?in|auth|session|token|secret"
    r"|credential|key|password|permission|access|breach|attack|intrus|exploit|vulnerab|malware|phish|ransom|leaked|unauthori"
    r"|user|customer|client|report|complain|ticket|support|feedback|call|tweet|social|monitor|probe|check|heartbeat"
    r"|watchdog|test|sentry|prometheus|grafana|datadog|pagerduty|cannot|can'?t|unable|never|no longer|not |broken|wrong|bad"
    r"|incorrect|stops?|stopped|terminat|evict|schedul|sync|scal|quota|limit|budget|threshold|data|event|record|payment|order"
    r"|transaction|audit|violation|conflict|fire|firing|trigger|detect|status|health|chang|switch|fail ?over|attempt|pattern|automat|occurren|bot\b|security|disclos|researcher|vendor|partner|press\b|notice|inform|announce|critical|warning|severe)",
    re.IGNORECASE,
)


def check_symptoms(policy: Policy, known: Known, pen: Pen) -> None:
    """Report scenarios that no signal can lead to, and symptoms in which there is nothing to see.

    A symptom is seen if it measures something, or says a word that alerts, logs, tests, people or
    this runbook's own levels and sources use. Customers who complain are seen: they report.
    """
    own = _own_words(policy, known)
    for play in policy.plays:
        if not play.symptoms and not play.alert and play.anchor and not is_seen(play.name, own):
            pen.find(
                _NONE,
                play.source,
                play.name,
                f"Nothing says when \u201c{short(play.name)}\u201d is under way, so no signal leads to it;"
                " people find it by its name.",
                "If signals should, add **Symptoms:** with what alerts or people would say.",
            )
        _check_play(play, own, pen)


def _check_play(play: Play, own: frozenset[str], pen: Pen) -> None:
    for symptom in play.symptoms:
        if symptom.text.strip() and not is_seen(symptom.text, own):
            pen.find(
                _UNSEEN,
                symptom.source,
                symptom.text,
                f"No source can observe \u201c{short(symptom.text)}\u201d: it names nothing that an"
                " alert, a log, a test or a person would report.",
                "Say what would be seen: an alert\u2019s name, a number, an error message, what users tell.",
            )


def is_seen(text: str, own: frozenset[str] = frozenset()) -> bool:
    """Say whether somebody or something could report this. In doubt it could.

    ``own`` holds words, folded, that count besides. Words of other scripts are not judged.
    """
    if not text.isascii() and any(ch.isalpha() and ord(ch) > 0x24F for ch in text):
        return True
    if _MEASURED.search(text) or _SEEN.search(text):
        return True
    return any(word in own for word in _WORD.findall(text.casefold()))


def _own_words(policy: Policy, known: Known) -> frozenset[str]:
    texts = [c.text for severity in policy.severities for c in severity.criteria]
    texts += [item.text for item in policy.sources]
    texts += [word for group in known.tuning.same_words for word in group]
    words = {word for text in texts for word in _WORD.findall(text.casefold())}
    words |= {word for alert in known.alerts or () for word in _WORD.findall(alert.name.casefold())}
    return frozenset(words - _EMPTY)


_EMPTY = frozenset(
    [
        "this",
        "that",
        "with",
        "from",
        "when",
        "then",
        "than",
        "them",
        "they",
        "their",
        "there",
        "have",
        "been",
        "will",
        "would",
        "should",
        "into",
        "onto",
        "some",
        "many",
        "more",
        "most",
        "very",
        "just",
        "also",
        "only",
        "each",
        "every",
        "other",
        "which",
        "what",
        "where",
        "about",
        "after",
        "before",
        "while",
        "because",
        "does",
        "doing",
        "done",
        "being",
        "same",
        "such",
        "any",
        "all",
    ]
)
