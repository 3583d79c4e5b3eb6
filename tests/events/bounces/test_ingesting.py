"""Which mail a bounce is about, and that nobody can bounce the mail of others."""

from email.utils import format_datetime
from io import BytesIO

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from smtp_admin.clock import now
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.return_path import ReturnPaths
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.events.bounces.ingesting import Taken, take_in
from smtp_admin.events.bounces.mbox import mails_in
from smtp_admin.installation import installation
from smtp_admin.suppression.models import Suppression
from tests.events.bounces.corpus_words import NOTHING
from tests.events.bounces.letters import MIA, OURS, group, plain, report, returned_head
from tests.events.conftest import database, opened
from tests.events.hooking import Hooked

__all__ = ["database", "opened"]


@pytest.fixture
def site(hooked: Hooked) -> Hooked:
    """A host app on SQLite, with a partner that has a sender."""
    hooked.host.save_sender("acme")
    return hooked


def take(site: Hooked, text: str, partner_id: str = "acme") -> Taken:
    """Take in a mail as a worker or command does, and apply what it says."""
    session = site.host.db.session()
    taken = take_in(session, partner_id, text.encode())
    session.commit()
    site.apply()
    return taken


def naming(site: Hooked, mail: Delivery, text: str) -> str:
    """*text*, with the Message-ID of this mail in the place of the example's."""
    return text.replace(OURS, site.message_id(mail))


def tagged(mail: Delivery, text: str) -> str:
    """*text*, come back to the signed address of this mail, and with no other mark of it."""
    tag = ReturnPaths(installation().keyring).tag(mail.id)
    return text.replace("To: bounce@acme.example", f"To: <BOUNCE+{tag.upper()}@acme.example>", 1)


def test_a_bounce_ends_its_mail(each: Hooked) -> None:
    """By its Message-ID in the returned headers, on each database; told twice, it counts once."""
    each.host.save_sender("acme")
    (mail,) = each.sent(MIA)
    text = naming(each, mail, report(group("failed", "5.1.1", "smtp; 550 5.1.1 no such user")))
    assert take(each, text) == Taken(1)
    assert take(each, text) == Taken(1)
    row = each.row(mail.id)
    assert (row.state, row.last_cause) == ("bounced", "recipient_unknown")
    (event,) = each.events()
    assert (event.kind, event.bounce, event.code) == ("bounced", "hard", "5.1.1")
    assert (event.partner_id, event.sender_id, event.state) == ("acme", mail.sender_id, "applied")
    (kept,) = each.host.db.session.scalars(select(Suppression)).all()
    assert (kept.partner_id, kept.address, kept.reason) == ("acme", MIA, "bounce")


def test_a_full_mailbox_and_a_policy_suppress_nobody(site: Hooked) -> None:
    for words in ("552 5.2.2 mailbox full", "554 5.7.1 rejected as spam", "nothing is said"):
        (mail,) = site.sent(MIA)
        text = report(group("failed", "5.0.0", f"smtp; {words}"))
        take(site, naming(site, mail, text))
        assert site.state(mail) == "bounced"
    assert not site.host.db.session.scalars(select(Suppression)).all()


def test_two_recipients_one_failed(site: Hooked) -> None:
    mia, noah = site.sent(MIA, "Noah@Example.org")
    groups = group("failed", "5.1.1", to="noah@example.org") + group("relayed", "2.0.0")
    assert take(site, naming(site, mia, report(groups))).events == 1
    assert (site.state(mia), site.state(noah)) == ("sent", "bounced")


def test_delayed_is_no_bounce(site: Hooked) -> None:
    (mail,) = site.sent(MIA)
    take(site, naming(site, mail, report(group("delayed", "4.4.1", "smtp; 451 later"))))
    assert site.state(mail) == "sent"
    assert [(one.kind, one.bounce) for one in site.events()] == [("deferred", "")]
    take(site, naming(site, mail, report(group("delivered", "2.0.0"))))
    assert site.state(mail) == "delivered"


def test_the_tag_is_enough(site: Hooked) -> None:
    """Nothing of our mail came back, nor its recipient's name; letters were made capital."""
    mia, noah = site.sent(MIA, "noah@example.org")
    words = "The mail could not be delivered: 550 5.1.1 User unknown."
    text = tagged(noah, plain("mailer-daemon@mx.example.net", "failed", words))
    assert take(site, text) == Taken(1)
    assert (site.state(mia), site.state(noah)) == ("sent", "bounced")


def test_a_hard_bounce_behind_a_forward_is_soft(site: Hooked) -> None:
    """The recipient's address works; where it sends mail on to does not."""
    (mail,) = site.sent(MIA)
    take(site, tagged(mail, report(group("failed", "5.1.1", to="old@elsewhere.example"))))
    assert [(one.recipient, one.bounce) for one in site.events()] == [(MIA, "soft")]


@pytest.mark.parametrize("by", ["message id", "tag"])
def test_nobody_bounces_the_mail_of_others(site: Hooked, by: str) -> None:
    """A forged bounce in one partner's mailbox names another's mail."""
    site.host.save_sender("globex")
    (theirs,) = site.sent(MIA, partner_id="globex")
    text = report(group("failed", "5.1.1"))
    text = tagged(theirs, text) if by == "tag" else naming(site, theirs, text)
    assert take(site, text) == Taken(
        0, "It is about no mail that was sent from here for this owner."
    )
    assert take(site, text, "").events == 0
    assert site.state(theirs) == "sent"
    assert not site.events()
    assert take(site, text, "globex").events == 1
    assert site.state(theirs) == "bounced"


