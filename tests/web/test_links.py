from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from tocsin.web.links import ACK_LINK_LASTS, AckLink, Signer

AT = datetime(2026, 3, 1, 3, 12, tzinfo=UTC)
SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("incident", "page"),
    [("INC-1", "priya"), ("INC-12", "role:cto"), ("INC-1", "ünï/..\u2028\n"), ("", "")],
)
def test_a_token_reads_back_as_what_it_was_made_for(incident: str, page: str) -> None:
    signer = Signer(SECRET)
    assert signer.read_ack(signer.ack_token(incident, page, AT)) == AckLink(incident, page, AT)


def test_a_token_is_the_same_each_time_and_fits_a_path() -> None:
    token = Signer(SECRET).ack_token("INC-1", "role:cto", AT)
    assert token == Signer(SECRET).ack_token("INC-1", "role:cto", AT)
    assert all(c.isascii() and (c.isalnum() or c in "-_.") for c in token)


def test_another_servers_token_is_refused() -> None:
    token = Signer(b"another secret of thirty-two byt").ack_token("INC-1", "priya", AT)
    assert Signer(SECRET).read_ack(token) is None


def test_a_token_for_one_page_cannot_be_bent_to_another() -> None:
    signer = Signer(SECRET)
    _, proof = signer.ack_token("INC-1", "priya", AT).split(".")
    forged = base64.urlsafe_b64encode(b'["INC-2","priya",29000000]').rstrip(b"=").decode()
    assert signer.read_ack(f"{forged}.{proof}") is None


def test_every_changed_character_is_noticed() -> None:
    signer = Signer(SECRET)
    token = signer.ack_token("INC-1", "priya", AT)
    for place, have in enumerate(token):
        for other in "A.":
            # The last character of base64 has unused bits, which decode to the same bytes.
            changed = token[:place] + other + token[place + 1 :]
            if other != have:
                assert signer.read_ack(changed) in (None, AckLink("INC-1", "priya", AT))
                if place < len(token) - 1:
                    assert signer.read_ack(changed) is None, place


@pytest.mark.parametrize("token", ["", ".", "a.b", "é.é", "x" * 5000, "....", "W10.", "\0.\0"])
def test_what_is_no_token_is_refused_quietly(token: str) -> None:
    assert Signer(SECRET).read_ack(token) is None


def test_the_secret_is_not_printed() -> None:
    assert "0123" not in repr(Signer(SECRET))


def test_a_link_is_good_for_two_weeks() -> None:
    link = AckLink("INC-1", "priya", AT)
    assert not link.is_over(AT + ACK_LINK_LASTS)
    assert link.is_over(AT + ACK_LINK_LASTS + timedelta(minutes=1))
    assert not link.is_over(AT - timedelta(days=1)), "a clock that went back ends no link"


def test_a_link_from_before_a_reopening_is_known_whatever_the_clocks_say() -> None:
    link = AckLink("INC-1", "priya", AT)
    assert not link.is_before(None)
    assert not link.is_before(AT - timedelta(hours=1))
    assert not link.is_before(AT + timedelta(minutes=4)), "the clocks of two machines may differ"
    assert link.is_before(AT + timedelta(minutes=6))
