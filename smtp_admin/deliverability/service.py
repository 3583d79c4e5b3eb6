"""The DNS check of a sender, and what it found last."""

from smtp_admin import clock
from smtp_admin.deliverability.check import Deliverability, check
from smtp_admin.deliverability.dns_records import Sending
from smtp_admin.dns import NAMES
from smtp_admin.installation import Kept, installation
from smtp_admin.providers.catalogue import provider_of_sender
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.smtp.nameserver import NameService

_MOST_REMEMBERED = 500
_LATELY = Kept[dict[Sending, Deliverability]](lambda _: {})


def check_dns(sender: ResolvedSender, names: NameService | None = None) -> Deliverability:
    """What DNS says about the From domain of *sender*, and what it should say.

    Raises:
        ValueError: its From address is none.
    """
    return check(sending_of(sender), names or NAMES.of(installation()), now=clock.now)


def check_and_remember(sender: ResolvedSender) -> Deliverability:
    """The same, and it is what :func:`dns_remembered` finds; each process remembers for itself.

    Raises:
        ValueError: its From address is none.
    """
    remembered = _LATELY.of(installation())
    sending = sending_of(sender)
    found = check_dns(sender)
    remembered.pop(sending, None)
    remembered[sending] = found
    for oldest in [*remembered][:-_MOST_REMEMBERED]:
        remembered.pop(oldest, None)
    return found


def dns_remembered(sender: ResolvedSender) -> Deliverability | None:
    """What was found when this process asked last, however long ago; nobody is asked now."""
    return _LATELY.of(installation()).get(sending_of(sender))


def sending_of(sender: ResolvedSender) -> Sending:
    """The way that mail of *sender* takes, as far as DNS has to know it."""
    values = sender.values
    provider = provider_of_sender(values.kind, values.host)
    return Sending(
        values.from_email,
        provider=provider.label if provider else "",
        spf_include=provider.spf_include if provider else "",
        host=values.host,
        selectors=provider.dkim_selectors if provider else (),
        dkim_hint=provider.dns if provider else "",
        own_envelope=provider is None or provider.spf_at == "from_domain" or provider.kind == "own",
    )
