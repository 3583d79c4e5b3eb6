"""One address: found wherever it stands, exported, and nowhere after it was erased."""

import json
import re
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import String, Text, func, insert, select, update

from smtp_admin.audit.models import Audit
from smtp_admin.clock import now
from smtp_admin.database import Base, beside_workers, changed, transaction
from smtp_admin.delivery.acts import Doer, note
from smtp_admin.delivery.batch_ends import cancel_batch, cancel_the_rest
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.models import Act, Attempt, Counter, Delivery, Hop, Message
from smtp_admin.delivery.states import STATES
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.erasure.erasing import Erased, rounds
from smtp_admin.erasure.exporting import zip_pieces
from smtp_admin.erasure.finding import Search, find
from smtp_admin.erasure.places import KEPT, PLACES
from smtp_admin.erasure.working import erase_rest
from smtp_admin.mail.corrected import send_corrected
from smtp_admin.monitor.alerts.models import Alert, AlertNotice
from smtp_admin.monitor.stored_secrets import PLACES as SEALED
from smtp_admin.renewals.models import RenewalCustomer, RenewalNotice
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.provider_lists.lifted import Lifted, remove_later
from smtp_admin.suppression.reading import address_hash
from smtp_admin.suppression.writing import keep_language
from tests.app import ACME_ADMIN, HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, erase_now, queue
from tests.dumps import dump
from tests.mail.newsletter import NAME, add_newsletter, people
from tests.servers.scripted import Reply, ScriptedServer

MIA, NEAR = "mia@example.org", "anna-mia@example.org"
#: Columns of texts that are no words of people's: states, kinds, keys, codes.
SHORT = 100


def test_every_text_is_looked_through_or_has_a_reason() -> None:
    """A table or a column that comes later must say whether an address may stand in it."""
    looked_at = {
        f"{place.model.__tablename__}.{name}" for place in PLACES for name in place.columns
    }
    assert looked_at.isdisjoint(KEPT)
    texts = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Text)
        or (isinstance(column.type, String) and (column.type.length or 0) > SHORT)
        if column.type.python_type is str
    }
    sealed = {str(one.property.columns[0]) for place in SEALED for one in place.columns}
    assert texts - looked_at - KEPT.keys() - sealed == NO_ADDRESSES
    assert looked_at | KEPT.keys() <= {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
    }


#: What may be long, and never holds an address of a person's.
NO_ADDRESSES = {
    "smtp_admin_message.message_id",
    "smtp_admin_delivery.provider_message_id",
    "smtp_admin_batch.counts",
    "smtp_admin_renewal_customer.announced",
    "smtp_admin_renewal_notice.services",
    "smtp_admin_site.address",
    "smtp_admin_api_token.scopes",
    "smtp_admin_worker_test.worker",
    "smtp_admin_server_certificate.place",
    "smtp_admin_server_certificate.subject",
    "smtp_admin_webhook.topic",
    "smtp_admin_webhook.last_unreadable_why",
}


def fill(host: HostApp, server: ScriptedServer, bench: Workbench) -> None:
    """Mail to Mia that was refused, sent and that waits; and all that speaks of her."""
    host.save_sender(port=server.port)
    server.behave("rcpt", Reply(f"550 5.1.1 <{MIA.upper()}>: no such user"))
    queue(host, MIA)
    bench.tick()
    server.behave("rcpt", Reply("250 ok"))
    queue(host, MIA, "tom@example.org", idempotency_key=f"welcome-{MIA}")
    queue(host, NEAR)
    bench.tick()
    session = host.db.session()
    queue(host, MIA.title())
    host.plugin.send(
        "notification_digest", to=MIA, partner_id="acme", context={
            "name": "Mia", "count": 1, "items": [{"title": "A", "text": "", "url": ""}]},
    )  # fmt: skip
    suppress(session, "acme", MIA, "manual", category="x", detail=f"{MIA} asked", by=MIA)
    remove_later(session, "acme", [Lifted(MIA, "all", "bounce")])
    keep_language(session, "acme", MIA, "de")
    session.add(RenewalCustomer(partner_id="acme", customer_id="1", token="t" * 32,
                                refused_address=MIA))  # fmt: skip
    session.add(RenewalNotice(key="k" * 32, partner_id="acme", customer_id="1", mail_id="m" * 32,
                              recipient=MIA, on_demand=False, services="{}",
                              state="accepted"))  # fmt: skip
    session.add(Audit(actor_id=MIA, actor_email=MIA, partner_id="acme", action="settings.saved",
                      detail=f"sent to {MIA}"))  # fmt: skip
    session.commit()


