"""The table of providers with lists of their own: whose sender has one, and where it is called.

A key goes nowhere but to the provider's own API, whichever way the sender's mail takes. A sender
that sends with the rights of the machine has none: they are not its own, and the list of that
account holds other partners' recipients too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smtp_admin.credentials.password import Password
from smtp_admin.installation import installation
from smtp_admin.senders.queries import senders_by_owner
from smtp_admin.senders.resolve import ResolvedSender, password_trouble
from smtp_admin.senders.values import SenderValues
from smtp_admin.suppression.provider_lists import mailgun, postmark, sendgrid, ses
from smtp_admin.suppression.provider_lists.shape import Account
from smtp_admin.transports.driver import Setup

#: Login and password of which each API takes the password too.
_SENDGRID_KEY = re.compile(r"SG\..+")
_POSTMARK_TOKEN = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_STREAM_HEADER = "x-pm-message-stream"

Maker = Callable[[Setup, SenderValues, Mapping[str, str]], Account | None]


@dataclass(frozen=True, slots=True)
class OfSender:
    """The lists of one sender's account."""

    sender: ResolvedSender
    account: Account


def _of_mailgun(setup: Setup, _: SenderValues, configured: Mapping[str, str]) -> Account | None:
    return mailgun.account_of(setup, configured.get("mailgun", ""))


def _of_ses(setup: Setup, _: SenderValues, configured: Mapping[str, str]) -> Account | None:
    return ses.account_of(setup, configured.get("ses", ""))


def _of_sendgrid(region: str, url: str) -> Maker:
    def made(setup: Setup, _: SenderValues, configured: Mapping[str, str]) -> Account | None:
        login = setup.credential
        if not isinstance(login, Password) or not _SENDGRID_KEY.fullmatch(login.secret):
            return None
        instead = configured.get("sendgrid", "").replace("{region}", region)
        return sendgrid.account_of(setup, instead or url)

    return made


def _of_postmark(stream: str) -> Maker:
    def made(setup: Setup, values: SenderValues, configured: Mapping[str, str]) -> Account | None:
        login = setup.credential
        if not isinstance(login, Password) or login.username.lower() != login.secret.lower():
            return None
        if not _POSTMARK_TOKEN.fullmatch(login.secret):
            return None
        own = {name.lower(): text for name, text in values.headers}
        url = configured.get("postmark", "") or "https://api.postmarkapp.com"
        return postmark.account_of(setup, url, own.get(_STREAM_HEADER, "").strip() or stream)

    return made


#: Driver → how its lists are found.
BY_DRIVER: Mapping[str, Maker] = {"mailgun": _of_mailgun, "ses": _of_ses}
#: Server of a sender by SMTP → the same.
BY_HOST: Mapping[str, Maker] = {
    "smtp.sendgrid.net": _of_sendgrid("global", "https://api.sendgrid.com"),
    "smtp.eu.sendgrid.net": _of_sendgrid("eu", "https://api.eu.sendgrid.com"),
    "smtp.postmarkapp.com": _of_postmark("outbound"),
    "smtp-broadcasts.postmarkapp.com": _of_postmark("broadcast"),
}


def account_of(sender: ResolvedSender) -> Account | None:
    """The lists of *sender*'s account; ``None`` where there are none, or its key cannot be used."""
    values = sender.values
    maker = BY_DRIVER.get(values.driver)
    if values.driver == "smtp":
        maker = BY_HOST.get(values.host.lower().removesuffix("."))
    if maker is None or not sender.configured or sender.problems or password_trouble(sender)[0]:
        return None
    here = installation()
    # The rule of destinations is asked here, as for sending: a key that was saved for another
    # server, or stands beside a host of the environment, is not opened.
    return maker(sender.setup(here.keyring), values, here.config.api_endpoints)


def accounts_of(session: Session, partner_id: str) -> list[OfSender]:
    """The accounts of a partner's own senders, each once; the system's are not a partner's."""
    found: dict[object, OfSender] = {}
    for sender in senders_by_owner(session, [partner_id])[partner_id]:
        account = account_of(sender)
        if account is not None:
            found.setdefault(account.identity, OfSender(sender, account))
    return list(found.values())
