"""Senders of three owners, and a request of every kind that succeeds for whoever may make it."""

from collections.abc import Mapping
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, select, update
from werkzeug.test import TestResponse

from smtp_admin.api.models import ApiToken
from smtp_admin.api.tokens import create_token
from smtp_admin.audit.service import record
from smtp_admin.clock import now
from smtp_admin.connection.models import WorkerTest
from smtp_admin.database import database_now
from smtp_admin.deliverability.service import check_and_remember
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.events import webhooks
from smtp_admin.events.models import MailEvent
from smtp_admin.mail import branding, saved_templates
from smtp_admin.mail.links import token_of
from smtp_admin.mail.message import Message as Letter
from smtp_admin.mail.unsubscribing import Reader, token_for
from smtp_admin.monitor.alerts.models import Alert
from smtp_admin.renewals import service as renewals_service
from smtp_admin.renewals import unsubscribe
from smtp_admin.renewals.models import RenewalCustomer
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.senders import pauses
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.routing import routes_of
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.reading import suppressions_of
from tests.app import ADMIN, HostApp
from tests.dumps import Dumps
from tests.mail.newsletter import NAME, add_newsletter, people
from tests.renewals.things import a_service
from tests.servers.scripted import ScriptedServer

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}
PREFIX = "/smtp-admin"
API = "/api/email"
TOKEN = "T" * 32
KEY = "news"
GONE = "gone@x.example"
BOUNCES = {"do": "save", "host": "imap.acme.example", "username": "x", "password": "y"}
#: Part of a path → what is sent there, always the same.
FIXED: dict[str, dict[str, Any]] = {
    "/bounces": BOUNCES,
    "/test-mail/": {"arrived": "yes"},
    "/alerts/": {"for": "1h"},
}
READER = Reader("acme", "mia@acme.example", "notification_digest")


def have_renewals(site: HostApp) -> None:
    """A customer with something that expires at acme and at the platform, and a known link."""
    session = site.db.session()
    on = RenewalValues(enabled=True)
    for partner_id in ("", "acme"):
        renewals_service.save(session, partner_id, on, own=True, expected_revision=0, actor=ADMIN)
        site.host.services.append(a_service(3, partner_id=partner_id, now=now()))
    session.add(RenewalCustomer(partner_id="acme", customer_id="c1", token=TOKEN))
    session.commit()


def have_alert(site: HostApp, partner_id: str) -> str:
    """An alert that is open; its public id."""
    alert = Alert(
        public_id=uuid4().hex,
        kind="dead_letters",
        partner_id=partner_id,
        incident=f"of {partner_id}",
        open_key=f"of {partner_id}",
        severity="warning",
        whose=f"partner {partner_id}" if partner_id else "the system",
        headline=f"12 dead letters of {partner_id or 'nobody'}",
        opened_at=now(),
    )
    site.db.session.add(alert)
    return alert.public_id


