"""A notice that waits for its digest, in the log of mail and by command."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.audit.models import Audit
from smtp_admin.delivery.digest_items import find_item
from tests.app import ACME_ADMIN, ADMIN, GLOBEX_ADMIN, HostApp
from tests.mail.test_digests import item, keep, send
from tests.scene import HTML, JSON, PREFIX

NOTICE = "<b>Pro</b>"


@pytest.fixture(name="notice")
def _notice(host: HostApp) -> str:
    host.save_sender()
    return keep(host, NOTICE)


def get(host: HostApp, path: str, headers: Any = HTML, **query: Any) -> Any:
    return host.client.get(PREFIX + path, headers=headers, query_string=query)


def run(host: HostApp, *words: str) -> Any:
    return host.app.test_cli_runner().invoke(args=["smtp-admin", *words])


def test_it_is_found_while_it_waits_and_after(host: HostApp, notice: str) -> None:
    for actor in (ADMIN, ACME_ADMIN):
        host.actor = actor
        for path in ("/mail", "/partners/acme/mail"):
            found = get(host, path, q=f" {notice.upper()} ")
            assert found.status_code == 200
            assert f'href="{PREFIX}/mail/{notice}"' in found.text
        page = get(host, f"/mail/{notice}")
        assert page.status_code == 200
        waits = item(host, notice).goes_at
        assert waits is not None
        assert f'datetime="{waits:%Y-%m-%dT%H:%M:%SZ}"' in page.text
        assert "&lt;b&gt;Pro&lt;/b&gt;" in page.text
        assert NOTICE not in page.text
        told = get(host, f"/mail/{notice}", JSON).get_json()
        assert (told["state"], told["goes_at"]) == ("waiting", waits.isoformat())
    shown = run(host, "mail", "show", notice)
    assert f"{waits:%Y-%m-%d %H:%M:%S} UTC  its digest is due" in shown.output
    send(host)
    mail = item(host, notice).message_id
    assert mail
    assert get(host, f"/mail/{notice}").location == f"{PREFIX}/mail/{mail}"
    (row,) = get(host, "/mail", JSON, q=notice).get_json()["mails"]
    assert (row["id"], row["type"]) == (mail, "notification_digest")
    shown = run(host, "mail", "show", notice, "--json")
    assert json.loads(shown.output)["mail"] == mail


def test_others_do_not_see_it(host: HostApp, notice: str) -> None:
    host.actor = GLOBEX_ADMIN
    assert get(host, f"/mail/{notice}").status_code == 404
    for path in ("/mail", "/partners/globex/mail"):
        found = get(host, path, q=notice)
        assert found.status_code == 200
        assert f"/mail/{notice}" not in found.text
    cancel = host.client.post(f"{PREFIX}/mail/{notice}/cancel", headers=HTML)
    assert cancel.status_code == 404
    assert item(host, notice).state == "waiting"
    send(host)
    assert get(host, f"/mail/{notice}").status_code == 404
    assert not get(host, "/mail", JSON, q=notice).get_json()["mails"]


def test_it_is_cancelled_once(host: HostApp, notice: str) -> None:
    host.actor = ACME_ADMIN
    button = f'action="{PREFIX}/mail/{notice}/cancel"'
    assert button in get(host, f"/mail/{notice}").text
    cancel = host.client.post(f"{PREFIX}/mail/{notice}/cancel", headers=HTML)
    assert (cancel.status_code, cancel.location) == (303, f"{PREFIX}/mail/{notice}")
    page = get(host, f"/mail/{notice}").text
    assert "It was cancelled" in page
    assert button not in page
    again = host.client.post(f"{PREFIX}/mail/{notice}/cancel", headers=JSON)
    assert again.status_code == 409
    assert send(host, timedelta(days=2)) == 0
    (entry,) = host.db.session.scalars(select(Audit).where(Audit.action == "mail.cancelled"))
    assert entry.partner_id == "acme"


def test_the_command_cancels_it_too(host: HostApp, notice: str) -> None:
    assert run(host, "mail", "cancel", notice).output == "1 cancelled.\n"
    found = find_item(host.db.session(), notice)
    assert found is not None
    assert found.state == "cancelled"
    assert run(host, "mail", "cancel", notice).exit_code == 1
