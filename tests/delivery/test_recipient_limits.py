"""Nobody is flooded: at most so many mails of a type to one recipient, and no trace of others."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin import ConfigError
from smtp_admin.clock import shifted
from smtp_admin.delivery.actions import show_mail
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.models import Message as Row
from smtp_admin.delivery.recipient_limits import recipient_keys
from smtp_admin.encryption import Keyring, generate_key
from tests.app import HostApp, started_with
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, queue, row_of
from tests.servers.scripted import ScriptedServer

RESET = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}


def reset(host: HostApp, *to: str, partner_id: str = "acme", **more: Any) -> str:
    public_id = host.plugin.send(
        "password_reset", to=list(to), partner_id=partner_id, context=RESET, **more
    )
    host.db.session.commit()
    return public_id


def states(host: HostApp) -> list[str]:
    return [one.state for one in deliveries(host)]


def test_the_sixth_reset_of_an_hour_is_kept_back(
    each: HostApp, bench_of: Callable[..., Workbench], server: ScriptedServer
) -> None:
    each.save_sender(port=server.port)
    for _ in range(5):
        reset(each, "sam@example.org")
    last = reset(each, "sam@example.org")
    reset(each, "kim@example.org")
    bench_of(each).tick()
    assert states(each) == ["sent"] * 5 + ["suppressed", "sent"]
    assert len(server.messages) == 6
    ((kept_back, *_),) = show_mail(each.db.session(), last)
    assert (kept_back.state, kept_back.last_code) == ("suppressed", "recipient_limit")
    assert "5 in 60 minutes" in kept_back.last_error
    assert kept_back.finished_at is not None
    assert row_of(each, last).content == b"", "nobody needs a secret that is not sent"


def test_an_hour_later_there_is_one_again(each: HostApp) -> None:
    for _ in range(6):
        reset(each, "sam@example.org")
    with shifted(timedelta(minutes=61)):
        reset(each, "sam@example.org")
    assert states(each) == ["queued"] * 5 + ["suppressed", "queued"]


def test_several_limits_hold_together(opened: NewHost, database: str) -> None:
    host = opened(uri=database, RECIPIENT_LIMITS={"password_reset": "1 per hour, 2 per day"})
    for hours in (0, 0, 2, 4, 23, 25):
        with shifted(timedelta(hours=hours)):
            reset(host, "sam@example.org")
    # The first day's two are used up; after that the first of them counts no more.
    assert states(host) == [
        "queued", "suppressed", "queued", "suppressed", "suppressed", "queued",
    ]  # fmt: skip


@pytest.mark.parametrize("address", ["SAM@example.org", "sam+x@example.org", "Sam+Y@EXAMPLE.org"])
def test_one_person_by_several_names(host: HostApp, address: str) -> None:
    for _ in range(5):
        reset(host, "sam@example.org")
    reset(host, address)
    assert states(host)[-1] == "suppressed"


@pytest.mark.parametrize("address", ["sam@other.example", "samx@example.org", "x+sam@example.org"])
def test_others_are_others(host: HostApp, address: str) -> None:
    for _ in range(5):
        reset(host, "sam@example.org")
    reset(host, address)
    assert states(host)[-1] == "queued"


def test_nothing_of_another_partners_is_learnt(each: HostApp) -> None:
    for _ in range(6):
        reset(each, "sam@example.org", partner_id="globex")
    reset(each, "sam@example.org")
    assert states(each)[-1] == "queued"
    session = each.db.session()
    keys = set(session.scalars(select(Delivery.recipient_key)))
    assert len(keys) == 3  # two partners', and none for what was kept back
    assert recipient_keys("acme", "a", "x@y.example") != recipient_keys("acme", "b", "x@y.example")


def test_of_several_recipients_only_who_had_enough_is_left_out(each: HostApp) -> None:
    for _ in range(5):
        reset(each, "sam@example.org")
    public_id = reset(each, "sam@example.org", "kim@example.org")
    assert states(each)[-2:] == ["suppressed", "queued"]
    assert row_of(each, public_id).content != b""


def test_the_same_recipient_twice_at_once(host: HostApp) -> None:
    """In one transaction, in one call: each sees the one before."""
    for number in range(7):
        host.plugin.send(
            "password_reset", to=f"sam+{number}@example.org", partner_id="acme", context=RESET
        )
    host.db.session.commit()
    assert states(host) == ["queued"] * 5 + ["suppressed"] * 2
    reset(host, *(f"kim+{number}@example.org" for number in range(6)))
    assert states(host)[7:] == ["queued"] * 5 + ["suppressed"]


def test_other_types_and_tests_have_none(opened: NewHost) -> None:
    host = opened(RECIPIENT_LIMITS={"test": "1 per day"})
    for _ in range(7):
        queue(host)
        host.plugin.send("test", to="me@example.org", partner_id="acme", context={
            "host": "x", "port": 1, "security": "", "from_email": "x", "sent_at": "x",
        })  # fmt: skip
    host.db.session.commit()
    assert set(states(host)) == {"queued"}


def test_copies_to_an_archive_are_not_counted(opened: NewHost) -> None:
    host = opened(RECIPIENT_LIMITS={"message": "2 per hour"})
    host.save_sender(archive_to="archive@acme.example")
    for _ in range(3):
        queue(host)
    queue(host, "archive@acme.example")
    rows = [(one.recipient.partition("@")[0], one.state) for one in deliveries(host)]
    assert rows == [
        ("you", "queued"), ("archive", "queued"), ("you", "queued"), ("archive", "queued"),
        ("you", "suppressed"), ("archive", "queued"),
    ]  # fmt: skip


def test_a_limit_can_be_switched_off(opened: NewHost) -> None:
    host = opened(RECIPIENT_LIMITS={"password_reset": ""})
    for _ in range(7):
        reset(host, "sam@example.org")
    assert set(states(host)) == {"queued"}


def test_a_repeated_key_is_no_further_mail(host: HostApp) -> None:
    for _ in range(9):
        reset(host, "sam@example.org", idempotency_key="k")
    assert states(host) == ["queued"]


def test_a_new_secret_key_ends_nobodys_hour(host: HostApp) -> None:
    for _ in range(5):
        reset(host, "sam@example.org")
    here = host.installation
    new = Keyring([generate_key(), *here.config.secret_keys])
    host.app.extensions["smtp_admin"] = started_with(here, keyring=new)
    reset(host, "sam@example.org")
    assert states(host)[-1] == "suppressed"


def test_without_any_key_the_limit_holds_too(host: HostApp) -> None:
    here = host.installation
    host.app.extensions["smtp_admin"] = started_with(here, keyring=Keyring([]))
    for _ in range(6):
        reset(host, "sam@example.org")
    assert states(host)[-1] == "suppressed"


@pytest.mark.parametrize("value", ["5 per hour", {"password_reset": "often"}, {1: "5 per hour"}])
def test_limits_that_cannot_be_read(opened: NewHost, value: Any) -> None:
    with pytest.raises(ConfigError, match="SMTP_ADMIN_RECIPIENT_LIMITS"):
        opened(RECIPIENT_LIMITS=value)


def test_a_limit_of_a_type_that_does_not_exist(opened: NewHost) -> None:
    with pytest.raises(ConfigError, match="pasword_reset"):
        opened(RECIPIENT_LIMITS={"pasword_reset": "5 per hour"})


def test_the_address_is_in_no_key(host: HostApp) -> None:
    reset(host, "sam@example.org")
    session = host.db.session()
    (key,) = session.scalars(select(Delivery.recipient_key))
    assert key is not None
    assert "sam" not in key
    assert session.scalars(select(Row.type_name)).all() == ["password_reset"]


def test_a_sandbox_counts_whom_mail_was_for(opened: NewHost, database: str) -> None:
    """Not the one address to which it sends everything: a whole test installation shares that."""
    host = opened(uri=database, SANDBOX="redirect:dev@example.com")
    for number in range(7):
        reset(host, f"p{number}@example.org")
    assert states(host) == ["queued"] * 7
    for _ in range(5):
        reset(host, "p0@example.org")
    assert states(host)[7:] == ["queued"] * 4 + ["suppressed"]
    assert {one.recipient for one in deliveries(host)} == {"dev@example.com"}


def test_a_sandbox_sends_what_one_of_several_may_have(opened: NewHost) -> None:
    host = opened(SANDBOX="redirect:dev@example.com")
    for _ in range(5):
        reset(host, "sam@example.org")
    reset(host, "sam@example.org", "kim@example.org")
    assert states(host) == ["queued"] * 6
    for _ in range(5):
        reset(host, "kim@example.org", "sam@example.org")
    assert states(host)[6:] == ["queued"] * 4 + ["suppressed"]


def test_a_sandbox_counts_the_recipients_of_a_batch(opened: NewHost) -> None:
    host = opened(SANDBOX="redirect:dev@example.com")
    people = [(f"p{number}@example.org", RESET) for number in range(7)]
    host.plugin.send_many("password_reset", people, partner_id="acme")
    host.db.session.commit()
    assert states(host) == ["queued"] * 7
