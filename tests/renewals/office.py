"""A host app whose acme has reminders on, and shortcuts for what happens to its customers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from sqlalchemy import select, update

from smtp_admin.clock import now, shifted
from smtp_admin.database import transaction
from smtp_admin.renewals import scheduler, service
from smtp_admin.renewals.models import RenewalCustomer, RenewalNotice, RenewalRun
from smtp_admin.renewals.report import Report
from smtp_admin.renewals.values import RenewalValues
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import Workbench
from tests.renewals.things import a_service
from tests.servers.scripted import ScriptedServer

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Office:
    """Everything happens *later* than now by as much as the test says."""

    def __init__(self, host: HostApp, bench: Workbench, server: ScriptedServer) -> None:
        self.host, self.bench, self.server = host, bench, server
        self.later = timedelta()
        host.save_sender(port=server.port)
        self.set(enabled=True)

    def set(self, partner_id: str = "acme", *, own: bool = True, **values: Any) -> None:
        """Save renewal settings."""
        session = self.host.db.session()
        seen = service.load(session, partner_id).revision
        service.save(session, partner_id, RenewalValues(**values), own=own,
                     expected_revision=seen, actor=ADMIN)  # fmt: skip
        session.commit()

    def have(self, *days: float, customer_id: str = "c1", **values: Any) -> None:
        """Let a customer have services that expire in so many days from now."""
        self.host.host.services += [
            a_service(day, customer_id=customer_id, service_id=f"{customer_id}-{number}",
                      now=now() + self.later, **values)
            for number, day in enumerate(days)
        ]  # fmt: skip

    @contextmanager
    def in_time(self) -> Iterator[None]:
        """With the clock where it is now."""
        self.host.db.session.rollback()
        with shifted(self.later):
            yield

    def run(self) -> Report:
        """Run over acme's customers; its report."""
        with self.in_time():
            return scheduler.run_now(self.bench.engine, "acme")["acme"]

    def send(self) -> None:
        """Send what is queued, and note what became of it."""
        with self.in_time():
            self.bench.tick()
            scheduler._settle(self.bench.engine)

    def notices(self) -> list[RenewalNotice]:
        """Every notice, oldest first."""
        with transaction(self.bench.engine) as session:
            return list(session.scalars(select(RenewalNotice).order_by(RenewalNotice.id)))

    def customer(self, customer_id: str = "c1") -> RenewalCustomer:
        """A customer's row."""
        with transaction(self.bench.engine) as session:
            return session.get_one(RenewalCustomer, ("acme", customer_id))

    def runs(self) -> list[RenewalRun]:
        """Every report that is kept."""
        with transaction(self.bench.engine) as session:
            return list(session.scalars(select(RenewalRun).order_by(RenewalRun.id)))

    def unsubscribe(self, customer_id: str = "c1") -> None:
        """As if the link had been used."""
        with transaction(self.bench.engine) as session:
            session.execute(
                update(RenewalCustomer)
                .where(RenewalCustomer.customer_id == customer_id)
                .values(unsubscribed_at=now())
            )

    @property
    def mails(self) -> Sequence[EmailMessage]:
        """What the mail server took."""
        return [message_from_bytes(one.data, policy=default) for one in self.server.messages]
