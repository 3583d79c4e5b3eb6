"""What a mail is for is in every text that comes along, in every language."""

import pytest

from smtp_admin import EmailType
from smtp_admin.errors import ConfigError
from smtp_admin.mail import drafts, templates
from smtp_admin.mail.templates import voice_of
from smtp_admin.mail.types import SHIPPED
from tests.app import HostApp


@pytest.mark.parametrize("type_", [one for one in SHIPPED if one.point], ids=lambda one: one.name)
def test_shipped_texts_have_it(host: HostApp, type_: EmailType) -> None:
    for language in templates.languages(type_):
        voice = voice_of(host.db.session(), type_, "acme", language)
        texts = templates.shipped(type_, language).texts
        assert drafts.warnings(type_, texts, voice) == []


@pytest.mark.parametrize("point", [["other"], ["empty"], "link"])
def test_a_point_is_a_variable_with_a_sample(point: list[str]) -> None:
    with pytest.raises(ConfigError, match="point of the e-mail type own"):
        EmailType(name="own", label="Own", variables={"link": "where", "empty": "nothing"},
                  sample={"link": "x", "empty": ""}, point=point)  # fmt: skip
