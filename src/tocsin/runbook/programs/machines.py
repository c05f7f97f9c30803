"""Tools that look at one machine: its processes, memory, disks, network, clock."""

from __future__ import annotations

import re
from collections.abc import Callable

from tocsin.runbook.flags import Parsed, parse_flags
from tocsin.runbook.programs.verdicts import (
    Argv,
    Inner,
    Judge,
    Trait,
    Verdict,
    follows,
    localhost,
    mutates,
    needs_shell,
    never_ends,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

# Programs of which no flag and no word does more than show something.
_SHOWS = words_of("""df uptime whoami id uname nproc lsblk lscpu lspci lsmod lsusb pwd which type w who last groups
    pg_isready true false arch tty""")
# Programs by the flags that are known to leave them readers; no words means any word is fine.
_FLAGS: dict[str, frozenset[str]] = {
    "free": words_of("-b -k -m -g -h --human -t --total -w --wide -l --si --mega --giga --kilo -v"),
    "netstat": words_of("-t -u -l -n -p -a -r -i -s -e -o -W -4 -6 -x --tcp --udp --listening --numeric --all -g"),
    "ss": words_of("""-t -u -l -n -p -a -x -o -e -m -i -s -4 -6 -0 -r -H -O -w --tcp --udp --listening --numeric
        --processes --all --summary --info --no-header --memory"""),
    "dmesg": words_of("-T --ctime -H --human -k -x -l --level -f --facility -t -L --color --since --until --nopager"),
    "lscpu": frozenset(),
    "timedatectl": words_of("--no-pager"),
    "hostnamectl": words_of("--no-pager"),
    "chronyc": words_of("-n"),
    "ntpq": words_of("-p -n"),
    "mpstat": words_of("-P -A -u"),
    "pidstat": words_of("-d -r -u -p -t -w -C"),
    "numactl": words_of("--hardware -H --show -s"),
    "ulimit": words_of("-a -n -u -s -c -S -H"),
    "pgrep": words_of("-a -f -l -u -x -n -o -c -i -P -d"),
    "pidof": words_of("-s"),
    "pstree": words_of("-p -a -u -h -n"),
    "nslookup": words_of("-type -query -debug"),
    "host": words_of("-t -a -v -4 -6 -W"),
    "arp": words_of("-a -n -e -v"),
    "route": words_of("-n -e -v"),
    "tracepath": words_of("-n -4 -6 -m -b"),
    "traceroute": words_of("-n -4 -6 -m -w -q -T -I -p -U"),
    "ethtool": words_of("-i -S -k -g -c -a"),
    "findmnt": words_of("-l -D -t -o -T --target"),
    "getconf": frozenset(),
    "sar": words_of("-u -r -n -q -b -d -S -W -A -P -p -h"),
    "smartctl": words_of("-a -H -i -A -x --all --health --info --scan"),
}  # fmt: skip
# Words of these programs that read; any other word is an order.
_WORDS = {
    "timedatectl": words_of("status show list-timezones timesync-status show-timesync"),
    "hostnamectl": frozenset(("status",)),
    "chronyc": words_of("tracking sources sourcestats activity"),
    "ntpq": words_of("localhost"),
    "arp": frozenset[str](),
    "route": frozenset[str](),
    "numactl": frozenset[str](),
    "ulimit": frozenset[str](),
}
_VALUED = {
    "mpstat": frozenset(("-P",)),
    "pidstat": words_of("-p -C"),
    "pgrep": words_of("-u -P -d"),
    "host": words_of("-t -W"),
    "dmesg": words_of("-l --level -f --facility --since --until"),
    "findmnt": words_of("-t -o -T --target"),
    "traceroute": words_of("-m -w -q -p"),
    "tracepath": words_of("-m"),
    "sar": words_of("-n -P"),
}
_ENDLESS = {
    "dmesg": ("-w", "--follow", "-W", "--follow-new"),
    "netstat": ("-c", "--continuous"),
}
# A lone number is an interval to these, and they go on until they are stopped.
_INTERVALS = words_of("mpstat pidstat sar vmstat iostat")


def _listed(argv: Argv, _inner: Inner) -> Verdict:
    program = argv[0]
    plain = tuple(re.sub(r"^-(type|query|debug)\b", r"--\1", word) for word in argv)
    words = plain if program == "nslookup" else argv
    parsed = parse_flags(words, _VALUED.get(program, frozenset()))
    known = _FLAGS[program] | frozenset(f"-{flag}" for flag in _FLAGS[program] if len(flag) > 2)
    if endless := parsed.named(*_ENDLESS.get(program, ())):
        if strange := parsed.beyond(known | frozenset(_ENDLESS[program])):
            return unknown_flag(argv, strange)
        return follows(argv, endless, f"{program} only reads", None)
    if strange := parsed.beyond(known):
        return unknown_flag(argv, strange)
    allowed = _WORDS.get(program)
    if allowed is not None and (order := next((w for w in parsed.words if w not in allowed), "")):
        return mutates(argv, f"{program} {order} is not known to be harmless")
    if program == "nslookup" and not parsed.words:
        return needs_shell("nslookup without a name opens a session")
    if program in _INTERVALS and _is_endless(parsed):
        return _interval(argv)
    return reads(argv, f"{program} only reads", localhost(argv))


def _is_endless(parsed: Parsed) -> bool:
    return sum(word.isdigit() for word in parsed.words) == 1


def _interval(argv: Argv) -> Verdict:
    why = f"{argv[0]} with an interval only runs until somebody ends it"
    return never_ends(None, why, ((Trait.NEVER_ENDS, 0),))


def _statistics(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``vmstat`` and ``iostat``."""
    parsed = parse_flags(argv, frozenset())
    known = words_of("-x -d -c -h -k -m -t -y -z -s -S -a -w -n -N -p")
    if strange := parsed.beyond(known):
        return unknown_flag(argv, strange)
    if _is_endless(parsed):
        return _interval(argv)
    return reads(argv, f"{argv[0]} only reads")


def _shows(argv: Argv, _inner: Inner) -> Verdict:
    return reads(argv, f"{argv[0]} only reads", localhost(argv))


_PS_SWITCHES = words_of("--no-headers --no-heading --headers --forest --deselect")
_PS_VALUED = words_of(
    "--sort --format --pid --ppid --user --group --cols --columns --width --lines"
)


def _ps(argv: Argv, _inner: Inner) -> Verdict:
    # Without a dash the letter e means environments: "ps auxe". A word may also be a value.
    before = ""
    for word in argv[1:]:
        name = word.partition("=")[0]
        if word.startswith("--") and name not in _PS_SWITCHES | _PS_VALUED:
            return unknown_flag(argv, name)
        is_value = before in _PS_VALUED or re.match(r"^-?[a-zA-Z]*[oCuUgGpqst]$", before)
        is_letters = re.match(r"^[a-zA-Z]+$", word) is not None
        if "environ" in word or word == "-E" or (is_letters and "e" in word and not is_value):
            return shows_secrets(argv, "ps would show environments")
        before = word
    return reads(argv, "ps only reads")


def _du(argv: Argv, _inner: Inner) -> Verdict:
    if any(word.startswith("--fi") for word in argv):
        return mutates(argv, f"{argv[0]} is told to read a file of names")
    return reads(argv, f"{argv[0]} only reads")


def _date(argv: Argv, _inner: Inner) -> Verdict:
    valued = words_of("-d --date -r --reference")
    parsed = parse_flags(argv, valued)
    known = valued | words_of(
        "-u --utc --universal -I --iso-8601 -R --rfc-2822 --rfc-email --rfc-3339"
    )
    # What is joined to -I says how exact it is.
    if strange := parsed.beyond(known | frozenset(f"-{letter}" for letter in "secondmiuthra")):
        return unknown_flag(argv, strange)
    if any(flag.name == "-s" for flag in parsed.flags) and not any(
        word.startswith("-I") for word in argv
    ):
        return mutates(argv, "date sets the clock")
    if any(not word.startswith("+") for word in parsed.words):
        return mutates(argv, "date may set the clock")
    return reads(argv, "date only reads")


def _hostname(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, frozenset())
    if parsed.words or parsed.beyond(
        words_of("-f -i -I -s -d -A -a --fqdn --ip-address --all-ip-addresses --short")
    ):
        return mutates(argv, "hostname may set a name")
    return reads(argv, "hostname only reads")


_IP_SWITCHES = words_of("""-4 -6 -s -stats -statistics -br -brief -d -details -o -oneline -j -json -p -pretty -c
    -color -h -human -r -resolve""")
_IP_OBJECTS = words_of(
    """a addr address l link r route n neigh neighbour neighbor ru rule maddr maddress netns tunnel"""
)


def _ip(argv: Argv, _inner: Inner) -> Verdict:
    rest = [word for word in argv[1:] if word not in _IP_SWITCHES]
    if not rest or rest[0].startswith("-") or rest[0] not in _IP_OBJECTS:
        if rest[:1] == ["monitor"]:
            return never_ends(None, "ip monitor runs until somebody ends it")
        return mutates(argv, "ip may change the network")
    verbs = (
        ["show", "list", "ls", "lst", *(["get"] if rest[0].startswith("r") else [])]
        if rest[0].startswith("r")
        else ("show", "list", "ls", "lst")
    )
    if (len(rest) == 1 or rest[1] in verbs) and not any(word[:1] == "-" for word in rest):
        return reads(argv, f"ip {rest[0]} only reads")
    return mutates(argv, f"ip {' '.join(rest[:2])} may change the network")


def _sysctl(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, frozenset())
    if parsed.beyond(words_of("-a --all -n --values -N --names -e --ignore")):
        return mutates(argv, "sysctl may set the kernel")
    if any("=" in word for word in parsed.words) or not (parsed.words or parsed.flags):
        return mutates(argv, "sysctl may set the kernel")
    return reads(argv, "sysctl only reads")


def _iptables(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, frozenset(("-t", "--table")))
    lists = parsed.named("-L", "--list", "-S", "--list-rules")
    known = words_of(
        "-L --list -S --list-rules -n --numeric -v --verbose -x --exact --line-numbers -t --table"
    )
    if lists and not parsed.beyond(known):
        return reads(argv, f"{argv[0]} only lists")
    return mutates(argv, f"{argv[0]} may change what is let through")


def _lsof(argv: Argv, _inner: Inner) -> Verdict:
    # -i and -s take what is joined to them; -r and +r repeat, -D writes a file of devices.
    if all(
        re.match(r"^(?:-[anPlwtURb]+|-[nP]*[ipuscdg].*|\+[DdLc].*|[^-+].*|--)$", word)
        for word in argv[1:]
    ):
        return reads(argv, "lsof only reads", localhost(argv))
    return mutates(argv, "a flag of lsof is not known to be harmless")


def _dig(argv: Argv, _inner: Inner) -> Verdict:
    valued = words_of("-x -t -p -q -b -c")
    parsed = parse_flags(argv, valued)
    if strange := parsed.beyond(valued | {"-4", "-6"}):
        return unknown_flag(argv, strange)
    return reads(argv, "dig only asks", localhost(argv))


def _getent(argv: Argv, _inner: Inner) -> Verdict:
    if any("shadow" in word for word in argv[1:]):
        return shows_secrets(argv, "it shows hashes of passwords")
    return reads(argv, "getent only reads")


def _mount(argv: Argv, _inner: Inner) -> Verdict:
    if argv[1:] in ((), ("-l",)):
        return reads(argv, "mount only lists")
    return mutates(argv, "mount may change the machine")


def _crontab(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, frozenset(("-u",)))
    if parsed.named("-l") and not parsed.words and not parsed.beyond(words_of("-l -u")):
        return reads(argv, "crontab -l only lists")
    return mutates(argv, "crontab may change what runs when")


def _top(argv: Argv, _inner: Inner) -> Verdict:
    valued = words_of("-n -d -p -u -U -o -w")
    parsed = parse_flags(argv, valued)
    known = valued | words_of("-b -H -c -i")
    if parsed.named("-b") and parsed.named("-n") and not parsed.beyond(known):
        return reads(argv, "top in batch mode only reads")
    return never_ends(None, "top runs until somebody ends it", ((Trait.NEVER_ENDS, 0),))


def _ping(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, words_of("-c -W -w -i -s -I -t"))
    if strange := parsed.beyond(words_of("-c -W -w -4 -6 -n -q -I")):
        return unknown_flag(argv, strange)
    if parsed.named("-c", "-w"):
        return reads(argv, "ping only asks", localhost(argv))
    traits = ((Trait.NEVER_ENDS, 0), *localhost(argv))
    why = "ping only asks; it never ends, so it would run four times"
    return never_ends((argv[0], "-c", "4", *argv[1:]), why, traits)


def _netcat(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, frozenset(("-w",)))
    if parsed.named("-z") and not parsed.beyond(words_of("-z -v -w -n -u -4 -6")):
        return reads(argv, f"{argv[0]} -z only asks whether a port is open", localhost(argv))
    return mutates(argv, f"{argv[0]} sends what it is given")


def _tcpdump(argv: Argv, _inner: Inner) -> Verdict:
    valued = words_of("-i -c -s -B")
    parsed = parse_flags(argv, valued)
    if strange := parsed.beyond(valued | words_of("-n -v -q -t -e -l -p -S -D -A -X -x")):
        return unknown_flag(argv, strange)
    if parsed.named("-A", "-X", "-x"):
        return shows_secrets(argv, "tcpdump shows what is sent")
    if parsed.named("-c", "-D"):
        return reads(argv, "tcpdump only listens")
    return never_ends(None, "tcpdump runs until somebody ends it", ((Trait.NEVER_ENDS, 0),))


def _sleep(argv: Argv, _inner: Inner) -> Verdict:
    if len(argv) == 2 and re.match(r"^\d{1,3}[sm]?$", argv[1]):
        return reads(argv, "sleep only waits")
    return never_ends(None, f"{' '.join(argv[:2])} may wait without end")


_JUDGES: dict[str, Callable[[Argv, Inner], Verdict]] = {
    "ps": _ps,
    "du": _du,
    "date": _date,
    "hostname": _hostname,
    "ip": _ip,
    "sysctl": _sysctl,
    "iptables": _iptables,
    "ip6tables": _iptables,
    "lsof": _lsof,
    "dig": _dig,
    "getent": _getent,
    "mount": _mount,
    "crontab": _crontab,
    "top": _top,
    "ping": _ping,
    "ping6": _ping,
    "nc": _netcat,
    "ncat": _netcat,
    "tcpdump": _tcpdump,
    "sleep": _sleep,
    "vmstat": _statistics,
    "iostat": _statistics,
}  # fmt: skip
JUDGES: dict[str, Judge] = {
    **dict.fromkeys(_SHOWS, _shows),
    **dict.fromkeys(_FLAGS, _listed),
    **_JUDGES,
}
