"""Whether SQL only reads: one statement, every node and every function on a list."""

from __future__ import annotations

import re

from tocsin.runbook.wordlists import words as words_of

_SELECTS = re.compile(r"^\s*(?:--[^\n]*\n\s*)*\(*\s*(?:select|with)\b", re.IGNORECASE)
_SHOW = re.compile(r"^\s*show\s+[\w.]+(?:\s+[\w.]+)?\s*;?\s*$", re.IGNORECASE)
_META = re.compile(r"^\s*\\(?:d[a-zA-Z]{0,4}\+?|l\+?|conninfo)(?:\s+[\w.\"*]+)?\s*$")

# Nodes that only shape a result. Whatever is missing here (INTO, FOR UPDATE, INSERT in a CTE, a
# copy, a call) makes the statement mutating.
_NODES = words_of("""Select From Table Identifier Column Where Alias Star Literal Join Group Order Ordered Limit
    Offset Having Subquery With CTE TableAlias Union Except Intersect Distinct Case If In Between
    Paren Cast DataType DataTypeParam Interval Var Window WindowSpec Filter Tuple Null Boolean And
    Or Not EQ NEQ GT GTE LT LTE Is Like ILike Add Sub Mul Div Mod Neg DPipe Values Exists Any All
    JSONExtract JSONExtractScalar JSONPath JSONPathRoot JSONPathKey JSONPathSubscript RegexpLike
    RegexpILike SimilarTo Array Bracket Nulls IsNot Xor SafeDivide IntDiv Collate Concat
    Lateral Qualify AtTimeZone""")
_FUNCTIONS = words_of("""count sum avg min max now current_timestamp current_date current_time current_database
    current_user current_schema version clock_timestamp coalesce nullif greatest least round abs ceil floor
    extract date_trunc timestamp_trunc date_part age length char_length lower upper substring
    substr trim left right concat string_agg array_agg row_number rank dense_rank lag lead
    first_value last_value percent_rank ntile percentile_cont percentile_disc to_char
    pg_size_pretty pg_database_size pg_relation_size pg_total_relation_size pg_table_size
    pg_indexes_size pg_is_in_recovery pg_last_wal_receive_lsn pg_last_wal_replay_lsn
    pg_last_xact_replay_timestamp pg_current_wal_lsn pg_wal_lsn_diff pg_blocking_pids
    pg_postmaster_start_time pg_stat_get_backend_pid pg_backend_pid inet_server_addr
    within_group group_concat case if cast array timestamp_diff time_to_str""")


_SECRETS = re.compile(
    r"\b(?:pg_shadow|pg_authid|pg_user_mappings?|pg_subscription|pg_hba_file_rules)\b"
    r"|\w*(?:passw|passwd|secret|token|api_?key|private_?key|credential|credit_?card|\bssn\b)\w*",
    re.IGNORECASE,
)


def names_secrets(sql: str) -> str:
    """Return the word of a statement that names what should not be shown, or nothing."""
    found = _SECRETS.search(sql)
    return found[0] if found else ""


def only_reads(sql: str, dialect: str = "postgres") -> tuple[bool, str]:
    """Say whether running ``sql`` can change nothing, and why."""
    words = sql.strip()
    if _META.match(words):
        return True, "psql describes its catalogue"
    if _SHOW.match(words):
        return True, "SHOW only reads"
    if not _SELECTS.match(words):
        first = words.split(None, 1)[0] if words else ""
        return False, f"{first.upper()} is not a SELECT" if first else "there is no statement"
    if "{" in words:
        # sqlglot skips template comments that PostgreSQL would read.
        return False, "it holds a template or a placeholder"
    # Imported late: sqlglot is large, and most runbooks hold no SQL.
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tokens = sqlglot.tokenize(words, read=dialect)
        if any(token.token_type.name == "SEMICOLON" for token in tokens[:-1]):
            return False, "it is more than one statement"
        tree = sqlglot.parse_one(words, read=dialect)
        trouble = next((why for node in tree.walk() if (why := _trouble(node))), "")
    # sqlglot lets a few errors of its own code through on text that is no SQL.
    except (SqlglotError, RecursionError, LookupError, TypeError, ValueError, AttributeError):
        return False, "the SQL is not understood"
    return (False, trouble) if trouble else (True, "one SELECT that changes nothing")


def _trouble(node: object) -> str:
    """Return why a node is more than reading, or nothing."""
    from sqlglot import exp

    name = type(node).__name__
    if isinstance(node, exp.Anonymous) and node.name.lower() not in _FUNCTIONS:
        return f"the function {node.name} is not known to be harmless"
    if name in _NODES or isinstance(node, exp.Anonymous):
        return ""
    if not isinstance(node, exp.Func):
        return f"{name} is more than a plain SELECT"
    if node.sql_name().lower() in _FUNCTIONS or name.lower() in _FUNCTIONS:
        return ""
    return f"the function {node.sql_name()} is not known to be harmless"
