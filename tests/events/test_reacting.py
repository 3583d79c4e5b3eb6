"""What an event means for the next mail to the address."""

from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.erasure.finding import Search
from smtp_admin.events.event import Bounce, Kind
from smtp_admin.suppression.models import Suppression
from tests.delivery.workbench import erase_now, queue
from tests.events.hooking import Hooked
from tests.events.test_applying import event, tell
from tests.mail.newsletter import NAME, add_newsletter

TO = "you@example.org"


def suppressed(site: Hooked) -> list[tuple[str, str, str]]:
    session = site.host.db.session()
    session.rollback()
    rows = session.scalars(select(Suppression).order_by(Suppression.id))
    return [(one.partner_id, one.category, one.reason) for one in rows]


def happens(site: Hooked, kind: Kind, bounce: Bounce = "", **more: Any) -> None:
    """A mail that was sent, and what became of it."""
    number = len(site.host.db.session().scalars(select(Suppression)).all())
    (mail,) = site.sent(TO, provider_id=f"p{kind}{number}{more.pop('number', 0)}")
    tell(site, event(kind, mail, bounce=bounce, **more))
    site.apply()


@pytest.mark.parametrize(
    ("kind", "bounce", "expected"),
    [
        ("bounced", "hard", ("all", "bounce")),
        ("bounced", "soft", None),
        ("bounced", "policy", None),
        ("bounced", "", None),
        ("complained", "", ("notices", "complaint")),
        ("unsubscribed", "", ("notices", "unsubscribe")),
        ("delivered", "", None),
        ("deferred", "", None),
        ("opened", "", None),
    ],
)
def test_each_kind(
    hooked: Hooked, kind: Kind, bounce: Bounce, expected: tuple[str, str] | None
) -> None:
    hooked.host.save_sender("acme")
    happens(hooked, kind, bounce, code="5.1.1", words="550 5.1.1 no such user")
    assert suppressed(hooked) == ([("acme", *expected)] if expected else [])
    rows = hooked.host.db.session.scalars(select(Suppression)).all()
    for one in rows:
        assert (one.address, one.detail) == (TO, "550 5.1.1 no such user")
        assert len(one.mail_id) == 32


def test_unsubscribed_from_one_kind_of_notice(hooked: Hooked) -> None:
    add_newsletter(hooked.host, notice=True)
    hooked.host.save_sender("acme")
    session = hooked.host.db.session()
    public_id = hooked.host.plugin.send(
        NAME, to=TO, partner_id="acme", context={"name": "Mia", "code": 1}
    )
    session.commit()
    mail = hooked.mail(public_id)
    tell(hooked, event("unsubscribed", mail, message_id=hooked.message_id(mail)))
    hooked.apply()
    assert suppressed(hooked) == [("acme", NAME, "unsubscribe")]


def test_nobody_is_called_erased(hooked: Hooked) -> None:
    """It bounced after its address was erased."""
    hooked.host.save_sender("acme")
    (mail,) = hooked.sent(TO, provider_id="p1")
    tell(hooked, event("bounced", mail, bounce="hard"))
    erase_now(hooked.host, Search(TO))
    hooked.apply()
    assert suppressed(hooked) == []


def test_what_waits_is_kept_back_by_a_bounce(each: Hooked) -> None:
    each.host.save_sender("acme")
    waiting = queue(each.host, TO)
    queue(each.host, "tom@example.org")
    happens(each, "bounced", "hard")
    assert each.state(each.mail(waiting)) == "suppressed"
    assert suppressed(each) == [("acme", "all", "bounce")]


def test_five_soft_ones_in_a_row(each: Hooked) -> None:
    each.host.save_sender("acme")
    for number in range(4):
        happens(each, "bounced", "soft", number=number)
    happens(each, "delivered", number=4)
    for number in range(5, 9):
        happens(each, "bounced", "soft", number=number)
    # A full mailbox, or a refusal for another reason, neither counts nor ends the row.
    happens(each, "bounced", "soft", number=9, words="452 4.2.2 Mailbox full")
    happens(each, "bounced", "policy", number=10)
    assert suppressed(each) == []
    happens(each, "bounced", "soft", number=11)
    assert suppressed(each) == [("acme", "all", "soft_bounces")]


def test_told_twice_and_another_partners(each: Hooked) -> None:
    each.host.save_sender("acme")
    each.host.save_sender("globex")
    (mail,) = each.sent(TO, provider_id="p")
    one = event("bounced", mail, bounce="hard")
    for _ in range(2):
        tell(each, one, event("bounced", mail, bounce="hard"), event("complained", mail))
        each.apply()
    found = sorted(suppressed(each))
    assert found == [("acme", "all", "bounce"), ("acme", "notices", "complaint")]
    other = queue(each.host, TO, partner_id="globex")
    assert each.state(each.mail(other)) == "queued"
