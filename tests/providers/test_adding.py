"""The file that ``docs/adding-a-provider.md`` shows is all that a provider needs."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smtp_admin import clock
from smtp_admin.diagnosis.diagnose import diagnose, facts_about
from smtp_admin.diagnosis.table import causes
from smtp_admin.providers import catalogue
from smtp_admin.providers.nearby import meant_host
from smtp_admin.senders.advice import advice
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.reply import Reply
from tests import troubleshooting
from tests.app import ADMIN, HostApp

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/adding-a-provider.md").read_text("utf-8")
TAB = "/smtp-admin/partners/acme"
HTML = {"Accept": "text/html"}


def forget() -> None:
    """Read everything anew."""
    for table in (catalogue.knowledge, catalogue.providers, catalogue.replies, causes, meant_host):
        table.cache_clear()


@pytest.fixture
def toymail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The key of a provider whose one file has just been added."""
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    folder = tmp_path / "providers"
    shutil.copytree(catalogue.FOLDER, folder)
    (folder / "toymail.toml").write_text(text, "utf-8")
    monkeypatch.setattr(catalogue, "FOLDER", folder)
    forget()
    yield "toymail"
    monkeypatch.undo()
    forget()


def values(**changes: object) -> SenderValues:
    """A sender there."""
    return SenderValues(**{"driver": "smtp", "host": "smtp.toymail.example", "port": 587,
                           "security": "tls", "username": "toy-acme",
                           "from_email": "news@acme.example"} | changes)  # fmt: skip


def test_it_is_in_its_place(toymail: str) -> None:
    keys = [one.key for one in catalogue.providers()]
    assert keys[-2:] == [toymail, "cpanel"]
    one = catalogue.provider_of_host("smtp.eu.toymail.example")
    assert one is not None
    assert one.key == toymail
    assert catalogue.provider_behind("imap.toymail.example") is one
    assert catalogue.provider_of_mx("in1.toymail.example") is one
    assert catalogue.provider_of_words("550 toymail: no") is one


def test_it_can_be_chosen(toymail: str, new_app: Callable[..., HostApp]) -> None:
    site = new_app()
    site.actor = ADMIN
    listed = site.client.get(TAB, headers=HTML).text
    assert f'value="{toymail}"' in listed
    chosen = site.client.get(f"{TAB}?preset={toymail}", headers=HTML).text
    assert 'value="smtp.toymail.example"' in chosen
    assert "It begins with toy-" in chosen or "it begins with toy-" in chosen
    assert "https://toymail.example/pricing" in chosen


@pytest.mark.usefixtures("toymail")
def test_it_gives_advice() -> None:
    def codes(**changes: object) -> set[str]:
        return {one.code for one in advice(values(**changes), now=clock.now())}

    assert "toymail_login" in codes(username="acme")
    assert "toymail_login" not in codes()
    assert "port_not_of_provider" in codes(port=25)
    assert "host_nearly_known" in codes(host="smtp.toymial.example")


@pytest.mark.usefixtures("toymail")
def test_it_explains_failures() -> None:
    judged = catalogue.replies().judge("dot", Reply(550, ("5.7.1 toymail: plan exhausted",)))
    assert (judged.code, judged.row) == ("rate_limited", "toymail_plan")
    found = diagnose(facts_about(judged.code, cause=judged.cause, values=values()))
    assert [one.key for one in found.causes] == ["toymail_plan"]
    refused = diagnose(facts_about("auth_failed", values=values()))
    assert refused.causes[0].key == "toymail_key"
    elsewhere = diagnose(facts_about("auth_failed", values=values(host="smtp.acme.example")))
    assert "toymail_key" not in {one.key for one in elsewhere.causes}
    incoming = diagnose(facts_about("timeout", values=values(host="in2.toymail.example", port=25)))
    assert incoming.causes[0].do == "Enter the outgoing server: smtp.toymail.example, port 587."
    blocked = diagnose(facts_about("timeout", step="connect", values=values()))
    assert blocked.causes[0].key == "port_2525_instead"


@pytest.mark.usefixtures("toymail")
def test_it_is_in_the_documentation() -> None:
    parts = troubleshooting.parts()
    assert "### Toymail\n" in parts["replies"]
    assert "`550 5.7.1 toymail: plan exhausted`" in parts["replies"]
    assert "Toymail takes keys" in parts["codes"]
    assert "The Toymail account" in parts["symptoms"]


def test_every_key_that_it_uses_is_described() -> None:
    described = (catalogue.FOLDER / "general.toml").read_text("utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    head = text.partition("[[limits]]")[0]
    for key in re.findall(r"^(\w+) =", head, re.MULTILINE):
        assert re.search(rf"^#   .*\b{key}\b", described, re.MULTILINE), key
