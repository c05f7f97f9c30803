"""The runbook that must work first, and its retelling that is bundled: the same policy twice."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.runbook import documents
from tocsin.core.policy import (
    Clock,
    CommandClass,
    Condition,
    Level,
    LineStatus,
    StepKind,
    Urgency,
)
from tocsin.core.surroundings import Contact, Directory, Person, Tuning, role_key
from tocsin.runbook import check_directory, check_tuning, to_json

ON_CALL, LEAD, MANAGER, CTO = "On-Call Engineer", "Team Lead", "Engineering Manager", "CTO"


@pytest.fixture(params=["shared", "example"])
def both(request):
    return getattr(documents, request.param)()


def test_four_levels_are_declared_worst_first(both):
    levels = [(s.level, s.name, s.rank, len(s.criteria)) for s in both.policy.severities]
    assert levels == [
        ("P0", "Critical", 0, 3),
        ("P1", "High", 1, 3),
        ("P2", "Medium", 2, 3),
        ("P3", "Low", 3, 3),
    ]


def test_every_criterion_cites_its_own_line(both):
    [text] = both.documents.values()
    lines = text.split("\n")
    for severity in both.policy.severities:
        for criterion in severity.criteria:
            assert criterion.text in lines[criterion.source.line - 1]
            assert criterion.source.quote == criterion.text


def test_path_and_criteria_together_make_exactly_these_rules(both):
    rules = [
        (r.severity, r.clock, r.after_s, r.to, r.urgency, r.condition, r.reaches_nobody_new)
        for r in both.policy.escalations
    ]
    page, notice = Urgency.PAGE, Urgency.NOTICE
    assert rules == [
        (("P1", "P2"), Clock.IMMEDIATE, 0, (ON_CALL,), page, None, False),
        (("P3",), Clock.IMMEDIATE, 0, (ON_CALL,), notice, None, False),
        ((), Clock.EVENT, 0, (CTO,), page, Condition.SECURITY_BREACH, False),
        (("P0",), Clock.IMMEDIATE, 0, (ON_CALL, LEAD, MANAGER), page, None, False),
        (("P1",), Clock.UNRESOLVED, 3600, (LEAD,), page, None, False),
        (("P2",), Clock.UNRESOLVED, 14_400, (ON_CALL,), page, None, True),
        (("P3",), Clock.UNRESOLVED, 86_400, (ON_CALL,), page, None, True),
    ]


def test_the_shared_rules_stand_where_the_document_says_them():
    policy = documents.shared().policy
    assert [r.source.line for r in policy.escalations] == [185, 185, 188, 192, 193, 194, 195]
    assert [c.source.line for c in policy.communications] == [171, 172, 173, 177, 178, 179]
    assert [p.source.line for p in policy.plays] == [69, 96, 121, 144]
    assert policy.title == "Incident Response Runbook"


def test_communications_carry_target_filter_and_side(both):
    every = ("P0", "P1", "P2", "P3")
    rules = [
        (c.channel, c.target, c.severity, c.cadence_s, c.external, c.unknown_filter)
        for c in both.policy.communications
    ]
    assert rules == [
        ("slack", "#neurocred-incidents", every, None, False, None),
        ("status_page", None, every, None, False, None),
        ("email", "team", ("P0", "P1"), None, False, None),
        ("status_page", None, every, None, True, None),
        ("x", None, (), None, True, "major incidents"),
        ("email", "users", ("P0",), None, True, None),
    ]


def test_five_phases_are_checklists_and_the_first_names_the_sources(both):
    assert [len(c.items) for c in both.policy.checklists] == [4, 4, 4, 4, 4]
    assert both.policy.sources == both.policy.checklists[0].items


def test_four_plays_with_three_symptoms_each(both):
    assert [len(p.symptoms) for p in both.policy.plays] == [3, 3, 3, 3]
    assert not any(p.name.casefold().startswith("scenario") for p in both.policy.plays)


def test_the_shared_plays_keep_their_names():
    assert [p.name for p in documents.shared().policy.plays] == [
        "Complete API Outage",
        "Database Connection Failures",
        "High Error Rate",
        "Performance Degradation",
    ]


def test_commands_join_the_steps_they_mean():
    joined = {
        step.source.line: [c.source.line for c in step.commands]
        for play in documents.shared().policy.plays
        for step in play.steps
        if step.commands
    }
    assert joined == {
        77: [77, 87],
        78: [78],
        81: [90],
        82: [93],
        104: [113],
        105: [116],
        137: [138],
        152: [161],
        156: [164],
    }


def test_step_kinds_follow_from_their_commands():
    kinds = {
        step.source.line: step.kind
        for play in documents.shared().policy.plays
        for step in play.steps
    }
    assert {n for n, k in kinds.items() if k is StepKind.ACTION} == {81, 82, 156}
    diagnostic = {n for n, k in kinds.items() if k is StepKind.DIAGNOSTIC}
    assert diagnostic == {77, 78, 104, 105, 137, 152}
    assert kinds[79] is kinds[108] is kinds[140] is StepKind.HUMAN


def test_steps_are_told_without_their_commands_and_with_their_conditions():
    outage = documents.shared().policy.plays[0]
    assert [(s.text, s.condition) for s in outage.steps] == [
        ("Check pod status", None),
        ("Check logs", None),
        ("Check database connectivity", None),
        ("Check Redis connectivity", None),
        ("Restart services if needed", "if needed"),
        ("Rollback if recent deployment", "if recent deployment"),
    ]


def test_logs_that_never_end_run_with_a_bounded_tail():
    command = documents.shared().policy.plays[0].steps[1].commands[0]
    assert command.argv == (
        "kubectl", "logs", "--tail=200", "deployment/backend", "-n", "neurocred-prod",
    )  # fmt: skip
    assert command.text == "kubectl logs -f deployment/backend -n neurocred-prod"
    assert command.kind is CommandClass.READ_ONLY


def test_sql_over_several_lines_is_one_command_without_a_terminal(both):
    command = both.policy.plays[1].steps[1].commands[0]
    assert command.argv == (
        "kubectl", "exec", "postgres-pod", "--", "psql", "-U", "neurocred", "-c",
        "\nSELECT count(*) FROM pg_stat_activity;\n",
    )  # fmt: skip
    assert command.kind is CommandClass.READ_ONLY
    assert command.text.count("\n") == 2


def test_both_tell_of_the_same_commands():
    def argvs(result):
        return sorted(
            c.argv for p in result.policy.plays for s in p.steps for c in s.commands if c.argv
        )

    assert argvs(documents.shared()) == argvs(documents.example())


def test_the_template_has_five_sections_with_their_prompts(both):
    postmortem = both.policy.postmortem
    assert [len(s.prompts) for s in postmortem.sections] == [3, 3, 2, 3, 3]
    assert len(postmortem.action_items) == 5


def test_nothing_in_either_keeps_it_from_coming_into_force(both):
    assert not both.has_errors


# What a careful reader finds, as RUNBOOK_LANGUAGE.md lists it: line, column, code.
CAREFUL_READER = [
    (78, 30, "T107"),
    (81, 21, "T112"),
    (108, 29, "T112"),
    (116, 1, "T110"),
    (116, 14, "T109"),
    (116, 18, "T109"),
    (116, 55, "T111"),
    (138, 6, "T113"),
    (140, 3, "T115"),
    (156, 19, "T112"),
    (164, 34, "T114"),
    (172, 20, "T131"),
    (173, 21, "T132"),
    (178, 20, "T134"),
    (179, 21, "T132"),
    (186, 23, "T118"),
    (188, 17, "T120"),
    (192, 7, "T121"),
    (193, 7, "T121"),
    (194, 7, "T122"),
    (195, 7, "T122"),
]


def all_findings(result):
    about_people = check_directory(result.policy, Directory(), False, result.documents)
    return [*result.findings, *about_people]


def test_every_row_of_the_careful_readers_table_is_found_and_nothing_else():
    found = all_findings(documents.shared())
    places = sorted((f.source.line, f.column, f.code) for f in found)
    assert places == [(1, 1, "T140"), *CAREFUL_READER]
    assert not [f for f in found if f.level is Level.ERROR]
    assert all(f.message and f.remedy for f in found)


@pytest.mark.parametrize(("line", "column", "code"), CAREFUL_READER)
def test_a_finding_points_at_its_words(line, column, code):
    words = {
        (78, 30): "-f ", (81, 21): "if needed", (108, 29): "if needed", (116, 1): "kubectl",
        (116, 14): "-it", (116, 18): "postgres-pod", (116, 55): '"', (138, 6): "http://localhost",
        (140, 3): "Check Sentry", (156, 19): "if needed", (164, 34): "--replicas=5",
        (172, 20): "Update during", (173, 21): "team", (178, 20): "major incidents",
        (179, 21): "users", (186, 23): "P1+", (188, 17): "critical security breaches",
        (192, 7): "Escalate", (193, 7): "Escalate", (194, 7): "Escalate", (195, 7): "Escalate",
    }  # fmt: skip
    [text] = documents.shared().documents.values()
    assert text.split("\n")[line - 1][column - 1 :].startswith(words[line, column])
    assert code in {f.code for f in all_findings(documents.shared()) if f.source.line == line}


def test_a_filter_that_is_no_level_is_answered_with_a_level():
    [finding] = [f for f in documents.shared().findings if f.code == "T134"]
    assert "major incidents" in finding.message
    assert "Did you mean “P0”?" in finding.remedy


def test_every_line_of_both_has_exactly_one_account(both):
    documents.assert_ledger_is_complete(both)


def test_the_account_of_the_shared_document():
    counts = Counter(entry.status for entry in documents.shared().ledger)
    assert counts == {
        LineStatus.AUTOMATED: 47,
        LineStatus.HUMAN: 61,
        LineStatus.REFERENCE: 39,
        LineStatus.TEMPLATE: 24,
        LineStatus.UNSUPPORTED: 3,
    }
    status = {entry.line: entry.status for entry in documents.shared().ledger}
    assert status[178] is status[32] is status[33] is LineStatus.UNSUPPORTED
    assert status[30] is status[31] is LineStatus.AUTOMATED
    assert status[140] is status[141] is status[49] is LineStatus.HUMAN
    # No command is run yet, so all that stands in a block of commands is shown to a person.
    assert {status[n] for n in range(111, 120) if n in status} == {LineStatus.HUMAN}
    assert status[77] is status[78] is LineStatus.HUMAN


def test_the_rules_of_the_shared_document_do_not_claim_that_commands_run():
    rule = {entry.line: entry.rule for entry in documents.shared().ledger}
    not_run = "shown to a person: commands are not run yet"
    assert rule[77] == f"diagnostic step, {not_run}"
    assert rule[87] == rule[117] == f"read-only command, {not_run}"
    assert rule[90] == f"mutating command, {not_run}"
    assert rule[111] == rule[119] == f"command block, {not_run}"
    [endless] = [f for f in documents.shared().findings if f.code == "T107"]
    assert endless.message == "`-f` never ends. Tocsin would run it with --tail=200 instead."


def test_a_source_with_a_receiver_carries_its_line_and_the_rule_names_the_others():
    rule = {entry.line: entry.rule for entry in documents.shared().ledger}
    assert rule[30] == "detection source: its alerts are received; Sentry: no receiver yet"
    assert "Alertmanager API" in rule[32]


def test_no_line_of_either_is_prose_that_nobody_read():
    unread = [e.line for e in documents.shared().ledger if e.rule.startswith("unread")]
    assert unread == []
    # The example opens with a paragraph that only says what the page is.
    assert [e.line for e in documents.example().ledger if e.rule.startswith("unread")] == [3, 4]


def test_the_json_has_the_promised_shape(both):
    value = to_json(both)
    assert {"severities", "escalations", "communications", "plays", "postmortem", "ledger"} <= set(
        value
    )
    assert {"level", "name", "rank", "line", "criteria"} <= set(value["severities"][0])
    assert {"severity", "clock", "after_s", "to", "line"} <= set(value["escalations"][0])
    assert {"channel", "target", "severity", "cadence_s", "line"} <= set(value["communications"][0])
    play = value["plays"][0]
    assert {"name", "line", "symptoms", "steps"} <= set(play)
    assert {"text", "kind", "commands", "line"} <= set(play["steps"][0])
    assert {"argv", "text", "class", "why", "line"} <= set(play["steps"][0]["commands"][0])
    assert {"line", "status", "rule"} <= set(value["ledger"][0])


def test_the_same_words_have_the_same_revision_wherever_they_lie():
    one = documents.compiled("# A\n").policy.revision
    other = documents.compile_runbook({"elsewhere.md": "# A\n"}).policy.revision
    assert one == other
    assert one != documents.compiled("# B\n").policy.revision
    assert len(one) == 64


# --- The directory -----------------------------------------------------------------------------


def directory(**changed):
    person = Person("ona", "Ona", (Contact("email", "ona@example.org"),))
    roles = {role_key(role): ("ona",) for role in (ON_CALL, LEAD, MANAGER, CTO)}
    mail = (Contact("email", "list@example.org"),)
    whole = {
        "people": {"ona": person},
        "roles": roles,
        "audiences": {"team": mail, "users": mail},
        "channels": {role_key("#neurocred-incidents"): Contact("slack", "C1")},
    }
    return Directory(**{**whole, **changed})


def test_settings_that_name_everybody_leave_nothing_to_say(both):
    assert check_directory(both.policy, directory(), True, both.documents) == ()


def test_a_role_that_nobody_holds_is_found_where_the_path_names_it():
    result = documents.shared()
    roles = {role_key(role): ("ona",) for role in (ON_CALL, LEAD, CTO)}
    [finding] = check_directory(result.policy, directory(roles=roles), True, result.documents)
    assert (finding.code, finding.source.line, finding.column) == ("T141", 187, 6)
    assert MANAGER in finding.message


def test_a_person_without_contact_is_found_once_for_each_role():
    result = documents.shared()
    people = {"ona": Person("ona", "Ona")}
    found = check_directory(result.policy, directory(people=people), True, result.documents)
    assert [f.code for f in found] == ["T142"] * 4


def test_a_channel_and_an_audience_without_address_are_found_at_their_lines():
    result = documents.shared()
    bare = directory(channels={}, audiences={})
    found = check_directory(result.policy, bare, True, result.documents)
    assert [(f.code, f.source.line) for f in found] == [("T137", 171), ("T132", 173), ("T132", 179)]


def test_without_settings_all_roles_are_one_finding(both):
    found = check_directory(both.policy, Directory(), False, both.documents)
    assert [f.code for f in found if f.level is Level.INFO] == ["T140"]


# --- Addresses that lead nowhere ---------------------------------------------------------------

NO_TOKEN, NO_MAIL = "[slack] token is not set", "there is no [email] section"


def test_a_contact_that_leads_nowhere_is_found_for_each_role_of_its_person():
    result = documents.shared()
    contacts = (Contact("slack", "U1"), Contact("email", "ona@example.org"))
    people = {"ona": Person("ona", "Ona Vale", contacts)}
    half = directory(people=people, unconnected={"slack:U1": NO_TOKEN})
    found = check_directory(result.policy, half, True, result.documents)
    assert [(f.code, f.level, f.source.line) for f in found] == [
        ("T143", Level.WARNING, line) for line in (185, 186, 187, 188)
    ]
    assert {f.message for f in found} == {
        "Ona Vale's contact slack:U1 leads nowhere: [slack] token is not set."
    }


def test_a_role_of_which_every_contact_leads_nowhere_is_said_to_stay_in_the_app():
    result = documents.shared()
    people = {
        "ona": Person("ona", "Ona Vale", (Contact("slack", "U1"), Contact("slack", "U2"))),
        "tom": Person("tom", "Tom Reed", (Contact("email", "tom@example.org"),)),
    }
    roles = {role_key(role): ("ona",) for role in (ON_CALL, LEAD, CTO)}
    roles[role_key(MANAGER)] = ("ona", "tom")
    dead = directory(
        people=people, roles=roles, unconnected={"slack:U1": NO_TOKEN, "slack:U2": NO_TOKEN}
    )
    found = check_directory(result.policy, dead, True, result.documents)
    assert [f.message for f in found if f.source.line == 186] == [
        "Ona Vale's contact slack:U1 leads nowhere: [slack] token is not set.",
        "Ona Vale's contact slack:U2 leads nowhere: [slack] token is not set."
        " “Team Lead” is paged in the app only.",
    ]
    # Another holder of this role is reached, so only the person is not.
    assert [f.message for f in found if f.source.line == 187][1:] == [
        "Ona Vale's contact slack:U2 leads nowhere: [slack] token is not set."
        " Ona Vale is reached in the app only."
    ]
    assert {f.remedy for f in found} == {"Set token under [slack] in tocsin.toml."}


def test_channels_and_audiences_that_lead_nowhere_are_found_at_their_lines():
    result = documents.shared()
    dead = directory(unconnected={"slack:C1": NO_TOKEN, "email:list@example.org": NO_MAIL})
    found = check_directory(result.policy, dead, True, result.documents)
    assert [(f.code, f.source.line, f.column) for f in found] == [
        ("T144", 171, 22), ("T144", 173, 21), ("T144", 179, 21),
    ]  # fmt: skip
    assert found[0].message == (
        "The channel #neurocred-incidents leads nowhere by slack:C1: [slack] token is not set."
        " This notice cannot leave the app."
    )
    assert NO_MAIL in found[1].message


def test_an_audience_of_which_one_address_is_connected_is_not_said_to_stay_in_the_app():
    mail = (Contact("email", "a@example.org"), Contact("email", "b@example.org"))
    half = directory(
        audiences={"team": mail, "users": mail}, unconnected={"email:b@example.org": NO_MAIL}
    )
    found = check_directory(documents.shared().policy, half, True)
    assert [f.code for f in found] == ["T144", "T144"]
    assert not any("cannot leave" in f.message for f in found)


def test_an_audience_of_an_e_mail_rule_without_e_mail_address_is_found():
    result = documents.shared()
    slack = (Contact("slack", "C1"),)
    mail = (Contact("email", "list@example.org"),)
    odd = directory(audiences={"team": slack, "users": (*slack, *mail)})
    [finding] = check_directory(result.policy, odd, True, result.documents)
    assert (finding.code, finding.level, finding.source.line) == ("T145", Level.WARNING, 173)
    assert "slack:C1" in finding.message


# --- The levels that the settings name ---------------------------------------------------------


def test_levels_and_names_of_levels_leave_nothing_to_say(both):
    tuning = Tuning(severity_by_label={"page": "p0", "warning": "Medium"}, severity_default="P2")
    assert check_tuning(both.policy, tuning) == ()
    assert check_tuning(both.policy, Tuning()) == ()


def test_a_label_for_an_undeclared_level_is_answered_with_a_level():
    result = documents.shared()
    [file] = result.documents
    tuning = Tuning(severity_by_label={"page": "P0", "warning": "SEV2"})
    [finding] = check_tuning(result.policy, tuning)
    assert (finding.code, finding.level) == ("T146", Level.WARNING)
    assert (finding.source.file, finding.source.line, finding.column) == (file, 1, 1)
    assert "“warning”" in finding.message
    assert "“SEV2”" in finding.message
    assert "P0, P1, P2, P3" in finding.remedy


def test_a_default_that_is_no_level_is_answered_with_the_level_that_is_meant():
    [finding] = check_tuning(documents.shared().policy, Tuning(severity_default="high"))
    assert (finding.code, finding.level) == ("T146", Level.WARNING)
    assert "Did you mean “P1”?" in finding.remedy


def test_levels_of_the_settings_without_any_in_the_runbook_are_found():
    tuning = Tuning(severity_by_label={"page": "P0"}, severity_default="P1")
    found = check_tuning(documents.compiled("# A\n").policy, tuning)
    assert [f.code for f in found] == ["T146", "T146"]
