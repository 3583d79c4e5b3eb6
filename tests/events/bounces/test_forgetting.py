"""A mailbox goes with its sender, whoever reads or saves it just then, and may be entered again."""

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from smtp_admin.errors import Conflict
from smtp_admin.events.bounces.collecting import collect
from smtp_admin.events.bounces.mailboxes import save
from smtp_admin.events.models import BounceMailbox
from smtp_admin.events.pruning import prune_events
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender
from tests.app import ADMIN
from tests.delivery.conftest import NewHost
from tests.events.bounces.letters import MIA
from tests.events.bounces.test_mailbox import PAGE, _site, account, bounce, read, server, turn_on
from tests.events.conftest import Hook, database, opened
from tests.events.hooking import Hooked
from tests.servers.certificates import CertificateFactory
from tests.servers.imap import ImapServer

__all__ = ["database", "opened", "server"]

TAB = "/smtp-admin/partners/acme"
HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}


@pytest.fixture
def site(
    opened: NewHost, hook: Hook, certificates: CertificateFactory, database: str, server: ImapServer
) -> Hooked:
    """On each database, with a mailbox."""
    made = _site(opened, hook, certificates, database)
    turn_on(made, server)
    return made


def count(site: Hooked) -> int:
    session = site.host.db.session()
    session.rollback()
    return session.scalar(select(func.count(BounceMailbox.id))) or 0


def delete(site: Hooked) -> None:
    """As somebody else does."""
    session = site.host.db.session()
    session.rollback()
    delete_sender(session, load_sender(session, "acme"), ADMIN)
    session.commit()


def test_it_goes_with_its_sender_and_may_come_again(site: Hooked, server: ImapServer) -> None:
    session = site.host.db.session()
    delete_sender(session, load_sender(session, "acme"), ADMIN)
    assert count(site) == 1  # it was rolled back
    assert "enter the mailbox again" in site.client.get(f"{TAB}/delete", headers=HTML).text
    assert site.client.get(f"{TAB}/delete", headers=JSON).json["mailbox"] is True  # type: ignore[index]
    assert site.client.post(f"{TAB}/delete", headers=HTML).status_code == 303
    assert count(site) == 0
    site.host.save_sender("acme", from_name="Another")
    page = site.client.get(PAGE, headers=HTML).text
    assert server.password not in page
    assert "not yet" in page
    # Nothing of the old password is left that an empty field could mean.
    wanted = account(server)
    form = {one: str(getattr(wanted, one)) for one in ("host", "port", "security", "username")}
    empty = site.client.post(PAGE, data={"do": "save", **form}, headers=JSON)
    assert empty.status_code == 400
    again = {"do": "save", **form, "password": server.password}
    assert site.client.post(PAGE, data=again, headers=HTML).status_code == 303
    (mail,) = site.sent(MIA)
    server.mails = {1: bounce(site, mail)}
    assert read(site) == 1
    site.apply()
    assert site.state(mail) == "bounced"


def test_whoever_is_at_it_keeps_nothing(site: Hooked, server: ImapServer) -> None:
    """A worker that has it open, a person who saves it, and what was left over all the same."""
    (mail,) = site.sent(MIA)
    server.mails = {1: bounce(site, mail)}
    looks = iter(range(2))

    def stopping() -> bool:
        if next(looks):  # before its first mail
            delete(site)
        return False

    before = load_sender(site.host.db.session(), "acme")
    site.host.db.session.rollback()
    assert collect(site.engine, stopping) == 0
    assert (count(site), site.events()) == (0, [])
    session = site.host.db.session()
    with pytest.raises(Conflict):
        save(session, before, account(server), ADMIN)
    session.rollback()
    session.add(
        BounceMailbox(
            sender_id=before.sender_id, host="imap.acme.example", port=993, security="ssl",
            username="x", password=uuid4().hex, folder="INBOX", created_by="",
        )
    )  # fmt: skip
    session.commit()
    assert count(site) == 1
    prune_events(site.engine, site.host.installation.config)
    assert count(site) == 0
