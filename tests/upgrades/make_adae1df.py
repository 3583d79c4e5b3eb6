"""Make ``adae1df/``: the database of a lively installation, as commit adae1df leaves it.

Runs on commit adae1df only, for later code has other tables::

    python -m tests.upgrades.make_adae1df

A hundred days happen in a few seconds, by the code's own paths: pages, services, real workers,
mail servers that refuse this and that. They happen once, on PostgreSQL, whose clock has
microseconds; the rows are then copied into the tables that the migrations make on SQLite and on
MariaDB, so that what is expected is the same everywhere.
"""

import base64
import hashlib
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from smtp_admin.delivery.fallback import fall_back
from smtp_admin.settings.history import changes, find_revision, history
from smtp_admin.settings.models import Sender, SenderRevision, WorkerTest
from smtp_admin.settings.rollback import roll_back
from smtp_admin.settings.sender import load_sender
from smtp_admin.settings.service import save_settings
from smtp_admin.settings.values import SenderValues, clean_from_email
from sqlalchemy import Engine, create_engine, select

from smtp_admin import Actor, Partner, schema
from smtp_admin.clock import now, shifted
from smtp_admin.database import Base, host_engine, worker_engine
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.lanes import acquire
from smtp_admin.encryption import Keyring
from smtp_admin.mail.service import READY
from smtp_admin.mail.testmail import queue_test_mail
from smtp_admin.renewals import scheduler, service, unsubscribe
from smtp_admin.renewals.models import RenewalCustomer, RenewalNotice
from smtp_admin.renewals.on_demand import remind
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.smtp.hostname import clean_host
from tests.app import ACME_ADMIN, ADMIN, HostApp, make_app
from tests.delivery.workbench import letter
from tests.renewals.things import a_service
from tests.servers.certificates import CertificateFactory
from tests.servers.databases import MariaDB, PostgreSQL
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import Close, ScriptedServer, Session
from tests.settings.rolling import reconfigure
from tests.upgrades.dumping import dump
from tests.upgrades.loading import FOLDER

