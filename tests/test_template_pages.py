"""The pages on which partners write e-mail templates."""

import json
import re
import time
from typing import Any

import pytest

from smtp_admin.host import Actor
from smtp_admin.mail import wording
from smtp_admin.mail.common_values import COMMON
from tests.app import HostApp
from tests.mail.reading import parsed, queued

ACME = "/smtp-admin/templates/partners/acme"
EDITOR = f"{ACME}/welcome/de"
OWN = {
    "subject": "Hallo {{ name }}",
    "text": "Willkommen bei {{ app_name }}",
    "html": "<p>Willkommen, <b>{{ name }}</b></p>",
    "sample": json.dumps({"name": "<Ida>"}),
}
PARTNER_ADMIN = Actor(id="7", email="mia@acme.example", partner_ids=frozenset({"acme"}))


@pytest.fixture
def site(host: HostApp) -> HostApp:
    host.actor = PARTNER_ADMIN
    return host


def post(site: HostApp, url: str = EDITOR, **data: Any) -> Any:
    page = site.client.get(url.removesuffix("/preview")).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    seen = re.search(r'name="revision" value="(\d+)"', page)
    assert token
    assert seen
    known = {"csrf_token": token[1], "revision": seen[1]}
    return site.client.post(url, data=known | data)


def test_a_text_is_written_used_and_put_back(site: HostApp) -> None:
    page = site.client.get(EDITOR).text
    assert "Willkommen bei {{ app_name }}" in page
    assert "{{ login_url }}" in page
    assert post(site, **OWN, do="save").status_code == 303
    assert "Your own text applies." in site.client.get(EDITOR).text
    site.plugin.send("welcome", to="a@b.example", partner_id="acme", language="de",
                     context={"name": "Ida"})  # fmt: skip
    site.plugin.send("welcome", to="a@b.example", partner_id="globex", language="de",
                     context={"name": "Ida"})  # fmt: skip
    site.db.session.commit()
    subjects = [str(parsed(one.content)["Subject"]) for one in queued()]
    assert subjects == ["Hallo Ida", "Willkommen bei Northwind"]
    assert post(site, do="reset").status_code == 303
    page = site.client.get(EDITOR).text
    assert "open revision 1" in page
    assert "Hallo {{ name }}" not in page
    assert "Hallo {{ name }}" in site.client.get(f"{EDITOR}?from=1").text
    assert site.client.get(f"{EDITOR}?from=2").status_code == 404


@pytest.mark.parametrize(
    ("part", "text", "said"),
    [
        ("html", "<p>\n{{ nobody }}</p>", "Line 2, column 4: &#39;nobody&#39; is undefined."),
        ("text", "Hi {{ nmae }}", "is undefined. Did you mean name?"),
        ("text", "{{ brand.nam }}", "is undefined. Did you mean brand.name?"),
        ("text", "{{ name", "Line 1, column 1: This output is not closed."),
        ("subject", "{{ 'x' | nonsense }}", "Line 1, column 10: There is no filter"),
        ("subject", "", "Enter a subject."),
        ("text", " ", "Enter a text"),
        ("text", "a\0b", "cannot be stored"),
        ("html", "a\0b", "cannot be stored"),
        ("subject", "{% for i in (1..501) %}x{% endfor %}", "has 501 characters"),
        ("subject", "{{ login_url }}", "has 0 characters"),
        (
            "text",
            "{% if login_url == '' %}{{ nobody }}{% endif %}",
            "&#39;nobody&#39; is undefined",
        ),
        ("html", "{% for i in (1..100000000) %}x{% endfor %}", "A loop goes over more than"),
        ("text", "x" * 100_001, "At most 100,000 characters."),
    ],
)
def test_what_does_not_work_is_not_saved(site: HostApp, part: str, text: str, said: str) -> None:
    answer = post(site, **(OWN | {part: text}), do="save")
    assert answer.status_code == 400
    assert said in answer.text
    assert f'id="{part}-error"' in answer.text
    assert "Nothing was saved." in answer.text
    assert "Your own text applies." not in site.client.get(EDITOR).text


def test_languages_keep_their_places_and_a_shipped_text_is_said_to_be_one_once(
    site: HostApp,
) -> None:
    base = EDITOR.rpartition("/")[0]
    orders = set()
    for language in ("de", "en", "pl"):
        page = site.client.get(f"{base}/{language}").text
        (bar,) = re.findall(r'<nav class="smtp-admin-languages".*?</nav>', page, re.DOTALL)
        orders.add(tuple(re.findall(r">([^<]+)</a>", bar)))
    listed = re.findall(r"unseen\">, ([^<:]+): Welcome<", site.client.get(ACME).text)
    orders.add((*listed, "Another language"))
    assert len(orders) == 1, "and the list has them in the same order"
    assert page.count("This text is the same as the shipped one.") == 1
    compared = post(site, **(OWN | {"html": ""}), do="compare").text
    assert "This text is the same" not in compared


