"""Every number of mail on a page leads to as many mails as it says: one walk over all of them."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

from sqlalchemy import func, select

from smtp_admin.clock import now, shifted
from smtp_admin.delivery.mail_actions import note_arrived
from smtp_admin.delivery.maintenance.rollup import roll_up
from smtp_admin.delivery.models import Delivery
from smtp_admin.events.event import Kind
from tests.app import ACME_ADMIN, ADMIN, GLOBEX_ADMIN, HostApp
from tests.delivery.conftest import NewHost, bench_of, opened, server
from tests.delivery.maintenance.test_stepping_in import pause, resume
from tests.delivery.workbench import Workbench, queue, step_in
from tests.events.conftest import Hook, hook
from tests.events.hooking import Hooked
from tests.events.test_applying import event, tell
from tests.mail.newsletter import NAME, add_newsletter, people
from tests.servers.scripted import Close, Reply, ScriptedServer

__all__ = ["bench_of", "hook", "opened", "server"]

JSON, HTML = {"Accept": "application/json"}, {"Accept": "text/html"}
#: A link to a log with something chosen, and the number that it begins with.
LINK = re.compile(r'<a href="(/smtp-admin/(?:[\w/-]+/)?mail\?[^"]+)"[^>]*>\s*([\d,]+)\b')
OF_PARTNER = ("/", "/partners/acme", "/partners/acme/senders/news", "/partners/acme/symptoms",
              "/partners/acme/senders/news/symptoms", "/batches", "/alerts")  # fmt: skip
OF_ADMIN = (*OF_PARTNER, "/partners", "/partners/globex", "/system", "/partners/globex/symptoms",
            "/system/symptoms")  # fmt: skip
KINDS = ("accepted=24h", "failed=24h", "bounced=24h", "complained=24h", "used=1h", "why=",
         "state=waiting", "state=queued", "state=dead", "state=unknown", "batch=")  # fmt: skip

OF_CARRIED = ("/", "/partners/globex", "/partners/globex/symptoms", "/batches", "/alerts")
NOT_CARRIED = {"used=1h", "complained=24h", "state=unknown", "batch="}

OWNERS = (("acme", None), ("acme", "news"), ("globex", None), ("", None))


class Filling:
    """Sends mail of three owners, at a time, with all that may become of it."""

    def __init__(self, site: Hooked, bench: Workbench, server: ScriptedServer) -> None:
        self.site, self.bench, self.server = site, bench, server
        self.host = site.host
        for partner_id, key in (("", ""), ("acme", ""), ("acme", "news")):
            archive = "" if (partner_id, key) == ("acme", "") else "archive@example.com"
            self.host.save_sender(partner_id, key=key, port=server.port, max_per_hour=50,
                                  max_per_day=500, archive_to=archive)  # fmt: skip

    def send(self, *answers: Reply | None, owner: str = "acme", sender: str | None = None,
             breaks: bool = False) -> list[int]:  # fmt: skip
        """One mail for each of what the server answers to its recipient; their deliveries."""
        self.server.behave("rcpt", [*answers, None])
        self.server.behave("dot", [Close(), None] if breaks else None)
        before = self.host.db.session.scalar(select(func.max(Delivery.id))) or 0
        for number in range(len(answers)):
            queue(self.host, f"{number}@example.org", partner_id=owner, sender=sender)
        self.bench.work(owner if owner != "globex" else "", sender or "")
        session = self.host.db.session()
        session.rollback()
        return list(session.scalars(select(Delivery.id).where(
            Delivery.id > before, Delivery.archive.is_(False)).order_by(Delivery.id)))  # fmt: skip

    def told(self, delivery_id: int, *kinds: Kind) -> None:
        """What a provider tells of it, applied a moment later."""
        row = self.site.row(delivery_id)
        told = [
            event(one, recipient=row.recipient, message_id=self.site.message_id(row))
            for one in kinds
        ]
        tell(self.site, *told, partner_id=row.partner_id if row.sender_id != 1 else "")
        with shifted(timedelta(seconds=2)):
            self.site.apply()


GONE, GREY = Reply("550 5.1.1 gone"), Reply("451 4.7.1 Greylisted")


def fill(filling: Filling) -> str:
    """What happened in three days, and what waits now; the id of a batch."""
    host, old = filling.host, []
    for hours in (30, 23, 0):
        with shifted(timedelta(hours=-hours)):
            for owner, sender in OWNERS if hours != 23 else OWNERS[:1]:
                sent = filling.send(None, None, GONE, owner=owner, sender=sender)
                filling.told(sent[0], "bounced")
                old.append(sent[1])
            filling.send(GREY)
            filling.bench.tick(timedelta(minutes=30))
            lost = filling.send(None, breaks=True)
            if hours:
                note_arrived(host.db.session(), lost, now())
                host.db.session.commit()
            roll_up(filling.bench.engine, host.installation.config)
    # What was accepted long ago, and is told of now; some of it twice.
    filling.told(old[0], "bounced")
    filling.told(old[0], "bounced")
    filling.told(old[1], "bounced", "complained")
    filling.told(old[2], "complained")
    filling.told(old[2], "bounced")
    filling.told(old[3], "bounced")
    filling.told(old[3], "complained")
    for answer in (GONE, GREY):  # to the copy of the first
        filling.send(None, answer, owner="globex")
    for owner in ("acme", "globex", ""):
        queue(host, "waits@example.org", partner_id=owner, send_at=now() + timedelta(1))
    add_newsletter(host)
    batch = host.plugin.send_many(NAME, people(4), partner_id="acme", sender="news", label="May")
    host.db.session.commit()
    filling.server.behave("rcpt", [None, None, None, GONE, None])
    filling.bench.work("acme", "news")
    return batch


def rows_behind(host: HostApp, url: str) -> int:
    """How many mails a link shows, on all of its pages."""
    count, place = 0, url
    while place:
        answer = host.client.get(place, headers=JSON).json
        assert answer is not None, place
        count += len(answer["mails"])
        place = answer["older"]
    return count


def walked(host: HostApp, pages: tuple[str, ...]) -> list[tuple[str, str, int, int]]:
    """Page, link, its number, and what is behind it."""
    found, known = [], dict[str, int]()
    for path in pages:
        page = host.client.get(f"/smtp-admin{path}", headers=HTML)
        assert page.status_code == 200, path
        for escaped, number in LINK.findall(page.text):
            url, said = unescape(escaped), int(number.replace(",", ""))
            known[url] = behind = known.get(url) or rows_behind(host, url)
            if "failed=" in url or "used=" in url:  # it counts sends, as the log says
                log = host.client.get(url, headers=HTML).text
                told = re.search(r"([\d,]+) (?:attempts? failed|sends? counts?)\.", log)
                assert told, url
                assert 0 < behind <= said
                behind = int(told[1].replace(",", ""))
            found.append((path, url, said, behind))
    return found


def test_every_number_leads_to_as_many_mails(
    opened: NewHost,
    hook: Hook,
    server: ScriptedServer,
    bench_of: Callable[..., Workbench],
) -> None:
    host = opened(RETRY_DELAY=30)
    batch = fill(Filling(hook(host), bench_of(host), server))
    for host.actor, pages in ((ADMIN, OF_ADMIN), (ACME_ADMIN, OF_PARTNER)):
        found = walked(host, (*pages, f"/batches/{batch}"))
        wrong = [one for one in found if one[2] != one[3]]
        assert not wrong, "\n".join(map(str, wrong))
        for kind in KINDS:
            assert any(kind in url for _, url, _, _ in found), kind
    host.actor = GLOBEX_ADMIN  # its mail goes by the system's sender, which has an archive
    found = walked(host, OF_CARRIED)
    wrong = [one for one in found if one[2] != one[3]]
    assert not wrong, "\n".join(map(str, wrong))
    for kind in set(KINDS) - NOT_CARRIED:
        assert any(kind in url for _, url, _, _ in found), kind


def test_every_number_of_mail_that_the_systems_sender_took_over(
    opened: NewHost,
    hook: Hook,
    server: ScriptedServer,
    bench_of: Callable[..., Workbench],
) -> None:
    """Copies to the partner's own archive too: from then on they are at somebody else's sender."""
    host = opened(RETRY_DELAY=30)
    bench = bench_of(host)
    for partner_id, fallbacks in (("", ()), ("acme", ("system",))):
        archive = f"archive@{partner_id or 'platform'}.example"
        host.save_sender(partner_id, port=server.port, archive_to=archive, fallbacks=fallbacks)
    # To the recipient and to the copy: by the partner's sender first, then by the system's.
    for before, after in (((GREY, GREY), (None, None)), ((None, GREY), (None,)),
                          ((GREY, GREY), (None, GONE)), ((GREY, GREY), (GONE, GONE)),
                          ((None, GONE), ()), ((GREY, GREY), (GREY, GREY))):  # fmt: skip
        with shifted(timedelta(hours=-2)):
            resume(host)
            server.behave("rcpt", [*before, None])
            queue(host, "mia@example.org")
            bench.work()
            pause(host)
        with shifted(timedelta(hours=-1)):
            pause(host)
            step_in(host)
            server.behave("rcpt", [*after, None])
            bench.work("")
    queue(host, "waits@example.org")
    pause(host)
    step_in(host)
    roll_up(bench.engine, host.installation.config)
    for host.actor, pages in (
        (ADMIN, ("/", "/partners", "/partners/acme", "/system", "/partners/acme/symptoms",
                 "/system/symptoms", "/alerts")),
        (ACME_ADMIN, ("/", "/partners/acme", "/partners/acme/symptoms", "/alerts")),
    ):  # fmt: skip
        found = walked(host, pages)
        wrong = [one for one in found if one[2] != one[3]]
        assert not wrong, "\n".join(map(str, wrong))
        for kind in ("accepted=24h", "failed=24h", "state=dead", "state=waiting"):
            assert any(kind in url for _, url, _, _ in found), kind
