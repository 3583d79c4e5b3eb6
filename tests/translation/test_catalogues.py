"""Every catalogue has the texts of the sources, and none that could break a page."""

import pytest
from babel.messages.pofile import read_po

from smtp_admin.catalogues import DOMAIN, FOR_READERS, flaw, languages
from tests.translation.messages import path_of, texts, updated, written

CATALOGUES = sorted((one, domain) for domain in (DOMAIN, FOR_READERS) for one in languages(domain))


@pytest.mark.parametrize(("language", "domain"), CATALOGUES)
def test_is_up_to_date(language: str, domain: str) -> None:
    path = path_of(language, domain)
    assert path.read_bytes() == written(updated(language, domain)), (
        f"{path.name} ({language}) has not the texts of the sources. Run: make messages"
    )


@pytest.mark.parametrize(("language", "domain"), CATALOGUES)
def test_translations_can_stand_for_their_texts(language: str, domain: str) -> None:
    with path_of(language, domain).open("rb") as file:
        catalog = read_po(file, language)
    flaws: dict[str, str] = {}
    for one in catalog:
        english = one.id if isinstance(one.id, list | tuple) else (one.id,)
        forms = one.string if isinstance(one.string, list | tuple) else (one.string or "",)
        if one.id and any(forms):
            flaws |= {text: why for text in forms if (why := flaw(english, text))}
    assert not flaws
    if domain == FOR_READERS:
        assert all(one.string for one in catalog if one.id)


def test_german_says_most_of_it() -> None:
    with path_of("de").open("rb") as file:
        catalog = read_po(file, "de")
    left = [one.id for one in catalog if one.id and not one.string]
    assert len(left) < len(catalog) / 10


def test_texts_of_each_kind_are_found() -> None:
    found = texts()
    assert "templates/smtp_admin/page.html" in found["Undo"]
    assert "smtp_admin/sender_state/state.py" in found["Limit reached"]
    assert "smtp_admin/mail/security_types.py" in found["Link that signs in"]
    assert "smtp_admin/diagnosis/causes.toml" in found["A mail never arrived"]
    assert "smtp_admin/replies/replies.toml" in found["The server requires a login."]
    assert "smtp_admin/mail/shipped.toml" in found["greets someone whose account is ready"]
    assert "Your report is ready" not in found  # a value of an example
    assert ("%(number)s mail", "%(number)s mails") in found