UMLAUT = "umlaut-ü"
PARTNERS = tuple(
    Partner(name, name.title(), f"{name}.example")
    for name in ("acme", "newcomer", UMLAUT, "paused", "locked")
)
#: For tests only, and readable for that: 32 bytes each, newest first. The third one got lost.
KEYS = {
    name: base64.urlsafe_b64encode(f"{name} key, for tests only".ljust(32).encode()).decode()
    for name in ("newest", "older", "lost")
}
NEWEST, OLDER, LOST = KEYS.values()
#: Waiting mail outlives every test, unless it is about the usual time to live.
NEVER, SOMEDAY = datetime(2099, 1, 1, tzinfo=UTC), datetime(2098, 7, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PORTS = {"": 2525, "acme": 2587, UMLAUT: 2465, "paused": 2588, "locked": 2589}
RESET = {"name": "Sam", "reset_url": "https://acme.example/reset/abc", "expires_minutes": 60}


class Story:
    """What happens, and the mail servers that it happens with.

    Attributes:
        mail: what a mail stands for → its public id.
    """

    def __init__(self, host: HostApp, servers: dict[str, ScriptedServer]) -> None:
        self.host, self.servers = host, servers
        self.engine = worker_engine(host_engine(), pool_size=4)
        self.mail: dict[str, str] = {}

    def tell(self) -> None:
        """From the first mail, a hundred days ago, until now."""
        for ago, chapter in (
            (100 * DAY, self.before_anything_was_set_up),
            (99 * DAY, self.the_systems_sender),
            (50 * DAY, self.partners_join),
            (40 * DAY, self.acme_moves),
            (35 * DAY, self.a_key_that_gets_lost),
            (30 * DAY, self.a_new_key),
            (10 * DAY, self.settings_of_today),
            (3 * DAY, self.all_kinds_of_mail),
            (2 * DAY, self.reminders),
            (1 * DAY, self.an_answer_is_lost),
            (5 * HOUR, self.the_system_steps_in),
            (10 * MINUTE, self.the_last_worker),
            (2 * MINUTE, self.what_waits),
        ):
            with self.at(-ago):
                chapter()

    def before_anything_was_set_up(self) -> None:
        later = now() + 100 * DAY - 5 * MINUTE  # after the last worker
        self.queue("without From, of the system", "early@example.org", partner_id="",
                   send_at=later, expires_at=NEVER)  # fmt: skip
        self.queue("without From, of a partner without a sender", "first@example.org",
                   partner_id="newcomer", send_at=later, expires_at=NEVER)  # fmt: skip
        self.queue("without From, adopted", "adopted@example.org", partner_id="paused",
                   send_at=later, expires_at=NEVER)  # fmt: skip

    def the_systems_sender(self) -> None:
        self.save("", "smtp.platform.example", "platform", "system password 1", ADMIN,
                  from_email="mail@platform.example")  # fmt: skip
        self.queue("sent long ago and forgotten", "old@example.org", partner_id="")
        self.work()

    def partners_join(self) -> None:
        self.save("acme", "smtp.acme.example", "mailer@acme.example", "acme's first",
                  from_email="noreply@acme.example", from_name="Acme", max_per_hour=500,
                  max_connections=3)  # fmt: skip
        self.test("acme")
        self.queue("sent", "sam@example.org")
        self.save("paused", "smtp.paused.example", "paused", "once right, now wrong",
                  from_email="shop@paused.example")  # fmt: skip
        self.save(UMLAUT, "smtp.bücher.example", "bücher", "pässwörd, geheim — 密码",
                  from_email="post@bücher.example", security="ssl",
                  from_name="Bücher, Hefte & Söhne, GmbH")  # fmt: skip
        self.work()

    def acme_moves(self) -> None:
        self.servers["acme"].auth = None
        self.save("acme", "mx.oldhost.example", "", "", ADMIN, from_email="noreply@acme.example",
                  from_name="Acme", verify_tls=False, max_connections=1)  # fmt: skip
        self.test("acme", verify_tls=False)
        self.queue("sent without a login", "sam@example.org", idempotency_key="order-1")
        self.work()

    def a_key_that_gets_lost(self) -> None:
        reconfigure(self.host, secret_keys=(LOST, OLDER))
        self.save("locked", "smtp.locked.example", "locked", "sealed with the lost key",
                  from_email="info@locked.example")  # fmt: skip

    def a_new_key(self) -> None:
        reconfigure(self.host, secret_keys=(NEWEST, OLDER))
        session = self.host.db.session()
        roll_back(session, "acme", 1, expected_revision=2, actor=ACME_ADMIN)
        session.commit()
        self.servers["acme"].auth = ("mailer@acme.example", "something else by now")
        self.test("acme")
        self.queue("waits for a key", "sam@example.org", partner_id="locked", expires_at=NEVER)
        self.queue("waits for a password", "sam@example.org", "kim@example.org",
                   partner_id="paused", expires_at=NEVER)  # fmt: skip
        self.work()

    def settings_of_today(self) -> None:
        self.servers["acme"].auth = ("mailer@acme.example", "acme's second: 'quoted' \\ 100 %")
        self.save("acme", "smtp.acme.example", "mailer@acme.example",
                  "acme's second: 'quoted' \\ 100 %", from_email="news@acme.example",
                  from_name="Acme News", reply_to="help@acme.example", max_per_hour=1000,
                  max_per_day=20_000, fallback=True)  # fmt: skip
        self.servers[""].auth = ("platform", "system password 2")
        self.save("", "smtp.platform.example", "platform", "system password 2", ADMIN,
                  from_email="mail@platform.example", from_name="Northwind Platform",
                  reply_to="support@platform.example", max_per_hour=5000,
                  max_per_day=50_000)  # fmt: skip
        # The stored password is kept, and sealed anew.
        self.save(UMLAUT, "smtp.bücher.example", "bücher", "", from_email="post@bücher.example",
                  security="ssl", from_name="Bücher, Hefte & Söhne, GmbH",
                  max_connections=1)  # fmt: skip
        for partner_id in ("", "acme", UMLAUT):
            self.test(partner_id)
        self.renewals("", enabled=False, window_days=14)
        self.renewals("acme", enabled=True, steps=(14, 7, 3, 1), time_zone="Europe/Berlin")
        self.renewals(UMLAUT, enabled=True, min_hours=24)
        self.renewals("paused", own=False)

    def all_kinds_of_mail(self) -> None:
        self.servers["acme"].behave("rcpt", by_recipient)
        self.queue("sent in bulk", "list@example.org", priority="bulk")
        self.queue("of no such address", "nobody@example.org")
        self.queue("tried too often", "full@example.org", idempotency_key="order-2 ü")
        self.queue("sent at the third attempt", "later@example.org")
        self.queue("sent in the system's name", "sam@example.org", partner_id="newcomer")
        self.queue("expired", "sam@example.org", partner_id="locked", expires_at=now() + HOUR)
        self.queue("cancelled", "sam@example.org", send_at=now() + HOUR)
        self.mail["erased"] = self.host.plugin.send(
            "password_reset", to="sam@example.org", partner_id="acme", context=RESET
        )
        session = self.host.db.session()
        sent = queue_test_mail(session, "acme", "kim@example.org", ACME_ADMIN)
        self.mail["a test mail"] = str(sent.public_id)
        session.commit()
        self.host.plugin.cancel(self.mail["cancelled"])
        session.commit()
        for later in (timedelta(), MINUTE, 4 * MINUTE, 13 * MINUTE, 2 * HOUR):
            with self.at(later):
                self.work()

    def reminders(self) -> None:
        self.expire("c1", 3, 12)
        self.expire("nobody", 2.5)
        self.expire("c3", 3)
        self.expire("c4", 3)
        scheduler.run_now(self.engine, "acme")
        self.host.plugin.cancel(self.notice("c4"))
        self.host.db.session.commit()
        self.work()
        self.expire("c5", 4)
        remind("c5")
        self.work()
        scheduler.run_now(self.engine)
        session = self.host.db.session()
        of = select(RenewalCustomer.token).where(RenewalCustomer.customer_id == "c3")
        unsubscribe.choose(session, session.scalars(of).one(), wanted=False)
        session.commit()

    def an_answer_is_lost(self) -> None:
        self.servers[UMLAUT].behave("dot", [Close(), None])
        self.queue("uncertain, held for a person", "sam@example.org", partner_id=UMLAUT,
                   priority="bulk", on_uncertain="hold")  # fmt: skip
        self.work()
        with self.at(HOUR):
            self.queue("sent by an international host", "juergen@bücher.example", partner_id=UMLAUT)
            self.work()

    def the_system_steps_in(self) -> None:
        """The first recipient has the mail when acme's server goes away, the second has not."""
        self.servers["acme"].behave("rcpt", [None, Close()])
        self.queue("partly sent by the system", "a@example.org", "b@example.org")
        self.queue("sent by the system", "c@example.org")
        self.work()
        with self.at(timedelta(seconds=20)):
            self.work()
        with self.at(HOUR):
            self.servers["acme"].behave("rcpt", by_recipient)
            self.queue("sent once it was back", "d@example.org")
            self.work()

    def the_last_worker(self) -> None:
        self.servers["acme"].behave("dot", [None, Close()])
        self.queue("three recipients", "sam@example.org", "nobody@example.org",
                   "full@example.org", priority="urgent", expires_at=NEVER)  # fmt: skip
        self.queue("uncertain", "kim@example.org", expires_at=NEVER)
        self.work()
        with self.at(timedelta(seconds=20)):
            self.queue("waits for the system's sender", "sam@example.org", expires_at=NEVER)
            fall_back(self.engine, self.host.installation.config)

    def what_waits(self) -> None:
        self.queue("on its way when the worker died", "sam@example.org", "kim@example.org",
                   partner_id=UMLAUT, expires_at=NEVER)  # fmt: skip
        lane = acquire(self.engine, self.sender(UMLAUT).id, "crashed.example:4711")
        if lane is None or claim(self.engine, lane, 10) is None:
            raise RuntimeError("nothing was claimed")
        self.queue("queued", "sam@example.org", expires_at=NEVER)
        self.queue("queued with a key", "sam@example.org", idempotency_key="order-1 again",
                   expires_at=NEVER)  # fmt: skip
        self.queue("queued in bulk, usual life", "list@example.org", priority="bulk")
        self.queue("scheduled", "sam@example.org", send_at=SOMEDAY, expires_at=NEVER)
        self.mail["queued, urgent and sensitive"] = self.host.plugin.send(
            "password_reset", to="kim@example.org", partner_id="acme", context=RESET,
            expires_at=NEVER, reply_to="desk@acme.example",
        )  # fmt: skip
        self.host.db.session.commit()
        self.expire("c6", 3)
        scheduler.run_now(self.engine, "acme")
        self.ask_a_worker("acme")

    @contextmanager
    def at(self, later: timedelta) -> Iterator[None]:
        """With the clock so much later; it goes on meanwhile."""
        self.host.db.session.rollback()
        with shifted(later):
            yield
            self.host.db.session.rollback()

    def save(
        self,
        partner_id: str,
        host: str,
        username: str,
        password: str,
        actor: Actor = ACME_ADMIN,
        **values: Any,
    ) -> None:
        """Save settings as a person's next revision; the server learns the password."""
        session = self.host.db.session()
        values["from_email"] = clean_from_email(values["from_email"])
        values = {"port": PORTS[partner_id], "security": "tls", **values}
        save_settings(
            session,
            partner_id,
            SenderValues(host=clean_host(host), username=username, **values),
            password=password,
            expected_revision=load_sender(session, partner_id).revision,
            actor=actor,
        )
        session.commit()
        if password and partner_id != "paused":
            self.servers[partner_id].auth = (username, password)

    def queue(
        self,
        name: str,
        *recipients: str,
        partner_id: str = "acme",
        priority: Any = "normal",
        on_uncertain: Any = "resend",
        **when: Any,
    ) -> None:
        """Queue a small mail, of a type of the host's own where it is not an ordinary one."""
        kind = replace(READY, priority=priority, on_uncertain=on_uncertain)
        with patch("smtp_admin.mail.service.READY", kind):
            self.mail[name] = self.host.plugin.send_message(
                letter(*recipients, subject=f"It is {name}", body="Grüße\n.\nfrom Acme"),
                partner_id=partner_id,
                **when,
            )
        self.host.db.session.commit()

    def work(self) -> None:
        """Let a worker do all its duties and send what is due; then settle reminders."""
        self.host.db.session.rollback()
        self.host.work()
        scheduler._settle(self.engine)

    def test(self, partner_id: str, *, verify_tls: bool = True) -> None:
        """Test the saved settings, from here and from a worker."""
        self.ask_a_worker(partner_id, verify_tls=verify_tls)
        self.host.work()

    def ask_a_worker(self, partner_id: str, *, verify_tls: bool = True) -> None:
        """Test the saved settings from here, and leave the same for a worker."""
        values = load_sender(self.host.db.session(), partner_id).values
        page = f"partners/{partner_id}" if partner_id else "system"
        fields = {name: getattr(values, name) for name in
                  ("host", "port", "security", "username", "from_email", "verify_tls")}  # fmt: skip
        self.host.db.session.rollback()
        answer = self.host.client.post(f"/smtp-admin/{page}/test-connection/worker", json=fields)
        if answer.status_code != 202:
            raise RuntimeError(f"the test was answered with {answer.get_json()}")

    def renewals(self, partner_id: str, *, own: bool = True, **values: Any) -> None:
        """Save renewal settings."""
        session = self.host.db.session()
        service.save(
            session, partner_id, RenewalValues(**values), own=own, expected_revision=0, actor=ADMIN
        )
        session.commit()

    def expire(self, customer_id: str, *days: float) -> None:
        """Let a customer of acme have services that expire in so many days."""
        self.host.host.services += [
            a_service(day, customer_id=customer_id, service_id=f"{customer_id}-{number}", now=now())
            for number, day in enumerate(days, 1)
        ]

    def notice(self, customer_id: str) -> str:
        """The mail of a customer's notice."""
        of = select(RenewalNotice.mail_id).where(RenewalNotice.customer_id == customer_id)
        return str(self.host.db.session.scalars(of).one())

    def sender(self, partner_id: str) -> Sender:
        """The row of a partner's sender."""
        of = select(Sender).where(Sender.partner_id == partner_id)
        found: Sender = self.host.db.session.scalars(of).one()
        return found


def by_recipient(server: ScriptedServer, session: Session, line: str) -> bytes | None:
    """Refuse some addresses; the mailbox that is full has room at the third attempt, or never."""
    if "nobody@" in line:
        return b"550 5.1.1 No such user here\r\n"
    tries = sum(line == said for one in server.sessions for said in one.commands)
    if "full@" in line or ("later@" in line and tries < 3):
        return b"452 4.2.2 The mailbox is full\r\n"
    return None


class Teller:
    """What the code of this commit says about the database, as JSON."""

    def __init__(self, story: Story) -> None:
        self.session = story.host.db.session()
        self.session.rollback()
        self.keyring = Keyring([NEWEST, OLDER, LOST])
        self.names = {public_id: name for name, public_id in story.mail.items()}

    def everything(self, made_at: datetime) -> dict[str, Any]:
        """Every table without its prefix, and the history of each sender as its page shows it."""
        told: dict[str, Any] = {
            "commit": "adae1df",
            "schema": schema.head(),
            "made_at": made_at.isoformat(),
            "keys": KEYS,
        }
        for name, table in Base.metadata.tables.items():
            found = self.session.execute(select(table).order_by(*table.primary_key)).mappings()
            told[name.removeprefix("smtp_admin_")] = [
                {column: _plain(value) for column, value in row.items()} for row in found
            ]
        for one in told["message"]:
            one["name"] = self.names.get(one["public_id"], "")
        partners = {one["id"]: one["partner_id"] for one in told["sender"]}
        for one in told["sender_revision"]:
            self.explain_revision(one, partners[one["sender_id"]])
        for one in told["worker_test"]:
            row = self.session.get_one(WorkerTest, one["id"])
            one.update(self.secret(one["partner_id"], row, one.pop("password_sealed")))
        told["history"] = [
            {"partner_id": partner_id, **entry.as_json()}
            for partner_id in partners.values()
            for entry in history(self.session, partner_id).entries
        ]
        return told

    def explain_revision(self, one: dict[str, Any], partner_id: str) -> None:
        """Add whose it is, its password, and how it differs from the revision in use."""
        current = load_sender(self.session, partner_id).revision
        saved, in_use = (
            find_revision(self.session, partner_id, number) for number in (one["number"], current)
        )
        if saved is None or in_use is None:
            raise RuntimeError("a revision is missing")
        one |= {"partner_id": partner_id} | self.secret(
            partner_id, saved, one.pop("password_sealed")
        )
        one["to_current"] = [each.as_json() for each in changes(saved, in_use)]

    def secret(
        self, partner_id: str, row: SenderRevision | WorkerTest, sealed: str | None
    ) -> dict[str, str | None]:
        """The password of a row, and the key that it was sealed with."""
        if sealed is None:
            return {"password": None, "sealed_with": None}
        binding = row.destination.binding()
        return {
            "password": self.keyring.open(sealed, owner=partner_id, destination=binding),
            "sealed_with": next(n for n, key in KEYS.items() if Keyring([key]).is_current(sealed)),
        }


def as_text(told: dict[str, Any]) -> str:
    """JSON with one line for each row."""
    lines = []
    for name, value in told.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list) and value:
            rows = ",\n  ".join(json.dumps(one, ensure_ascii=False) for one in value)
            text = f"[\n  {rows}\n ]"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return {"length": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    return value


def copy(source: Engine, target: Engine) -> None:
    """Put all rows into the tables of another kind of database, made by the migrations."""
    schema.upgrade(target)
    tables = Base.metadata.sorted_tables
    with source.connect() as before, target.begin() as after:
        for table in reversed(tables):
            after.execute(table.delete())
        for table in tables:
            rows = before.execute(select(table).order_by(*table.primary_key)).mappings().all()
            if rows:
                after.execute(table.insert(), [dict(row) for row in rows])


@contextmanager
def names_lead_here() -> Iterator[None]:
    """Every name under ``.example`` is this machine, which is called so as well."""
    ask = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **more: Any) -> Any:
        here = isinstance(host, str) and host.endswith(".example")
        return ask("127.0.0.1" if here else host, *arguments, **more)

    with (
        patch("socket.getaddrinfo", answer),
        patch("socket.gethostname", return_value="worker-1.example"),
    ):
        yield


