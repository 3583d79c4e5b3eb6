"""A test mail is followed to its end: that it arrived, or came back, and how long that took."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from smtp_admin.clock import shifted
from smtp_admin.delivery.models import Message
from smtp_admin.events.event import Kind
from tests.events.hooking import Hooked
from tests.events.test_applying import event, tell

TAB = "/smtp-admin/partners/acme"


@pytest.mark.parametrize(
    ("kind", "words"), [("delivered", "Arrived after 1 min 3"), ("bounced", "The mail came back")]
)
def test_the_tab_says_how_a_test_mail_ended(hooked: Hooked, kind: Kind, words: str) -> None:
    hooked.host.save_sender("acme")
    (mail,) = hooked.sent("mia@example.org", provider_id="p1")
    public_id = hooked.host.db.session.scalar(
        select(Message.public_id).where(Message.id == mail.message_pk)
    )
    follow = f"{TAB}/test-email/{public_id}"
    before = hooked.client.get(follow, headers={"Accept": "application/json"}).json
    assert before is not None
    assert (before["status"], before["told_after_seconds"]) == ("sent", None)
    with shifted(timedelta(seconds=90)):
        tell(hooked, event(kind, mail))
        hooked.apply()
    after = hooked.client.get(follow, headers={"Accept": "application/json"}).json
    assert after is not None
    assert after["status"] == kind
    assert 89 < after["told_after_seconds"] < 95
    page = hooked.client.get(f"{TAB}?mail={public_id}", headers={"Accept": "text/html"}).text
    assert words in page
    assert "1 min 3" in page
