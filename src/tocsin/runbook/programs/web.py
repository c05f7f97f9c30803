"""curl and wget: one request that gets, to nowhere but the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tocsin.runbook.flags import Flag, Parsed, parse_flags
from tocsin.runbook.programs.secrets import is_secret_name
from tocsin.runbook.programs.verdicts import (
    Argv,
    Inner,
    Trait,
    Verdict,
    first_index,
    localhost,
    mutates,
    reads,
    shows_secrets,
    unknown_flag,
    without,
)
from tocsin.runbook.wordlists import words as words_of

_CURL_VALUED = words_of("""-X --request -H --header -d --data --data-raw --data-binary --data-urlencode --json -F --form
    -T --upload-file -o --output -K --config -m --max-time --connect-timeout -w --write-out -u
    --user -A --user-agent -e --referer -b --cookie -c --cookie-jar -x --proxy --retry --retry-delay
    --resolve --connect-to -E --cert --key --cacert --url --unix-socket -r --range -C -D
    --dump-header -Q --quote -t -y -Y -z -P --interface --output-dir --netrc-file --trace --trace-ascii
    --max-redirs""")
_CURL_KNOWN = words_of("""-s --silent -S --show-error -f --fail -v --verbose -i --include -I --head -k --insecure -H
    --header -m --max-time --connect-timeout -w --write-out -X --request -A --user-agent -o
    --output --compressed --http1.1 --http2 -4 --ipv4 -6 --ipv6 --url --fail-with-body -q --disable -G --get
    -e --referer --retry --retry-delay --max-redirs -L --location -g --globoff -# --progress-bar --no-progress-meter -D --dump-header
    -r --range""")
_QUERY = words_of("-d --data --data-urlencode")
_HTTP_URL = re.compile(
    r"^(?:https?://)?[\w.<>{}$\[\]-]+(?::(?:\d+|[<{$\[][\w<>{}$\]-]+))?(?:[/?#][^\s]*)?$",
    re.IGNORECASE,
)
# Addresses that show credentials or whatever a program holds, and the API of a cluster.
_SECRET_URL = re.compile(
    r"169\.254\.169\.254/|metadata\.google|/actuator/(?:env|configprops|heapdump)|/heapdump|/v1/kv/|/v1/sys/"
    r"|kubernetes\.default|/api/v1/(?:namespaces|secrets|nodes|pods)\b|/apis/|/\.env|/\.git/|/debug/vars",
    re.IGNORECASE,
)
# Getting such an address makes many a server do it.
_ACT = re.compile(
    r"[/?&=](?:restart|reload|shutdown|delete|flush\w*|purge|reset|drop|kill|stop|quit|remove|destroy|trigger"
    r"|disable|enable|failover|clear|refresh|vacuum|rotate|compact|reindex|rebuild|approve|revoke|promote|rollback|reboot|exec|execute|start|run|invoke|cgi-bin)(?=$|[/?&#])"
    r"|[?&](?:delete|restart|shutdown|reset|flush\w*|purge|cmd|command|exec)=",
    re.IGNORECASE,
)
_METHOD_HEADER = re.compile(r"^\s*x-(?:http-)?method", re.IGNORECASE)


def judge_curl(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``curl``."""
    parsed = parse_flags(argv, _CURL_VALUED)
    urls = [word for _, word in parsed.positionals]
    urls += [flag.value or "" for flag in parsed.named("--url")]
    marks = localhost(argv)
    if parsed.rest is not None:
        return mutates(argv, "words after -- are not judged", marks)
    known = _CURL_KNOWN | (_QUERY if parsed.named("-G", "--get") else frozenset())
    if strange := parsed.beyond(known):
        return mutates(argv, f"curl {strange} may send or write something", marks)
    if trouble := _curl_values(parsed):
        return mutates(argv, trouble, marks)
    if not urls or not all(_HTTP_URL.match(url) for url in urls):
        return mutates(argv, "curl is not given a plain web address", marks)
    if led := parsed.named("-L", "--location"):
        # An address may lead to any other, which nobody allowed.
        argv = without(argv, {flag.at: flag.name for flag in led})
        found = _addresses(
            argv, urls, "curl only gets; -L is left out, so no address leads to another"
        )
        return Verdict(found.kind, found.why, found.argv, marks)
    return _addresses(argv, urls, "curl only gets")


def _curl_values(parsed: Parsed) -> str:
    """Return why the value of a flag does more than get, or nothing."""
    for flag in parsed.named("-X", "--request"):
        if flag.value not in ("GET", "HEAD"):
            return f"curl sends {flag.value}"
    for flag in parsed.named("-o", "--output", "-D", "--dump-header"):
        if flag.value not in ("/dev/null", "-"):
            return "curl writes a file"
    for flag in parsed.named("-H", "--header", "-w", "--write-out", "-A", "-e"):
        if (flag.value or "@").startswith("@") or "%output" in (flag.value or ""):
            return f"curl {flag.name} reads or writes a file"
    if _changes_method(parsed.named("-H", "--header")):
        return "a header asks for another method"
    for flag in parsed.named(*_QUERY):
        # "@file" and "name@file" read a file; behind a "=" the sign is one like others.
        if "@" in (flag.value or "@").partition("=")[0]:
            return f"curl {flag.name} reads a file"
    return ""


def _changes_method(headers: Iterable[Flag]) -> bool:
    return any(_METHOD_HEADER.match(flag.value or "") for flag in headers)


def _addresses(argv: Argv, urls: list[str], why: str) -> Verdict:
    marks = localhost(argv)
    if any(map(_ACT.search, urls)):
        return mutates(argv, "the address names an act", marks)
    secret = next((url for url in urls if _SECRET_URL.search(url) or _is_secret_path(url)), None)
    if secret is not None:
        at = first_index(enumerate(argv), re.compile(re.escape(secret)))
        return shows_secrets(
            argv, "the address may show secrets", (*marks, (Trait.SECRET, at or 0))
        )
    return reads(argv, why, marks)


def _is_secret_path(url: str) -> bool:
    return is_secret_name(url.partition("?")[0].rpartition("://")[2].partition("/")[2])


def judge_wget(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``wget``, which writes files unless it is told otherwise."""
    # In "-nv" the two letters are one flag.
    plain = tuple("--no-verbose" if word == "-nv" else word for word in argv)
    valued = words_of("-O --output-document -T --timeout -t --tries --header -U --user-agent")
    parsed = parse_flags(plain, valued)
    known = valued | words_of("""-q --quiet -S --server-response --spider --no-verbose -4 -6
        --no-check-certificate""")
    marks = localhost(argv)
    if strange := parsed.beyond(known):
        return unknown_flag(argv, strange, marks)
    to = [flag.value for flag in parsed.named("-O", "--output-document")]
    if any(value not in ("-", "/dev/null") for value in to) or not (to or parsed.named("--spider")):
        return mutates(argv, "wget writes a file", marks)
    if _changes_method(parsed.named("--header")):
        return mutates(argv, "a header asks for another method", marks)
    if not parsed.words or not all(_HTTP_URL.match(url) for url in parsed.words):
        return mutates(argv, "wget is not given a plain web address", marks)
    return _addresses(argv, list(parsed.words), "wget only gets")
