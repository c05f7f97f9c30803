"""What a person may write in tocsin.toml, and what they are told when it is wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from tocsin.config import ConfigError, crash_at, load
from tocsin.core.surroundings import Contact
from tocsin.engine.retention import Retention
from tocsin.engine.watchdog import Alarm

GOOD = """
[server]
url = "https://tocsin.example.org/"

[people.ona]
name = "Ona Vale"
contacts = ["slack:U1", "email:ona@example.org", "webhook:pager"]

[people.tom]

[roles]
"On-Call Engineer" = ["ona"]
"Team Lead" = "tom"

[audiences]
team = ["email:team@example.org"]

[slack]
token = { env = "SLACK_TOKEN" }
[slack.channels]
"#incidents" = "C1"
"#ops" = { webhook = { env = "OPS_HOOK" } }

[email]
host = "mail.example.org"
from = "tocsin@example.org"
username = "tocsin"
password = { file = "smtp.password" }

[webhooks.pager]
url = "https://pager.example.org/hook"
secret = { env = "PAGER_SECRET" }

[severity]
default = "P1"
labels = { Page = "P0", warning = "P2" }

[paging]
repeat_every = "10m"

[incidents]
stability = "1h30m"

[outbound]
allow = ["10.0.0.0/8"]
"""
ENVIRONMENT = {
    "SLACK_TOKEN": "xoxb-canary-1",
    "OPS_HOOK": "https://hooks.example.org/canary-2",
    "PAGER_SECRET": "canary-3",
}


@pytest.fixture
def written(tmp_path):
    (tmp_path / "smtp.password").write_text("canary-4\n")

    def write(text: str):
        path = tmp_path / "tocsin.toml"
        path.write_text(text)
        return path

    return write


def test_everything_is_read(written):
    settings = load(written(GOOD), ENVIRONMENT)
    directory = settings.directory
    assert settings.public_url == "https://tocsin.example.org"
    assert [p.name for p in directory.holders("on-call engineer")] == ["Ona Vale"]
    assert [p.id for p in directory.holders("TEAM LEAD")] == ["tom"]
    assert directory.people["ona"].contacts == (
        Contact("slack", "U1"),
        Contact("email", "ona@example.org"),
        Contact("webhook", "pager"),
    )
    assert directory.channel("#incidents") == Contact("slack", "C1")
    assert directory.channel("#elsewhere") == Contact("slack", "#elsewhere")
    assert directory.audience("Team") == (Contact("email", "team@example.org"),)
    assert settings.tuning.repeat_every_s == 600
    assert settings.tuning.stability_s == 5400
    assert settings.tuning.severity_by_label == {"page": "P0", "warning": "P2"}
    assert settings.smtp.host == "mail.example.org"
    assert settings.smtp.password.reveal() == "canary-4"
    assert settings.credentials.slack.webhooks["webhook:#ops"].reveal().endswith("canary-2")
    assert settings.outbound_allow == ("10.0.0.0/8",)


def test_no_secret_shows_when_settings_are_printed(written):
    shown = repr(load(written(GOOD), ENVIRONMENT))
    assert "canary" not in shown


def test_without_a_file_pages_are_in_app_only():
    settings = load(None)
    assert not settings.is_configured
    assert settings.directory.people == {}


def test_an_example_of_never_repeating(written):
    settings = load(written('[paging]\nrepeat_every = "never"\n'), {})
    assert settings.tuning.repeat_every_s == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sever]\nurl = ''\n", "tocsin.toml:1: sever is not a setting. Did you mean 'server'?"),
        ("[server]\nport = 1\n", "tocsin.toml:2: server.port is not a setting"),
        ("[people.ona]\nphone = '1'\n", "tocsin.toml:2: people.ona.phone is not a setting"),
        ("[roles]\nCTO = ['cyrus']\n", "roles.cto nobody in [people] is called 'cyrus'"),
        ("[people.ona]\ncontacts = ['sms:1']\n", "'sms:1' is no contact"),
        ("[people.ona]\ncontacts = ['email:nobody']\n", "'nobody' is no e-mail address"),
        ("[people.ona]\ncontacts = ['webhook:x']\n", "there is no [webhooks.x]"),
        ("[slack]\ntoken = 'xoxb-1'\n", 'slack.token wants { env = "NAME" } or { file = "path" }'),
        ("[slack]\ntoken = { env = 'GONE' }\n", "the environment variable GONE is not set"),
        ("[paging]\nrepeat_every = '5 apples'\n", "paging.repeat_every wants a duration"),
        ("[email]\nhost = 'x'\n", "email needs 'from'"),
        ("[email]\nhost = 'x'\nfrom = 'y'\ntls = 'maybe'\n", "email.tls is"),
        ("[server]\nurl = 'tocsin.example.org'\n", "server.url wants an address such as"),
        ("server = 1\n", "server wants a table"),
        ("[server\n", "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(written, text, says):
    with pytest.raises(ConfigError) as caught:
        load(written(text), {})
    assert says in str(caught.value)


def test_an_empty_secret_is_no_secret(written):
    with pytest.raises(ConfigError, match="the environment variable TOKEN is empty"):
        load(written("[slack]\ntoken = { env = 'TOKEN' }\n"), {"TOKEN": ""})


def test_a_mistake_is_looked_for_in_its_own_table(written):
    with pytest.raises(ConfigError) as caught:
        load(written("[people.ona]\nname = 'Ona'\n\n[email]\nname = 'x'\n"), {})
    assert "tocsin.toml:5: email.name is not a setting" in str(caught.value)


def test_all_mistakes_are_listed_at_once(written):
    with pytest.raises(ConfigError) as caught:
        load(written("[people.ona]\nphone = '1'\n[nonsense]\n[roles]\nCTO = ['x']\n"), {})
    assert len(str(caught.value).splitlines()) == 3


def test_a_crash_point_is_named_with_the_time_it_is_reached() -> None:
    assert crash_at({}) is None
    assert crash_at({"TOCSIN_CRASH_AT": "turn.claimed:3"}) == ("turn.claimed", 3)
    assert crash_at({"TOCSIN_CRASH_AT": "turn.claimed"}) == ("turn.claimed", 1)


@pytest.mark.parametrize("told", ["turn.clamed:3", "turn.claimed:0", "turn.claimed:", ":1"])
def test_an_unknown_crash_point_is_refused_with_what_there_is(told: str) -> None:
    with pytest.raises(ConfigError, match="TOCSIN_CRASH_AT: "):
        crash_at({"TOCSIN_CRASH_AT": told})


def test_what_is_not_said_of_retention_stays_as_usual(written):
    settings = load(written("[retention]\nincidents = '730d'\nanswers = '10m'\n"), {})
    usual = Retention()
    assert settings.retention == replace(
        usual, incidents=timedelta(days=730), answers=timedelta(minutes=10)
    )
    assert "Incidents go 730 days after they are over" in settings.retention.say()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("incidents = '1h'", "retention.incidents is at least 1d"),
        ("answers = '1s'", "retention.answers is at least 1m"),
        ("incidents = 400", 'retention.incidents wants a duration such as "5m"'),
        ("incident = '1d'", "retention.incident is not a setting"),
    ],
)
def test_a_retention_that_would_lose_what_is_needed_is_refused(written, setting, says):
    with pytest.raises(ConfigError) as caught:
        load(written(f"[retention]\n{setting}\n"), {})
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


WATCHED = """
[webhooks.second]
url = "https://pager.example.org/hook"
secret = { env = "PAGER_SECRET" }
[watchdog]
contacts = ["webhook:second"]
after = "2m"
[heartbeat]
url = { env = "HEARTBEAT_URL" }
every = "30s"
"""


def test_whom_the_watchdog_tells_and_where_the_heart_beats(written):
    environment = {**ENVIRONMENT, "HEARTBEAT_URL": "https://hc.example.org/canary-5"}
    settings = load(written(WATCHED), environment)
    assert settings.watchdog == Alarm((Contact("webhook", "second"),), 120.0)
    assert settings.heartbeat is not None
    assert settings.heartbeat.url.reveal() == "https://hc.example.org/canary-5"
    assert settings.heartbeat.every_s == 30.0
    assert "canary" not in repr(settings)


def test_nobody_is_told_and_no_heart_beats_unless_it_is_said(written):
    settings = load(written(""), {})
    assert settings.watchdog == Alarm((), 30.0)
    assert settings.heartbeat is None


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("[watchdog]\ncontacts = ['webhook:none']", "there is no [webhooks.none]"),
        (
            "[watchdog]\ncontacts = ['email:ona@example.org']",
            "email:ona@example.org cannot be reached: there is no [email] section",
        ),
        ("[watchdog]\nafter = 30", 'watchdog.after wants a duration such as "5m"'),
        ("[heartbeat]\nevery = '30s'", "heartbeat needs 'url'"),
        ("[heartbeat]\nurl = 'ftp://x'", "heartbeat.url wants an address such as"),
        ("[heartbeat]\nurl = 'https://x.example.org'\nevery = '1s'", "is at least 10s"),
        ("[heartbeat]\nadress = 'https://x.example.org'", "heartbeat.adress is not a setting"),
    ],
)
def test_a_watchdog_that_could_tell_nobody_is_refused(written, setting, says):
    with pytest.raises(ConfigError) as caught:
        load(written(f"{setting}\n"), {})
    assert says in str(caught.value)


def test_links_and_words_of_the_runbook_are_read(tmp_path):
    file = tmp_path / "tocsin.toml"
    file.write_text(
        '[runbook.urls]\n"https://x.example.org/" = "alerts"\n\n[words]\nsame = [["till", "checkout"]]\n'
    )
    tuning = load(file).tuning
    assert tuning.runbook_urls == {"https://x.example.org/": "alerts"}
    assert tuning.same_words == (("till", "checkout"),)


@pytest.mark.parametrize("same", ['["till"]', '[["till"]]', '[["till", "check out"]]', '"till"'])
def test_words_that_are_no_groups_of_words_are_mistakes(tmp_path, same):
    file = tmp_path / "tocsin.toml"
    file.write_text(f"[words]\nsame = {same}\n")
    with pytest.raises(ConfigError, match=r"tocsin\.toml:2: words\.same"):
        load(file)
