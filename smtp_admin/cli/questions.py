"""The questions about a sender, in a plain terminal; the answers go into a unsaved."""

from collections.abc import Collection

import click
from rich.console import Console
from rich.markup import escape

from smtp_admin.cli.terminal import ask, ask_secret, choose, mark
from smtp_admin.cli.unsaved_settings import UnsavedSettings
from smtp_admin.discovery.service import find_settings
from smtp_admin.errors import InvalidInput, KeyMissing
from smtp_admin.installation import installation
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.providers.catalogue import Provider, check_shape, providers
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.smtp.fields import SECURITY_LABELS

_PLACE = ("host", "port", "security")


class Questions:
    """Asks for a sender's settings, group by group.

    Every question may end with ``click.Abort``: Ctrl-C, Ctrl-D, or the terminal is gone.

    Args:
        given: fields that were given as options, and are not asked for unless they prove wrong.
    """

    def __init__(self, unsaved: UnsavedSettings, out: Console, given: Collection[str] = ()) -> None:
        self._unsaved = unsaved
        self._out = out
        self._given = set(given)
        self._form = SenderForm()
        #: The provider that was chosen from the list.
        self._picked: Provider | None = None

    def ask_everything(self) -> None:
        """Each group once."""
        self.ask_from()
        self.ask_server()
        self.ask_login()

    def forget_options(self) -> None:
        """What was given as an option has been tried; from now on it may be asked for."""
        self._given.clear()

    def ask_from(self) -> None:
        """Ask who the mail comes from."""
        if not self._asked("from_email", "from_name"):
            return
        self.heading("Who the mail comes from")
        self._ask("from_email")
        self._ask("from_name")

    def ask_server(self) -> None:
        """Ask for the mail server, and for what its provider allows."""
        if not self._asked(*_PLACE):
            return
        self.heading("The mail server")
        if not (self._asked("host") and self._choose_server() and self._agrees()):
            self._ask_place()
        self._ask_limits()

    def _ask_place(self) -> None:
        for name in _PLACE:
            before = self._unsaved.fields["port"]
            if name == "security":
                self._ask_security()
            else:
                self._ask(name)
            port = self._unsaved.fields["port"]
            if port != before:
                self._unsaved.fill_in("", port, self._unsaved.security_of(port))

    def _choose_server(self) -> bool:
        """Fill in a provider's server, or one that is looked for; whether there is one."""
        now = self._unsaved.fields
        options = [(one.key, one.label) for one in providers()]
        options.append(("find", f"Find it from the address {now['from_email']}"))
        kept = f"{now['host']} as it is now, or another" if now["host"] else "Another server"
        options.append(("other", f"{kept}: enter it by hand"))
        known = self._unsaved.provider
        default = known.key if known else "other" if now["host"] else "find"
        chosen = choose("Mail goes out through", options, default)
        self._picked = None
        if chosen == "find":
            return self._find()
        for one in providers():
            if one.key == chosen:
                self._use(one)
                return bool(now["host"])
        return False

    def _ask_limits(self) -> None:
        """Offer what the provider documents as the sender's own limits: the rest waits."""
        known = self._picked or self._unsaved.provider
        limits = known.limits if known else ()
        for one in limits:
            each = ((one.per_hour, "an hour"), (one.per_day, "a day"))
            words = " and ".join(f"{number:,} {time}" for number, time in each if number)
            if words:
                self._hint(one.who, f"at most {words}")
        if any(one.per_hour for one in limits):
            self._ask("max_per_hour", hint=False)
        if any(one.per_day for one in limits):
            self._ask("max_per_day", hint=False)

    def _agrees(self) -> bool:
        now = self._unsaved.fields
        security = next(label for one, label in SECURITY_LABELS.items() if one == now["security"])
        place = f"{now['host']}, port {now['port']}, {security}"
        return bool(click.confirm(f"Use {place}?", default=True))

    def _use(self, chosen: Provider) -> None:
        region = ""
        if chosen.regions:
            regions = [(one.key, f"{one.label} ({one.host})") for one in chosen.regions]
            here = [one.key for one in chosen.regions if one.host == self._unsaved.fields["host"]]
            region = choose("Region", regions, (here or [regions[0][0]])[0])
        self._unsaved.use(chosen, region)
        self._picked = chosen
        for step in chosen.steps:
            self._out.print(f"• {escape(step)}")
        self._out.print(f"[dim]{escape(chosen.page)}[/]", soft_wrap=True)

    def _find(self) -> bool:
        address = self._unsaved.fields["from_email"]
        self._out.print("Looking; this takes up to 15 seconds. Nothing is logged in to or sent …")
        try:
            found = find_settings(address)
        except ValueError as error:  # an address that cannot be looked up
            self._out.print(escape(str(error)))
            return False
        self._out.print(escape(found.summary))
        best = found.best
        if best is None:
            self._out.print("Ask your provider for the name of the “outgoing server (SMTP)”.")
            return False
        if best.caution:
            self._out.print(f"[yellow]Note:[/] {escape(best.caution)}")
        self._unsaved.fill_in(best.host, best.port, best.security, best.username)
        return True

    def _ask_security(self) -> None:
        if not self._asked("security"):
            return
        options = [(word, label) for word, label in SECURITY_LABELS.items()]
        chosen = choose(self.label("security"), options, self._unsaved.fields["security"])
        self._unsaved.fields["security"] = chosen

    def ask_login(self, *, keep_typed: bool = False) -> None:
        """Ask for login and password; *keep_typed*: what was typed before is not in doubt."""
        username = self._unsaved.fields["username"].strip()
        if self._asked("username") or (username and self._asked("password")):
            self.heading("The login")
        known = self._unsaved.provider
        if known is not None and self._asked("username"):
            self._hint("Login", known.login)
        while True:
            self._ask("username")
            username = self._unsaved.fields["username"].strip()
            wrong = check_shape(known, username, "", self._unsaved.fields["from_email"])
            if not wrong.get("username") or self._unsaved.locked_by("username"):
                break
            self._complain(wrong)
            self._given.discard("username")
        if not username or self._unsaved.locked_by("password"):
            self._unsaved.password = ""
            return
        if not installation().keyring:
            raise KeyMissing(
                "A password cannot be stored: SMTP_ADMIN_SECRET_KEYS is empty.",
                hint="Run `flask smtp-admin keys generate`, put the key there, and begin again.",
            )
        if known is not None and self._asked("password"):
            self._hint("Password", known.password)
        self._ask_password(before=self._unsaved.password if keep_typed else "")

    def _ask_password(self, before: str) -> None:
        if "password" in self._given:
            return
        missing = "" if before else self._unsaved.keeps_password(self._unsaved.values())

        def complaint(text: str) -> str:
            return self._unsaved.complaint("password", text) if text else missing

        kept = "the one typed before" if before else "" if missing else "the saved one"
        label = "Password, not shown" + (f"; Enter keeps {kept}" if kept else "")
        self._unsaved.password = ask_secret(label, complaint) or before

    def shaped(self) -> SenderValues:
        """The values, once login and password have a shape that the provider can accept.

        Raises:
            InvalidInput: what is wrong comes from the environment, and cannot be asked for.
        """
        while True:
            values = self._unsaved.values()
            self._unsaved.refuse_missing_variable(values)
            try:
                self._unsaved.typed_password(values)
            except InvalidInput as error:
                if all(self._unsaved.locked_by(name) for name in error.fields):
                    raise
                self._complain(error.fields)
                self._given -= error.fields.keys()
                if "from_email" in error.fields:
                    self.ask_from()
                if error.fields.keys() - {"from_email"}:
                    self.ask_login()
            else:
                return values

    def _ask(self, name: str, *, hint: bool = True) -> None:
        """Ask for one field, unless the environment holds it or an option gave it."""
        if not self._asked(name):
            return
        field = self._form[name]
        now = self._unsaved.fields[name]
        optional = not field.flags.required
        if hint and not now and field.description:
            self._hint("", str(field.description))
        self._unsaved.fields[name] = ask(
            self.label(name), now, lambda text: self._unsaved.complaint(name, text),
            optional=optional,
        )  # fmt: skip

    def _asked(self, *names: str) -> bool:
        """Whether one of these fields is asked for."""
        return any(not self._unsaved.locked_by(name) and name not in self._given for name in names)

    def label(self, name: str) -> str:
        """What the page calls a field; empty where it has none."""
        if name not in self._form:
            return ""
        return str(self._form[name].label.text)

    def heading(self, text: str) -> None:
        """Begin something new."""
        self._out.print(f"\n[bold]{escape(text)}[/]")

    def _hint(self, what: str, text: str) -> None:
        self._out.print(f"[dim]{what}{': ' if what else ''}{escape(text)}[/]")

    def _complain(self, fields: dict[str, list[str]]) -> None:
        for name, texts in fields.items():
            words = escape(" ".join(texts))
            self._out.print(f"{mark(self._out, 'failed')} {self.label(name)}: {words}")
