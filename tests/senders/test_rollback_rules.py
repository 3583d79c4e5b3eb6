"""What may not be saved today may not come back either, and then nothing changes."""

from typing import Any

import pytest
from sqlalchemy import select, update

from smtp_admin.audit.models import Audit
from smtp_admin.config import Rate
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import load_sender
from smtp_admin.smtp.dialling import Network
from tests.app import ADMIN, HostApp, started_with
from tests.senders.rolling import HTML, JSON, PAGE, SYSTEM, back, password, reconfigure, rows

NOWHERE: tuple[Network, ...] = ()


def refused(
    site: HostApp, number: int = 1, page: str = PAGE, *, foreseen: bool = True
) -> dict[str, Any]:
    """The error; nothing was changed, and the page says the same and offers no button.

    Unless nobody could foresee it: what DNS says is only asked when it is to be done.
    """
    before = rows(site)
    answer = back(site, number, page=page)
    assert answer.status_code in {400, 503}
    assert rows(site) == before
    error: dict[str, Any] = answer.get_json()["error"]
    shown = site.client.get(f"{page}/rollback?number={number}", headers=HTML)
    assert shown.status_code == 200
    assert (error["message"].replace("'", "&#39;") in shown.text) is foreseen
    assert ("<button" not in shown.text) is foreseen
    plan = site.client.get(f"{page}/rollback?number={number}", headers=JSON).get_json()
    assert plan["possible"] is not foreseen
    assert (plan["obstacle"] or error)["message"] == error["message"]
    posted = back(site, number, page=page, **HTML)
    assert posted.status_code == answer.status_code
    assert error["message"].replace("'", "&#39;") in posted.text
    return error


