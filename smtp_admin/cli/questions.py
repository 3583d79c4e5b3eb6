"""The questions about a sender, group by group, in a plain terminal."""

from collections.abc import Collection

from rich.console import Console

from smtp_admin.cli.asking import Asking
from smtp_admin.cli.smtp_questions import SMTPQuestions
from smtp_admin.cli.terminal import ask, choose
from smtp_admin.cli.unsaved_settings import SMTP, UnsavedSettings
from smtp_admin.errors import InvalidInput
from smtp_admin.senders.drivers import available_drivers
from smtp_admin.senders.fields import DRIVER, common_fields
from smtp_admin.senders.revisions import clean_label
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.fields import Field

#: Stands before the name of a driver in a list that holds providers as well.
_BY_DRIVER = "driver:"


class Questions:
    """Asks for a sender's settings; the answers go into *unsaved*.

    Every question may end with ``click.Abort``: Ctrl-C, Ctrl-D, or the terminal is gone.

    Args:
        given: fields that were given as options, and are not asked for unless they prove wrong.
    """

    def __init__(self, unsaved: UnsavedSettings, out: Console, given: Collection[str] = ()) -> None:
        self._unsaved = unsaved
        self._asking = Asking(unsaved, out, given)
        self._smtp = SMTPQuestions(self._asking)

    def ask_everything(self) -> None:
        """Each group once, but for what most people leave alone."""
        sender = self._unsaved.sender
        if sender.key and not sender.revision and self._unsaved.label is None:
            self._unsaved.label = ask("Name", "", _label_complaint, optional=True)
        self.ask_from()
        self.ask_server()
        self.ask_login()

    def forget_options(self) -> None:
        """What was given as an option has been tried; from now on it may be asked for."""
        self._asking.given.clear()

    def ask_from(self) -> None:
        """Ask who the mail comes from."""
        names = [one.name for one in common_fields() if one.place == "main"]
        if not self._asking.asked(*names):
            return
        self._asking.heading("Sender address")
        for name in names:
            self._asking.field(name, hint=name != "from_name")

    def ask_server(self) -> None:
        """Ask which way mail goes out, and for what that needs."""
        own = [one.name for one in self._own_fields("main")]
        places = [name for name in own if name not in {"username", "password"}]
        if not self._asking.asked(*places, *([] if places else [DRIVER.name])):
            return
        self._asking.heading("The mail server")
        complete = self._choose() if self._may_choose() else False
        if self._unsaved.driver != SMTP:
            for one in self._own_fields("main"):
                self._asking.field(one.name)
            return
        if not complete:
            self._smtp.ask_place()
        self._smtp.ask_limits()

    def _may_choose(self) -> bool:
        asked = self._asking.asked
        return asked("host") and (self._unsaved.driver == SMTP or asked(DRIVER.name))

    def _choose(self) -> bool:
        """Let a person choose a server, or another way; whether nothing more must be asked."""
        ways = [one for one in available_drivers()
                if one.name != SMTP and self._asking.asked(DRIVER.name)]  # fmt: skip
        options = self._smtp.options()
        options += [(f"{_BY_DRIVER}{one.name}", one.label) for one in ways]
        now = self._unsaved.driver
        usual = self._smtp.usual() if now == SMTP else f"{_BY_DRIVER}{now}"
        chosen = choose("Sending method", options, usual)
        if chosen.startswith(_BY_DRIVER):
            self._unsaved.choose_driver(chosen.removeprefix(_BY_DRIVER))
            return False
        self._unsaved.choose_driver(SMTP)
        return self._smtp.take(chosen)

    def ask_login(self, *, keep_typed: bool = False) -> None:
        """Ask for login and password; *keep_typed*: what was typed before is not in doubt."""
        if self._unsaved.driver == SMTP:
            self._smtp.ask_login(keep_typed=keep_typed)

    def ask_more(self) -> None:
        """Ask for everything that most people leave alone."""
        self._asking.heading("More settings; press Enter to keep each value")
        fields = [one for one in self._unsaved.fields() if one.place == "more"]
        for one in fields:
            self._asking.field(one.name)

    def checked(self) -> SenderValues:
        """The values, once nothing of them needs another look; nothing was dialled for that.

        Raises:
            InvalidInput: what is wrong comes from the environment, and cannot be asked for.
        """
        while True:
            try:
                values = self._unsaved.values()
                self._unsaved.check(values)
            except InvalidInput as error:
                again = {name for name in error.fields if self._can_ask(name)}
                if not again:
                    raise
                self._asking.complain(error.fields)
                self._asking.given -= again
                self._ask_again(again)
            else:
                return values

    def _can_ask(self, name: str) -> bool:
        return self._unsaved.field(name) is not None and not self._unsaved.locked_by(name)

    def _ask_again(self, names: set[str]) -> None:
        if "from_email" in names:
            self.ask_from()
        login = {"username", "password"} if self._unsaved.driver == SMTP else set()
        if names & login:
            self.ask_login()
        for name in sorted(names - login - {"from_email"}):
            self._asking.field(name)

    def _own_fields(self, place: str) -> list[Field]:
        """The fields that this sending method has beside those of all."""
        of_all = {one.name for one in (DRIVER, *common_fields())}
        return [one for one in self._unsaved.fields()
                if one.place == place and one.name not in of_all]  # fmt: skip

    def label(self, name: str) -> str:
        """What the page calls a field; empty where there is none."""
        return self._asking.label(name)

    def heading(self, text: str) -> None:
        """Begin something new."""
        self._asking.heading(text)


def _label_complaint(text: str) -> str:
    try:
        clean_label(text)
    except InvalidInput as error:
        return " ".join(error.fields.get("label", [error.message]))
    return ""