def test_the_preview_is_a_page_that_does_nothing(site: HostApp) -> None:
    preview = f"{EDITOR}/preview"
    answer = post(site, preview, **OWN)
    assert "Willkommen, <b>&lt;Ida&gt;</b>" in answer.text
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    as_text = post(site, preview, **OWN, view="text").text
    assert "Hallo &lt;Ida&gt;\n\nWillkommen bei Northwind" in as_text
    wrong = post(site, preview, **(OWN | {"html": "{{ nobody }}"}))
    assert wrong.status_code == 200
    assert "<b>HTML</b>: Line 1, column 4: &#39;nobody&#39; is undefined." in wrong.text
    for sample, said in (("[1]", "Enter an object"), ("{\n,}", "This is no JSON in line 2.")):
        assert said in post(site, preview, **(OWN | {"sample": sample})).text


def test_a_draft_is_sent_to_whoever_writes_it(site: HostApp) -> None:
    answer = post(site, **OWN, do="send")
    assert "on its way to mia@acme.example" in answer.text
    (row,) = queued()
    assert row.partner_id == "acme"
    assert str(parsed(row.content)["Subject"]) == "Hallo <Ida>"
    assert "Your own text applies." not in answer.text


def test_two_people_at_once(site: HostApp) -> None:
    assert post(site, **OWN, do="save").status_code == 303
    for seen in ("0", "", "2", "9" * 5000, str(2**63), "\u0663", "\u00b2"):
        for url, data in ((EDITOR, OWN), (ACME, {"footer": "x", "revision": seen})):
            answer = post(site, url, **(data | {"do": "save", "revision": seen}))
            if (url, seen) == (ACME, "0"):
                assert answer.status_code == 303  # nothing was saved there yet
                continue
            assert answer.status_code == 409, (url, seen[:9])
            assert "Nothing was overwritten." in answer.text


def again(site: HostApp, page: str, url: str, **data: Any) -> Any:
    """The form that *page* shows, sent once more."""
    seen = re.search(r'name="revision" value="(-?\d+)"', page)
    assert seen
    return post(site, url, **data, revision=seen[1])


@pytest.mark.parametrize("first", [{"do": "send"}, {"do": "save", "html": "{{ nobody }}"}])
def test_nobody_overwrites_another_after_a_test_mail_or_a_mistake(
    site: HostApp, first: dict[str, str]
) -> None:
    assert post(site, **OWN, do="save").status_code == 303  # somebody else, in the meantime
    page = post(site, **(OWN | first), revision="0").text
    refused = again(site, page, EDITOR, **OWN, do="save")
    assert refused.status_code == 409
    # They were told to look, and then to save again.
    assert again(site, refused.text, EDITOR, **OWN, do="save").status_code == 303


def test_what_mail_looks_like_is_saved_again_after_a_conflict(site: HostApp) -> None:
    assert post(site, ACME, footer="One").status_code == 303
    refused = post(site, ACME, footer="Two", revision="0")
    assert refused.status_code == 409
    assert again(site, refused.text, ACME, footer="Two").status_code == 303


@pytest.mark.parametrize(
    "path", ["account_locked/en", "test/en", "nothing/en", "welcome/x", "welcome/../en"]
)
def test_what_nobody_writes(site: HostApp, path: str) -> None:
    assert site.client.get(f"{ACME}/{path}").status_code == 404


def test_what_mail_looks_like(site: HostApp) -> None:
    good = {
        "colour": "#7a1fa2",
        "logo_url": "https://acme.example/l.png",
        "footer": "A <Berlin>",
    }
    assert post(site, ACME, **good).status_code == 303
    page = site.client.get(ACME).text
    assert "A &lt;Berlin&gt;" in page
    wrong = post(site, ACME, **(good | {"colour": "#ffffff"}))
    assert wrong.status_code == 400
    assert "Choose a darker one." in wrong.text


def test_a_text_that_failed_is_marked(site: HostApp) -> None:
    own = OWN | {"text": "{% if name == 'Ida' %}{{ nobody }}{% endif %}x"}
    assert post(site, **own, do="save").status_code == 303
    site.plugin.send("welcome", to="a@b.example", partner_id="acme", language="de",
                     context={"name": "Ida"})  # fmt: skip
    site.db.session.commit()
    assert "failed; the shipped text was used" in site.client.get(ACME).text
    assert "This text failed" in site.client.get(EDITOR).text
    assert post(site, **OWN, do="save").status_code == 303
    assert "failed" not in site.client.get(ACME).text


def test_a_language_that_nobody_has_listed(site: HostApp) -> None:
    asked = {"type": "welcome", "language": " it_CH "}
    begun = site.client.get(ACME, query_string=asked)
    editor = f"{ACME}/welcome/it-ch"
    assert (begun.status_code, begun.location) == (302, editor)
    page = site.client.get(editor).text
    assert "There is no text in Italian (Switzerland) yet." in page
    assert "the shipped text in English" in page
    assert "Welcome to {{ app_name }}" in page
    assert post(site, editor, **(OWN | {"subject": "Benvenuti"}), do="save").status_code == 303
    other = f"{ACME}/welcome/it"  # their own English text would go before the shipped one
    post(site, f"{ACME}/welcome/en", **(OWN | {"subject": "Our English"}), do="save")
    page = site.client.get(other).text
    assert "your own text in English" in page
    assert "Our English" in page
    assert f'href="{editor}"' in site.client.get(ACME).text
    assert "Italian (Switzerland)" in site.client.get(ACME).text
    for language in ("it-CH", "it_ch", "it"):
        site.plugin.send("welcome", to="a@b.example", partner_id="acme", language=language,
                         context={"name": "Ida"})  # fmt: skip
    site.db.session.commit()
    subjects = [str(parsed(one.content)["Subject"]) for one in queued()]
    assert subjects == ["Benvenuti", "Benvenuti", "Our English"]