def test_a_port_that_is_not_allowed_any_more(inside: HostApp) -> None:
    inside.save_sender(port=2526)
    inside.save_sender(port=25)
    reconfigure(inside, allowed_ports=frozenset({25}))
    error = refused(inside)
    assert error["code"] == "destination_not_allowed"
    assert "Port 2526 is not allowed here." in error["message"]
    assert "port" in error["fields"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_network_that_is_not_allowed_any_more(inside: HostApp, host: str) -> None:
    inside.save_sender(host=host)
    inside.save_sender(host="203.0.113.7")
    reconfigure(inside, allowed_networks=NOWHERE)
    error = refused(inside, foreseen=host != "localhost")
    assert error["code"] == "destination_not_allowed"
    assert "host" in error["fields"]


def test_a_name_that_dns_does_not_know_is_no_obstacle(inside: HostApp) -> None:
    """It may be back tomorrow, and the connection test says so."""
    inside.save_sender(host="gone.invalid")
    inside.save_sender()
    assert back(inside, 1).status_code == 200
    assert noted(inside) == ["settings.rolled_back"]


def test_what_was_asked_for_is_noted_and_nothing_else(inside: HostApp) -> None:
    """A rollback asks name servers, also where nothing comes of it: nobody asked to look up DNS.

    It counts with all that asks the network, so that it cannot be repeated without end.
    """
    inside.save_sender(host="localhost")
    inside.save_sender(host="203.0.113.7")
    reconfigure(inside, allowed_networks=NOWHERE, test_limit=Rate(2, 600))
    assert [back(inside, 1).status_code for _ in range(3)] == [400, 400, 429]
    assert noted(inside) == ["settings.rollback_tried"] * 2
    page = inside.client.get(f"{PAGE}/audit", headers=HTML).text
    assert "Tried to roll back the settings of a sender" in page
    assert "Looked up DNS records</th>" not in page


def noted(site: HostApp) -> list[str]:
    """What the audit log has of this person, without the saving of settings."""
    mine = select(Audit.action).where(Audit.actor_id == ADMIN.id, Audit.action != "settings.saved")
    return list(site.db.session.scalars(mine))


def test_a_value_that_is_not_taken_any_more(inside: HostApp) -> None:
    inside.save_sender()
    inside.save_sender(port=26)
    session = inside.db.session()
    session.execute(
        update(SenderRevision).where(SenderRevision.number == 1).values(from_email="no address")
    )
    session.commit()
    error = refused(inside)
    assert list(error["fields"]) == ["from_email"]


def test_a_key_that_is_gone(inside: HostApp) -> None:
    inside.save_sender(username="u", password="one")
    reconfigure(inside, secret_keys=(generate_key(), *inside.installation.config.secret_keys))
    inside.save_sender(username="u", password="two")
    newest = inside.installation.config.secret_keys[:1]
    reconfigure(inside, secret_keys=newest)
    error = refused(inside)
    assert error["code"] == "unavailable"
    assert "Revision 1 cannot be used again." in error["message"]
    assert "SMTP_ADMIN_SECRET_KEYS" in error["message"]
    assert password(inside) == "two"


def test_after_a_rotation_old_revisions_open_with_the_new_key(inside: HostApp) -> None:
    from smtp_admin.senders.keys import rotate_keys

    inside.save_sender(username="u", password="one")
    inside.save_sender(username="u", password="two")
    keys = (generate_key(), *inside.installation.config.secret_keys)
    rotate_keys(inside.db.session(), Keyring(keys))
    reconfigure(inside, secret_keys=keys[:1])
    assert back(inside, 1).status_code == 200
    assert password(inside) == "one"


def test_a_password_of_another_row_does_not_open(inside: HostApp) -> None:
    inside.save_sender("globex", username="u", password="theirs")
    inside.save_sender("acme", username="u", password="one")
    inside.save_sender("acme", username="u", password="two")
    session = inside.db.session()
    theirs, ours = session.scalars(
        select(SenderRevision).where(SenderRevision.number == 1).order_by(SenderRevision.id)
    )
    ours.secrets = theirs.secrets
    session.commit()
    assert "does not match these settings" in refused(inside)["message"]


def environment(site: HostApp, **variables: str) -> None:
    site.app.extensions["smtp_admin"] = started_with(site.installation, environment=variables)


def saved_system(site: HostApp, *variants: dict[str, Any]) -> int:
    """Save the system's sender like this and like that; the number of the first."""
    first = 0
    for values in variants:
        first = first or load_sender(site.db.session(), "").revision + 1
        site.save_sender("", **values)
    return first


def test_fields_of_the_environment(inside: HostApp) -> None:
    first = saved_system(inside, {"port": 25, "from_name": "A"}, {"port": 26, "from_name": "B"})
    environment(inside, SMTP_PORT="26")
    error = refused(inside, first, SYSTEM)
    assert error["fields"] == {
        "port": [f"Port is set by SMTP_PORT in the environment; revision {first} has 25."]
    }
    # One that says the same as the revision is not in the way.
    environment(inside, SMTP_PORT="25")
    assert back(inside, first, page=SYSTEM).status_code == 200
    sender = load_sender(inside.db.session(), "")
    assert (sender.values.port, sender.values.from_name) == (25, "A")


def test_a_password_of_the_environment_stays(inside: HostApp) -> None:
    first = saved_system(
        inside,
        {"username": "u", "password": "one", "from_name": "A"},
        {"username": "u", "from_name": "B"},
    )
    environment(inside, SMTP_PASSWORD="from outside")
    plan = inside.client.get(f"{SYSTEM}/rollback?number={first}", headers=JSON).get_json()
    assert [one["field"] for one in plan["changes"]] == ["from_name"]
    page = inside.client.get(f"{SYSTEM}/rollback?number={first}", headers=HTML).text
    assert "SMTP_PASSWORD" in page
    assert "from outside" not in page
    assert back(inside, first, page=SYSTEM).status_code == 200
    assert password(inside, "") == "from outside"


def test_a_revision_whose_password_was_in_the_environment(inside: HostApp) -> None:
    environment(inside, SMTP_PASSWORD="from outside")
    first = saved_system(inside, {"username": "u", "from_name": "A"})
    environment(inside)
    inside.save_sender("", username="", from_name="B")
    error = refused(inside, first, SYSTEM)
    assert error["code"] == "password_required"
    # The password that is stored now may serve, where it belongs to the same destination.
    inside.save_sender("", username="u", password="now stored", from_name="C")
    assert back(inside, first, page=SYSTEM).status_code == 200
    assert password(inside, "") == "now stored"
