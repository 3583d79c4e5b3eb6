"""The link in every notice, the one click of mail programs, and the page on which one chooses."""

import re
from email import message_from_bytes, policy
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.delivery.models import Message
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.errors import NotFound
from smtp_admin.mail.unsubscribing import Reader, reader_of, token_for
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.reading import chosen_language, suppressions_of
from smtp_admin.suppression.reasons import Reason
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import deliveries
from tests.mail.newsletter import NAME, add_newsletter, people

PUBLIC = "https://mail.acme.example"
CONTEXT = {"name": "Mia", "code": 1}
MIA = "mia@example.org"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def club(opened: NewHost) -> HostApp:
    host = opened(PUBLIC_URL=PUBLIC)
    add_newsletter(host, notice=True)
    host.save_sender()
    return host


def news(host: HostApp, to: Any = MIA, **more: Any) -> Any:
    public_id = host.plugin.send(NAME, to=to, partner_id="acme", context=CONTEXT, **more)
    host.db.session.commit()
    row = select(Message).where(Message.public_id == public_id)
    return message_from_bytes(host.db.session.scalars(row).one().content, policy=policy.default)


def path_of(mail: Any) -> str:
    found = re.fullmatch(rf"<{PUBLIC}(/unsubscribe/[A-Za-z0-9_.-]+)>", mail["List-Unsubscribe"])
    assert found
    return found[1]


def stopped(host: HostApp, address: str = MIA) -> set[str]:
    host.db.session.rollback()
    return {one.category for one in suppressions_of(host.db.session(), "acme", address)}


# --- The link ------------------------------------------------------------------------------------


def test_it_stands_in_headers_and_text(club: HostApp) -> None:
    mail = news(club, f"Mia M. <{MIA}>")
    path = path_of(mail)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"No more mail of this kind: {PUBLIC}{path}" in mail.get_body(("plain",)).get_content()
    with club.app.app_context():
        assert reader_of(path.rpartition("/")[2]) == Reader("acme", MIA, NAME)


def test_what_has_none(club: HostApp) -> None:
    """A mail that must be delivered, and one that several read: each could end it for others."""
    reset = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
    public_id = club.plugin.send("password_reset", to=MIA, partner_id="acme", context=reset)
    club.db.session.commit()
    row = club.db.session.scalars(select(Message).where(Message.public_id == public_id)).one()
    assert b"List-Unsubscribe" not in row.content
    assert news(club, [MIA, "tom@example.org"])["List-Unsubscribe"] is None


def test_each_of_a_batch_has_ones_own(club: HostApp) -> None:
    club.plugin.send_many(NAME, people(3), partner_id="acme")
    club.db.session.commit()
    for row in club.db.session.scalars(select(Message)).all():
        mail = message_from_bytes(row.content, policy=policy.default)
        with club.app.app_context():
            reader = reader_of(path_of(mail).rpartition("/")[2])
        assert reader.address in mail["To"]


@pytest.mark.parametrize(
    "change",
    [lambda token: token[:-4], lambda token: token + "AAAA", lambda token: token.upper(),
     lambda _: "v2.", lambda _: "v2.x.y", lambda _: "." * 3000, lambda _: "v1.é.x"],
)  # fmt: skip
def test_a_forged_one(club: HostApp, change: Any) -> None:
    with club.app.app_context():
        forged = change(token_for(Reader("acme", MIA, NAME)))
        with pytest.raises(NotFound):
            reader_of(forged)
    for address in (f"/unsubscribe/{forged}", f"/smtp-admin/preferences/{forged}"):
        for answer in (club.client.get(address), club.client.post(address, data=ONE_CLICK)):
            assert answer.status_code == 404
    assert club.db.session.scalar(select(Suppression.id)) is None


def test_a_password_is_no_link(club: HostApp) -> None:
    """Other sealed things must not open here, whoever gets hold of one."""
    with club.app.app_context():
        sealed = club.installation.keyring.seal('["acme", "mia@example.org", "x"]', ["else"])
        with pytest.raises(NotFound):
            reader_of(sealed)


# --- What scanners and mail programs do ----------------------------------------------------------


