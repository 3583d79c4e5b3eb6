"""A run that leaves tests out says so, with the line that installs what they need."""

from pathlib import Path

import pytest

from . import Unavailable, needs


def nothing() -> Path:
    raise Unavailable("It is missing.", "one", "two")


def unreadable() -> Path:
    raise Unavailable("It may not be read.")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found out before, about the machine as it is."""
    monkeypatch.setattr(needs, "_missing", needs._missing.__wrapped__)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"with something": nothing, "with another": unreadable, "with all": Path}
    monkeypatch.setattr(needs, "_NEEDS", found)
    lines = needs.notice()
    assert "- with something: It is missing." in lines
    assert "- with another: It may not be read." in lines
    assert lines[-1].endswith("apt-get install --no-install-recommends one two")
    assert needs.missing_packages() == ["one", "two"]


def test_nothing_is_said_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "_NEEDS", {"with all": Path})
    assert needs.notice() == []
    assert needs.missing_packages() == []


def test_packages_are_the_ones_that_bring_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.servers.chromium.find_program", lambda *_: None)
    monkeypatch.setattr("tests.servers.curl.find_program", lambda *_: None)
    monkeypatch.setattr("tests.servers.mariadb.find_program", lambda *_: None)
    monkeypatch.setattr("tests.servers.postfix.find_program", lambda *_: None)
    monkeypatch.setattr("tests.servers.postfix.DAEMONS", Path("/nowhere"))
    assert needs.missing_packages() == [
        "chromium-headless-shell", "fonts-dejavu-core", "curl", "mariadb-server", "postfix",
        "dovecot-imapd",
    ]  # fmt: skip
