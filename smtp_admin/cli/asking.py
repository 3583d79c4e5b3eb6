"""Asks for one field of a sender at a time, in the way that its kind calls for."""

from collections.abc import Callable, Collection, Mapping, Sequence

import click
from rich.console import Console
from rich.markup import escape

from smtp_admin.cli.field_options import FROM_FILE, text_of_lines
from smtp_admin.cli.terminal import ask, ask_lines, ask_secret, choose, mark
from smtp_admin.cli.unsaved_settings import UnsavedSettings
from smtp_admin.errors import KeyMissing
from smtp_admin.installation import installation
from smtp_admin.transports.fields import Field


class Asking:
    """Puts what a person answers into the unsaved settings.

    Every question may end with ``click.Abort``: Ctrl-C, Ctrl-D, or the terminal is gone.

    Args:
        given: fields that were given as options, and are not asked for unless they prove wrong.
    """

    def __init__(self, unsaved: UnsavedSettings, out: Console, given: Collection[str]) -> None:
        self.unsaved = unsaved
        self.out = out
        self.given = set(given)

    def asked(self, *names: str) -> bool:
        """Whether one of these fields is asked for."""
        return any(not self.unsaved.locked_by(name) and name not in self.given for name in names)

    def field(self, name: str, *, hint: bool = True) -> None:
        """Ask for one field, unless the environment holds it or an option gave it."""
        one = self.unsaved.field(name)
        if one is None or not self.asked(name):
            return
        if one.secret:
            self.secret(name)
            return
        now = self.unsaved.texts[name]
        if hint and one.help and (not now or one.place == "more"):
            self.hint("", one.help)
        self.unsaved.texts[name] = self._answer(one, now)

    def _answer(self, one: Field, now: str) -> str:
        if one.choices:
            return choose(one.label, list(one.choices.items()), now)
        if one.kind == "flag":
            return "true" if click.confirm(one.label, default=now == "true") else "false"
        if one.kind == "lines":
            return ask_lines(
                f"{one.label}, or {FROM_FILE}FILE", now, text_of_lines, self._complaint(one)
            )
        return ask(one.label, now, self._complaint(one), optional=_may_be_empty(one))

    def _complaint(self, one: Field, empty: str = "") -> Callable[[str], str]:
        """Why an answer cannot be used; *empty*: why it may not be empty, if a secret may not."""

        def complaint(text: str) -> str:
            return self.unsaved.complaint(one, text) if text or not empty else empty

        return complaint

    def secret(self, name: str, *, before: str = "") -> None:
        """Ask for a secret that the other settings call for; what is typed is not shown.

        Args:
            before: what was typed for it earlier and is not in doubt.
        """
        one = self.unsaved.field(name)
        if one is None or not self.asked(name):
            return
        values = self.unsaved.so_far()
        if not one.needed(values):
            self.unsaved.secrets.pop(name, None)
            return
        if not installation().keyring:
            raise KeyMissing(
                f"The {one.label.lower()} cannot be stored: SMTP_ADMIN_SECRET_KEYS is empty.",
                hint="Run `flask smtp-admin keys generate`, put the key there, and start again.",
            )
        missing = "" if before else self.unsaved.why_to_enter(one, values)
        complaint = self._complaint(one, missing)
        kept = "the one typed before" if before else "" if missing else "the saved one"
        keeps = f"; Enter keeps {kept}" if kept else ""
        if one.rows > 1:  # nobody types it
            label = f"{one.label}, as {FROM_FILE}FILE{keeps}"
            typed = ask_lines(label, "", text_of_lines, complaint)
        else:
            typed = ask_secret(f"{one.label}, not shown{keeps}", complaint)
        self.unsaved.secrets[name] = typed or before

    def label(self, name: str) -> str:
        """What the page calls a field; empty where there is none."""
        one = self.unsaved.field(name)
        return one.label if one else ""

    def heading(self, text: str) -> None:
        """Begin something new."""
        self.out.print(f"\n[bold]{escape(text)}[/]")

    def hint(self, what: str, text: str) -> None:
        """Something to know before the next answer."""
        self.out.print(f"[dim]{what}{': ' if what else ''}{escape(text)}[/]")

    def complain(self, fields: Mapping[str, Sequence[str]]) -> None:
        """Say what is wrong with each of *fields*."""
        for name, texts in fields.items():
            words = escape(" ".join(texts))
            self.out.print(f"{mark(self.out, 'failed')} {self.label(name)}: {words}")


def _may_be_empty(one: Field) -> bool:
    """Whether there can be nothing in it, rather than a default."""
    try:
        return not one.required and one.clean("") in ("", None, ())
    except ValueError:
        return False