def mail_servers(stack: ExitStack, certificates: CertificateFactory) -> dict[str, ScriptedServer]:
    """One for each sender, on the port that its settings name."""
    servers: dict[str, ScriptedServer] = {}
    for partner_id, port in PORTS.items():
        name = {"": "platform", UMLAUT: "xn--bcher-kva"}.get(partner_id, partner_id)
        context = certificates.server_context(certificates.valid(f"smtp.{name}.example"))
        kind = "implicit_tls" if partner_id == UMLAUT else "starttls"
        server = ScriptedServer(**{kind: context}, auth=("nobody", "knows it"))  # type: ignore[arg-type]  # one of two keywords
        server.port = port
        servers[partner_id] = stack.enter_context(server)
    return servers


def main(folder: Path, kind: str = "postgresql") -> None:
    """Make the files in *folder*, by a story that happens on a database of this *kind*."""
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(TemporaryDirectory()))
        redis = stack.enter_context(RedisServer(temporary / "redis"))
        addresses = {
            "sqlite": f"sqlite:///{temporary / 'story.db'}",
            "postgresql": stack.enter_context(PostgreSQL(temporary)).create_database(),
            "mariadb": stack.enter_context(MariaDB(temporary)).create_database(),
        }
        certificates = CertificateFactory(temporary / "certificates")
        stack.enter_context(names_lead_here())
        stack.enter_context(patch("tests.app.PARTNERS", PARTNERS))
        host = make_app(addresses[kind], {
            "REDIS_URL": redis.url, "CA_FILE": certificates.ca_file, "KEEP_DAYS": 90,
            "RETRY_DELAY": 30, "RETRY_FACTOR": 4, "PUBLIC_URL": "https://panel.platform.example",
        })  # fmt: skip
        host.actor = ADMIN
        stack.enter_context(host.app.app_context())
        reconfigure(host, secret_keys=(OLDER,))
        story = Story(host, mail_servers(stack, certificates))
        story.tell()
        folder.mkdir(exist_ok=True)
        told = Teller(story).everything(now())
        host.db.session.rollback()
        (folder / "expected.json").write_text(as_text(told), encoding="utf-8")
        for name, address in addresses.items():
            engine = create_engine(address)
            if name != kind:
                copy(story.engine, engine)
            (folder / f"{name}.sql").write_text(dump(engine), encoding="utf-8")
            engine.dispose()
        story.engine.dispose()
        host.db.engine.dispose()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER, *sys.argv[2:])
