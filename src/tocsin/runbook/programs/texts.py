"""Tools that show files and lines: what they print goes nowhere but to the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tocsin.core.policy import CommandClass
from tocsin.runbook.flags import parse_flags
from tocsin.runbook.programs.scripts import (
    awk_shows_environment,
    awk_trouble,
    jq_shows_environment,
    jq_trouble,
    sed_trouble,
)
from tocsin.runbook.programs.secrets import is_secret_file, is_secret_name
from tocsin.runbook.programs.verdicts import (
    TAIL_LINES,
    Argv,
    Inner,
    Judge,
    Trait,
    Traits,
    Verdict,
    follows,
    mutates,
    needs_shell,
    never_ends,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_HELP = words_of("--help --version")
# Per program that shows what is in files: its known flags, and which of them take a value.
_SHOWS = {
    "cat": "-n -b -A -E -T -v -s -e -t -u --number --show-all --squeeze-blank",
    "tac": "-s -b -r",
    "head": "-n --lines -c --bytes -q -v --quiet --verbose",
    "cut": "-d --delimiter -f --fields -c --characters -b --bytes -s --only-delimited --output-delimiter --complement",
    "sort": """-n -r -k -t -u -h -V -b -f -d -i -M -g -R -s -z -c -C --numeric-sort --reverse --key --field-separator
        --unique --human-numeric-sort --version-sort --ignore-case --stable --general-numeric-sort""",
    "wc": "-l -c -w -m -L --lines --words --bytes --chars",
    "tr": "-d -s -c -C -t --delete --squeeze-repeats --complement",
    "nl": "-b -n -w -s -v",
    "rev": "",
    "column": "-t -s -c -x -N -o --table --separator -n -J",
    "fold": "-w -s",
    "paste": "-d -s",
    "comm": "-1 -2 -3",
    "base64": "-d --decode -w --wrap -D -i",
    "strings": "-n -a -t",
    "diff": "-u -r -q -y -w -b -B -i -N --brief --unified --side-by-side --recursive --color",
    "cmp": "-s -l",
    "md5sum": "",
    "sha256sum": "",
    "sha1sum": "",
    "zcat": "",
    "od": "-c -x -A -t -N -j",
    "hexdump": "-C -n -s",
    "seq": "-w -s -f",
}  # fmt: skip
_SHOW_VALUED = {
    "head": words_of("-n --lines -c --bytes"),
    "cut": words_of("-d --delimiter -f --fields -c --characters -b --bytes --output-delimiter"),
    "sort": words_of("-k --key -t --field-separator"),
    "column": words_of("-s -c -N -o"),
    "nl": words_of("-b -n -w -s -v"),
    "fold": frozenset(("-w",)),
    "paste": frozenset(("-d",)),
    "base64": words_of("-w --wrap"),
    "strings": words_of("-n -t"),
    "od": words_of("-A -t -N -j"),
    "hexdump": words_of("-n -s"),
    "seq": words_of("-s -f"),
    "tac": frozenset(("-s",)),
}
_NO_FILES = words_of("tr seq")
# They say how files are called, or how large they are, and not what is in them.
_LISTS = words_of("ls stat basename dirname readlink realpath file tree cksum")
_LOG = re.compile(r"\.log\b|(?:^|/)logs?(?:/|$)|syslog|messages$", re.IGNORECASE)


def judge_shows(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``cat``, ``head``, ``cut`` and the like."""
    program = argv[0]
    parsed = parse_flags(argv, _SHOW_VALUED.get(program, frozenset()))
    digits = (
        frozenset(f"-{digit}" for digit in range(10))
        if program in ("head", "diff")
        else frozenset[str]()
    )
    if strange := parsed.beyond(words_of(_SHOWS[program]) | _HELP | digits):
        return unknown_flag(argv, strange)
    if program in _NO_FILES:
        return reads(argv, f"{program} only reads")
    return _files(argv, parsed.positionals)


