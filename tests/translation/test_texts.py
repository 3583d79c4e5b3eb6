"""A text is English wherever it is a string, and in the page's language where a page shows it."""

import copy
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from flask import render_template_string
from flask_babel import force_locale
from markupsafe import Markup, escape

from smtp_admin.mail.template_reasons import FRAMES, recalled
from smtp_admin.translation import (
    Text,
    day,
    gettext,
    in_sentence,
    joined,
    known,
    language,
    listed,
    ngettext,
    number,
    said_by,
    sentence,
)
from tests.app import HostApp
from tests.translation.conftest import speaking
from tests.translation.messages import ROOT, messages_of

AT = datetime(2026, 12, 1, 14, 5, tzinfo=UTC)


def shown(text: str) -> str:
    """As a template shows it."""
    return str(escape(text))


def test_is_the_english_sentence(german: HostApp) -> None:
    text = gettext("Paused until %(at)s", at="14:05 UTC")
    with german.app.test_request_context():
        assert text == "Paused until 14:05 UTC"
        assert f"{text}!" == "Paused until 14:05 UTC!"
        assert json.dumps({"message": text}) == '{"message": "Paused until 14:05 UTC"}'
        assert shown(text) == "Angehalten bis 14:05 UTC"
    assert shown(text) == "Paused until 14:05 UTC"  # a worker, a command


def _pickled(text: str) -> Any:
    return pickle.loads(pickle.dumps(text))  # noqa: S301 - made here


@pytest.mark.parametrize("same", [copy.copy, copy.deepcopy, _pickled])
def test_copies_know_it_too(german: HostApp, same: Callable[[str], str]) -> None:
    with german.app.test_request_context():
        copied = same(ngettext("One mail waits", "%(number)s mails wait", 1204))
        assert (copied, shown(copied)) == ("1,204 mails wait", "1.204 Mails warten")


@pytest.mark.parametrize(
    ("text", "english", "german_text"),
    [
        (ngettext("One mail waits", "%(number)s mails wait", 1),
         "One mail waits", "Eine Mail wartet"),
        (ngettext("%(number)s day ago", "%(number)s days ago", 3), "3 days ago", "vor 3 Tagen"),
        (number(1204), "1,204", "1.204"),
        (number(1234567.25, 1), "1,234,567.2", "1.234.567,2"),
        (day(AT), "1 Dec", "1. Dez."),
        (day(AT, year=True, clock=True), "1 Dec 2026 at 14:05", "1. Dez. 2026 um 14:05"),
        (day(AT, weekday=True, year=True), "Tue 1 Dec 2026", "Di., 1. Dez. 2026"),
        (joined(("", gettext("Ready"), gettext("Stopped")), ", "),
         "Ready, Stopped", "Bereit, Gestoppt"),
        (gettext("Ready") + ".", "Ready.", "Bereit."),
        ("– " + gettext("Ready"), "– Ready", "– Bereit"),
        (gettext("Accepted.").rstrip("."), "Accepted", "Angenommen"),
        (listed((gettext("Host"), gettext("Password"))), "Host and Password", "Host und Passwort"),
        (gettext("the %(label)s", label=in_sentence("Password")),
         "the password", "das Feld „Passwort“"),
        (known("Send {mails} again?", mails=number(1204)),
         "Send 1,204 again?", "1.204 erneut senden?"),
        (known("It waited too long and was not sent."), "It waited too long and was not sent.",
         "Sie hat zu lange gewartet und wurde nicht gesendet."),
        (known("What a server said."), "What a server said.", "What a server said."),
        (said_by(ValueError(gettext("A name has at most 64 characters."))),
         "A name has at most 64 characters.", "Ein Name hat höchstens 64 Zeichen."),
    ],
)  # fmt: skip
def test_kinds_of_texts(german: HostApp, text: str, english: str, german_text: str) -> None:
    assert text == english
    with german.app.test_request_context():
        assert text == english
        assert Markup("{}").format(text).unescape() == german_text


def test_values_are_escaped(german: HostApp) -> None:
    name = '<b onclick="x">&'
    template = (
        '{{ smtp_admin_t("Delete %(name)s?", name=name) }} {{ text }} '
        '{{ smtp_admin_th("Set by <code>%(variable)s</code> in the environment.",'
        ' variable=name) }} <i title="{{ smtp_admin_t("Delete %(name)s?", name=name) }}">'
    )
    with german.app.test_request_context():
        text = gettext("There is no domain %(domain)s.", domain=name)
        page = render_template_string(template, name=name, text=text)
    assert "<b" not in page
    safe = str(escape(name))
    assert page.count(safe) == 4
    assert f"{safe} löschen? Die Domain {safe} gibt es nicht. Festgelegt durch <code>{safe}" in page


def test_texts_of_templates_in_attributes(written: Callable[[str], None], host: HostApp) -> None:
    """A catalogue may hold any sign; none ends an attribute or begins a tag."""
    written('msgid "Save"\nmsgstr "„\\"Sichern\\" & <b>“"\n')
    speaking(host)
    with host.app.test_request_context():
        page = render_template_string(
            '<i title="{{ smtp_admin_t("Undo") }}">{{ smtp_admin_t("Save") }}'
        )
        assert page == '<i title="Undo">Save'  # with a tag of its own, it is not taken
    written('msgid "Save"\nmsgstr "\\"Sichern\\" & mehr"\n')
    with host.app.test_request_context():
        page = render_template_string('<i title="{{ smtp_admin_t("Save") }}">')
        assert page == '<i title="&quot;Sichern&quot; &amp; mehr">'