def named(host: HostApp, address: str = MIA) -> list[str]:
    """The tables in which the address still stands, whatever the case, bytes included."""
    found = []
    for name, rows in dump(host).items():
        text = " ".join(_text(one) for row in rows for one in row).lower()
        if address in text.replace(NEAR, ""):
            found.append(name)
    return found


def _text(one: Any) -> str:
    if isinstance(one, bytes | memoryview):
        return bytes(one).decode("utf-8", "replace")
    return str(one)


def test_nor_does_a_key_remember_it(host: HostApp) -> None:
    """Of mail that was sent to a corrected address, of which the key has the hash."""
    host.save_sender()
    queue(host, NEAR)
    session = host.db.session()
    session.execute(update(Delivery).values(state="bounced", finished_at=now()))
    session.commit()
    (first,) = deliveries(host)
    before = send_corrected(session, first.id, MIA)
    session.execute(
        update(Delivery).where(Delivery.recipient == MIA).values(state="sent", finished_at=now())
    )
    session.commit()
    erase_now(host, Search(MIA))
    (key,) = session.scalars(
        select(Message.idempotency_key).where(Message.idempotency_key.is_not(None))
    )
    assert address_hash(MIA) not in (key or "")
    after = send_corrected(session, first.id, MIA)
    assert after.new
    assert after.public_id != before.public_id


def states(host: HostApp) -> dict[str, int]:
    found = [one.state for one in deliveries(host)]
    return {state: found.count(state) for state in STATES if state in found}


def test_erased_everywhere(
    each: HostApp, bench_of: Callable[..., Workbench], server: ScriptedServer
) -> None:
    fill(each, server, bench_of(each))
    session = each.db.session()
    search = Search(MIA)
    before = {one.place.key: one.count for one in find(session, search)}
    assert before == {
        "message": 4, "delivery": 4, "attempt": 1, "renewal_notice": 1,
        "renewal_customer": 1, "suppression": 1, "preference": 1, "audit": 1,
        "provider_removal": 1,
    }  # fmt: skip
    sent = session.scalar(select(func.sum(Counter.sent))) or 0
    assert sent
    rows = len(deliveries(each))
    done = erase_now(each, search)
    assert done.complete
    assert done.counts == before
    left = {one.place.key: one.ids for one in find(session, search)}
    assert left.keys() == {"suppression"}, left
    assert named(each) == []
    assert len(deliveries(each)) == rows
    assert session.scalar(select(func.sum(Counter.sent))) == sent
    assert {one.recipient for one in deliveries(each)} == {
        "erased", "tom@example.org", NEAR,
    }, "others are left alone"  # fmt: skip
    assert states(each) == {"sent": 3, "cancelled": 3}
    texts = session.scalars(select(Message.content).order_by(Message.id)).all()
    assert [bool(one) for one in texts] == [False, False, True, False, False]
    assert session.scalar(select(Suppression.address)) == ""
    queue(each, MIA)
    suppress(session, "acme", MIA, "bounce")
    assert deliveries(each)[-1].recipient == MIA, "whom one writes to again is known again"


def test_what_is_under_way_or_needed_by_others(each: HostApp) -> None:
    each.save_sender()
    queue(each, MIA)
    queue(each, MIA, "tom@example.org")
    first = deliveries(each)[0]
    session = each.db.session()
    session.execute(update(Delivery).where(Delivery.id == first.id).values(state="sending"))
    session.commit()
    done = erase_now(each, Search(MIA))
    assert (done.under_way, done.needed, done.complete) == (1, 1, False)
    session.execute(update(Delivery).where(Delivery.state != "cancelled").values(state="sent"))
    session.commit()
    done = erase_now(each, Search(MIA))
    assert done.complete
    assert named(each) == []


