"""Read what is to be tested, from JSON or a form, saved or not."""

from collections.abc import Iterable, Mapping
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
from smtp_admin.translation import gettext, said_by
from smtp_admin.transports.driver import Setup
from smtp_admin.transports.fields import Field

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
    driver_name = _driver(given, sender)
    check_driver(actor, driver_name)
    fields = fields_of(driver_name)
    texts, wrong = _texts(given, fields)
    told = {one.name: _said(texts.get(one.name, ""), one) for one in fields if not one.secret} | {
        one.name: texts.get(one.name, "") for one in fields if one.secret
    }
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


def _driver(given: Mapping[str, Any], sender: ResolvedSender) -> str:
    if "driver" in sender.locked:
        return sender.values.driver
    try:
        return str(DRIVER.clean(_text(DRIVER, given.get("driver"))))
    except ValueError as error:
        raise InvalidInput(fields={"driver": [said_by(error)]}) from error


def _said(text: str, one: Field) -> str:
    """What a request says for a field; where it says nothing, what that means."""
    return text if text.strip() else one.untold or one.text(one.default)


def _texts(
    given: Mapping[str, Any], fields: Iterable[Field]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Each of *fields* that is given, as text, as a form would have sent it."""
    texts: dict[str, str] = {}
    wrong: dict[str, list[str]] = {}
    for one in fields:
        if one.name not in given:
            continue
        try:
            texts[one.name] = _text(one, given[one.name])
        except ValueError as error:
            wrong[one.name] = [said_by(error)]
    return texts, wrong


def _text(one: Field, value: Any) -> str:
    """A value of JSON as the text that the field's cleaner takes: text means itself everywhere."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if one.kind == "flag":
        if isinstance(value, bool):
            return one.text(value)
        raise ValueError(gettext("This must be true or false."))
    if one.kind in {"senders", "lines"}:
        return _joined(one, value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(gettext("Send text or a whole number."))
    return str(value) if value.bit_length() < _MOST_BITS else "-"


def _joined(one: Field, value: Any) -> str:
    """A list of texts, or an object of them, as one text."""
    parts = [f"{name}: {text}" for name, text in value.items()] if _is_object(value) else value
    if (
        not isinstance(parts, list)
        or not all(isinstance(part, str) and len(part.splitlines()) <= 1 for part in parts)
        or (parts is not value and one.kind == "senders")
    ):
        raise ValueError(gettext("Send text, or a list of texts of one line each."))
    return (", " if one.kind == "senders" else "\n").join(parts)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def _refuse_missing(values: SenderValues, wrong: Mapping[str, list[str]]) -> None:
    """A test without a from address is possible; one without a server is not."""
    missing = {name: said for name, said in values.missing().items() if name != "from_email"}
    if "host" in missing and "host" not in wrong:
        raise InvalidInput(
            gettext("Enter the host name of the mail server first."),
            code="missing_host",
            hint=gettext("Your provider names it, often as “outgoing server (SMTP)”."),
            fields={"host": missing["host"]},
        )
    if missing and not wrong:
        raise InvalidInput(fields=missing)
