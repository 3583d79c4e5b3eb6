"""Read what is to be tested, from JSON or a form, saved or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smtp_admin.encryption import Keyring
from smtp_admin.errors import InvalidInput
from smtp_admin.host import Actor
from smtp_admin.providers.shape import usable_password
from smtp_admin.senders.drivers import check_driver
from smtp_admin.senders.fields import DRIVER, clean_texts, fields_of
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.driver import Setup

#: Python refuses to write larger numbers out, and no field takes one.
_MOST_BITS = 4000


@dataclass(frozen=True, slots=True)
class TestRequest:
    """Settings to test, with the secrets that may be used for them."""

    __test__ = False  # not one of pytest's

    values: SenderValues
    setup: Setup
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def sender_address(self) -> str:
        """The envelope sender that is tried; empty for none."""
        return self.values.envelope_from or self.values.from_email


def read_request(
    given: Mapping[str, Any], sender: ResolvedSender, keyring: Keyring, actor: Actor
) -> TestRequest:
    """What *given* asks to test for *sender*.

    Fields that the environment holds count as the environment says, whatever was sent. An empty
    secret means the stored one.

    Raises:
        InvalidInput: ``missing_host``, ``invalid_input`` or ``password_required``; nothing may
            be dialled.
    """
    texts, wrong = _texts(given)
    driver_name = _driver(texts, wrong, sender)
    if "driver" in wrong:
        raise InvalidInput(fields=wrong)
    check_driver(actor, driver_name)
    fields = fields_of(driver_name)
    told = {
        one.name: texts.get(one.name) or one.untold or one.text(one.default)
        for one in fields
        if not one.secret
    } | {one.name: texts.get(one.name, "") for one in fields if one.secret}
    read, complaints = clean_texts(driver_name, told)
    wrong = {
        name: said
        for name, said in (wrong | complaints).items()
        if name not in sender.locked and name in told
    }
    locked = {name: sender.values[name] for name in sender.locked if name in sender.values}
    values = SenderValues(
        **{one.name: read.get(one.name, one.default) for one in fields if not one.secret}
        | {"driver": driver_name}
        | locked
    )
    _refuse_missing(values, wrong)
    if wrong:
        raise InvalidInput(fields=wrong)
    typed = {
        one.name: read[one.name]
        for one in fields
        if one.secret and one.name not in sender.locked and read.get(one.name)
    }
    if "password" in {one.name for one in fields}:
        typed["password"] = usable_password(
            values.host, values.username, typed.get("password", ""), values.from_email
        )
    secrets = sender.secrets_for(values, keyring, typed)
    if "username" in values and not values.username:
        secrets["password"] = ""
    unfit = values.kind.check({**values, **secrets})
    if unfit:
        raise InvalidInput(fields=unfit)
    return TestRequest(values, values.kind.read(values, secrets), secrets)


def _driver(texts: Mapping[str, str], wrong: dict[str, list[str]], sender: ResolvedSender) -> str:
    if "driver" in sender.locked:
        return sender.values.driver
    try:
        return str(DRIVER.clean(texts.get("driver", "")))
    except ValueError as error:
        wrong["driver"] = [str(error)]
        return ""


def _texts(given: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Every field of *given* as text, as a form would have sent it."""
    texts: dict[str, str] = {}
    wrong: dict[str, list[str]] = {}
    for name, value in given.items():
        text = _text(value)
        if text is None:
            wrong[name] = ["Send text, a whole number, or true or false."]
        else:
            texts[name] = text
    return texts, wrong


def _text(value: Any) -> str | None:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() < _MOST_BITS else "-"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        return "\n".join(f"{name}: {one}" for name, one in value.items())
    return value if isinstance(value, str) else None


def _refuse_missing(values: SenderValues, wrong: Mapping[str, list[str]]) -> None:
    """A test without a from address is possible; one without a server is not."""
    missing = {name: said for name, said in values.missing().items() if name != "from_email"}
    if "host" in missing and "host" not in wrong:
        raise InvalidInput(
            "Enter the host name of the mail server first.",
            code="missing_host",
            hint="Your provider names it, often as “outgoing server (SMTP)”.",
            fields={"host": missing["host"]},
        )
    if missing and not wrong:
        raise InvalidInput(fields=missing)
