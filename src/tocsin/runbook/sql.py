"""Whether SQL only reads: one statement, every node and every function on a list."""

from __future__ import annotations

import re
from enum import StrEnum

from tocsin.runbook.wordlists import words as words_of


class Dialect(StrEnum):
    """Whose SQL it is."""

    POSTGRES = "postgres"
    MYSQL = "mysql"


_SELECTS = re.compile(r"^\s*(?:--[^\n]*\n\s*)*\(*\s*(?:select|with)\b", re.IGNORECASE)
_SHOW = re.compile(r"^\s*show\s+[\w.]+(?:\s+[\w.]+)?\s*;?\s*$", re.IGNORECASE)
_META = re.compile(r"^\s*\\(?:d[a-zA-Z]{0,4}\+?|l\+?|z|s[fv]\+?|conninfo)(?:\s+[\w.\"*]+)?\s*$")
# Options of foreign servers and user mappings hold passwords.
_META_SECRET = re.compile(r"^\s*\\de[tswu]\+")
# ANALYZE would run the statement, and only a SELECT may be run.
_EXPLAIN = re.compile(
    r"^\s*explain\s+(?:\((?:\s*(?:analyze|analyse|verbose|costs|buffers|settings|timing|summary|wal|memory"
    r"|format)(?:\s+\w+)?\s*,?)+\)\s*|(?:analyze\s+|verbose\s+|format\s*=?\s*\w+\s+)*)(?=select\b|with\b)",
    re.IGNORECASE,
)
_MYSQL_SHOW = re.compile(
    r"^\s*show\s+(?:full\s+|global\s+|session\s+|count\(\*\)\s+)?"
    r"(?:processlist|status|variables|tables|databases|schemas|columns|index(?:es)?|table\s+status|open\s+tables"
    r"|engines|plugins|warnings|errors|events|triggers|master\s+status|slave\s+status|replica\s+status"
    r"|slave\s+hosts|replicas|binary\s+logs?(?:\s+status)?|all\s+(?:slaves|replicas)\s+status"
    r"|engine\s+\w+\s+status|create\s+table\s+[\w.`]+)"
    r"(?:\s+(?:from|in|like|where)\b[^;\\()]*)?\s*(?:;|\\G)?\s*$",
    re.IGNORECASE,
)

# Nodes that only shape a result. Whatever is missing here (INTO, FOR UPDATE, INSERT in a CTE, a
# copy, a call) makes the statement mutating.
_NODES = words_of("""Select From Table Identifier Column Where Alias Star Literal Join Group Order Ordered Limit
    Offset Having Subquery With CTE TableAlias Union Except Intersect Distinct Case If In Between
    Paren Cast DataType DataTypeParam Interval Var Window WindowSpec Filter Tuple Null Boolean And
    Or Not EQ NEQ GT GTE LT LTE Is Like ILike Add Sub Mul Div Mod Neg DPipe Values Exists Any All
    JSONExtract JSONExtractScalar JSONPath JSONPathRoot JSONPathKey JSONPathSubscript RegexpLike
    RegexpILike SimilarTo Array Bracket Nulls IsNot Xor SafeDivide IntDiv Collate Concat
    Lateral Qualify AtTimeZone Unnest WithinGroup Fetch ColumnDef TryCast NullSafeEQ NullSafeNEQ ArrayContainsAll
    Escape BitwiseAnd BitwiseOr LimitOptions""")
_CALLS_QUOTED = re.compile(r"[\"`]\s*\(")
_FUNCTIONS = words_of("""count sum avg min max now current_timestamp current_date current_time current_database
    current_user current_schema session_user version clock_timestamp statement_timestamp transaction_timestamp
    coalesce nullif greatest least round abs ceil floor trunc sign power sqrt ln exp width_bucket
    extract date_trunc timestamp_trunc date_part age length char_length lower upper initcap substring
    substr trim left right concat concat_ws string_agg array_agg row_number rank dense_rank lag lead
    first_value last_value percent_rank ntile percentile_cont percentile_disc mode to_char
    bool_or bool_and logical_or logical_and every json_agg jsonb_agg json_build_object jsonb_build_object json_object
    row_to_json to_json to_jsonb json_object_agg jsonb_object_agg jsonb_array_length json_array_length
    unnest generate_series split_part position strpos str_position replace regexp_replace regexp_count lpad rpad pad
    repeat reverse md5 to_timestamp to_date str_to_time unix_to_time str_to_date make_interval justify_interval
    stddev stddev_samp stddev_pop variance var_samp var_pop corr array_length array_size array_to_string cardinality
    format_type quote_ident current_setting isfinite
    pg_size_pretty pg_database_size pg_relation_size pg_total_relation_size pg_table_size
    pg_indexes_size pg_tablespace_size pg_column_size pg_is_in_recovery pg_last_wal_receive_lsn
    pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_current_wal_lsn pg_current_wal_insert_lsn
    pg_wal_lsn_diff pg_blocking_pids pg_postmaster_start_time pg_conf_load_time pg_stat_get_backend_pid
    pg_backend_pid pg_get_indexdef pg_get_constraintdef pg_get_viewdef pg_get_userbyid pg_is_wal_replay_paused
    pg_table_is_visible pg_walfile_name has_table_privilege has_database_privilege obj_description col_description
    inet_server_addr inet_server_port inet_client_addr mxid_age pg_get_expr pg_encoding_to_char
    within_group group_concat case if cast array timestamp_diff datediff date_diff time_to_str date_add date_sub
    timestamp_sub ts_or_ds_to_date ts_or_ds_add day hour minute month year unix_timestamp from_unixtime ifnull isnull
    date time_to_unix substring_index connection_id database
    jsonarrayagg jsonobjectagg explode exploding_generate_series rand random""")