BROKEN = """
msgid "Paused until %(at)s"
msgstr "Angehalten bis %(when)s"

msgid "Stopped"
msgstr ""

msgid "Late: %(mails)s"
msgstr "100 % verspätet: %(mails)s"

#, fuzzy
msgid "Held"
msgstr "Gehalten"

msgid "Send {mails} again?"
msgstr "{mails} und { senden?"

msgid "%(number)s mail"
msgid_plural "%(number)s mails"
msgstr[0] "%(number)s Brief"
msgstr[1] "%(nummer)s Briefe"

msgid "%(names)s and %(last)s"
msgstr "zuletzt %(last)s"

msgid "Ready"
msgstr "Bereit"
"""


def test_english_takes_the_place_of_one_text_alone(
    written: Callable[[str], None], host: HostApp
) -> None:
    written(BROKEN)
    speaking(host)
    with host.app.test_request_context():
        assert language() == "de"
        assert shown(gettext("Ready")) == "Bereit"
        assert shown(gettext("Paused until %(at)s", at="9")) == "Paused until 9"
        assert shown(gettext("Stopped")) == "Stopped"
        assert shown(gettext("Late: %(mails)s", mails="1")) == "Late: 1"
        assert shown(gettext("Held")) == "Held"
        assert shown(known("Send {mails} again?", mails="2")) == "Send 2 again?"
        assert shown(ngettext("%(number)s mail", "%(number)s mails", 1)) == "1 mail"
        assert shown(ngettext("%(number)s mail", "%(number)s mails", 1204)) == "1.204 mails"
        assert shown(listed(("a", "b"))) == "zuletzt b"  # a value may be left out
        assert shown(gettext("A text that nobody translated.")) == "A text that nobody translated."


@pytest.mark.parametrize(
    ("locale", "used", "numbers"),
    [("de", "de", "1.204"), ("de_AT", "de", None), ("de_CH", "de", "1&#39;204"),
     ("fr", "en", "1,204"), ("en_GB", "en", "1,204")],
)  # fmt: skip
def test_locales(host: HostApp, locale: str, used: str, numbers: str | None) -> None:
    """A language without a catalogue has English texts, and numbers to go with them."""
    speaking(host, locale)
    with host.app.test_request_context():
        assert language() == used
        assert shown(gettext("Ready")) == ("Bereit" if used == "de" else "Ready")
        assert numbers in (None, shown(number(1204)))


def test_follows_what_the_host_forces(german: HostApp) -> None:
    with german.app.test_request_context():
        assert shown(gettext("Ready")) == "Bereit"
        with force_locale("en"):
            assert (shown(gettext("Ready")), language()) == ("Ready", "en")


def test_without_flask_babel(host: HostApp) -> None:
    with host.app.test_request_context():
        assert isinstance(gettext("Ready"), Text)
        assert (shown(gettext("Ready")), shown(number(1204)), language()) == (
            "Ready",
            "1,204",
            "en",
        )


def test_part_of_a_sentence_as_a_whole_one(german: HostApp) -> None:
    whole = sentence(gettext("a number is too large"))
    assert whole == "A number is too large."
    with german.app.test_request_context():
        assert shown(whole) == "Eine Zahl ist zu groß."
    assert sentence("done.") == "Done."


#: Whatever these say, the page of a template shows.
REASONS = ("liquid", "liquid_filters", "liquid_limits", "liquid_source", "template_work")
TOLD = "The template welcome/html.liquid: Line 2, column 4: "


def test_the_reasons_of_templates_are_read_back(german: HostApp) -> None:
    texts = {
        one
        for name in REASONS
        for one in messages_of(ROOT / "smtp_admin" / "mail" / f"{name}.py")
        if isinstance(one, str)
    }
    assert texts
    assert texts <= set(FRAMES)
    with german.app.test_request_context():
        for english, said in (
            ("'nobody' is undefined.", "'nobody' ist nicht definiert."),
            ("A loop goes over more than 10,000 items.", "10.000"),
            ("This takes too much work for so many mails.", "so viele Mails"),
            ("The subject of invoice: Line breaks and control characters are not allowed here.",
             "Zeilenumbrüche"),
            ("Expected something odd.", "Expected something odd."),
        ):  # fmt: skip
            found = recalled(f"{TOLD}{english}")
            assert found == f"{TOLD}{english}"
            assert shown(found).startswith("Die Vorlage welcome/html.liquid: Zeile 2, Spalte 4: ")
            assert said in unescape(shown(found)), shown(found)


def test_a_number_up_to_which_was_counted(german: HostApp) -> None:
    with german.app.test_request_context():
        lists: Any = german.app.jinja_env.get_template("smtp_admin/lists.html").module
        assert [lists.counted(found, 1_000) for found in (1_000, 1_001)] == ["1.000", "1.000+"]