@pytest.mark.parametrize("language", ["", "dutch", "xx", "de-xq", "../en", "a" * 5000, "\0"])
def test_what_is_no_language(site: HostApp, language: str) -> None:
    answer = site.client.get(ACME, query_string={"type": "welcome", "language": language})
    assert answer.status_code == 400
    assert '<a href="#language">Language</a>.' in answer.text
    assert 'id="language-error"' in answer.text
    assert '<option value="welcome" selected>' in answer.text
    unknown = site.client.get(ACME, query_string={"type": "nothing", "language": "it"})
    assert unknown.status_code == 404


def test_a_mistake_is_linked_by_its_label(site: HostApp) -> None:
    wrong = OWN | {"subject": "", "text": ""}
    for do, done in (("save", "saved"), ("send", "sent")):
        page = post(site, **wrong, do=do).text
        summary = " ".join(page.partition('id="form-error"')[2].partition("</div>")[0].split())
        assert f"Nothing was {done}." in summary
        links = re.findall(r'<a href="#(\w+)">(\w+)</a>', summary)
        assert links == [("subject", "Subject"), ("text", "Text")]
        assert all(f'id="{name}"' in page for name, _ in links)


def test_it_is_compared_with_the_shipped_text(site: HostApp) -> None:
    def rows(page: str) -> list[str]:
        return re.findall(r'<tr role="row" class="smtp-admin-compared-(\w+)">', page)

    assert rows(site.client.get(EDITOR).text) == []
    shipped = wording.texts("welcome")["de"]
    lines = shipped.text.splitlines()
    changed = "\n".join(["<b>Neu</b>", *lines[:-1], f"{lines[-1]}!"])
    typed = {"subject": shipped.subject, "text": changed, "html": shipped.html}
    page = post(site, **(OWN | typed), do="compare").text
    assert [one for one in rows(page) if one != "same"] == ["only_new", "changed"]
    assert "&lt;b&gt;Neu&lt;/b&gt;" in page
    assert "Your own text applies." not in page  # nothing is saved
    begun = time.process_time()
    many = "\n".join(str(number % 97) for number in range(25_000))
    page = post(site, **(OWN | {"html": many}), do="compare").text
    assert time.process_time() - begun < 5
    assert "more lines are not shown" in page


def test_every_template_may_use_the_common_values(site: HostApp) -> None:
    html = "".join(f"<p>{{{{ {name} }}}}</p>" for name in COMMON)
    text = html.replace("{{ mail.subject }}", "")
    assert post(site, **(OWN | {"html": html, "text": text}), do="save").status_code == 303
    page = site.client.get(EDITOR).text
    for name in COMMON:
        assert f'data-smtp-admin-insert="{{{{ {name} }}}}"' in page


RESET = {"subject": "Your password", "html": "<p>Hi {{ name }}</p>", "text": "Hi {{ name }}"}
LINK = "{{ reset_url }}"


@pytest.mark.parametrize(("changed", "told"), [
    ({}, ["HTML: reset_url", "Text: reset_url"]),
    ({"html": ""}, ["Text: reset_url"]),
    ({"html": f'<a href="{LINK}">x</a>'}, ["Text: reset_url"]),
    ({"text": "{% assign to = reset_url %}Go {{ to }}"}, ["HTML: reset_url"]),
    ({"html": f'<a href="{LINK}">x</a>', "text": LINK}, []),
    ({"html": LINK, "text": LINK, "subject": "<b>Your</b> password"}, ["Subject: HTML tags"]),
    ({"html": LINK, "text": LINK, "subject": "1 < 2 > 0, {{ name }}"}, []),
])  # fmt: skip
def test_a_text_without_the_point_of_its_mail_is_warned_of(
    site: HostApp, changed: dict[str, str], told: list[str]
) -> None:
    editor = f"{ACME}/password_reset/en"
    assert "text-warnings" not in site.client.get(editor).text, "the shipped text is complete"
    client = site.client
    saved = client.post(editor, data={"revision": "0", "do": "save", **RESET, **changed})
    assert saved.status_code == 303, "warned, not refused"
    page = client.get(editor).text
    tone = "warn" if told else "good"
    assert re.search(rf'note--{tone} smtp-admin-undo" role="status"><p>Saved\.', page)
    warned = re.search(r'id="text-warnings">(.*?)</div>', page, re.DOTALL)
    assert re.findall(r"<li>(.*?) (?:is not used|in it)", warned[1] if warned else "") == told
    if told and "Subject" not in told[0]:
        assert "the link that sets a new password" in page
