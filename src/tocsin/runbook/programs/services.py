"""systemctl, journalctl, service: the services of one machine and what they wrote."""

from __future__ import annotations

from tocsin.runbook.flags import parse_flags
from tocsin.runbook.programs.verdicts import (
    TAIL_LINES,
    Argv,
    Inner,
    Verdict,
    follows,
    mutates,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_SYSTEMCTL_VALUED = words_of(
    "-n --lines -o --output -t --type -p --property --state -P -H --host -M --machine --root --image"
)
_SYSTEMCTL_KNOWN = words_of("""-n --lines -o --output -t --type -p --property -P --no-pager -l --full -a --all -q --quiet
    --user --system --failed --state --plain --no-legend --value --reverse --after --before""")
_SYSTEMCTL_READS = words_of("""status is-active is-enabled is-failed is-system-running list-units list-timers list-sockets
    list-unit-files list-dependencies list-jobs get-default cat show""")


def judge_systemctl(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``systemctl``. Without a verb it lists."""
    parsed = parse_flags(argv, _SYSTEMCTL_VALUED)
    if strange := parsed.beyond(_SYSTEMCTL_KNOWN):
        return unknown_flag(argv, strange)
    if not parsed.words:
        return reads(argv, "systemctl lists units")
    verb = parsed.words[0]
    if verb == "show-environment":
        return shows_secrets(argv, "systemctl show-environment shows environment variables")
    if verb not in _SYSTEMCTL_READS:
        return mutates(argv, f"systemctl {verb} may change the machine")
    if verb == "show":
        asked = [flag.value or "" for flag in parsed.named("-p", "--property", "-P")]
        if not asked or any("environment" in value.casefold() for value in asked):
            return shows_secrets(argv, "systemctl show shows environment variables")
    return reads(argv, f"systemctl {verb} only reads")


_JOURNAL_VALUED = words_of("""-u --unit --user-unit -n --lines -S --since -U --until -p --priority -o --output -g --grep
    -t --identifier -F --field --output-fields --facility""")
# -b takes an optional value, which would be read as a positional: a harmless filter.
_JOURNAL_KNOWN = _JOURNAL_VALUED | words_of("""--no-pager -f --follow -e --pager-end -x --catalog -k --dmesg -r --reverse
    -q --quiet -a --all -b --boot --disk-usage --list-boots --utc --no-hostname --no-full --system --user -N --fields
    --no-tail --truncate-newline -0 -1 -2 -3 -4 -5 -6 -7 -8 -9""")


def judge_journalctl(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``journalctl``."""
    parsed = parse_flags(argv, _JOURNAL_VALUED)
    if strange := parsed.beyond(_JOURNAL_KNOWN):
        return unknown_flag(argv, strange)
    why = "journalctl only reads"
    if endless := parsed.named("-f", "--follow"):
        tail = None if parsed.named("-n", "--lines") else f"--lines={TAIL_LINES}"
        return follows(argv, endless, why, tail)
    return reads(argv, why)


def judge_service(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``service``."""
    if argv[1:] == ("--status-all",) or (len(argv) == 3 and argv[2] == "status"):
        return reads(argv, "service only asks for a state")
    return mutates(argv, "service may change the machine")
