"""The sendmail driver as the registry knows it."""

from collections.abc import Mapping
from typing import Any

from smtp_admin.credentials.none import NoLogin
from smtp_admin.translation import gettext
from smtp_admin.transports.bounce_address import BOUNCE_ADDRESS
from smtp_admin.transports.driver import Driver, Setup, Surroundings
from smtp_admin.transports.sendmail import probe
from smtp_admin.transports.sendmail.transport import SendmailTransport


def _read(_values: Mapping[str, Any], _secrets: Mapping[str, str]) -> Setup:
    """Nothing of it comes from a form: the program is the installation's."""
    return Setup("sendmail", (), NoLogin(), gettext("this machine's mail program"))


def _open(_setup: Setup, surroundings: Surroundings) -> SendmailTransport:
    return SendmailTransport(
        surroundings.sendmail, surroundings.dialler.timeouts, surroundings.replies
    )


DRIVER = Driver(
    name="sendmail",
    label=gettext("Sendmail"),
    comparison=gettext(
        "Passes mail to the mail server of this machine. Only platform admins "
        "may choose it, because it sends with the machine's rights."
    ),
    needs=gettext("A mail server on the machine of each worker."),
    fields=(BOUNCE_ADDRESS,),
    steps=probe.STEPS,
    read=_read,
    open=_open,
    test=probe.test,
    # Each is a process while it lasts.
    most_connections=4,
    borrows_rights=True,
)