def test_only_ones_own(each: HostApp) -> None:
    each.save_sender()
    each.save_sender("globex")
    queue(each, MIA)
    queue(each, MIA, partner_id="globex")
    session = each.db.session()
    assert {one.place.key: one.count for one in find(session, Search(MIA, ["acme"]))} == {
        "message": 1, "delivery": 1,
    }  # fmt: skip
    erase_now(each, Search(MIA, ["acme"]))
    assert [one.recipient for one in deliveries(each)] == ["erased", MIA]
    assert find(session, Search(MIA, ["acme"])) == []
    assert find(session, Search(MIA, [])) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [(f"to {MIA}.", True), (f"<{MIA}>", True), (MIA.upper(), True), (f"{MIA}: gone", True),
     (f"x{MIA}", False), (f"a-{MIA}", False), (f"a.{MIA}", False), (f"{MIA}.uk", False),
     (f"'{MIA}' is not valid", True), (f"o'{MIA}", False), (f'"seen\\\\n{MIA}"', True),
     (f"{MIA}x", False), (f"{MIA}-x.example", False), (f"{MIA}, and", True)],
)  # fmt: skip
def test_the_whole_address_and_no_other(text: str, found: bool) -> None:
    assert bool(Search(MIA).shape.search(text)) is found


def test_a_sign_of_like_is_a_letter(opened: NewHost) -> None:
    host = opened()
    host.save_sender()
    for address in ("a_b@example.org", "axb@example.org"):
        queue(host, address)
    erase_now(host, Search("a_b@example.org"))
    assert [one.recipient for one in deliveries(host)] == ["erased", "axb@example.org"]


@pytest.mark.parametrize("other", ["a/mia", "a=mia", "'mia", "mia'mia", "~mia", "a!mia", "#mia"])
def test_of_a_longer_address_nothing_is_taken(opened: NewHost, other: str) -> None:
    """What separates words in a text may stand in a name, and its mail must arrive."""
    host, whole = opened(), f"{other}@example.org"
    host.save_sender()
    queue(host, whole)
    session = host.db.session()
    suppress(session, "acme", whole, "complaint")
    erase_now(host, Search(MIA))
    assert [(one.recipient, one.state) for one in deliveries(host)] == [(whole, "queued")]
    assert session.scalar(select(Suppression.address)) == whole


def test_a_sender_s_own_address_costs_no_texts(opened: NewHost) -> None:
    host = opened()
    host.save_sender(envelope_from="bounces@acme.example")
    queue(host, MIA)
    session = host.db.session()
    session.execute(update(Delivery).values(state="sent"))
    erase_now(host, Search("bounces@acme.example"))
    kept = session.scalars(select(Message)).one()
    assert (kept.envelope_from, bool(kept.content), kept.subject) == ("erased", True, "Hello")


def test_keys_stay_keys_of_their_own(opened: NewHost) -> None:
    host = opened()
    session = host.db.session()
    for number in range(2):
        session.add(Batch(public_id=str(number), partner_id="acme", type_name="x",
                          key=f"{MIA} {number}" if number else MIA, label=MIA))  # fmt: skip
    session.commit()
    tom = "tom@example.org"
    for one in (MIA, tom):
        session.execute(update(Batch).where(Batch.public_id == "0").values(key=one))
        erase_now(host, Search(one))
    assert named(host) == []


def test_whoever_guesses_the_new_key_stands_in_nobody_s_way(opened: NewHost) -> None:
    host = opened()
    host.save_sender()
    queue(host, MIA, idempotency_key=f"{MIA}-1")
    first = host.db.session.scalars(select(Message)).one().id
    for number in range(first, first + 4):
        queue(host, "tom@example.org", idempotency_key=f"erased-{number}")
    assert erase_now(host, Search(MIA)).complete
    assert named(host) == []


def test_who_acted_is_evidence(opened: NewHost) -> None:
    """A partner's admin hides nobody's deeds, their own least of all."""
    host = opened()
    session = host.db.session()
    session.add(Audit(actor_id=MIA, actor_email=MIA, partner_id="acme", action="settings.saved",
                      detail=f"sent to {MIA}"))  # fmt: skip
    session.commit()
    for scope, left in ((["acme"], (MIA, MIA, "sent to erased")),
                        (None, ("erased", "erased", "sent to erased"))):  # fmt: skip
        erase_now(host, Search(MIA, scope))
        row = session.scalars(select(Audit).order_by(Audit.id).limit(1)).one()
        assert (row.actor_id, row.actor_email, row.detail) == left
        session.expire_all()


