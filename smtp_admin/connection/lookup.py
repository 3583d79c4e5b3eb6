"""Discovery and the DNS check with what this installation knows: its policy and the providers."""

from smtp_admin import clock
from smtp_admin.connection.deliverability import Deliverability, check
from smtp_admin.connection.discovery import Discovery, KnownServer, discover
from smtp_admin.connection.dns_records import Sending
from smtp_admin.installation import installation
from smtp_admin.settings.presets import (
    Provider,
    provider_of_address,
    provider_of_host,
    provider_of_mx,
)
from smtp_admin.settings.sender import ResolvedSender
from smtp_admin.smtp.nameserver import NameService
from smtp_admin.smtp.opening import Dialler


def find_settings(address: str, names: NameService | None = None) -> Discovery:
    """The settings that mail from *address* probably goes out with; no login, no mail.

    Raises:
        ValueError: *address* is none; the message says why.
    """
    return discover(
        address,
        names or NameService(),
        Dialler.from_config(installation().config),
        provider_of_address=lambda one: _known(provider_of_address(one)),
        provider_of_host=lambda host: _known(provider_of_host(host) or provider_of_mx(host)),
    )


def check_dns(sender: ResolvedSender, names: NameService | None = None) -> Deliverability:
    """What DNS says about the From domain of *sender*, and what it should say."""
    values = sender.values
    provider = provider_of_host(values.host)
    return check(
        Sending(
            values.from_email,
            provider=provider.label if provider else "",
            spf_include=provider.spf_include if provider else "",
            host=values.host,
            selectors=provider.dkim_selectors if provider else (),
            dkim_hint=provider.dns if provider else "",
            own_envelope=provider is None
            or provider.spf_at == "from_domain"
            or provider.kind == "own",
        ),
        names or NameService(),
        now=clock.now,
    )


def _known(provider: Provider | None) -> KnownServer | None:
    if provider is None or provider.kind not in {"mailbox", "service"}:
        return None
    host = provider.host_for()
    if not host:
        return None
    return KnownServer(provider.label, host, provider.port, provider.security, key=provider.key)
