"""Discovery and the DNS check with what this installation knows: its policy and the providers."""

from datetime import timedelta

from sqlalchemy.orm import Session

from smtp_admin import clock
from smtp_admin.connection.deliverability import Deliverability, check
from smtp_admin.connection.discovery import Discovery, KnownServer, discover
from smtp_admin.connection.dns_records import Sending
from smtp_admin.connection.service import DIALLED
from smtp_admin.errors import InvalidInput
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.settings.presets import (
    Provider,
    provider_of_address,
    provider_of_host,
    provider_of_mx,
)
from smtp_admin.settings.sender import ResolvedSender
from smtp_admin.settings.service import check_rate, record
from smtp_admin.smtp.address import clean_address
from smtp_admin.smtp.nameserver import NameService
from smtp_admin.smtp.opening import Dialler

#: How long a page shows what DNS said before it asks again by itself.
FRESH = timedelta(minutes=10)
_MOST_REMEMBERED = 500


def name_service() -> NameService:
    """Whom this app asks for DNS records."""
    found: NameService = installation().parts.setdefault("names", NameService())
    return found


def find_settings(address: str, names: NameService | None = None) -> Discovery:
    """The settings that mail from *address* probably goes out with; no login, no mail.

    Raises:
        ValueError: *address* is none; the message says why.
    """
    return discover(
        address,
        names or name_service(),
        Dialler.from_config(installation().config),
        provider_of_address=lambda one: _known(provider_of_address(one)),
        provider_of_host=lambda host: _known(provider_of_host(host) or provider_of_mx(host)),
    )


def find_settings_for(session: Session, partner_id: str, address: str, actor: Actor) -> Discovery:
    """The same on behalf of a person: limited and recorded like a connection test.

    The session is committed before anything is asked or dialled.

    Raises:
        InvalidInput: *address* is none.
        RateLimited: this person tests and searches too often.
    """
    try:
        cleaned = clean_address(address)
    except ValueError as error:
        raise InvalidInput(fields={"address": [str(error)]}) from error
    check_rate(session, actor, DIALLED, installation().config.test_limit)
    record(session, actor, partner_id, "settings.searched", cleaned)
    session.commit()
    return find_settings(cleaned)


def check_dns(sender: ResolvedSender, names: NameService | None = None) -> Deliverability:
    """What DNS says about the From domain of *sender*, and what it should say.

    Raises:
        ValueError: its From address is none.
    """
    return check(sending_of(sender), names or name_service(), now=clock.now)


def dns_lately(sender: ResolvedSender, *, anew: bool = False) -> Deliverability:
    """The same, but not asked again within :data:`FRESH`; each process remembers for itself.

    Args:
        anew: ask now, whatever is remembered.

    Raises:
        ValueError: its From address is none.
    """
    remembered: dict[Sending, Deliverability] = installation().parts.setdefault("dns_lately", {})
    sending = sending_of(sender)
    found = remembered.get(sending)
    if anew or found is None or clock.now() - found.checked_at > FRESH:
        found = check_dns(sender)
        remembered.pop(sending, None)
        remembered[sending] = found
        for oldest in [*remembered][:-_MOST_REMEMBERED]:
            remembered.pop(oldest, None)
    return found


def sending_of(sender: ResolvedSender) -> Sending:
    """The way that mail of *sender* takes, as far as DNS has to know it."""
    values = sender.values
    provider = provider_of_host(values.host)
    return Sending(
        values.from_email,
        provider=provider.label if provider else "",
        spf_include=provider.spf_include if provider else "",
        host=values.host,
        selectors=provider.dkim_selectors if provider else (),
        dkim_hint=provider.dns if provider else "",
        own_envelope=provider is None or provider.spf_at == "from_domain" or provider.kind == "own",
    )


def _known(provider: Provider | None) -> KnownServer | None:
    if provider is None or provider.kind not in {"mailbox", "service"}:
        return None
    host = provider.host_for()
    if not host:
        return None
    return KnownServer(provider.label, host, provider.port, provider.security, key=provider.key)
