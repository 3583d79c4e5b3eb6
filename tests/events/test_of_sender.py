"""Who changes a sender's webhook has what others left, not what their session read before."""

from sqlalchemy import update

from smtp_admin.database import transaction
from smtp_admin.events.models import Webhook
from smtp_admin.events.of_sender import of_sender
from smtp_admin.events.webhooks import turn_on
from tests.app import ADMIN, HostApp


def test_who_changes_one_has_what_others_left(host: HostApp) -> None:
    sender = host.save_sender()
    session = host.db.session()
    turn_on(session, sender, "postmark", ADMIN)
    session.commit()
    read = of_sender(session, Webhook, sender.sender_id)
    assert read is not None
    assert read.bad == 0
    with transaction(host.db.engine) as other:
        other.execute(update(Webhook).values(bad=3))
    seen = of_sender(session, Webhook, sender.sender_id)
    assert seen is not None
    assert seen.bad == 0, "as this session has it"
    now_there = of_sender(session, Webhook, sender.sender_id, to_change=True)
    assert now_there is not None
    assert now_there.bad == 3
