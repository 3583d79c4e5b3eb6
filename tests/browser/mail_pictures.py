"""What each shipped mail looks like: ``python -m tests.browser.mail_pictures FOLDER``.

Light and dark, wide and narrow, with ordinary values and with odd ones: long names, Cyrillic,
Japanese, and from right to left. For people to look at; nothing is compared.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import Host, SMTPAdmin
from smtp_admin.mail import templates
from smtp_admin.mail.branding import Brand
from smtp_admin.mail.saved_templates import Saved
from smtp_admin.mail.templates import Voice
from smtp_admin.mail.types import SHIPPED, EmailType
from tests.servers.chromium import browser

_WIDTHS = {"wide": 800, "narrow": 360}
_BRAND = Brand("Acme Hosting", footer="Acme GmbH, Hauptstraße 1, 10115 Berlin")
#: Name → language of the mail, and what people and things are called in it.
_ODD = {
    "long": ("de", "Hubert Blaine Wolfeschlegelsteinhausenbergerdorff" * 2),
    "cyrillic": ("pl", "Александра Константинопольская"),
    "japanese": ("fr", "株式会社日本語の長い名前のお客様"),
    "rtl": ("ar", "مؤسسة البريد الإلكتروني"),
}


def app() -> Flask:
    """An app with nothing but the types."""
    made = Flask("pictures")
    made.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SMTP_ADMIN_APP_NAME="Northwind")
    SMTPAdmin(host=Host()).init_app(made, SQLAlchemy(made))
    return made


def pages(type_: EmailType) -> Iterator[tuple[str, str]]:
    """A name for the file, and the HTML."""
    ordinary = {**type_.sample, "app_name": "Northwind"}
    yield "plain", templates.render(type_, ordinary, Voice(brand=_BRAND)).html
    for name, (language, word) in _ODD.items():
        values = {key: _with(value, key, word) for key, value in ordinary.items()}
        # No words of ours are written from right to left; the page around them must be ready.
        texts = templates.shipped(type_, "en").texts
        own = [Saved("", type_.name, language, 1, texts)] if name == "rtl" else []
        voice = Voice("", language, own, Brand(word, "#7a1fa2", footer=word))
        yield name, templates.render(type_, values, voice).html


def _with(value: Any, key: str, word: str) -> Any:
    """The sample with *word* wherever somebody is named."""
    if isinstance(value, list):
        return [_with(one, key, word) for one in value]
    if isinstance(value, dict) and key != "words":
        return {name: _with(one, name, word) for name, one in value.items()}
    named = key in {"name", "title", "text", "product", "workspace", "inviter", "agent", "label"}
    return f"{word} {value}" if named and isinstance(value, str) else value


def main(folder: Path) -> None:
    """Write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with app().app_context():
        made = [(f"{type_.name}-{name}", html) for type_ in SHIPPED for name, html in pages(type_)]
    with browser() as chromium:
        for width_name, width in _WIDTHS.items():
            for scheme in ("light", "dark"):
                context = chromium.new_context(
                    viewport={"width": width, "height": 300}, color_scheme=scheme
                )
                page = context.new_page()
                for name, html in made:
                    page.set_content(html)
                    wide = page.evaluate("document.documentElement.scrollWidth")
                    if wide > width:
                        sys.stderr.write(f"{name} is {wide} wide in a window of {width}\n")
                    path = folder / f"{name}-{width_name}-{scheme}.png"
                    page.screenshot(path=path, full_page=True)
                context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
