"""Certificates: those that senders hold, and those that their mail servers show."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509

from smtp_admin.expiry.things import Around, Ending, Name, condition_of
from smtp_admin.providers.catalogue import provider_of_host
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.smtp.hostname import display_host
from smtp_admin.translation import day, gettext
from smtp_admin.transports.smtp.oauth_fields import way_of

#: What a server showed longer ago than this, it may have replaced since.
_SEEN_LATELY = timedelta(days=3)


def client_certificates(around: Around) -> Iterator[Ending]:
    """What senders show to servers that ask for it; the first of a chain is the sender's."""
    for sender in around.senders:
        yield from _entered(around, sender, "client_certificate", "client_certificate")


def ca_certificates(around: Around) -> Iterator[Ending]:
    """What senders trust; of several, the one that ends last counts."""
    for sender in around.senders:
        yield from _entered(around, sender, "ca_certificate", "ca_certificate", last=True)


def app_certificates(around: Around) -> Iterator[Ending]:
    """What proves to a token server who asks: most are our own key pairs."""
    for sender in around.senders:
        way = way_of(sender.values)
        if way is not None and way.shows("oauth_certificate"):
            yield from _entered(around, sender, "app_certificate", "oauth_certificate")


def server_certificates(around: Around) -> Iterator[Ending]:
    """What mail servers showed when somebody last talked to them."""
    for sender in around.senders:
        seen = around.certificates.get(sender.sender_id)
        values = sender.values
        if seen is None or seen.place != f"{values.host}:{values.port}":
            continue
        known = provider_of_host(values.host)
        lately = around.moment - seen.seen_at <= _SEEN_LATELY
        condition = condition_of(seen.ends, seen.begins, around.moment)
        yield Ending(
            "server_certificate",
            sender.partner_id,
            condition if lately or condition == "fine" else "endless",
            sender,
            what=display_host(values.host),
            ends=seen.ends,
            begins=seen.begins,
            detail=gettext("Last seen on %(day)s.", day=day(seen.seen_at, year=True)),
            # A provider of many renews its own in time, and nobody here could do it.
            told=known is None or known.kind == "own",
        )


def _entered(
    around: Around, sender: ResolvedSender, kind: Name, field: str, *, last: bool = False
) -> Iterator[Ending]:
    pem = sender.values.get(field, "")
    spans = _spans(pem) if pem else ()
    if not spans:
        return
    begins, ends = max(spans, key=lambda one: one[1]) if last else spans[0]
    condition = condition_of(ends, begins, around.moment)
    yield Ending(kind, sender.partner_id, condition, sender, ends=ends, begins=begins)


@lru_cache(maxsize=4096)
def _spans(pem: str) -> tuple[tuple[datetime, datetime], ...]:
    """From when until when each certificate counts; read once, as every minute asks again."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode("ascii"))
    except ValueError:
        return ()
    return tuple((one.not_valid_before_utc, one.not_valid_after_utc) for one in found)