def test_a_scanner_changes_nothing_and_one_click_does(club: HostApp) -> None:
    path = path_of(news(club))
    nobody = club.client
    prefetch = {"Sec-Purpose": "prefetch"}
    assert nobody.get(path).status_code == 200
    assert nobody.get(path, headers=prefetch).status_code == 200
    assert nobody.head(path).status_code == 200
    assert nobody.options(path).status_code == 200
    for body in ({}, {"notices": "perhaps"}, {"List-Unsubscribe": "yes"}):
        assert nobody.post(path, data=body).status_code == 400
    assert nobody.post(f"{path}?List-Unsubscribe=One-Click").status_code == 400
    assert nobody.post(path, json=ONE_CLICK).status_code == 400
    assert stopped(club) == set()
    for _ in range(2):
        assert nobody.post(path, data=ONE_CLICK).status_code == 200
        assert stopped(club) == {NAME}
    news(club)
    # What waited for her is kept back as well.
    assert [one.state for one in deliveries(club)] == ["suppressed", "suppressed"]
    row = club.db.session.scalars(select(Suppression)).one()
    assert (row.reason, row.category, row.address) == ("unsubscribe", NAME, MIA)


def test_by_the_button_and_back_again(club: HostApp) -> None:
    path = path_of(news(club))
    page = club.client.get(path)
    assert "sends “Newsletter” to mia@example.org" in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in page.headers["X-Robots-Tag"]
    done = club.client.post(path, data={"notices": "off"})
    assert "Done: mia@example.org gets no more “Newsletter” of Acme" in done.text
    assert stopped(club) == {NAME}
    again = club.client.post(path, data={"notices": "on"})
    assert "gets “Newsletter” of Acme" in again.text
    assert stopped(club) == set()


# --- The page of preferences ---------------------------------------------------------------------


def preferences(host: HostApp) -> str:
    with host.app.app_context():
        return f"/smtp-admin/preferences/{token_for(Reader('acme', MIA, NAME))}"


def test_choose_among_the_kinds(club: HostApp) -> None:
    items = {"name": "Mia", "count": 1, "items": [{"title": "A", "text": "", "url": ""}]}
    club.plugin.send("notification_digest", to=MIA, partner_id="acme", context=items)
    club.db.session.commit()
    path = preferences(club)
    page = club.client.get(path).text
    assert re.findall(r'name="kinds" value="(\w+)" checked', page) == [
        "notification_digest", NAME,
    ]  # fmt: skip
    assert "password_reset" not in page
    assert "Summaries of what is new for you" in page
    assert "Notification digest" not in page, "that is what an admin calls it"
    saved = club.client.post(path, data={"save": "1", "kinds": [NAME], "language": "de"})
    assert "Gespeichert." in saved.text, "in the language that was chosen just now"
    assert stopped(club) == {"notification_digest"}
    assert chosen_language(club.db.session(), "acme", MIA) == "de"
    club.client.post(path, data={"save": "none"})
    assert stopped(club) == {"notification_digest", NAME}
    assert chosen_language(club.db.session(), "acme", MIA) == "de", "that was not asked"
    club.client.post(path, data={"save": "1", "kinds": [NAME, "password_reset", "nonsense"]})
    assert stopped(club) == {"notification_digest"}
    assert chosen_language(club.db.session(), "acme", MIA) == ""


def test_beginning_again_is_limited_and_ending_is_not(opened: NewHost) -> None:
    """Each reader alone: beginning again costs calls of providers, and ending must always work."""
    host = opened(PUBLIC_URL=PUBLIC, CHANGE_LIMIT="2 per 10 minutes")
    add_newsletter(host, notice=True)
    host.save_sender()
    path, page, other = (
        path_of(news(host)),
        preferences(host),
        path_of(news(host, "tom@example.org")),
    )
    again: Any = {"notices": "on"}
    for address, data, status in (
        (path, again, 200),
        (page, {"save": "1"}, 200),
        (path, again, 429),
        (page, {"save": "1", "kinds": [NAME]}, 429),
        (path, ONE_CLICK, 200),
        (path, ONE_CLICK, 200),
        (path, {"notices": "off"}, 200),
        (page, {"save": "none"}, 200),
        (other, again, 200),
    ):
        answer = host.client.post(address, data=data)
        assert answer.status_code == status, (address, data)
        if status == 429:
            assert 0 < int(answer.headers["Retry-After"]) <= 600
            assert "Too many requests. Wait a moment and try again." in answer.text
    assert stopped(host) == {NAME}


def test_who_complained_may_choose_one_kind_again(club: HostApp) -> None:
    suppress(club.db.session(), "acme", MIA, "complaint")
    news(club)
    club.db.session.commit()
    path = preferences(club)
    assert "checked" not in club.client.get(path).text
    club.client.post(path, data={"save": "1", "kinds": [NAME]})
    assert stopped(club) == set()