def test_the_system_carries_mail_of_all(site: Hooked) -> None:
    """Its mailbox is about what its senders sent; a partner's mailbox is not."""
    site.host.save_sender("")
    (mail,) = site.sent(MIA, partner_id="acme", sender_of="")
    text = naming(site, mail, report(group("failed", "5.1.1")))
    assert take(site, text, "acme").events == 0
    assert take(site, text, "").events == 1
    assert site.state(mail) == "bounced"


def test_what_proves_nothing(site: Hooked) -> None:
    """A made-up tag, an id that is not in the returned headers, another recipient, an answer."""
    mia, _noah = site.sent(MIA, "noah@example.org")
    failed = report(group("failed", "5.1.1"))
    outsider = Keyring([generate_key()])
    forged = failed.replace("bounce@", f"bounce+{ReturnPaths(outsider).tag(mia.id)}@", 1)
    stranger = report(group("failed", "5.1.1", to="zoe@example.org"))
    loose = failed.replace("report-1@mx.example.net", site.message_id(mia))
    answered = naming(site, mia, NOTHING[0].text + "\n" + returned_head())
    assert [
        take(site, each).events
        for each in (failed, forged, naming(site, mia, stranger), loose, answered)
    ] == [0] * 5
    assert not site.events()


def test_times_that_are_made_up_are_left_out(site: Hooked) -> None:
    mia, noah = site.sent(MIA), site.sent("noah@example.org")
    old = naming(site, mia[0], report(group("failed", "5.1.1")))
    take(site, old.replace("29 Nov 2026", "29 Nov 1996"))
    soon = report(group("failed", "5.1.1", to="noah@example.org"))
    stamp = format_datetime(now())
    take(site, naming(site, noah[0], soon).replace("Sun, 29 Nov 2026 10:00:00 +0000", stamp))
    first, second = site.events()
    assert first.at is None
    assert second.at is not None


def test_tags_are_short_and_only_ours() -> None:
    old, new = generate_key(), generate_key()
    before, after = ReturnPaths(Keyring([old])), ReturnPaths(Keyring([new, old]))
    for number in (1, 255, 256, 2**40, 2**63 - 1):
        address = f"{'x' * 34}+{before.tag(number)}@acme.example"
        assert len(address.partition("@")[0]) <= 64
        assert after.deliveries_in([address.upper(), address]) == [number]
        assert ReturnPaths(Keyring([new])).deliveries_in([address]) == []
        assert (
            before.deliveries_in([address.replace("+", "+a", 1), address[1:].replace("+", "")])
            == []
        )
    assert ReturnPaths(Keyring([])).deliveries_in(["b+" + "a" * 20 + "@acme.example"]) == []
    assert before.deliveries_in(["b+" + "7" * 29 + "@acme.example"]) == []


def test_mbox() -> None:
    one, two = (
        report(group("failed", "5.1.1")),
        plain("a@b.example", "x", "\nFrom here on\n>From there"),
    )
    line = "From MAILER-DAEMON Sun Nov 29 10:00:00 2026\n"
    quoted = two.replace("\n>From there", "\n>>From there")
    assert list(mails_in(BytesIO(one.encode()))) == [one.encode()]
    found = list(mails_in(BytesIO(f"{line}{one}\n{line}{quoted}\n".encode())))
    assert [each.strip() for each in found] == [one.strip().encode(), quoted.strip().encode()]
    assert list(mails_in(BytesIO(b""))) == []
    large = f"{line}{one}\n{line}Subject: x\n\n{'x' * 3_000_000}\n\n{line}A: b\n".encode()
    assert [len(each) < 1_200_000 for each in mails_in(BytesIO(large))] == [True] * 3


def test_command(site: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mails and an answer by pipe; with the database away, the mail server tries later."""
    (mail,) = site.sent(MIA)
    line = "From MAILER-DAEMON Sun Nov 29 10:00:00 2026\n"
    bounce = naming(site, mail, report(group("failed", "5.1.1")))
    box = f"{line}{bounce}\n{line}{NOTHING[0].text}\n"
    runner = site.host.app.test_cli_runner()
    said = runner.invoke(args=["smtp-admin", "events", "ingest", "--partner", "acme"], input=box)
    assert said.exit_code == 0, said.output
    assert "Mails read: 2. Events kept for partner acme: 1." in said.output
    site.apply()
    assert site.state(mail) == "bounced"
    ingest = ["smtp-admin", "events", "ingest", "--partner"]
    assert runner.invoke(args=[*ingest, "nobody"], input=box).exit_code == 1

    def away(*_: object) -> Taken:
        raise OperationalError("SELECT", {}, ConnectionError())

    monkeypatch.setattr("smtp_admin.cli.events.take_in", away)
    later = runner.invoke(args=[*ingest, "acme"], input=box)
    assert later.exit_code == 75
    assert "Traceback" not in later.output
