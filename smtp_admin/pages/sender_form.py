"""The form of a sender's tab, made from the table of fields for one driver."""

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    Form,
    HiddenField,
    PasswordField,
    StringField,
    TextAreaField,
)
from wtforms import Field as FormField
from wtforms.validators import ValidationError

from smtp_admin.errors import InvalidInput
from smtp_admin.pages.revision_seen import revision_seen
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import SenderValues
from smtp_admin.translation import gettext, said_by
from smtp_admin.transports.fields import NO, Field


class Cleaned:
    """A validator that replaces what was typed by what it means."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.field_flags = {"required": True} if field.required else {}

    def __call__(self, form: Any, entered: FormField) -> None:
        """Read what was entered into the form's ``cleaned``."""
        text = entered.data
        if isinstance(text, bool):  # of a box; as it was sent, if it was
            text = entered.raw_data[0] if entered.raw_data else self._field.text(text)
        text = text or ""
        if not text.strip() and self._field.required:
            raise ValidationError(self._field.required)
        try:
            form.read[self._field.name] = self._field.clean(text)
        except ValueError as error:
            raise ValidationError(said_by(error)) from error


class SendersField(StringField):
    """A list of senders, entered in several boxes of one name; commas where it is one text."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Join what the boxes say."""
        self.data = ", ".join(one.strip() for one in valuelist if one.strip())


class SenderForm(Form):
    """The settings of one sender; :func:`sender_form` makes one with the fields of a driver.

    The token against forged requests is checked for the whole blueprint, not here.
    """

    driver_name = "smtp"
    revision = HiddenField(default="0")
    label = StringField(
        gettext("Name"), description=gettext("The name that people see. Only shown here.")
    )

    def __init__(self, formdata: Any = None) -> None:
        super().__init__(formdata)
        self.read: dict[str, Any] = {}

    @property
    def table(self) -> tuple[Field, ...]:
        """The fields of the table that this form shows, the driver among them."""
        return fields_of(self.driver_name)

    def fill(self, sender: ResolvedSender) -> None:
        """Show what applies now; never a secret. With another driver, what both have is kept."""
        values = sender.values
        for one in self.table:
            if one.secret:
                continue
            value = values.get(one.name, one.default)
            self[one.name].data = value if one.kind == "flag" else one.text(value)
        self["driver"].data = self.driver_name
        self.revision.data = str(sender.revision)
        self.label.data = sender.label

    def cleaned(self, sender: ResolvedSender) -> SenderValues:
        """The values that were entered; what the environment holds stays as it is.

        Raises:
            InvalidInput: with every field that needs another look.
        """
        for one in self.table:
            if one.name in sender.locked:
                self._show_locked(one, sender)
        if not self.validate():
            raise InvalidInput(fields=self.complaints())
        locked = {name: sender.values[name] for name in sender.locked if name in sender.values}
        entered = {one.name: self.read[one.name] for one in self.table if not one.secret}
        return SenderValues(**(entered | {"driver": self.driver_name} | locked))

    def readable(self, sender: ResolvedSender) -> SenderValues:
        """What can be read of what was entered, whatever is wrong with the rest."""
        try:
            return self.cleaned(sender)
        except InvalidInput:
            locked = {name: sender.values[name] for name in sender.locked if name in sender.values}
            usable = {one.name: self.read.get(one.name, one.default) for one in self.table}
            seen = {one.name: usable[one.name] for one in self.table if not one.secret}
            return SenderValues(**(seen | {"driver": self.driver_name} | locked))

    def unsaved(self, sender: ResolvedSender) -> bool:
        """Whether something else stands in it than what is saved."""
        typed = any(self.typed(one.name) for one in self.table if one.secret)
        return typed or bool(self.differences(sender))

    def secrets(self, sender: ResolvedSender) -> dict[str, str]:
        """The secrets that were entered, after :meth:`cleaned`; none that the environment holds."""
        return {
            one.name: self.read[one.name]
            for one in self.table
            if one.secret and one.name not in sender.locked and self.read.get(one.name)
        }

    def typed(self, name: str) -> str:
        """What was entered as this secret, exactly; empty for the stored one."""
        return str(self[name].data or "") if name in self else ""

    def complaints(self) -> dict[str, list[str]]:
        """Field → sentences."""
        return {name: list(texts) for name, texts in self.errors.items() if name}

    def differences(self, sender: ResolvedSender) -> dict[str, str]:
        """Field → what is saved, where something else was entered; for who was too late."""
        found = {}
        for one in self.table:
            if one.secret or one.name in sender.locked:
                continue
            saved = one.text(sender.values.get(one.name, one.default))
            entered = self[one.name].data
            text = one.text(entered) if isinstance(entered, bool) else entered or ""
            if text != saved:
                found[one.name] = one.words(sender.values.get(one.name, one.default))
        return found

    @property
    def seen_revision(self) -> int:
        """The revision that was on the page."""
        return revision_seen(str(self.revision.data or ""))

    def _show_locked(self, one: Field, sender: ResolvedSender) -> None:
        if one.secret:
            self[one.name].data = ""
            return
        value = sender.values.get(one.name, one.default)
        self[one.name].raw_data = []
        self[one.name].data = value if one.kind == "flag" else one.text(value)


def sender_form(driver_name: str, formdata: Mapping[str, Any] | None = None) -> SenderForm:
    """The form for a sender with this driver.

    Raises:
        LookupError: there is no such driver.
    """
    form = _form_class(driver_name, fields_of(driver_name))
    made: SenderForm = form(MultiDict(formdata) if formdata is not None else None)
    return made


def _form_class(driver_name: str, fields: tuple[Field, ...]) -> type[SenderForm]:
    entries: dict[str, Any] = {one.name: _entry(one) for one in fields if one.name != "driver"}
    return type(
        "SenderForm",
        (SenderForm,),
        {"driver_name": driver_name, "driver": HiddenField(validators=[_same_driver]), **entries},
    )


def _same_driver(form: Any, _entered: FormField) -> None:
    form.read["driver"] = form.driver_name


def _entry(one: Field) -> Any:
    what: dict[str, Any] = {
        "label": one.label,
        "validators": [Cleaned(one)],
        "description": one.help,
    }
    if one.kind == "flag":
        return BooleanField(**what, default=one.default, false_values=NO)
    if one.kind == "senders":
        return SendersField(**what)
    if one.rows > 1:
        return TextAreaField(**what)
    if one.secret:
        return PasswordField(**what)
    return StringField(**what, default=one.text(one.default))