def test_what_an_admin_or_a_bounce_stopped_stays(club: HostApp) -> None:
    club.plugin.suppress(MIA, partner_id="acme")
    club.db.session.commit()
    path = preferences(club)
    page = club.client.get(path).text
    assert "sends no mail to this address at present" in page
    assert "always sent" not in page, "that would not be true"
    club.client.post(path, data={"save": "1", "kinds": [NAME]})
    assert stopped(club) == {"all"}


HELD: tuple[tuple[Reason, str], ...] = (
    ("manual", NAME), ("manual", "notices"), ("manual", "all"),
    ("bounce", "all"), ("soft_bounces", "all"),
)  # fmt: skip


@pytest.mark.parametrize(("reason", "category"), HELD)
def test_what_others_stopped_is_not_taken_back_here(
    club: HostApp, reason: Reason, category: str
) -> None:
    """By no way, also beside what the reader did; and the page says so, without the reason."""
    path = path_of(news(club))
    session = club.db.session()
    why = "Fraud case 17"
    suppress(session, "acme", MIA, reason, category=category, detail=why, by="boss@acme.example")
    session.commit()
    before = stopped(club)
    for answer, status in (
        (club.client.get(path), 200),
        (club.client.post(path, data={"notices": "on"}), 409),
        (club.client.get(preferences(club)), 200),
        (club.client.post(preferences(club), data={"save": "1", "kinds": [NAME]}), 200),
    ):
        assert answer.status_code == status
        assert "Subscribe again" not in answer.text
        assert " checked" not in answer.text
        assert "is a mistake" in answer.text
        assert not any(
            word in answer.text for word in (why, "boss@", "hand", "refused", "came back")
        )
        assert stopped(club) == before
    # An unsubscribe is kept, and only that is taken back.
    for data, ended in ((ONE_CLICK, {NAME}), ({"notices": "on"}, set())):
        club.client.post(path, data=data)
        assert stopped(club) == before | ended
    done = club.client.post(preferences(club), data={"save": "none"})
    assert done.status_code == 200
    assert stopped(club) == before | {NAME}
    row = club.db.session.scalars(select(Suppression).order_by(Suppression.id)).first()
    assert row
    assert (row.reason, row.category, row.detail) == (reason, category, why)


@pytest.mark.parametrize(("reason", "category"), HELD)
@pytest.mark.parametrize("reader_first", [True, False])
def test_each_takes_back_what_they_did(
    club: HostApp, reason: Reason, category: str, *, reader_first: bool
) -> None:
    """Of one address and one kind, whoever was first: an admin's stop, and the reader's wish."""
    path, session = path_of(news(club)), club.db.session()
    for by_reader in (reader_first, not reader_first):
        if by_reader:
            club.client.post(path, data=ONE_CLICK)
        else:
            suppress(session, "acme", MIA, reason, category=category)
            session.commit()
    # The reader's own is taken back, and the other stays.
    assert club.client.post(path, data={"notices": "on"}).status_code == 409
    assert [one.reason for one in suppressions_of(session, "acme", MIA)] == [reason]
    # And the other way round: an admin lifts theirs, and the reader has still unsubscribed.
    club.client.post(path, data=ONE_CLICK)
    club.plugin.unsuppress(MIA, partner_id="acme", reason=reason)
    session.commit()
    news(club)
    assert deliveries(club)[-1].state == "suppressed"
    assert "Subscribe again" in club.client.get(path).text
    assert club.client.post(path, data={"notices": "on"}).status_code == 200
    news(club)
    assert deliveries(club)[-1].state == "queued"


def test_the_chosen_language(club: HostApp) -> None:
    """Of notices: over the one that the app names, also in a batch."""
    path = preferences(club)
    club.client.post(path, data={"save": "1", "kinds": [NAME], "language": "de"})
    items = {"name": "Mia", "count": 1, "items": [{"title": "A", "text": "", "url": ""}]}
    for language in ("", "fr"):
        public_id = club.plugin.send(
            "notification_digest", to=MIA, partner_id="acme", context=items, language=language
        )
        club.db.session.commit()
        row = club.db.session.scalars(select(Message).where(Message.public_id == public_id)).one()
        mail: Any = message_from_bytes(row.content, policy=policy.default)
        assert "Guten Tag Mia" in mail.get_body(("plain",)).get_content()


def test_another_partners_mail_stays(club: HostApp) -> None:
    club.save_sender("globex")
    club.client.post(path_of(news(club)), data=ONE_CLICK)
    club.plugin.send(NAME, to=MIA, partner_id="globex", context=CONTEXT)
    club.db.session.commit()
    assert deliveries(club)[-1].state == "queued"