def test_the_first_text_of_a_copy(opened: NewHost) -> None:
    """Another sender took over one of two recipients; the header of both names both."""
    host = opened()
    host.save_sender()
    queue(host, MIA, "tom@example.org")
    session = host.db.session()
    first = session.scalars(select(Message)).one()
    copy = {one.key: getattr(first, one.key) for one in Message.__mapper__.column_attrs}
    copy |= {"id": first.id + 1, "copy_of": first.id}
    session.execute(insert(Message).values(**copy))
    mine = update(Delivery).where(Delivery.recipient == MIA)
    session.execute(mine.values(message_pk=first.id + 1))
    session.execute(mine.values(state="sent"))
    waits = erase_now(host, Search(MIA))
    assert (waits.needed, waits.complete) == (2, False)
    session.execute(update(Delivery).values(state="sent"))
    assert erase_now(host, Search(MIA)).complete
    assert named(host) == []


def test_more_than_are_read_at_once(opened: NewHost) -> None:
    host = opened()
    host.save_sender()
    queue(host, MIA)
    session = host.db.session()
    for model in (Message, Delivery):
        one = session.scalars(select(model)).one()
        row = {each.key: getattr(one, each.key) for each in model.__mapper__.column_attrs}
        more = [
            row | {"id": number} | ({"message_pk": number} if "message_pk" in row else {})
            for number in range(row["id"] + 1, MANY)
        ]
        session.execute(insert(model), more)
    session.commit()
    done = erase_now(host, Search(MIA))
    assert done.complete
    assert done.counts["delivery"] == done.counts["message"] == MANY - 1
    assert states(host) == {"cancelled": MANY - 1}
    assert named(host) == []


def test_who_did_something_with_mail_is_forgotten(opened: NewHost) -> None:
    """By the platform: for a partner's admins it is evidence of who acted, as in the audit log."""
    host = opened()
    queue(host, NEAR)
    session = host.db.session()
    (mail,) = [one.id for one in deliveries(host)]
    note(session, [mail], "retry", now(), Doer("7", MIA))
    note(session, [mail], "hurry", now(), Doer(MIA, "Mia"))
    note(session, [mail], "cancel", now(), Doer("8", NEAR))
    batch = {"public_id": "b" * 32, "partner_id": "acme", "type_name": NAME, "label": ""}
    session.add(Batch(**batch, cancelled_by_id="7", cancelled_by=MIA))
    session.commit()

    def kept() -> list[tuple[str, str]]:
        found = session.execute(select(Act.actor_id, Act.actor_name).order_by(Act.id))
        batches = session.execute(select(Batch.cancelled_by_id, Batch.cancelled_by))
        return [(one[0], one[1]) for one in (*found, *batches)]

    before = kept()
    erase_now(host, Search(MIA, ["acme"]))
    assert kept() == before
    assert {one.place.key: one.count for one in find(session, Search(MIA))} == {
        "act": 2, "batch": 1,
    }  # fmt: skip
    erase_now(host, Search(MIA))
    assert kept() == [("7", "erased"), ("erased", "Mia"), ("8", NEAR), ("7", "erased")]


def test_what_waited_for_an_erased_address_tells_who_asked(opened: NewHost) -> None:
    """Also where a worker does it."""
    host = opened()
    for _ in range(2):
        queue(host, MIA)
    erase_now(host, Search(MIA), ACME_ADMIN, seconds=0)
    with beside_workers() as engine:
        erase_rest(engine)
    told = host.db.session.execute(select(Act.kind, Act.actor_name)).all()
    assert [tuple(one) for one in told] == [("cancel", ACME_ADMIN.email)] * 2


