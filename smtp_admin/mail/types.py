"""The kinds of mail that are sent, each with what follows from it.

The host adds its own with :meth:`smtp_admin.SMTPAdmin.register_type`; its templates lie in its
own template folder under ``smtp_admin/email/<name>/``.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from smtp_admin.delivery.models import BULK, NORMAL, URGENT
from smtp_admin.errors import ConfigError
from smtp_admin.installation import Kept
from smtp_admin.mail.admin_words import ADMIN_WORDS
from smtp_admin.mail.wording import FALLBACK, has_words_by_key, words_in
from smtp_admin.suppression.reasons import ALL, NOTICES
from smtp_admin.translation import gettext, known

Priority = Literal["urgent", "normal", "bulk"]
PRIORITIES: dict[Priority, int] = {"urgent": URGENT, "normal": NORMAL, "bulk": BULK}


@dataclass(frozen=True, slots=True)
class EmailType:
    """One kind of mail.

    Attributes:
        name: letters, digits and underscores; names its templates too.
        label: what people call it.
        about: what such a mail does, as the rest of a sentence that begins with its label.
        for_readers: what those who get it call it, on the pages where they choose; the label if
            it is left out.
        variables: name → what it means; what a template may use, and a sender must give, not
            empty.
        sample: a value for each variable, for previews.
        defaults: for variables that a sender need not give, and may leave empty.
        point: variables that such mail is for; whoever writes a text with none of them is warned.
        priority: urgent mail overtakes everything, and a tenth of a sender's limit is its own.
        sensitive: its text is erased as soon as a server has taken it.
        notice: may be unsubscribed from; else it must be delivered.
        expires_hours: older than that it is not sent; ``None`` for the priority's default.
        on_uncertain: when the server's last answer was lost: ``resend`` once, or ``hold`` for a
            person.
        customizable: partners may write its text themselves.
        shipped: it comes along, with texts of ours.
    """

    name: str
    label: str
    variables: Mapping[str, str]
    sample: Mapping[str, Any]
    priority: Priority = "normal"
    sensitive: bool = False
    notice: bool = False
    expires_hours: float | None = None
    on_uncertain: Literal["resend", "hold"] = "resend"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    for_readers: str = ""
    customizable: bool = True
    shipped: bool = False
    point: Sequence[str] = ()

    @property
    def readers_label(self) -> str:
        """What it is called for those who get it."""
        return self.for_readers or self.label

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or not self.name.isascii():
            raise ConfigError(f"An e-mail type cannot be called {self.name!r}.")
        if self.name in (ALL, NOTICES):  # names of what can be suppressed
            raise ConfigError(f"An e-mail type cannot be called {self.name!r}.")
        missing = self.variables.keys() - self.sample.keys()
        if missing:
            names = ", ".join(sorted(missing))
            raise ConfigError(f"The e-mail type {self.name} has no sample value for: {names}.")
        unknown = [one for one in self.point if not self.sample.get(one)]
        if unknown or isinstance(self.point, str):
            names = ", ".join(unknown) or str(self.point)
            raise ConfigError(
                f"The point of the e-mail type {self.name} is no list of variables with a sample "
                f"value: {names}."
            )


#: What we send ourselves, with values of ours: no app can have a type of that name.
OURS = frozenset({"test", "renewal", "alert", "weekly_summary"})


@dataclass(slots=True)
class Registry:
    """The types that one app knows."""

    _types: dict[str, EmailType] = field(default_factory=dict)

    def add(self, type_: EmailType) -> None:
        """Make *type_* known; an app's own takes the place of a shipped one.

        Raises:
            ConfigError: there is one of that name already.
        """
        before = self._types.get(type_.name)
        if before is not None and (not before.shipped or type_.shipped or type_.name in OURS):
            raise ConfigError(f"There are two e-mail types called {type_.name}.")
        self._types[type_.name] = type_

    def get(self, name: str) -> EmailType:
        """The type called *name*.

        Raises:
            ConfigError: there is none.
        """
        found = self._types.get(name)
        if found is None:
            known = ", ".join(sorted(self._types))
            raise ConfigError(f"There is no e-mail type {name!r}. There are: {known}.")
        return found

    def __iter__(self) -> Any:
        return iter(self._types.values())


def _shipped() -> Iterator[EmailType]:
    """The types that come along, out of ``shipped.toml``."""
    text = Path(__file__).with_name("shipped.toml").read_text("utf-8")
    for name, row in tomllib.loads(text).items():
        described = {**_ALWAYS, **row.pop("variables")}
        words = words_in(name, FALLBACK) if has_words_by_key(name) else ADMIN_WORDS.get(name)
        if words:
            # Its templates are the same in all languages, and may be the host's.
            described |= {
                "words": {
                    "means": gettext("what the shipped templates say, by key, in that language"),
                    "sample": words,
                    "default": words,
                }
            }
        yield EmailType(
            name=name,
            variables={one: known(told["means"]) for one, told in described.items()},
            sample={one: told["sample"] for one, told in described.items()},
            defaults={one: told["default"] for one, told in described.items() if "default" in told},
            label=known(row.pop("label")),
            about=known(row.pop("about")),
            for_readers=known(row.pop("for_readers", "")),
            shipped=True,
            **row,
        )


_ALWAYS = {"app_name": {"means": gettext("the application"), "sample": "Example"}}
SHIPPED = tuple(_shipped())


#: The e-mail types of an app: those that come along, and its own.
TYPES = Kept[Registry](lambda _: Registry())
