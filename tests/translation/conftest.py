"""A host with Flask-Babel, and one whose catalogues a test writes itself."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask_babel import Babel

from smtp_admin import catalogues, resources, translation
from tests.app import HostApp

#: What pages speak in these tests, unless one says otherwise.
GERMAN = "de"


def speaking(site: HostApp, language: str = GERMAN) -> HostApp:
    """*site* with Flask-Babel, in *language*."""
    Babel(site.app, default_locale="en", locale_selector=lambda: language)
    return site


@pytest.fixture
def german(host: HostApp) -> HostApp:
    """A host app whose pages are in German."""
    return speaking(host)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts a catalogue of the test in the place of the German one."""
    real = resources.folder
    kept = (catalogues.languages, catalogues.catalogue, catalogues._read, catalogues.by_tag)

    def forget() -> None:
        for one in kept:
            one.cache_clear()
        translation._Latest.of = (None, None)

    def write(text: str) -> None:
        path = tmp_path / "translations" / GERMAN / "LC_MESSAGES" / "smtp_admin.po"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + text, encoding="utf-8")
        forget()

    def folder(name: str) -> Path:
        return tmp_path / name if name == "translations" else real(name)

    monkeypatch.setattr(resources, "folder", folder)
    yield write
    forget()


HEADER = """\
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""
