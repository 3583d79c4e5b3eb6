"""How bad a bounce is: the words of the recipient's server count more than what they are called."""

import pytest

from smtp_admin.diagnosis.table import causes
from smtp_admin.events import applying
from smtp_admin.events.event import Bounce
from smtp_admin.events.severity import cause_of, weighed


@pytest.mark.parametrize(
    ("called", "words", "expected"),
    [
        ("hard", "550 5.1.1 no such user", "hard"),
        ("hard", "", "hard"),
        ("", "", ""),
        ("", "550 5.1.1 <a@example.org>: Recipient address rejected: User unknown", "hard"),
        ("", "550 No such user here", "hard"),
        ("", "smtp; 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", "hard"),
        ("hard", "552 5.2.2 Mailbox full", "soft"),
        ("hard", "552 Quota exceeded", "soft"),
        ("hard", "550 5.2.2 <mia@example.org>: user is over quota", "soft"),
        ("hard", "554 5.7.1 Message rejected as spam by content filtering", "policy"),
        ("soft", "550 5.7.26 This mail is unauthenticated", "policy"),
        ("hard", "550 5.7.1 No such user!", "hard"),
        ("hard", "421 4.4.1 connection timed out", "soft"),
        ("hard", "4.4.7 Message expired", "soft"),
        ("policy", "4.7.0 blocked for now", "policy"),
        ("", "451 4.3.0 try again", "soft"),
        # So Exchange Online says that there is no such mailbox.
        ("", "550 5.4.1 Recipient address rejected: Access denied", "hard"),
        ("soft", "nothing that anybody knows", "soft"),
        ("", "nothing that anybody knows", ""),
        ("", "554 dd Sorry", ""),
    ],
)
def test_weighed(called: Bounce, words: str, expected: Bounce) -> None:
    assert weighed(called, words) == expected


def test_causes_are_known() -> None:
    known = {one.key for one in causes().rows}
    assert set(applying._CAUSES.values()) <= known
    assert cause_of("550 5.1.1 no such user") == "recipient_unknown"
    assert cause_of("552 5.2.2 full") == "mailbox_full"
    assert cause_of("Permanent: General") == ""
