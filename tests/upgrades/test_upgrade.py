"""The database of commit adae1df, upgraded: nothing is lost, and what waited goes out.

What is expected was told by the code of that commit, in ``expected.json``.
"""

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, Engine, Table, create_engine, inspect, select, text

from smtp_admin import Partner, schema
from smtp_admin.clock import shifted
from smtp_admin.connection.models import WorkerTest
from smtp_admin.database import VERSION_TABLE, Base
from smtp_admin.delivery.models import Delivery, Hop, Message
from smtp_admin.errors import KeyMissing, SetupError
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.history import changes, find_revision, history
from smtp_admin.senders.keys import check_keys, rotate_keys
from smtp_admin.senders.models import Route, Sender, SenderRevision
from smtp_admin.senders.resolve import as_saved, load_sender, password_trouble, values_of
from smtp_admin.transports.smtp.oauth_fields import OAUTH_FIELDS
from tests.app import ADMIN, HostApp, make_app
from tests.servers.certificates import CertificateFactory
from tests.servers.databases import MariaDB, PostgreSQL, sqlite_url
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.upgrades.loading import KINDS, Kind, back_then, expected, load

BEFORE = "0004_renewals"
UMLAUT = "umlaut-ü"
PARTNERS = tuple(
    Partner(name, name.title(), f"{name}.example")
    for name in ("acme", "newcomer", UMLAUT, "paused", "locked")
)
NewDatabase = Callable[[], str]
#: table → column of before → the one of today.
RENAMED = {"delivery": {"message_id": "message_pk"}}
#: What has no column any more, and is looked at below.
MOVED = {
    "sender_revision": {"host", "port", "security", "verify_tls", "username", "fallback",
                        "password_set_at", "password_sealed"},
    "delivery": {"fallback_of", "fallback_reason"},
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of database in turn."""
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def old_database(
    kind: Kind, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> NewDatabase:
    """Makes databases as the old commit left them."""

    def make() -> str:
        if kind == "sqlite":
            address = sqlite_url(tmp_path_factory.mktemp("upgrades"))
        else:
            server: PostgreSQL | MariaDB = request.getfixturevalue(kind)
            address = server.create_database()
        load(address, kind)
        return address

    return make


@contextmanager
def engine_on(address: str) -> Iterator[Engine]:
    """An engine, for as long as the block runs."""
    engine = create_engine(address)
    yield engine
    engine.dispose()


@contextmanager
def opened(address: str, redis: RedisServer, **config: Any) -> Iterator[HostApp]:
    """A host app on the database, upgraded; inside its context, at the time of the old one."""
    redis.start()
    keys = expected()["keys"]
    with back_then(), patch("tests.app.PARTNERS", PARTNERS):
        host = make_app(address, {
            "REDIS_URL": redis.url, "SECRET_KEYS": [keys["newest"], keys["older"]],
            "KEEP_DAYS": 90, "RETRY_DELAY": 30, "RETRY_FACTOR": 4, **config,
        })  # fmt: skip
        host.actor = ADMIN
        with host.app.app_context():
            schema.upgrade(host.db.engine)
            yield host
            host.db.session.remove()
            host.db.engine.dispose()


@pytest.fixture(scope="module")
def upgraded(old_database: NewDatabase, redis_server: RedisServer) -> Iterator[HostApp]:
    """The upgraded database, which tests only read."""
    with opened(old_database(), redis_server) as host:
        yield host


def rows(connection: Connection, table: str) -> list[dict[str, Any]]:
    """A whole table, as the driver gives it."""
    return [dict(one) for one in connection.execute(text(f"SELECT * FROM {table}")).mappings()]


def everything(engine: Engine) -> dict[str, Any]:
    """All tables of ours, with their columns and rows."""
    with engine.connect() as connection:
        looked = inspect(connection)
        return {
            name: (
                sorted(one["name"] for one in looked.get_columns(name)),
                sorted(map(repr, (sorted(one.items()) for one in rows(connection, name)))),
            )
            for name in sorted(looked.get_table_names())
            if name.startswith("smtp_admin_")
        }


def plain(value: Any, wanted: Any) -> Any:
    """A value of today's models as JSON says it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return {"length": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(wanted, float):
        return pytest.approx(value, rel=1e-4)  # MariaDB's FLOAT has six digits
    return value


# What is there


def test_tables_are_those_of_the_models(upgraded: HostApp) -> None:
    assert schema.differences(upgraded.db.engine) == []
    assert schema.is_current(upgraded.db.engine)


@pytest.mark.parametrize(
    "table",
    [name for name, one in expected().items() if isinstance(one, list)
     and name not in ("history", "worker_test")],
)  # fmt: skip
def test_every_value_is_there(upgraded: HostApp, table: str) -> None:
    """Of each table and column that still exists; the others are asked for below."""
    model = table_of(table)
    keys = [one.name for one in model.primary_key]
    session = upgraded.db.session()
    found = {
        tuple(plain(row[key], "") for key in keys): row
        for row in session.execute(select(model)).mappings()
    }
    wanted = expected()[table]
    assert len(found) == len(wanted)
    firsts = {one["id"]: one["public_id"] for one in wanted if "copy_of" in one}
    looked_at: set[str] = set()
    for one in wanted:
        row = found[tuple(one[key] for key in keys)]
        for name, value in one.items():
            column = RENAMED.get(table, {}).get(name, name)
            if column not in row:
                continue
            looked_at.add(name)
            if name == "public_id" and one["copy_of"]:  # callers know the mail by this one's
                assert row[column] == firsts[one["copy_of"]]
            else:
                assert value == plain(row[column], value), (one, name)
    extra = {"name", "partner_id", "password", "sealed_with", "to_current"}
    assert set(wanted[0]) - looked_at - extra == MOVED.get(table, set()) - {"password_sealed"}


def test_values_of_each_revision(upgraded: HostApp) -> None:
    session = upgraded.db.session()
    for one in expected()["sender_revision"]:
        values = values_of(session.get_one(SenderRevision, one["id"]))
        assert dict(values) == {
            "ca_certificate": "", "client_certificate": "", "ehlo_name": "", "envelope_from": "",
            "headers": (), "archive_to": "", "bounce_address": "",
            **{one.name: "" for one in OAUTH_FIELDS if not one.secret},
            "fallbacks": ("system",) if one["fallback"] else (),
            **{name: one[name] for name in values if name in one},
        }  # fmt: skip
        assert values.complete


def test_every_password_opens(upgraded: HostApp) -> None:
    """Of each revision, with the key that it was sealed with; the lost one is named."""
    session, keyring = upgraded.db.session(), upgraded.installation.keyring
    seen = 0
    for one in expected()["sender_revision"]:
        row = session.get_one(SenderRevision, one["id"])
        sender = as_saved(load_sender(session, one["partner_id"]), row)
        set_at = sender.secret_set_at("password")
        assert (set_at and set_at.isoformat(timespec="microseconds")) == one["password_set_at"]
        if one["sealed_with"] == "lost":
            with pytest.raises(KeyMissing):
                sender.secrets_for(sender.values, keyring)
            continue
        found = sender.secrets_for(sender.values, keyring)
        password = one["password"] or ""
        assert {name: text for name, text in found.items() if text} == (
            {"password": password} if password else {}
        )
        seen += one["password"] is not None
    report = check_keys(session, keyring)
    (unreadable,) = report.unreadable
    assert (report.newest, report.older) == (0, seen)
    assert (unreadable.partner_id, unreadable.key, unreadable.revision) == ("locked", "", 1)
    assert "SMTP_ADMIN_SECRET_KEYS" in unreadable.reason
    assert password_trouble(load_sender(session, "locked"))[0] == unreadable.reason
    assert password_trouble(load_sender(session, "acme")) == ("", "")


def in_words_of_today(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Changes as they were told then: the box about the system's sender became a list.

    A first revision that leaves it empty says nothing of it, as of all that was left empty.
    """
    words = {"yes": "system", "no": "nobody", None: None}
    found = []
    for one in told:
        if one["field"] == "fallback":
            if one["old"] is None and one["new"] == "no":
                continue
            old, new = words[one["old"]], words[one["new"]]
            found.append({"field": "fallbacks", "old": old, "new": new})
        else:
            found.append(one)
    return in_one_order(found)


def in_one_order(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The page has another order of fields than before."""
    return sorted(told, key=lambda one: str(one["field"]))


def test_history_reads_the_same(upgraded: HostApp) -> None:
    session = upgraded.db.session()
    told: dict[str, list[dict[str, Any]]] = {}
    for one in expected()["history"]:
        told.setdefault(one.pop("partner_id"), []).append(one)
    for partner_id, entries in told.items():
        found = [one.as_json() for one in history(session, partner_id).entries]
        assert [one | {"changes": in_one_order(one["changes"])} for one in found] == [
            one | {"changes": in_words_of_today(one["changes"])} for one in entries
        ]
    for revision in expected()["sender_revision"]:
        partner_id = revision["partner_id"]
        current = load_sender(session, partner_id).revision
        old, new = (
            find_revision(session, partner_id, number) for number in (revision["number"], current)
        )
        assert new is not None
        compared = [one.as_json() for one in changes(old, new)]
        assert in_one_order(compared) == in_words_of_today(revision["to_current"])


def test_pages_of_history_open(upgraded: HostApp) -> None:
    client = upgraded.client
    for page in ("system", *(f"partners/{one.id}" for one in PARTNERS)):
        for path in ("", "/history"):
            answer = client.get(f"/smtp-admin/{page}{path}", headers={"Accept": "text/html"})
            assert answer.status_code == 200, page
    page = client.get("/smtp-admin/partners/acme/history", headers={"Accept": "text/html"}).text
    assert "Back to revision 1" in page
    assert "acme&#39;s" not in page


def test_hops_tell_who_stepped_in(upgraded: HostApp) -> None:
    session = upgraded.db.session()
    found = {
        one.delivery_id: (one.from_sender_id, one.to_sender_id, one.reason, one.kind)
        for one in session.scalars(select(Hop))
    }
    assert found == {
        one["id"]: (one["fallback_of"], one["sender_id"], one["fallback_reason"], "fallback")
        for one in expected()["delivery"]
        if one["fallback_of"]
    }
    assert found


def test_everybody_has_one_sender_and_no_routes(upgraded: HostApp) -> None:
    session = upgraded.db.session()
    found = session.execute(select(Sender.key, Sender.label, Sender.deleted_at)).all()
    assert {tuple(one) for one in found} == {("", "", None)}
    assert session.scalars(select(Route)).all() == []


def test_tests_that_waited_for_a_worker_are_over(upgraded: HostApp) -> None:
    """They live for minutes; nobody waits for one through an upgrade."""
    assert upgraded.db.session.scalars(select(WorkerTest)).all() == []


# What waits goes out

LOGINS = {
    "": ("platform", "system password 2"),
    "acme": ("mailer@acme.example", "acme's second: 'quoted' \\ 100 %"),
    UMLAUT: ("bücher", "pässwörd, geheim — 密码"),
}
PORTS = {"": 2525, "acme": 2587, UMLAUT: 2465}
#: name of a mail → recipient → what becomes of it when a worker runs once; others stay as they are.
GOES: dict[str, dict[str, str]] = {
    "without From, of the system": {"early": "sent"},
    "without From, of a partner without a sender": {"first": "sent"},
    "three recipients": {"full": "sent"},
    "uncertain": {"kim": "sent"},
    "waits for the system's sender": {"sam": "sent"},
    # They may have been sent: nobody knows, so they are sent again a minute later.
    "on its way when the worker died": {"sam": "sent", "kim": "sent"},
    "queued": {"sam": "sent"},
    "queued with a key": {"sam": "sent"},
    "queued in bulk, usual life": {"list": "sent"},
    "queued, urgent and sensitive": {"kim": "sent"},
}


@contextmanager
def mail_servers(certificates: CertificateFactory) -> Iterator[dict[str, ScriptedServer]]:
    """Those of the old settings: every name leads to this machine, and the ports are theirs."""
    ask = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **more: Any) -> Any:
        here = isinstance(host, str) and host.endswith(".example")
        return ask("127.0.0.1" if here else host, *arguments, **more)

    with ExitStack() as stack:
        stack.enter_context(patch("socket.getaddrinfo", answer))
        servers: dict[str, ScriptedServer] = {}
        for partner_id, port in PORTS.items():
            name = {"": "platform", UMLAUT: "xn--bcher-kva"}.get(partner_id, partner_id)
            pair = certificates.valid(f"smtp.{name}.example")
            how = "implicit_tls" if partner_id == UMLAUT else "starttls"
            tls: dict[str, Any] = {how: certificates.server_context(pair)}
            server = ScriptedServer(auth=LOGINS[partner_id], **tls)
            server.port = port
            servers[partner_id] = stack.enter_context(server)
        yield servers


def test_what_waits_goes_out(
    old_database: NewDatabase, redis_server: RedisServer, certificates: CertificateFactory
) -> None:
    """By a real worker, with the logins of before, byte by byte what was queued then."""
    ca_file = certificates.ca_file
    with (
        opened(old_database(), redis_server, CA_FILE=ca_file) as host,
        mail_servers(certificates) as servers,
    ):
        session = host.db.session()
        before = {one.id: bytes(one.content or b"") for one in session.scalars(select(Message))}
        session.rollback()
        host.work()
        with shifted(timedelta(minutes=3)):
            host.work()
        names = {one["id"]: one["name"] for one in expected()["message"]}
        states: dict[tuple[str, str], str] = {}
        stamped: dict[str, bytes] = {}
        for one in session.scalars(select(Delivery)):
            message = session.get_one(Message, one.message_pk)
            name = names.get(message.id, "")
            states[name, one.recipient] = one.state
            if one.state == "sent":
                was = before.get(message.id, b"")
                content = bytes(message.content or b"")
                if name.startswith("without From"):
                    stamped[one.recipient] = content
                elif content and was:
                    assert content == was, name
        for one in expected()["delivery"]:
            name, recipient = names[one["message_id"]], str(one["recipient"])
            expected_state = GOES.get(name, {}).get(recipient.partition("@")[0], one["state"])
            if name:
                assert states[name, recipient] == expected_state, (name, recipient)
        for partner_id, server in servers.items():
            assert server.messages, partner_id
            assert all(
                one.session.auth_attempts[0][1:] == LOGINS[partner_id] for one in server.messages
            )
        sent = {
            (one.mail_from, one.recipients[0]): one.data
            for server in servers.values()
            for one in server.messages
        }
        for recipient in ("early@example.org", "first@example.org"):
            assert sent["mail@platform.example", recipient] == stamped[recipient]
            assert b"From: Northwind Platform <mail@platform.example>" in stamped[recipient]
        waited = {
            ("news@acme.example", "list@example.org"): "queued in bulk, usual life",
            ("news@acme.example", "full@example.org"): "three recipients",
            ("mail@platform.example", "sam@example.org"): "waits for the system's sender",
        }
        for key, name in waited.items():
            (number,) = (id_ for id_, one in names.items() if one == name)
            assert before[number] in (sent[key], b""), name


def test_a_lost_key_still_holds_its_mail(
    old_database: NewDatabase, redis_server: RedisServer
) -> None:
    """And with the key back, the sender is let go again when a worker starts."""
    keys = expected()["keys"]
    address = old_database()
    with opened(address, redis_server) as host:
        host.work()
        assert load_sender(host.db.session(), "locked").pause_code == "unavailable"
    with opened(address, redis_server, SECRET_KEYS=list(keys.values())) as host:
        assert check_keys(host.db.session(), host.installation.keyring).unreadable == ()
        assert password_trouble(load_sender(host.db.session(), "locked")) == ("", "")


# Down and up again


def test_down_and_up_again(old_database: NewDatabase) -> None:
    """What the old tables can hold comes through both ways."""
    with engine_on(old_database()) as engine:
        old = everything(engine)
        schema.upgrade(engine)
        first = everything(engine)
        schema.downgrade(engine, BEFORE)
        assert schema.current(engine) == BEFORE
        assert_same_but_for_copies(everything(engine), old)
        assert_public_ids_stay(engine)
        schema.upgrade(engine)
        again = everything(engine)
        for name in ("sender", "sender_revision", "revision_test", "attempt"):
            assert again[f"smtp_admin_{name}"] == first[f"smtp_admin_{name}"]
        assert schema.differences(engine) == []


def assert_same_but_for_copies(found: dict[str, Any], old: dict[str, Any]) -> None:
    """Copies of a mail get new public ids, and tests of a minute are gone."""
    assert found.keys() == old.keys()
    for name, (columns, lines) in found.items():
        assert columns == old[name][0]
        if name == "smtp_admin_worker_test":
            assert lines == []
        elif name == "smtp_admin_message":
            assert len(lines) == len(old[name][1])
        else:
            assert lines == old[name][1], name


def assert_public_ids_stay(engine: Engine) -> None:
    """All but those of copies, which nobody was told."""
    with engine.connect() as connection:
        found = {one["id"]: one for one in rows(connection, "smtp_admin_message")}
    assert len({one["public_id"] for one in found.values()}) == len(found)
    for one in expected()["message"]:
        if not one["copy_of"]:
            assert found[one["id"]]["public_id"] == one["public_id"]
        content = found[one["id"]]["content"]
        assert plain(content if content is None else bytes(content), "") == one["content"]


Change = Callable[[Connection], None]


def table_of(name: str) -> Table:
    """One of our tables of today."""
    return Base.metadata.tables[f"smtp_admin_{name}"]


_REVISION, _SENDER = (table_of(one) for one in ("sender_revision", "sender"))


def in_document(**values: Any) -> Change:
    """Another value in the document of acme's newest revision."""

    def change(connection: Connection) -> None:
        mine = _REVISION.c.id == 8
        document = connection.execute(select(_REVISION.c.fields).where(mine)).scalar_one()
        connection.execute(_REVISION.update().where(mine).values(fields=document | values))

    return change


def in_column(**values: Any) -> Change:
    """Another value in a column of it."""

    def change(connection: Connection) -> None:
        connection.execute(_REVISION.update().where(_REVISION.c.id == 8).values(values))

    return change


def of_sender(**values: Any) -> Change:
    """Another value in acme's row."""

    def change(connection: Connection) -> None:
        connection.execute(_SENDER.update().where(_SENDER.c.id == 2).values(values))

    return change


def second_sender(connection: Connection) -> None:
    """One beside the default."""
    connection.execute(_SENDER.insert().values(partner_id="acme", key="news", current_revision=0))


def in_every(table: str, **values: Any) -> Change:
    """Another value in every row of one of our tables."""

    def change(connection: Connection) -> None:
        connection.execute(table_of(table).update().values(values))

    return change


def hopped(*kinds: str) -> Change:
    """A mail that was handed on from one sender to another, once for each kind."""

    def change(connection: Connection) -> None:
        hops, deliveries = table_of("hop"), table_of("delivery")
        number = connection.execute(
            select(deliveries.c.id).where(deliveries.c.id.not_in(select(hops.c.delivery_id)))
        ).scalars()
        hop = {"delivery_id": min(number), "at": datetime(2026, 11, 1, tzinfo=UTC)}
        sides = {"from_sender_id": 2, "to_sender_id": 1, "reason": "Its sender was gone."}
        connection.execute(hops.insert(), [hop | sides | {"kind": kind} for kind in kinds])

    return change


def batch(connection: Connection) -> None:
    """One with nobody in it."""
    counts = {"total": 0, "queued": 0, "suppressed": 0, "counts": "{}", "settled": True}
    names = {"public_id": "b" * 32, "partner_id": "acme", "label": "News", "type_name": ""}
    when = {"created_by": "sam", "created_at": datetime(2026, 11, 1, tzinfo=UTC)}
    connection.execute(table_of("batch").insert().values(**counts, **names, **when))


#: What the old tables cannot hold → what is said about it.
TOO_NEW: dict[str, tuple[Change, str]] = {
    "a second sender": (second_sender, "senders beside the default ones, or deleted ones"),
    "a deleted sender": (
        of_sender(deleted_at=datetime(2026, 11, 1, tzinfo=UTC)), "or deleted ones"
    ),
    "another driver": (in_column(driver="sendmail"), "a revision sends by sendmail"),
    "static headers": (in_document(headers=[["X-Stream", "a"]]), "a revision has headers"),
    "an envelope sender": (
        in_column(envelope_from="bounces@acme.example"), "a revision has an envelope sender"
    ),
    "other fallbacks": (in_document(fallbacks=["news", "system"]), "names fallbacks other than"),
    "an authority": (in_document(ca_certificate="-----BEGIN"), "a revision has ca_certificate"),
    "an archive": (in_document(archive_to="a@acme.example"), "a revision has archive_to"),
    "a field of a host's driver": (in_document(tower="north"), "a revision has tower"),
    "two hops": (hopped("fallback", "fallback"), "from sender to sender more than once"),
    "a hop of a deleted sender": (hopped("deleted"), "mail of a deleted sender was handed"),
    "a mail's envelope sender": (
        in_every("message", envelope_from="bounces@acme.example"),
        "there is mail with an envelope sender of its own",
    ),
    "an archive copy": (in_every("delivery", archive=True), "there are archive copies"),
    "a batch": (batch, "there are batches"),
    "the newer format": (
        in_column(secrets={"password": {"sealed": "v2.12345678.AAAA", "set_at": None}}),
        "passwords were saved since the upgrade, in a newer format",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def to_take_back(old_database: NewDatabase) -> Iterator[Engine]:
    """An upgraded database that nothing may change, whatever is tried."""
    with engine_on(old_database()) as engine:
        schema.upgrade(engine)
        yield engine


@pytest.mark.parametrize("what", TOO_NEW)
def test_downgrade_refuses_what_the_old_tables_cannot_hold(to_take_back: Engine, what: str) -> None:
    """With a sentence, before anything is changed, also where tables know no transactions."""
    change, sentence = TOO_NEW[what]
    saved = saved_rows(to_take_back)
    with to_take_back.begin() as connection:
        change(connection)
    before = everything(to_take_back)
    for target in (BEFORE, "0001_outbox"):
        with pytest.raises(SetupError) as caught:
            schema.downgrade(to_take_back, target)
        assert sentence in caught.value.message
        assert caught.value.message.endswith("Nothing was changed.")
        assert everything(to_take_back) == before
    with to_take_back.begin() as connection:
        put_back(connection, saved)


#: What a change above may touch; rows of the first refer to rows of the last.
_TOUCHED = tuple(
    table_of(name) for name in ("hop", "delivery", "message", "batch", "sender_revision", "sender")
)
Saved = list[list[dict[str, Any]]]


def saved_rows(engine: Engine) -> Saved:
    """Every row that a change may touch."""
    with engine.connect() as connection:
        return [
            [dict(one) for one in connection.execute(select(table)).mappings()]
            for table in _TOUCHED
        ]


def put_back(connection: Connection, saved: Saved) -> None:
    """The rows as they were before a test."""
    for table, rows_before in zip(_TOUCHED, saved, strict=True):
        ids = [one["id"] for one in rows_before]
        connection.execute(table.delete().where(table.c.id.not_in(ids)))
        for one in rows_before:
            connection.execute(table.update().where(table.c.id == one["id"]).values(one))


def test_removing_everything_holds_nothing(to_take_back: Engine) -> None:
    """Whoever takes the plugin out again is not asked what old tables could hold."""
    with to_take_back.begin() as connection:
        for what in ("a second sender", "another driver", "the newer format", "static headers"):
            TOO_NEW[what][0](connection)
    schema.downgrade(to_take_back, "base")
    left = inspect(to_take_back).get_table_names()
    assert [name for name in left if name.startswith("smtp_admin_")] in ([], [VERSION_TABLE])
    schema.upgrade(to_take_back)
    assert schema.differences(to_take_back) == []


# After the upgrade


def test_saving_goes_on(old_database: NewDatabase, redis_server: RedisServer) -> None:
    """The stored password is kept, sealed as today; then there is no way back."""
    with opened(old_database(), redis_server) as host:
        page = "/smtp-admin/partners/acme"
        session = host.db.session()
        values = load_sender(session, "acme").values
        session.rollback()
        form = {one.name: one.text(values[one.name]) for one in fields_of("smtp") if not one.secret}
        answer = host.client.post(page, data=form | {"from_name": "New", "revision": "4"})
        assert answer.status_code == 303, answer.text
        saved = load_sender(session, "acme")
        found = saved.secrets_for(saved.values, host.installation.keyring)
        assert found["password"] == LOGINS["acme"][1]
        assert saved.secrets["password"].sealed.startswith("v2.")
        entry = history(session, "acme").entries[0]
        assert [one.field for one in entry.changes] == ["from_name"]
        session.rollback()
        with pytest.raises(SetupError, match="in a newer format"):
            schema.downgrade(host.db.engine, BEFORE)


def test_rotation_brings_everything_up_to_date(
    old_database: NewDatabase, redis_server: RedisServer
) -> None:
    with opened(old_database(), redis_server) as host:
        session, keyring = host.db.session(), host.installation.keyring
        report = rotate_keys(session, keyring)
        assert (report.newest, report.older, len(report.unreadable)) == (8, 0, 1)
        for one in expected()["sender_revision"]:
            row = session.get_one(SenderRevision, one["id"])
            if one["sealed_with"] in {"newest", "older"}:
                sender = as_saved(load_sender(session, one["partner_id"]), row)
                found = sender.secrets_for(sender.values, keyring)
                assert found["password"] == one["password"]
        back = host.client.post(
            "/smtp-admin/partners/acme/rollback", data={"number": 1, "revision": 4},
            headers={"Accept": "application/json"},
        )  # fmt: skip
        assert back.status_code == 200, back.text
        sender = load_sender(session, "acme")
        assert sender.secrets_for(sender.values, keyring)["password"] == "acme's first"
