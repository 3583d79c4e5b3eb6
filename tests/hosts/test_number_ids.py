"""Most apps count their companies; what the plugin is given must be text, and it says so."""

from collections.abc import Iterator
from types import MethodType
from typing import Any

import pytest

from smtp_admin import Actor, Partner, SetupError
from smtp_admin.monitor.check_host import partners
from tests.app import HostApp


@pytest.mark.parametrize("value", [7, None, b"7", 7.0, True])
def test_an_id_that_is_no_text_is_refused_by_name(value: Any) -> None:
    with pytest.raises(SetupError, match=r"^Partner\.id must be text, and .*str\(…\)"):
        Partner(value, "Seven")
    with pytest.raises(SetupError, match=r"^Actor\.id must be text"):
        Actor(id=value, email="")
    with pytest.raises(SetupError, match=r"^Each of Actor\.partner_ids must be text"):
        Actor(id="1", email="", partner_ids=frozenset({value}))


@pytest.mark.parametrize("value", ["", "a/b", "x" * 101, "nul\0", "half \ud800"])
def test_an_id_that_fits_no_address_is_refused(value: str) -> None:
    with pytest.raises(SetupError, match=r"^Partner\.id is text of 1 to 100 characters"):
        Partner(value, "Odd")


@pytest.mark.parametrize("value", ["x" * 101, "nul\0", "half \ud800"])
def test_an_id_that_no_database_holds_is_refused_by_name(value: str) -> None:
    """Else whatever this person does fails, and only on some databases."""
    with pytest.raises(SetupError, match=r"^Actor\.id is text of at most 100 characters"):
        Actor(id=value, email="")
    with pytest.raises(SetupError, match=r"^Each of Actor\.partner_ids is text of at most 100"):
        Actor(id="1", email="", partner_ids=frozenset({value}))


def test_one_text_is_no_collection_of_ids() -> None:
    """Its letters would be the ids."""
    with pytest.raises(SetupError, match=r"Actor\.partner_ids is a collection"):
        Actor(id="1", email="", partner_ids="acme")  # type: ignore[arg-type]  # a mistake


def test_pages_of_a_host_that_gives_numbers_say_what_to_do(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbers(_: Any) -> Iterator[Partner]:
        yield Partner(7, "Seven")  # type: ignore[arg-type]  # the usual mistake

    plugin_host = host.installation.host
    monkeypatch.setattr(plugin_host, "partners", MethodType(numbers, plugin_host), raising=False)
    answer = host.client.get("/smtp-admin/")
    assert answer.status_code == 503
    assert "Partner.id must be text, and 7 is of type int." in answer.get_data(as_text=True)
    (found,) = partners()
    assert (found.status, found.message) == (
        "failed",
        "Partner.id must be text, and 7 is of type int.",
    )


@pytest.mark.parametrize(
    ("ids", "finds", "status", "words"),
    [
        (["1", "2"], True, "ok", "2 partners"),
        (["1"], False, "failed", "partner('1') finds nobody"),
        (["1", "1"], True, "failed", "Two partners have the id '1'"),
    ],
)
def test_the_doctor_looks_whether_each_partner_is_found_again(
    host: HostApp,
    monkeypatch: pytest.MonkeyPatch,
    ids: list[str],
    finds: bool,
    status: str,
    words: str,
) -> None:
    known = [Partner(one, f"Company {one}") for one in ids]
    plugin_host = host.installation.host
    monkeypatch.setattr(plugin_host, "partners", lambda: known, raising=False)
    monkeypatch.setattr(
        plugin_host, "partner", lambda wanted: known[0] if finds and wanted else None, raising=False
    )
    (found,) = partners()
    assert found.status == status
    assert words in found.message


def test_a_host_whose_code_fails_is_named_by_the_doctor(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> list[Partner]:
        raise KeyError("secret detail")

    monkeypatch.setattr(host.installation.host, "partners", broken, raising=False)
    (found,) = partners()
    assert found.message == "partners() or partner() of your Host failed: KeyError."
