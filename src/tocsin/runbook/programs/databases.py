"""Clients of databases: psql, mysql, redis-cli. What they send decides."""

from __future__ import annotations

import re

from tocsin.runbook.flags import parse_flags
from tocsin.runbook.programs.verdicts import (
    Argv,
    Inner,
    Trait,
    Verdict,
    has_hole,
    localhost,
    mutates,
    needs_shell,
    never_ends,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.sql import Dialect, names_secrets, only_reads
from tocsin.runbook.wordlists import words as words_of

_PSQL_VALUED = words_of("""-U --username -h --host -p --port -d --dbname -c --command -P --pset -F --field-separator
    -R --record-separator -v --set --variable -f --file -o --output -L --log-file -T
    --table-attr""")
_PSQL_KNOWN = words_of("""-U --username -h --host -p --port -d --dbname -c --command -t --tuples-only -A --no-align
    -x --expanded -q --quiet -X --no-psqlrc -w --no-password -F --field-separator --csv -H --html -l --list
    -E --echo-hidden -e --echo-queries -b --echo-errors -v --set --variable -P --pset -R --record-separator
    -z -0 -1 --single-transaction -V --version""")
# Settings of a connection that neither name a file of this machine nor pass options to the server.
_CONNECTION = words_of(
    "host hostaddr port dbname user sslmode connect_timeout application_name target_session_attrs"
)


def judge_psql(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``psql``: each ``-c`` by its SQL."""
    parsed = parse_flags(argv, _PSQL_VALUED)
    if strange := parsed.beyond(_PSQL_KNOWN):
        return unknown_flag(argv, strange)
    marks = localhost(argv)
    for word in (*parsed.words, *(flag.value or "" for flag in parsed.named("-d", "--dbname"))):
        if strange := _strange_setting(word):
            return mutates(argv, f"psql connects with {strange}", marks)
    if parsed.named("-l", "--list", "-V", "--version"):
        return reads(argv, "psql only lists", marks)
    commands = [flag.value or "" for flag in parsed.named("-c", "--command")]
    if not commands:
        return needs_shell("psql without -c opens a session")
    return _statements(argv, commands, Dialect.POSTGRES)


def _strange_setting(word: str) -> str:
    """Return a setting of a connection string that does more than connect, or nothing."""
    if "://" in word:
        word = word.partition("?")[2].replace("&", " ")
    names = re.findall(r"([\w%.-]+)\s*=", word)
    return next((name for name in names if name not in _CONNECTION), "")


_MYSQL_VALUED = words_of("""-u --user -h --host -P --port -e --execute -D --database -S --socket --connect-timeout
    --protocol --default-character-set --ssl-mode""")
_MYSQL_KNOWN = _MYSQL_VALUED | words_of("""-p --password -N --skip-column-names -B --batch -s --silent -t --table -E
    --vertical -r --raw -n --unbuffered -C --compress -H --html -X --xml --ssl""")


def judge_mysql(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``mysql`` and ``mariadb``: each ``-e`` by its SQL."""
    # The value of -p is always joined to it, and would be read as letters.
    plain = tuple("-p" if re.match(r"^-p.", word) else word for word in argv)
    parsed = parse_flags(plain, _MYSQL_VALUED)
    if strange := parsed.beyond(_MYSQL_KNOWN):
        return unknown_flag(argv, strange)
    commands = [flag.value or "" for flag in parsed.named("-e", "--execute")]
    if not commands:
        return needs_shell(f"{argv[0]} without -e opens a session")
    return _statements(argv, commands, Dialect.MYSQL)


def _statements(argv: Argv, commands: list[str], dialect: Dialect) -> Verdict:
    program, marks = argv[0], localhost(argv)
    # A statement with a hole in it may become any other, so there is none that could run.
    if any(map(has_hole, commands)):
        why = f"{program}: its SQL is to be filled in, and may become anything"
        return mutates(None, why, marks)
    for sql in commands:
        harmless, why = only_reads(sql, dialect)
        if not harmless:
            return mutates(argv, f"{program}: {why}", marks)
    for sql in commands:
        if secret := names_secrets(sql):
            return shows_secrets(argv, f"{program}: {secret} may show secrets", marks)
    if len(commands) == 1:
        return reads(
            argv, f"{program} runs {why}" if "SELECT" in why else f"{program}: {why}", marks
        )
    return reads(argv, f"{program} runs statements that change nothing", marks)


def judge_mysqladmin(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``mysqladmin``, which takes several commands at once."""
    plain = tuple("-p" if re.match(r"^-p.", word) else word for word in argv)
    parsed = parse_flags(plain, words_of("-u --user -h --host -P --port -S --socket"))
    known = words_of("-u --user -h --host -P --port -S --socket -p --password -v --verbose")
    if strange := parsed.beyond(known):
        return unknown_flag(argv, strange)
    harmless = words_of("status extended-status processlist ping version variables")
    if parsed.words and all(word in harmless for word in parsed.words):
        return reads(argv, "mysqladmin only asks for its state", localhost(argv))
    return mutates(argv, "mysqladmin may change the server")


_REDIS_VALUED = words_of("-h -p -n -a -u -s --user --pass -t")
_REDIS_KNOWN = _REDIS_VALUED | words_of(
    "--tls --no-auth-warning --raw --no-raw --csv --json -2 -3 -c"
)
_REDIS_READS = words_of("""ping info dbsize ttl pttl type exists llen scard zcard hlen strlen role lastsave time
    xlen zcount hexists sismember""")
_REDIS_SUB_READS = {
    "memory": {"usage", "stats", "doctor"},
    "slowlog": {"get", "len"},
    "client": {"list", "info", "id", "getname"},
    "config": {"get"},
    "latency": {"latest", "history", "doctor"},
    "cluster": {"info", "nodes", "slots", "shards", "keyslot", "myid", "countkeysinslot"},
    "command": {"count", "info", "docs", "list"},
    "object": {"encoding", "idletime", "refcount", "freq"},
    "pubsub": {"channels", "numsub", "numpat"},
    "xinfo": {"stream", "groups", "consumers"},
    "acl": {"whoami", "cat"},
    "sentinel": {
        "get-master-addr-by-name",
        "master",
        "masters",
        "replicas",
        "slaves",
        "sentinels",
        "ckquorum",
    },
}
_REDIS_SECRET = re.compile(r"[*?\[]|pass|auth|user|key-file", re.IGNORECASE)
_REDIS_VALUES = words_of("""get mget hget hmget hgetall hkeys hvals lrange lindex smembers srandmember zrange zrevrange
    zrangebyscore getrange xrange xrevrange dump scan sscan hscan zscan randomkey keys""")
_REDIS_MODES = words_of("""--latency --latency-history --latency-dist --stat --bigkeys --memkeys --hotkeys
    --intrinsic-latency""")


def judge_redis(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``redis-cli``: its own modes, or the command it sends."""
    parsed = parse_flags(argv, _REDIS_VALUED, stop_at_positional=True)
    modes = parsed.named(*_REDIS_MODES)
    if strange := parsed.beyond(_REDIS_KNOWN | _REDIS_MODES | {"--scan", "--pattern", "--count"}):
        return unknown_flag(argv, strange)
    if modes and not parsed.words:
        ends = (Trait.NEVER_ENDS, modes[0].at)
        why = f"redis-cli {modes[0].name} samples until somebody ends it"
        return never_ends(None, why, (ends,))
    if parsed.named("--scan"):
        return shows_secrets(argv, "redis-cli --scan shows the names of all that is stored")
    if not parsed.words:
        return needs_shell("redis-cli without a command opens a session")
    verb = parsed.words[0].casefold()
    sub = parsed.words[1].casefold() if len(parsed.words) > 1 else ""
    if (verb, sub) == ("config", "get") and any(
        _REDIS_SECRET.search(word) or has_hole(word) for word in parsed.words[2:]
    ):
        return shows_secrets(argv, "redis-cli config may show a password")
    if verb in _REDIS_READS or sub in _REDIS_SUB_READS.get(verb, set()):
        return reads(argv, f"redis-cli {verb} only reads", localhost(argv))
    if verb in ("monitor", "subscribe", "psubscribe", "ssubscribe"):
        why = f"redis-cli {verb} runs until somebody ends it"
        return never_ends(None, why, ((Trait.NEVER_ENDS, parsed.positionals[0][0]),))
    if verb in _REDIS_VALUES:
        return shows_secrets(argv, f"redis-cli {verb} shows what is stored")
    return mutates(argv, f"redis-cli {verb} may change data")
