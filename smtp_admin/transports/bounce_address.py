"""The field of senders whose mail may carry a signed address for its bounces.

Only methods that hand over an envelope of ours have it; the others' providers write their own.
"""

import re

from smtp_admin.smtp.address import clean_address
from smtp_admin.translation import gettext
from smtp_admin.transports.fields import Field

#: What goes between the mailbox and its @: a plus, sixteen letters that sign, at most thirteen
#: that count. A local part has at most 64 letters.
LONGEST_MAILBOX = 64 - 1 - 16 - 13
_MAILBOX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def clean_bounce_address(text: str) -> str:
    """The address to which a signed tag is added; empty for none."""
    if not text.strip():
        return ""
    address = clean_address(text)
    mailbox = address.rpartition("@")[0]
    if not _MAILBOX.fullmatch(mailbox):
        raise ValueError(
            gettext(
                "Use only letters, digits, dots and hyphens before the @. A tag is added to it: "
                "bounce+…@example.com."
            )
        )
    if len(mailbox) > LONGEST_MAILBOX:
        raise ValueError(
            gettext(
                "This address may have at most %(most)s letters before the @, because a tag is "
                "added to it.",
                most=LONGEST_MAILBOX,
            )
        )
    return address


BOUNCE_ADDRESS = Field(
    "bounce_address",
    gettext("Address for bounces"),
    clean_bounce_address,
    help=gettext(
        "Bounces go to this address, with a signed tag for each mail, such as "
        "bounce+…@example.com. Its domain must be that of the from address, or a subdomain of it, "
        "and its mailbox must accept such tags."
    ),
    kind="email",
    place="more",
    option="--bounce-address",
    placeholder="bounce@example.com",
)