def test_who_cancelled_a_batch_is_forgotten_while_a_worker_goes_on_with_it(opened: NewHost) -> None:
    """It writes down who that was with each mail."""
    host = opened()
    host.save_sender()
    add_newsletter(host)
    public_id = host.plugin.send_many(NAME, people(2), partner_id="acme")
    host.db.session.commit()
    with beside_workers() as engine:
        cancel_batch(engine, public_id, by=Doer("7", MIA))
        for one in rounds(engine, Search(MIA), Doer("8", NEAR)):
            with transaction(engine) as session:
                one(session, Erased())
            with transaction(engine) as session:
                changed(session, update(Delivery).values(state="queued"))
                batch_id = session.scalars(select(Batch.id)).one()
            cancel_the_rest(engine, batch_id)
    names = set(host.db.session.scalars(select(Act.actor_name)))
    assert MIA not in names
    assert "erased" in names


MANY = 2500


def test_the_file(opened: NewHost, bench_of: Any, server: ScriptedServer) -> None:
    host = opened()
    fill(host, server, bench_of(host))
    host.plugin.send("password_reset", to=MIA, partner_id="acme", context={
        "name": "Sam", "reset_url": "https://x.example/secret", "expires_minutes": 5})  # fmt: skip
    host.db.session.commit()
    with zipfile.ZipFile(BytesIO(b"".join(zip_pieces(host.db.session(), Search(MIA))))) as file:
        records = json.loads(file.read("records.json"))
        assert file.getinfo("records.json").date_time[0] > 2000
        mails = [file.read(name) for name in file.namelist() if name.startswith("mails/")]
    assert len(mails) == 4
    assert not any(b"secret" in one for one in mails)
    assert {one["recipient"].lower() for one in records["delivery"]} == {MIA}
    assert records["attempt"][0]["reply"].startswith("550 5.1.1")
    assert records["suppression"][0]["detail"] == f"{MIA} asked"
    assert NEAR not in json.dumps(records)
    assert host.db.session.scalar(select(Attempt.id))


def test_the_platform_s_affairs_are_in_no_partners_file(opened: NewHost) -> None:
    """Who of it knows of an alert, whom it told, how it sends; the partner's own people are."""
    host = opened()
    host.save_sender()
    queue(host, MIA)
    mail = deliveries(host)[0].id
    session = host.db.session()
    ops = "ops@platform.example"
    alert = Alert(public_id="a", kind="dead_letters", partner_id="acme", incident="i", whose="Acme",
                  severity="critical", headline=f"Mail to {MIA} failed", acknowledged_by=ops,
                  acknowledged_at=now(), owner_acknowledged_by=MIA)  # fmt: skip
    session.add(alert)
    session.flush()
    session.add(AlertNotice(alert_id=alert.id, event="opened", channel="mail", outcome=ops))
    session.add(Attempt(delivery_id=mail, verdict="released", code="", error=f"{MIA} later",
                        reply="", revision=7, worker="machine-7:1"))  # fmt: skip
    session.add(Hop(delivery_id=mail, from_sender_id=1, to_sender_id=1, kind="fallback",
                    reason=f"no login at machine-7 for {MIA}"))  # fmt: skip
    session.commit()
    for scope, theirs in ((["acme"], False), (None, True)):
        with zipfile.ZipFile(BytesIO(b"".join(zip_pieces(session, Search(MIA, scope))))) as file:
            records = json.loads(file.read("records.json"))
        (row,) = records["alert"]
        assert [len(records[one]) for one in ("attempt", "hop")] == [1, 1]
        assert ("machine-7" in json.dumps(records), "revision" in records["attempt"][0]) == (
            theirs, theirs,
        )  # fmt: skip
        assert row["owner_acknowledged_by"] == MIA
        assert (ops in json.dumps(row), bool(row.get("acknowledged_at"))) == (theirs, theirs)
        found = {one.place.key for one in find(session, Search(ops, scope))}
        assert found == ({"alert", "alert_notice"} if theirs else set())


# --- The page ------------------------------------------------------------------------------------

JSON = {"Accept": "application/json"}


