"""What each shipped mail looks like: ``python -m tests.browser.mail_pictures FOLDER``.

Light and dark, wide and narrow, with ordinary values and with odd ones: long names, Cyrillic,
Japanese, and from right to left; and all of them small, many on one sheet. For people to look at;
nothing is compared. Japanese needs a font (Debian: fonts-noto-cjk).
"""

import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import Host, SMTPAdmin
from smtp_admin.mail import templates
from smtp_admin.mail.batches import in_steps
from smtp_admin.mail.branding import Brand
from smtp_admin.mail.saved_templates import Saved
from smtp_admin.mail.security_types import SECURITY_MAILS
from smtp_admin.mail.templates import Voice
from smtp_admin.mail.types import SHIPPED, EmailType
from tests.servers.chromium import browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTHS = {"wide": 700, "narrow": 360}
SCHEMES = ("light", "dark")
TYPES = (*SHIPPED, *(one.type_ for one in SECURITY_MAILS))
_BRAND = Brand("Acme Hosting", footer="Acme GmbH, Hauptstraße 1, 10115 Berlin")
#: Name → language of the mail, and what people and things are called in it.
_ODD = {
    "long": ("de", "Hubert Blaine Wolfeschlegelsteinhausenbergerdorff" * 2),
    "cyrillic": ("pl", "Александра Константинопольская"),
    "japanese": ("fr", "株式会社日本語の長い名前のお客様"),
    "rtl": ("ar", "مؤسسة البريد الإلكتروني"),
}
_NAMED = frozenset({
    "name", "title", "text", "product", "workspace", "inviter", "agent", "label", "username",
})  # fmt: skip
#: On one sheet, beside and below each other.
_COLUMNS, _ROWS, _ACROSS = 5, 4, 1500


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
    return f"{word} {value}" if key in _NAMED and isinstance(value, str) else value


def main(folder: Path) -> None:
    """Write the pictures and the sheets."""
    folder.mkdir(parents=True, exist_ok=True)
    with app().app_context():
        made = [(f"{type_.name}-{name}", html) for type_ in TYPES for name, html in pages(type_)]
    with browser() as chromium:
        for width, scheme in product(WIDTHS, SCHEMES):
            taken = list(_taken(chromium, made, width, scheme, folder))
            _sheets(chromium, taken, folder, f"{width}-{scheme}")


def _taken(
    chromium: "Browser", made: Iterable[tuple[str, str]], width: str, scheme: Any, folder: Path
) -> Iterator[Path]:
    pixels = WIDTHS[width]
    size: Any = {"width": pixels, "height": 300}
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    for name, html in made:
        page.set_content(html)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > pixels:
            sys.stderr.write(f"{name} is {wide} wide in a window of {pixels}\n")
        path = folder / f"{name}-{width}-{scheme}.png"
        page.screenshot(path=path, full_page=True)
        yield path
    context.close()


def _sheets(chromium: "Browser", pictures: Sequence[Path], folder: Path, name: str) -> None:
    context = chromium.new_context(viewport={"width": _ACROSS, "height": 300})
    page = context.new_page()
    for number, some in enumerate(in_steps(pictures, _COLUMNS * _ROWS), 1):
        shown = "".join(
            f"<figure><figcaption>{escape(one.stem)}</figcaption>"
            f'<img src="data:image/png;base64,{b64encode(one.read_bytes()).decode()}"></figure>'
            for one in some
        )
        page.set_content(_SHEET + shown)
        page.screenshot(path=folder / f"sheet-{name}-{number:02}.png", full_page=True)
    context.close()


_SHEET = f"""<!doctype html><style>
body {{ display: grid; grid-template-columns: repeat({_COLUMNS}, 1fr); gap: 8px; margin: 8px;
       background: #888; font: 11px sans-serif; align-items: start; }}
figure {{ margin: 0; }}
img {{ width: 100%; }}
</style>"""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
