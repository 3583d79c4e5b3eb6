"""The questions about a mail server: a provider's, one that is looked for, or one by hand."""

import click
from rich.markup import escape

from smtp_admin.cli.asking import Asking
from smtp_admin.cli.terminal import choose
from smtp_admin.credentials.sign_ins import SIGN_INS
from smtp_admin.discovery.service import find_settings
from smtp_admin.providers.catalogue import providers
from smtp_admin.providers.provider import Provider
from smtp_admin.providers.shape import check_shape
from smtp_admin.transports.smtp.fields import SECURITY_LABELS

PLACE = ("host", "port", "security")
_FIND, _BY_HAND = "find", "other"


class SMTPQuestions:
    """Asks for server and login of a sender that sends over SMTP."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._unsaved = asking.unsaved
        #: The provider that was chosen from the list.
        self._picked: Provider | None = None

    def options(self) -> list[tuple[str, str]]:
        """The servers to choose from, as words and what they mean."""
        address, host = self._unsaved.texts["from_email"], self._unsaved.texts.get("host", "")
        kept = f"{host} (current), or another" if host else "Another server"
        return [
            *((one.key, one.label) for one in providers()),
            (_FIND, f"Find it from the address {address}"),
            (_BY_HAND, f"{kept}: enter it by hand"),
        ]

    def usual(self) -> str:
        """Which of the options is what is there now."""
        known = self._unsaved.provider
        if known is not None:
            return known.key
        return _BY_HAND if self._unsaved.texts.get("host") else _FIND

    def take(self, chosen: str) -> bool:
        """Fill in one of the options; whether there is a server now, and it is the right one."""
        self._picked = None
        if chosen == _BY_HAND:
            return False
        if chosen == _FIND:
            return self._find() and self._agrees()
        self._use(next(one for one in providers() if one.key == chosen))
        return bool(self._unsaved.texts["host"]) and self._agrees()

    def ask_place(self) -> None:
        """Ask for host, port and security by hand."""
        for name in PLACE:
            before = self._unsaved.texts["port"]
            self._asking.field(name, hint=name == "host")
            port = self._unsaved.texts["port"]
            if port != before:
                self._unsaved.fill_in("", port, self._unsaved.security_of(port))

    def ask_limits(self) -> None:
        """Offer what the provider documents as the sender's own limits: the rest waits."""
        known = self._picked or self._unsaved.provider
        limits = known.limits if known else ()
        for one in limits:
            each = ((one.per_hour, "an hour"), (one.per_day, "a day"))
            words = " and ".join(f"{number:,} {time}" for number, time in each if number)
            if words:
                self._asking.hint(one.who, f"at most {words}")
        if any(one.per_hour for one in limits):
            self._asking.field("max_per_hour", hint=False)
        if any(one.per_day for one in limits):
            self._asking.field("max_per_day", hint=False)

    def ask_login(self, *, keep_typed: bool = False) -> None:
        """Ask for login and password; *keep_typed*: what was typed before is not in doubt."""
        asked = self._asking.asked
        username = self._unsaved.texts["username"].strip()
        if asked("username") or (username and asked("password")):
            self._asking.heading("The login")
        known = self._unsaved.provider
        if known is not None and asked("username"):
            self._asking.hint("Login", known.login)
        while True:
            self._asking.field("username")
            username = self._unsaved.texts["username"].strip()
            wrong = check_shape(known, username, "", self._unsaved.texts["from_email"])
            if not wrong.get("username") or self._unsaved.locked_by("username"):
                break
            self._asking.complain(wrong)
            self._asking.given.discard("username")
        if self._unsaved.texts.get("sign_in", "").strip() not in ("", "password"):
            self._ask_oauth()
            return
        if not username or self._unsaved.locked_by("password"):
            self._unsaved.secrets.pop("password", None)
            return
        if known is not None and asked("password"):
            self._asking.hint("Password", known.password)
        before = self._unsaved.secrets.get("password", "") if keep_typed else ""
        self._asking.secret("password", before=before)

    def _ask_oauth(self) -> None:
        """Ask for what the chosen way to sign in by OAuth2 needs."""
        self._unsaved.secrets.pop("password", None)
        way = SIGN_INS.get(self._unsaved.texts["sign_in"].strip().lower())
        for one in self._unsaved.fields():
            if way is None or one.place != "oauth" or not way.shows(one.name):
                continue
            if one.secret:
                if one.needed(self._unsaved.so_far()):
                    self._asking.secret(one.name)
            elif one.name in (*way.fields, "oauth_certificate"):
                self._asking.field(one.name)

    def _agrees(self) -> bool:
        now = self._unsaved.texts
        place = f"{now['host']}, port {now['port']}, {SECURITY_LABELS[now['security']]}"
        return bool(click.confirm(f"Use {place}?", default=True))

    def _use(self, chosen: Provider) -> None:
        region = ""
        if chosen.regions:
            regions = [(one.key, f"{one.label} ({one.host})") for one in chosen.regions]
            here = [one.key for one in chosen.regions if one.host == self._unsaved.texts["host"]]
            region = choose("Region", regions, (here or [regions[0][0]])[0])
        self._unsaved.use(chosen, region)
        self._picked = chosen
        for step in chosen.steps:
            self._asking.out.print(f"• {escape(step)}")
        self._asking.out.print(f"[dim]{escape(chosen.page)}[/]", soft_wrap=True)

    def _find(self) -> bool:
        out = self._asking.out
        out.print("Searching for up to 15 seconds. It does not log in or send anything …")
        try:
            found = find_settings(self._unsaved.texts["from_email"])
        except ValueError as error:  # an address that cannot be looked up
            out.print(escape(str(error)))
            return False
        out.print(escape(found.summary))
        best = found.best
        if best is None:
            out.print("Ask your provider for the name of the “outgoing server (SMTP)”.")
            return False
        if best.caution:
            out.print(f"[yellow]Note:[/] {escape(best.caution)}")
        self._unsaved.fill_in(best.host, best.port, best.security, best.username)
        return True
