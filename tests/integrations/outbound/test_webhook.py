from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from tests.integrations.outbound.test_contract import CREDENTIALS, LINKS, built
from tocsin.core.surroundings import Contact
from tocsin.integrations.outbound.webhook import WEBHOOK, sign
from tocsin.integrations.wire import Credentials, NotConfigured, Secret, WebhookTarget

PAGER = Contact("webhook", "pager")


def test_the_body_is_signed_with_the_time_of_the_attempt():
    request = built(WEBHOOK, PAGER, timestamp_s=1_772_330_400)
    headers = dict(request.headers)
    assert headers["Tocsin-Timestamp"] == "1772330400"
    assert headers["Idempotency-Key"] == "INC-1/d7"
    secret = CREDENTIALS.webhooks["pager"].secret.reveal().encode()
    expected = hmac.new(secret, b"1772330400." + request.body, hashlib.sha256).hexdigest()
    assert headers["Tocsin-Signature"] == f"v1={expected}"


def test_the_signature_is_the_one_that_receivers_compute():
    # printf '1772330400.{"version":1}' | openssl dgst -sha256 -hmac s3cret
    assert (
        sign("s3cret", 1_772_330_400, b'{"version":1}')
        == "8398db28e22f0dec21f49da911848cb3fd72479fdafe259f4e9fb720ebdd9625"
    )


def test_the_body_holds_what_a_script_needs():
    body = json.loads(built(WEBHOOK, PAGER).body)
    assert body["version"] == 1
    assert body["delivery"] == "INC-1/d7"
    assert (body["topic"], body["incident"], body["severity"]) == ("page", "INC-1", "P0")
    assert body["title"] == "API does not answer"
    assert body["source"] == {"file": "runbook.md", "line": 182, "quote": "P0: page at once"}
    assert body["links"] == {"acknowledge": LINKS.acknowledge, "room": LINKS.room}


def test_a_webhook_without_a_secret_is_not_sent_unsigned():
    target = WebhookTarget(Secret("https://pager.test/"), Secret(""))
    with pytest.raises(NotConfigured, match=r"\[webhooks.pager\] secret is not set"):
        built(WEBHOOK, PAGER, credentials=Credentials(webhooks={"pager": target}))