def _files(argv: Argv, files: tuple[tuple[int, str], ...]) -> Verdict:
    for at, word in files:
        if word.startswith("/dev/") and word != "/dev/null":
            return mutates(
                argv, "it reads a device, which may never end", ((Trait.NEVER_ENDS, at),)
            )
    secret = next((at for at, word in files if is_secret_file(word)), None)
    if secret is not None:
        return shows_secrets(argv, "it may show secrets", ((Trait.SECRET, secret),))
    return reads(argv, f"{argv[0]} only reads")


def judge_lists(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``ls`` and others that read no contents."""
    program = argv[0]
    if program == "tree" and any(re.match(r"^-[a-zA-Z]*[oR]|^--output", word) for word in argv):
        return mutates(argv, "tree writes a file")
    if program == "file" and any(
        re.match(r"^-[a-zA-Z]*[Cmfz]|^--(?:comp|magic|files-from|unc)", word) for word in argv
    ):
        return mutates(argv, "file is told to use other files")
    return reads(argv, f"{program} only reads")


_GREP_VALUED = words_of("""-e --regexp -m --max-count -A --after-context -B --before-context -C --context --include
    --exclude --exclude-dir -f --file --color --colour -d -D --label""")
_GREP_KNOWN = words_of("""-e --regexp -m --max-count -A --after-context -B --before-context -C --context --include
    --exclude --exclude-dir --color --colour -i --ignore-case -v --invert-match -c --count -n --line-number -l -L
    --files-with-matches -r -R --recursive -E -F -P -G --extended-regexp --fixed-strings --perl-regexp -o
    --only-matching -w --word-regexp -x --line-regexp -q --quiet --silent -s --no-messages -h --no-filename -H
    --with-filename -a --text --line-buffered -z --null -I -b -y""") | frozenset(
    f"-{n}" for n in range(10)
)


def judge_grep(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``grep``: what it looks for, and where."""
    parsed = parse_flags(argv, _GREP_VALUED)
    if strange := parsed.beyond(_GREP_KNOWN | _HELP):
        return unknown_flag(argv, strange)
    given = parsed.named("-e", "--regexp")
    patterns = [(flag.at_value or flag.at, flag.value or "") for flag in given]
    files = parsed.positionals
    if not patterns:
        patterns, files = list(files[:1]), files[1:]
    found = _files(argv, files)
    if found.kind is not CommandClass.READ_ONLY:
        return found
    is_config = files and not all(_LOG.search(word) for _, word in files)
    only_names = parsed.named("-l", "-c", "-q", "--count", "--files-with-matches")
    if is_config and not only_names and any(is_secret_name(text) for _, text in patterns):
        secret = ((Trait.SECRET, files[0][0]),)
        found = shows_secrets(argv, "it looks for secrets in files", secret)
    return _scripted(found, argv, (at for at, _ in patterns))


def judge_tail(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``tail``: told to follow, it is bounded."""
    valued = words_of("-n --lines -c --bytes -s --pid --sleep-interval")
    parsed = parse_flags(argv, valued)
    known = valued | words_of("-f -F --follow --retry -q -v --quiet --silent --verbose")
    if strange := parsed.beyond(known | _HELP | frozenset(f"-{digit}" for digit in range(10))):
        return unknown_flag(argv, strange)
    found = _files(argv, parsed.positionals)
    endless = parsed.named("-f", "-F", "--follow", "--retry")
    if not endless or found.kind is CommandClass.MUTATING:
        return found
    joined = any(re.match(r"^-\d", word) for word in argv)
    many = (
        None
        if parsed.named("-n", "--lines", "-c", "--bytes") or joined
        else f"--lines={TAIL_LINES}"
    )
    bounded = follows(argv, endless, found.why, many, found.traits)
    if found.kind is CommandClass.SENSITIVE_READ:
        return Verdict(found.kind, bounded.why, bounded.argv, bounded.traits)
    return bounded


def judge_uniq(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``uniq``, whose second word is a file that it writes."""
    valued = words_of("-f -s -w --skip-fields --skip-chars --check-chars")
    parsed = parse_flags(argv, valued)
    known = valued | words_of("-c -d -u -i -D -z --count --repeated --unique --ignore-case")
    if strange := parsed.beyond(known | _HELP):
        return unknown_flag(argv, strange)
    if len(parsed.words) > 1:
        return mutates(argv, "uniq writes its second file")
    return _files(argv, parsed.positionals)


def judge_echo(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``echo`` and ``printf``."""
    for at, word in enumerate(argv):
        if any(map(is_secret_name, re.findall(r"\$\{?(\w+)", word))):
            return shows_secrets(argv, "it shows a variable that is secret", ((Trait.SECRET, at),))
    return reads(argv, f"{argv[0]} only prints")


def judge_sed(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``sed``: only scripts that print, delete and replace in what is shown."""
    valued = words_of("-e --expression -f --file -l --line-length")
    parsed = parse_flags(argv, valued)
    known = words_of(
        "-n --quiet --silent -e --expression -E -r --regexp-extended -u --unbuffered -z --posix"
    )
    if strange := parsed.beyond(known | _HELP):
        return unknown_flag(argv, strange)
    given = parsed.named("-e", "--expression")
    scripts = [(flag.at_value or flag.at, flag.value or "") for flag in given]
    files = parsed.positionals
    if not scripts:
        scripts, files = list(files[:1]), files[1:]
    for _, script in scripts:
        if trouble := sed_trouble(script):
            return mutates(argv, trouble)
    return _scripted(_files(argv, files), argv, (at for at, _ in scripts))


def judge_awk(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``awk``: only programs that print."""
    parsed = parse_flags(
        argv, words_of("-F --field-separator -v --assign"), stop_at_positional=True
    )
    if strange := parsed.beyond(words_of("-F --field-separator -v --assign")):
        return unknown_flag(argv, strange)
    if not parsed.words:
        return mutates(argv, f"{argv[0]} without a program")
    if trouble := awk_trouble(parsed.words[0]):
        return mutates(argv, trouble)
    if awk_shows_environment(parsed.words[0]):
        return shows_secrets(argv, "awk would show environment variables")
    return _scripted(_files(argv, parsed.positionals[1:]), argv, (parsed.positionals[0][0],))


def _scripted(found: Verdict, argv: Argv, places: Iterable[int]) -> Verdict:
    """Mark scripts among the words: signs in them are their own, and no placeholders."""
    marks: Traits = tuple((Trait.SCRIPT, at) for at in places)
    return Verdict(found.kind, found.why, argv, (*found.traits, *marks))


_JQ_SWITCHES = words_of("""-r --raw-output -c --compact-output -s --slurp -S --sort-keys -e --exit-status -M -C -n
    --null-input -j --join-output -a --indent --tab -R --raw-input""")


def judge_jq(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``jq``: filters that look at nothing but their input."""
    # "--arg name value" takes two words.
    words: list[str] = []
    at = 0
    while at < len(argv):
        if argv[at] in ("--arg", "--argjson"):
            at += 3
            continue
        words.append(argv[at])
        at += 1
    parsed = parse_flags(words, frozenset(("--indent",)))
    if strange := parsed.beyond(_JQ_SWITCHES | _HELP):
        return unknown_flag(argv, strange)
    script = parsed.words[0] if parsed.words else ""
    if trouble := jq_trouble(script):
        return mutates(argv, trouble)
    if jq_shows_environment(script):
        return shows_secrets(argv, "jq would show environment variables")
    found = _files(tuple(words), parsed.positionals[1:])
    places = [argv.index(script)] if script else []
    return _scripted(Verdict(found.kind, found.why, argv, ()), argv, places)


_FIND_VALUED = words_of("""-name -iname -path -ipath -wholename -type -size -mtime -mmin -atime -amin -ctime -cmin -newer
    -newermt -maxdepth -mindepth -user -group -perm -links -regex -iregex -regextype -samefile -inum -printf -uid -gid
    -lname -fstype -used""")
_FIND_PLAIN = words_of("""-empty -print -print0 -ls -not ! -o -a -or -and ( ) -prune -xdev -mount -readable -writable
    -executable -daystart -follow -true -false -quit -nouser -nogroup -depth -L -H -P -noleaf -ignore_readdir_race ,""")
_FIND_INNER = words_of("ls stat du wc file md5sum sha256sum basename dirname")
_FIND_CONTENTS = words_of("cat head tail grep egrep zgrep strings")


def judge_find(argv: Argv, inner: Inner) -> Verdict:
    """Judge ``find``: tests that print names, and runs of programs that only describe files."""
    at = 1
    shows = False
    while at < len(argv):
        word = argv[at]
        if word in _FIND_VALUED:
            at += 2
        elif word in ("-exec", "-execdir"):
            end = next((i for i in range(at + 1, len(argv)) if argv[i] in (";", "+")), len(argv))
            ran = argv[at + 1 : end]
            if not ran or ran[0] not in _FIND_INNER | _FIND_CONTENTS:
                return mutates(argv, f"find {word} runs a program on what it finds")
            found = inner(ran)
            if found.kind is not CommandClass.READ_ONLY:
                return Verdict(found.kind, found.why, argv if found.argv else None)
            shows = shows or ran[0] in _FIND_CONTENTS
            at = end + 1
        elif word in _FIND_PLAIN or not word.startswith("-"):
            at += 1
        else:
            return unknown_flag(argv, word)
    paths = [word for word in argv[1:] if "/" in word]
    if shows and not (paths and all(_LOG.search(word) for word in paths)):
        return shows_secrets(argv, "find would show what is in all that it finds")
    return reads(argv, "find only looks")


def judge_pager(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``less`` and ``more``, which wait for somebody at a terminal."""
    found = _files(argv, tuple(enumerate(argv))[1:])
    if found.kind is not CommandClass.READ_ONLY:
        return found
    return never_ends(None, f"{argv[0]} runs until somebody ends it", ((Trait.TERMINAL, 0),))


def judge_editor(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``vi`` and its like."""
    return mutates(None, f"{argv[0]} edits, at a terminal", ((Trait.TERMINAL, 0),))


def judge_endless(argv: Argv, _inner: Inner) -> Verdict:
    """Judge what shows the state of a machine until somebody ends it."""
    if len(argv) == 1:
        return never_ends(None, f"{argv[0]} runs until somebody ends it", ((Trait.TERMINAL, 0),))
    if any(re.match(r"^-{1,2}[a-z]*(?:w|o|exec|output|log)", word) for word in argv[1:]):
        return mutates(argv, f"a flag of {argv[0]} may write")
    return never_ends(None, f"{argv[0]} runs until somebody ends it", ((Trait.NEVER_ENDS, 0),))


def judge_yes(_argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``yes``, which makes sense only in a pipe."""
    return needs_shell("yes answers another program")


JUDGES: dict[str, Judge] = {
    **dict.fromkeys(_SHOWS, judge_shows),
    **dict.fromkeys(_LISTS, judge_lists),
    **dict.fromkeys(("grep", "egrep", "fgrep", "zgrep"), judge_grep),
    **dict.fromkeys(("awk", "gawk", "mawk"), judge_awk),
    **dict.fromkeys(("echo", "printf"), judge_echo),
    **dict.fromkeys(("less", "more"), judge_pager),
    **dict.fromkeys(("vi", "vim", "nano", "emacs", "visudo", "view"), judge_editor),
    **dict.fromkeys(("htop", "iotop", "nethogs", "atop", "btop", "iftop", "nload"), judge_endless),
    "tail": judge_tail,
    "uniq": judge_uniq,
    "sed": judge_sed,
    "jq": judge_jq,
    "find": judge_find,
    "yes": judge_yes,
}
