"""A value that a mail needs says something, whichever way the mail comes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smtp_admin import Recipient
from smtp_admin.errors import MessageError
from smtp_admin.mail.needed_values import needed_of
from smtp_admin.mail.types import SHIPPED
from tests.app import ADMIN, HostApp
from tests.cli.test_senders import run
from tests.delivery.workbench import deliveries
from tests.mail.newsletter import NAME, add_newsletter
from tests.scene import HTML, PREFIX

TO, WORDS = "mia@example.org", "name is empty, but the mail needs it."
_WAYS: dict[str, Callable[[HostApp, dict[str, Any], Path], str]] = {}


@pytest.fixture
def site(host: HostApp) -> HostApp:
    add_newsletter(host)
    host.save_sender()
    host.actor = ADMIN
    return host


def _raised(what: Callable[[], Any]) -> str:
    with pytest.raises(MessageError) as told:
        what()
    return told.value.message


def _way(function: Callable[[HostApp, dict[str, Any], Path], str]) -> Any:
    _WAYS[function.__name__.removeprefix("by_")] = function
    return function


@_way
def by_send(site: HostApp, values: dict[str, Any], _path: Path) -> str:
    send = site.plugin.send
    return _raised(lambda: send(NAME, to=TO, partner_id="acme", context=values))


@_way
def by_send_many(site: HostApp, values: dict[str, Any], _path: Path) -> str:
    people = [Recipient(TO, {"name": "x", "code": 1}), Recipient("b@example.org", values)]
    return _raised(lambda: site.plugin.send_many(NAME, people, partner_id="acme"))


@_way
def by_queue(site: HostApp, values: dict[str, Any], _path: Path) -> str:
    body = {"to": TO, "type": NAME, "context": values, "partner_id": "acme"}
    return _refused(site, "queue", body, "context")


@_way
def by_batch(site: HostApp, values: dict[str, Any], _path: Path) -> str:
    people = [{"address": TO, "context": values}]
    body = {"type": NAME, "recipients": people, "partner_id": "acme"}
    return _refused(site, "batch", body, "recipients")


def _refused(site: HostApp, path: str, body: dict[str, Any], field: str) -> str:
    answer = site.client.post(f"/api/email/{path}", json=body)
    assert answer.status_code == 400, answer.text
    (words,) = answer.get_json()["error"]["fields"][field]
    return str(words)


@_way
def by_command(site: HostApp, values: dict[str, Any], path: Path) -> str:
    return str(run(site, "send-many", NAME, str(_listed(values, path)), "--partner", "acme",
                   status=1).output)  # fmt: skip


@_way
def by_page(site: HostApp, values: dict[str, Any], path: Path) -> str:
    data = {"type": NAME, "do": "send", "csv": _listed(values, path).read_text()}
    return site.client.post(f"{PREFIX}/partners/acme/batches/new", headers=HTML, data=data).text


def _listed(values: dict[str, Any], folder: Path) -> Path:
    path = folder / "people.csv"
    path.write_text(f'address,name,code\n{TO},"{values["name"] or ""}",{values["code"]}\n')
    return path


@pytest.mark.parametrize("empty", ["", " \t\u00a0", None, "\u200b\u200d \ufeff"])
@pytest.mark.parametrize("way", sorted(_WAYS))
def test_every_way_in_refuses_it_with_the_same_words(
    site: HostApp, tmp_path: Path, way: str, empty: str | None
) -> None:
    assert WORDS in _WAYS[way](site, {"name": empty, "code": 0}, tmp_path)
    assert deliveries(site) == []


@pytest.mark.parametrize(
    "unseen",
    [
        "\N{ZERO WIDTH SPACE}", "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}",
        "\N{WORD JOINER}\N{INVISIBLE SEPARATOR}", "\N{ZERO WIDTH NO-BREAK SPACE}",
        "\N{RIGHT-TO-LEFT MARK}\N{LEFT-TO-RIGHT ISOLATE}\N{POP DIRECTIONAL ISOLATE}",
        "\N{SOFT HYPHEN}", "\N{VARIATION SELECTOR-16}", "\N{COMBINING GRAPHEME JOINER}",
        "\N{TAG LATIN SMALL LETTER G}\N{CANCEL TAG}", "\N{LINE SEPARATOR}\N{IDEOGRAPHIC SPACE}",
        "\x07\x1b\x85", "\N{HANGUL FILLER}", "\N{HALFWIDTH HANGUL FILLER}",
        "\N{BRAILLE PATTERN BLANK}", "\N{MONGOLIAN VOWEL SEPARATOR}",
    ],
)  # fmt: skip
def test_a_value_of_which_nothing_is_seen_is_empty(site: HostApp, unseen: str) -> None:
    assert by_send(site, {"name": unseen, "code": 0}, Path()) == WORDS
    assert by_send(site, {"name": f" {unseen} \n", "code": 0}, Path()) == WORDS


@pytest.mark.parametrize(
    "name",
    [
        "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}", "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
        "1\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}",
        "\N{WAVING BLACK FLAG}\N{TAG LATIN SMALL LETTER G}\N{CANCEL TAG}",
        "\N{RIGHT-TO-LEFT MARK}דנה\N{RIGHT-TO-LEFT MARK}",
        "\N{RIGHT-TO-LEFT EMBEDDING}علی‌رضا\u202c",
        "क्‍ष", "e\N{COMBINING ACUTE ACCENT}", "\N{ZERO WIDTH SPACE}Mia", "Kauf\N{SOFT HYPHEN}mann",
        "-", "0", "한", "\U0001fae9",
    ],
)  # fmt: skip
def test_what_is_not_seen_may_stand_in_real_text(site: HostApp, name: str) -> None:
    """Joiners of emoji and letters, marks of direction; and emoji newer than Python's table."""
    site.plugin.send(NAME, to=TO, partner_id="acme", context={"name": name, "code": 0})
    site.db.session.commit()
    assert len(deliveries(site)) == 1


def test_what_may_rightly_be_empty(site: HostApp) -> None:
    """What has a default, a list, a zero, and the link that we give."""
    add_newsletter(
        site,
        name="paper",
        variables=dict.fromkeys(("name", "code", "note", "unsubscribe_url"), "something"),
        sample={"name": "x", "code": [1], "note": "x", "unsubscribe_url": "x"},
        defaults={"note": "-"},
        notice=True,
    )
    people = [f"{one}@example.org" for one in "ab"]
    some: list[Any] = [[], 0]
    for code in some:
        values = {"name": "Mia", "code": code, "note": ""}
        site.plugin.send("paper", to=people, partner_id="acme", context=values)
    site.plugin.send("welcome", to=TO, partner_id="acme", context={"name": "", "login_url": ""})
    site.db.session.commit()
    assert len(deliveries(site)) == 5


def test_everything_that_is_wrong_is_told_at_once(site: HostApp) -> None:
    said = by_send(site, {"name": " "}, Path())
    assert said == f"The e-mail type {NAME} needs these values too: code. {WORDS}"


def test_nobody_without_a_name_goes_without_mail() -> None:
    """How somebody is called is not always known, and every greeting does without."""
    assert not [one.name for one in SHIPPED if "name" in needed_of(one)]