_SECRETS = re.compile(
    r"\b(?:pg_shadow|pg_authid|pg_user_mappings?|pg_subscription|pg_hba_file_rules|primary_conninfo"
    r"|ssl_passphrase_command|mysql\s*\.\s*user|authentication_string)\b"
    r"|\w*(?:passw|passwd|secret|token|api_?key|private_?key|credential|credit_?card|\bssn\b)\w*",
    re.IGNORECASE,
)


def names_secrets(sql: str) -> str:
    """Return the word of a statement that names what should not be shown, or nothing."""
    found = _SECRETS.search(sql) or _META_SECRET.search(sql)
    return found[0].strip() if found else ""


def only_reads(sql: str, dialect: Dialect = Dialect.POSTGRES) -> tuple[bool, str]:
    """Say whether running ``sql`` can change nothing, and why."""
    words = sql.strip()
    is_mysql = dialect is Dialect.MYSQL
    if is_mysql and _MYSQL_SHOW.match(words):
        return True, "SHOW only reads"
    if not is_mysql and _META.match(words):
        return True, "psql describes its catalogue"
    if not is_mysql and _SHOW.match(words):
        return True, "SHOW only reads"
    if is_mysql:
        words = words.removesuffix("\\G").rstrip()
    words = _EXPLAIN.sub("", words, count=1)
    if not _SELECTS.match(words):
        first = words.split(None, 1)[0] if words else ""
        return False, f"{first.upper()} is not a SELECT" if first else "there is no statement"
    if hidden := _hidden(words, is_mysql=is_mysql):
        return False, hidden
    return _parsed_reads(words, dialect)


def _hidden(words: str, *, is_mysql: bool) -> str:
    """Return why a parser may see less of a statement than the database does, or nothing."""
    if "{" in words:
        # sqlglot skips template comments that PostgreSQL would read.
        return "it holds a template or a placeholder"
    if "/*" in words:
        # MySQL runs what stands in /*! */, and PostgreSQL nests comments.
        return "it holds a comment that may hide something"
    if _CALLS_QUOTED.search(words):
        # A quoted name may be that of a function of one's own, whatever it is called.
        return "it calls a function by a quoted name"
    if is_mysql and ("\\" in words or "#" in words or "--" in words):
        return "it holds a comment, or a command of the client"
    return ""


def _parsed_reads(words: str, dialect: Dialect) -> tuple[bool, str]:
    # Imported late: sqlglot is large, and most runbooks hold no SQL.
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tokens = sqlglot.tokenize(words, read=dialect.value)
        if any(token.token_type.name == "SEMICOLON" for token in tokens[:-1]):
            return False, "it is more than one statement"
        tree = sqlglot.parse_one(words, read=dialect.value)
        trouble = next((why for node in tree.walk() if (why := _trouble(node))), "")
    # sqlglot lets a few errors of its own code through on text that is no SQL.
    except (SqlglotError, RecursionError, LookupError, TypeError, ValueError, AttributeError):
        return False, "the SQL is not understood"
    return (False, trouble) if trouble else (True, "one SELECT that changes nothing")


def _trouble(node: object) -> str:
    """Return why a node is more than reading, or nothing."""
    from sqlglot import exp

    name = type(node).__name__
    if isinstance(node, exp.Anonymous):
        if node.name.lower() not in _FUNCTIONS:
            return f"the function {node.name} is not known to be harmless"
        return ""
    if name in _NODES:
        return ""
    if not isinstance(node, exp.Func):
        return f"{name} is more than a plain SELECT"
    if node.sql_name().lower() in _FUNCTIONS or name.lower() in _FUNCTIONS:
        return ""
    return f"the function {node.sql_name()} is not known to be harmless"