def test_the_page(opened: NewHost) -> None:
    host = opened()
    host.save_sender()
    queue(host, MIA)
    host.db.session.commit()
    page = "/smtp-admin/erase"
    assert "Find an address" in host.client.get(page).text
    html = {"Accept": "text/html"}
    found = host.client.post(page, data={"address": f"Mia <{MIA}>"}, headers=html)
    assert "Texts of mail" in found.text
    unsure = host.client.post(page, data={"address": MIA, "do": "erase"}, headers=html)
    assert unsure.status_code == 400
    assert "Nothing was erased" in unsure.text
    shown = re.compile(r'<dl class="smtp-admin-labelled">.*?</dl>', re.DOTALL)
    assert shown.findall(unsure.text) == shown.findall(found.text) != []
    assert named(host)
    file = host.client.post(page, data={"address": MIA, "do": "export"})
    assert zipfile.ZipFile(BytesIO(file.data)).testzip() is None
    assert (file.mimetype, file.headers["Cache-Control"]) == ("application/zip", "no-store")
    assert re.search(r'"person-[0-9-]{10}\.zip"', file.headers["Content-Disposition"])
    done = host.client.post(page, data={"address": MIA, "do": "erase", "sure": "1"}, headers=JSON)
    assert done.get_json()["complete"]
    assert named(host) == []
    assert "(erased)" in host.client.get("/smtp-admin/mail", headers=html).text
    none = host.client.post(page, data={"address": MIA}, headers=html)
    assert "Nothing is stored about this address." in none.text
    assert host.client.post(page, data={"address": "mia"}).status_code == 400
    audits = host.db.session.scalars(select(Audit.action).order_by(Audit.id)).all()
    searched = "address.searched"
    assert [one for one in audits if one.startswith("address.")] == [
        searched, searched, searched, "address.exported", "address.erased", searched,
    ]  # fmt: skip


def test_texts_that_are_erased_already_are_not_counted_as_texts(opened: NewHost) -> None:
    host = opened()
    host.save_sender()
    queue(host, MIA)
    queue(host, MIA)
    session = host.db.session()
    erased = session.scalars(select(Message)).first()
    assert erased
    erased.content = b""
    session.commit()
    told = host.app.test_cli_runner().invoke(args=["smtp-admin", "erase", MIA]).output
    assert "Texts of mail: 1 (and 1 of which only the subject is left)" in told
    page = host.client.post(
        "/smtp-admin/erase", data={"address": MIA}, headers={"Accept": "text/html"}
    )
    assert "and the subject of 1 mail whose text is erased already" in page.text


def test_what_is_left_of_a_suppression_is_no_more_to_erase(opened: NewHost) -> None:
    """Its hash, and page and command say so."""
    host = opened()
    suppress(host.db.session(), "acme", MIA, "bounce")
    host.db.session.commit()
    runner = host.app.test_cli_runner()
    assert "Erase it with --yes." in runner.invoke(args=["smtp-admin", "erase", MIA]).output
    runner.invoke(args=["smtp-admin", "erase", MIA, "--yes"])
    again = runner.invoke(args=["smtp-admin", "erase", MIA]).output
    assert "Suppressions: 1 (only a hash of the address)" in again
    assert "Nothing is left to erase" in again
    assert "--yes" not in again
    page = host.client.post(
        "/smtp-admin/erase", data={"address": MIA}, headers={"Accept": "text/html"}
    )
    assert "Nothing is left to erase." in page.text
    assert 'id="erase-form"' not in page.text


def test_nobody_looks_for_people_by_the_dozen(opened: NewHost) -> None:
    """Each search goes through every table, and somebody could try a list of addresses."""
    host = opened(TEST_LIMIT="3 per 10 minutes")
    page = "/smtp-admin/erase"
    for do in ("find", "export", "find"):
        assert host.client.post(page, data={"address": MIA, "do": do}).status_code == 200
    for do in ("find", "export"):
        for accept in ("text/html", "application/json"):
            refused = host.client.post(
                page, data={"address": MIA, "do": do}, headers={"Accept": accept}
            )
            assert refused.status_code == 429
            assert 0 < int(refused.headers["Retry-After"]) <= 600
            assert "That was more than 3 in 10 minutes." in refused.text
    # Who asks to be forgotten is, all the same.
    sure = {"address": MIA, "do": "erase", "sure": "1"}
    assert host.client.post(page, data=sure, headers=JSON).get_json()["complete"]
    host.actor = ACME_ADMIN
    assert host.client.post(page, data={"address": MIA}).status_code == 200
