"""Find settings with what this installation knows: its dialling policy and the providers."""

from sqlalchemy.orm import Session

from smtp_admin.audit.in_flight import in_flight
from smtp_admin.audit.service import NETWORK, record_within
from smtp_admin.discovery.search import Discovery, KnownServer, discover
from smtp_admin.dns import NAMES
from smtp_admin.errors import InvalidInput
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.providers.catalogue import provider_of_address, provider_of_host, provider_of_mx
from smtp_admin.providers.provider import Provider
from smtp_admin.smtp.address import clean_address
from smtp_admin.smtp.nameserver import NameService
from smtp_admin.smtp.session import Dialler
from smtp_admin.translation import said_by


def find_settings(address: str, names: NameService | None = None) -> Discovery:
    """The settings that mail from *address* probably goes out with; no login, no mail.

    Raises:
        ValueError: *address* is none; the message says why.
    """
    return discover(
        address,
        names or NAMES.of(installation()),
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
        raise InvalidInput(fields={"address": [said_by(error)]}) from error
    config = installation().config
    with in_flight(partner_id):
        record_within(
            session, actor, partner_id, "settings.searched", cleaned,
            limit=config.test_limit, for_partner=config.partner_test_limit, of=NETWORK,
        )  # fmt: skip
        return find_settings(cleaned)


def _known(provider: Provider | None) -> KnownServer | None:
    if provider is None or provider.kind not in {"mailbox", "service"}:
        return None
    host = provider.host_for()
    if not host:
        return None
    return KnownServer(provider.label, host, provider.port, provider.security, key=provider.key)
