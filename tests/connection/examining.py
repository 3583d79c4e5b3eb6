"""Checks of one domain against a real name server, and what every result fulfils."""

import json
from collections.abc import Mapping
from typing import Any

from smtp_admin.deliverability.check import Check, Deliverability, Record, Sending, check
from smtp_admin.smtp.nameserver import NameService
from tests.servers.dns import DNSServer, Step, Then

DOMAIN = "acme.example"
PROVIDER = "_spf.known.example"
Records = Mapping[tuple[str, str], Step | Then]
SUBJECTS = ["spf", "dkim", "dmarc", "alignment", "mx"]


def examine(records: Records, *, patience: float = 5.0, **sending: Any) -> Deliverability:
    """Check the domain on a name server with these records."""
    given = {"from_email": f"robot@{DOMAIN}", "provider": "Known", **sending}
    with DNSServer(records) as server:
        found = check(Sending(**given), NameService((server.address,), patience))
    shown = json.loads(json.dumps(found.as_json()))
    assert [one["subject"] for one in shown["checks"]] == SUBJECTS
    for one in found.checks:
        first = one.message.split(" ", maxsplit=1)[0]
        assert first[:1].isupper() or first[:1] == "“" or "." in first, one
        assert one.message.endswith("."), one
        assert one.message.isprintable()
        assert one.status == "ok" or one.hint, f"a person needs to know what to do: {one}"
    return found


def about(found: Deliverability, subject: str) -> Check:
    """The check of this subject."""
    return next(one for one in found.checks if one.subject == subject)


def copied(found: Deliverability, subject: str) -> Record | None:
    """The record to copy for this subject, if there is one."""
    return next((one for one in found.records if one.subject == subject), None)
