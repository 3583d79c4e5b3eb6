"""A request at the address of a webhook, as it came, and why it may be refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from smtp_admin.translation import gettext


class Refused(Exception):
    """It does not come from whom it says, or came before.

    Args:
        code: what is wrong, for the page of the webhook.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotUnderstood(Exception):
    """It is proven, but says nothing that can be read; *why* is a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Unreachable(Exception):
    """What is needed to prove it cannot be had just now: whoever sent it must try again."""


#: Code of a refusal → what the page says, and what to do.
REFUSALS: dict[str, str] = {
    "no_secret": gettext("No signing secret is saved here yet."),
    "no_topic": gettext("No SNS topic is saved here yet."),
    "unsigned": gettext("It has no signature. Turn signing on at the provider."),
    "signature": gettext(
        "Its signature does not fit the saved secret. Copy the secret from the provider again."
    ),
    "stale": gettext(
        "Its time is too far from now. Check that the clock of this machine is set automatically."
    ),
    "replayed": gettext("Its signature came before, with other contents. It may be forged."),
    "topic": gettext("It is from another SNS topic than the saved one."),
    "too_many": gettext(
        "More events arrived than are accepted at a time. Providers send the rest again later."
    ),
    "certificate": gettext("It names a certificate that is not Amazon's."),
}
#: The same where the secret was made here and the server with the mail signs: nobody copies it
#: again, for it was shown once.
REFUSALS_OF_OUR_SECRET: dict[str, str] = {
    "unsigned": gettext("It has no signature. Sign it with the secret that was made here."),
    "signature": gettext(
        "It was not signed with the secret that was made here. If that is lost, make a new one "
        "and enter it at the server that signs."
    ),
}


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came.

    Attributes:
        headers: their names in small letters.
        body: its bytes, over which signatures are made.
        at: when it came, by this machine's clock.
        is_sample: whether this app signed it itself, to try the way; see ``sample``.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: datetime
    is_sample: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What a webhook was set up with.

    Attributes:
        secrets: what signatures are checked with: the present one, and for a day the one before.
        topic: the SNS topic that it belongs to.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """That a request is genuine.

    Attributes:
        nonce: what may come only once, because the signature does not cover the rest; else empty.
    """

    nonce: str = ""


_NOT_JSON = gettext("This is not JSON as the provider sends it.")


def document_of(body: bytes) -> Any:
    """The JSON of *body*.

    Raises:
        NotUnderstood: it is none.
    """
    try:
        # Bytes would be taken for UTF-16 too, and NaN for a number.
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(_NOT_JSON) from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