class Scene:
    """Senders saved for the system and two partners, each with a test mail in the queue.

    Each owner has a default sender and another; each of these two revisions to choose from, and a
    connection test that no worker has taken.

    Args:
        known: one whose database *site* has a copy of, so that nothing is left to save.
    """

    def __init__(self, site: HostApp, server: ScriptedServer, known: "Scene | None" = None) -> None:
        self.site = site
        self.server = server
        with site.app.app_context():
            add_newsletter(site)
        self.dump = Dumps(site)
        self.undone = ""
        self._address = ""
        self.mails: dict[str, str] = dict(known.mails) if known else {}
        self.alerts: dict[str, str] = dict(known.alerts) if known else {}
        self.tests: dict[tuple[str, str], str] = dict(known.tests) if known else {}
        site.actor = ADMIN
        self.letter: str = known.letter if known else ""
        self.batch: str = known.batch if known else ""
        self.token_id: str = known.token_id if known else ""
        self.hook: str = known.hook if known else ""
        if known:
            site.host.services += known.site.host.services
        else:
            self._save()

    def _save(self) -> None:
        site, server = self.site, self.server
        with site.app.app_context():
            for partner_id, key in product(("", "acme", "globex"), ("", KEY)):
                site.save_sender(partner_id, key=key, port=server.port, from_name="Before")
                saved = site.save_sender(partner_id, key=key, port=server.port)
                row = WorkerTest(
                    settings=dict(saved.values),
                    secrets={},
                    public_id=uuid4().hex,
                    partner_id=partner_id,
                    sender_key=key,
                    asked_by="Ada",
                )
                self.tests[partner_id, key] = row.public_id
                site.db.session.add(row)
            for partner_id in ("", "acme", "globex"):
                self.alerts[partner_id] = have_alert(site, partner_id)
            site.db.session.commit()
            have_renewals(site)
        for partner_id in ("", "acme", "globex"):
            page = f"partners/{partner_id}" if partner_id else "system"
            answer = site.client.post(f"{PREFIX}/{page}/test-email", headers=JSON)
            self.mails[partner_id] = answer.json["id"] if answer.json else ""
        with site.app.app_context():
            letter = Letter("Hello", ("you@example.org",), body="Hello.", html="<p>Hello.</p>")
            self.letter = site.plugin.send_message(letter, partner_id="acme")
            self.batch = site.plugin.send_many(NAME, people(2), partner_id="acme")
            made = create_token(
                site.db.session(), ADMIN, "acme", name="CRM", scopes=["send"], lifetime="30d"
            )
            self.token_id = made.row.public_id
            session = site.db.session()
            # Of a sender that no other request turns its webhook off.
            sender = load_sender(session, "globex")
            webhook, _ = webhooks.turn_on(session, sender, "postmark", ADMIN)
            self.hook = webhooks.key_of(webhook, sender)
            site.db.session.commit()

    def prepare(self, rule: str) -> None:
        """Bring about what *rule* ends, which somebody else may have ended before."""
        whose, key = self._whose(rule)
        with self.site.app.app_context():
            session = self.site.db.session()
            if rule.endswith("/resume"):
                pauses.pause(session, load_sender(session, whose, key), ADMIN)
                session.commit()
            if rule.endswith("/delete") and load_sender(session, whose, key).deleted:
                self.site.save_sender(whose, key=key, port=self.server.port)
            if rule.startswith((f"{PREFIX}/mail/", f"{API}/messages/")):
                self._prepare_mail(rule.rpartition("/")[2])
            if rule.startswith(f"{PREFIX}/tokens/"):
                session.execute(update(ApiToken).values(revoked_at=None))
                session.commit()
            if rule.startswith(f"{PREFIX}/batches/"):
                ended = now() if rule.endswith("/resume") else None
                session.execute(update(Batch).values(cancelled_at=ended))
                session.commit()
            if "/suppressions" in rule:
                suppress(session, whose, GONE, "manual")
                session.commit()
            if "/test-mail/" in rule:  # the server has it, and nobody has said that it arrived
                session.execute(delete(MailEvent))
                session.execute(update(Delivery).values(state="sent"))
                session.commit()
            if "<alert_id>" in rule:
                until = now() + timedelta(hours=2) if rule.endswith("/unmute") else None
                again = update(Alert).where(Alert.public_id == self.alerts["acme"])
                session.execute(
                    again.values(
                        acknowledged_at=None,
                        owner_acknowledged_at=None,
                        muted_until=until,
                        owner_muted_until=until,
                    )
                )
                session.commit()
            if rule.endswith("/test-connection/<public_id>"):
                # After a minute nobody waits for a worker any more.
                session.execute(update(WorkerTest).values(created_at=now()))
                session.commit()
            if rule.endswith("/deliverability"):
                check_and_remember(load_sender(session, whose, key))

    def _prepare_mail(self, action: str) -> None:
        """Let all mail be in the state in which *action* is possible."""
        session = self.site.db.session()
        state = {
            "cancel": "queued", "hurry": "queued", "actions": "queued", "retry": "dead",
            "discard": "dead", "correct": "dead", "arrived": "uncertain", "lost": "uncertain",
            "undo": "cancelled", "release": "suppressed",
        }.get(action)  # fmt: skip
        if state is None:
            return
        moment = database_now(session)
        later = {"attempts": 1, "next_attempt_at": moment + timedelta(hours=1)}
        ended = {"finished_at": moment, "last_code": "cancelled"} if action == "undo" else {}
        session.execute(update(Delivery).values(state=state, **later, **ended))
        if action == "undo":
            self.undone = moment.isoformat()
            for partner_id in ("", "acme", "globex"):
                record(session, ADMIN, partner_id, "mail.cancelled").at = moment
        session.commit()

    def _whose(self, rule: str) -> tuple[str, str]:
        return "" if "/system" in rule else "acme", KEY if "<key>" in rule else ""

    def ask(
        self,
        method: str,
        rule: str,
        headers: Mapping[str, str] = JSON,
        *,
        partner_id: str = "acme",
        public_id: str | None = None,
        alert_id: str | None = None,
    ) -> TestResponse:
        """One request with everything that it needs to succeed."""
        whose, key = self._whose(rule)
        own = self.tests[whose, key] if "test-connection" in rule else self.mails[whose]
        if rule.startswith((f"{PREFIX}/mail/", f"{API}/messages/")):
            own = self.letter
        if rule.startswith((f"{PREFIX}/batches/", f"{API}/batch/")):
            own = self.batch
        if rule.startswith(f"{PREFIX}/tokens/"):
            own = self.token_id
        if rule.startswith("/hooks/"):
            key = self.hook
        address = (
            rule.replace("<partner_id>", partner_id)
            .replace("<type_name>", "welcome")
            .replace("<language>", "de")
            .replace("<key>", key or KEY)
            .replace("<public_id>", own if public_id is None else public_id)
            .replace("<alert_id>", self.alerts["acme"] if alert_id is None else alert_id)
            .replace("<path:filename>", "css/smtp-admin.css")
            .replace("<token>", self._token(rule))
            .replace("<provider>", "postmark" if rule.startswith("/hooks/") else "microsoft")
        )
        self._address = address
        data, body = None, None
        if method == "POST" and rule.startswith("/hooks/"):
            body = {"RecordType": "Delivery", "MessageID": uuid4().hex}
        elif method == "POST" and rule.startswith(API):
            body = self._body(rule)
        elif method == "POST" and "test-email" not in rule:
            data = self._form(rule)
        query = {"number": "1"} if "rollback" in rule and method != "POST" else None
        if "/preview" in rule:
            query = {"customer": "c1"}
        if rule == f"{API}/senders":
            query = {"partner_id": "acme"}
        if rule == f"{API}/suppressions" and method != "POST":
            query = {"partner_id": "acme", "address": GONE}
        return self.site.client.open(
            address, method=method, headers=headers, data=data, json=body, query_string=query,
            buffered=True,
        )  # fmt: skip

    def _body(self, rule: str) -> dict[str, Any]:
        """What the API needs, for Acme."""
        mine = {"partner_id": "acme"}
        one = {"address": f"{uuid4().hex}@x.example", "context": {"name": "Mia", "code": 1}}
        bodies: dict[str, dict[str, Any]] = {
            "queue": mine | {"to": one["address"], "subject": "Hello", "text": "Hello."},
            "batch": mine | {"type": NAME, "recipients": [one]},
            "suppressions": mine | {"address": one["address"]},
            "test-connection": mine
            | {"host": "127.0.0.1", "port": self.server.port, "security": "none"},
        }
        return bodies.get(rule.rpartition("/")[2], {})

    def _first_delivery(self, address: str) -> int:
        """The id of the first delivery of the mail that *address* names; 0 for none."""
        with self.site.app.app_context():
            mine = (
                select(Delivery.id)
                .join(Message, Message.id == Delivery.message_pk)
                .where(Message.public_id.in_(address.split("/")))
            )
            return self.site.db.session().scalar(mine) or 0

    def _token(self, rule: str) -> str:
        """What stands in the link of a notice, of a test mail or of a reminder."""
        with self.site.app.app_context():
            if "preferences" in rule:
                return token_for(READER)
            if "/test-mail/" in rule:
                return token_of("arrival", [self.mails["acme"]])
        return TOKEN

    def _suppressed(self, whose: str) -> list[int]:
        mine = select(Suppression.id).where(Suppression.partner_id == whose)
        return list(self.site.db.session().scalars(mine))

    def _template(self, rule: str, whose: str) -> dict[str, Any]:
        session = self.site.db.session()
        if "<type_name>" not in rule:
            return {"revision": branding.saved(session, whose).revision}
        seen = saved_templates.revision_of(session, whose, "welcome", "de")
        return {"do": "save", "subject": "Hallo", "text": "x", "html": "", "revision": seen}

    def _form(self, rule: str) -> dict[str, Any]:
        if rule.startswith(f"{PREFIX}/mail/"):
            return {
                "action": "cancel", "all": "1", "confirmed": "1", "at": self.undone,
                "address": f"{uuid4().hex}@example.org",
                "delivery": self._first_delivery(self._address),
            }  # fmt: skip
        if rule.endswith("/tokens"):
            return {"name": uuid4().hex, "scopes": ["send", "read"], "expires": "30d"}
        if rule.endswith("/batches/new"):  # others each time
            row = f"{uuid4().hex}@x.example,Mia,1"
            return {"type": NAME, "do": "send", "csv": f"address,name,code\n{row}"}
        with self.site.app.app_context():
            if rule.endswith("/webhook"):  # the other way each time
                whose, key = self._whose(rule)
                sender = load_sender(self.site.db.session(), whose, key)
                there = webhooks.webhook_of(self.site.db.session(), sender.sender_id)
                return {"do": "off" if there else "on", "source": "postmark"}
            if fixed := [form for part, form in FIXED.items() if part in rule]:
                return fixed[0]
            if "unsubscribe" in rule:  # the other way each time, so that something changes
                wanted = unsubscribe.find(self.site.db.session(), TOKEN).wanted
                return {"reminders": "off" if wanted else "on"}
            if rule.endswith("/erase"):
                return {"address": GONE, "do": "erase", "sure": "1"}
            if "preferences" in rule:
                ended = suppressions_of(self.site.db.session(), "acme", READER.address)
                return {"save": "1" if ended else "none", "kinds": [READER.type_name]}
            whose, key = self._whose(rule)
            if "/suppressions" in rule:
                one = f"{uuid4().hex}@x.example"
                return {"address": one, "csv": one, "ids": self._suppressed(whose)}
            if "/templates/" in rule:
                return self._template(rule, whose)
            if "/renewals/" in rule:
                seen = renewals_service.load(self.site.db.session(), whose).revision
                return {"own": "yes", "revision": seen}
            if rule.endswith("/routes"):  # the other way each time
                routed = routes_of(self.site.db.session(), whose)
                return {"type-renewal": "default" if not routed else ""}
            revision = load_sender(self.site.db.session(), whose, key).revision
        return {
            "number": revision - 1,
            "host": "127.0.0.1",
            "port": self.server.port,
            "security": "none",
            "from_email": "noreply@acme.example",
            "address": "mia@acme.example",
            "revision": revision,
            "from_name": f"After {revision}",  # so that something changes
            "label": "Another",
            "key": "another",
        }
