"""Every state of a sender as it comes about, and that every place tells the same one."""

import html
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update

from smtp_admin.clock import now, shifted
from smtp_admin.delivery.suppressions import lift
from smtp_admin.providers.catalogue import replies
from smtp_admin.sender_state import which
from smtp_admin.sender_state.basis import Facts
from smtp_admin.sender_state.facts import state_of, states_of
from smtp_admin.sender_state.state import KEYS, Key, State
from smtp_admin.sender_state.words import ready
from smtp_admin.senders import pauses
from smtp_admin.senders.models import Sender
from smtp_admin.senders.queries import senders_by_owner
from smtp_admin.senders.resolve import load_sender
from tests.app import ACME_ADMIN, ADMIN, HostApp, make_app
from tests.delivery.workbench import queue
from tests.sender_state.scenes import SCENES, Scene, a_worker, start_again
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import Reply, ScriptedServer

ACME = "/smtp-admin/partners/acme"
HTML = {"Accept": "text/html"}

#: What each says, in the scene that brings it about.
SAYS: dict[Key, str] = {
    "problem": r"Not usable\. .*SMTP_ADMIN_SECRET_KEYS",
    "unconfigured": r"Not set up\. Mail waits until a sender is set up\. One mail waits now\.",
    "system": r"Using the system's sender\. Mail is sent from noreply@platform\.example until",
    "system_waits": r"Waiting for the system's sender\. It cannot send mail .* One mail waits\.",
    "paused_by_hand": r"Paused by hand\. Ada paused it\. Mail waits until someone resumes it\.",
    "stopped": r"Stopped until the login is corrected\. .*535",
    "rate_limited": r"Paused until (\d+ \w+ )?\d\d:\d\d UTC, rate limit\. .*450 4\.7\.0",
    "paused": r"Paused until (\d+ \w+ )?\d\d:\d\d UTC\. .* nothing listens on port 1\.",
    "keeping": r"Keeping mail\. Mail is kept",
    "no_worker": r"Waiting for a worker\. None runs; 12 mails wait\.",
    "limit": r"Limit reached, resumes at (\d+ \w+ )?\d\d:\d\d UTC\. 2 of 3 in the hour; the last "
    r"one is kept for urgent mail\. 3 mails wait\. Urgent mail",
    "late": r"Late: 1 mail waits\. Mail has been due for 12 min, but no worker sends it\.",
    "retrying": r"Tries again at (\d+ \w+ )?\d\d:\d\d UTC\. The last mail was refused: .*grey",
    "failing": r"Failing: the last 2 were refused\. .*554 5\.6\.0",
    "held": r"Held: 1 mail waits\. The sandbox does not send any of it\.",
    "test_failed": r"Its test failed\. The connection test .* sent with them yet: .*port 1\.",
    "delivering": r"Delivering\. Last accepted just now by ",
    "ready": r"Ready, not tested\. This sender has sent no mail yet\.",
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def scene(host: HostApp, server: ScriptedServer) -> Scene:
    return Scene(host, server)


def state(host: HostApp, partner_id: str = "acme", key: str = "") -> State:
    host.db.session.rollback()
    return state_of(host.db.session(), load_sender(host.db.session(), partner_id, key))


def page(host: HostApp, path: str = ACME) -> str:
    answer = host.client.get(path, headers=HTML)
    assert answer.status_code == 200
    text = re.sub(r"</?time\b[^>]*>", "", answer.text)  # they stand inside sentences
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def as_json(host: HostApp, path: str) -> Any:
    answer = host.client.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    return answer.json


def command(host: HostApp, *words: str) -> Any:
    result = host.app.test_cli_runner().invoke(args=["smtp-admin", *words, "--json"])
    return json.loads(result.stdout)


def test_every_state_has_a_scene() -> None:
    assert set(SCENES) == set(SAYS) == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_every_place_tells_it(scene: Scene, key: Key) -> None:
    host = scene.host
    SCENES[key](scene)
    with ExitStack() as until:
        if scene.worker:
            until.enter_context(a_worker(host.app))
        until.enter_context(shifted(scene.later))
        found = state(host)
        assert found.key == key
        assert re.match(SAYS[key], found.sentence), found.sentence
        told = {"state": found.key, "headline": found.headline, "message": found.detail,
                "tone": found.tone}  # fmt: skip
        for path in (ACME, "/smtp-admin/"):
            assert f"{found.headline} {found.detail}" in page(host, path).replace(
                "Pause sending ", ""
            ).replace("Resume sending ", "")
        assert found.headline in page(host, "/smtp-admin/partners")
        assert f"Sender {found.sentence}" in page(host, f"{ACME}/symptoms")
        status = as_json(host, "/api/email/status?partner_id=acme")
        assert told.items() <= status.items()
        assert told.items() <= as_json(host, f"{ACME}/symptoms")["evidence"].items()
        assert told.items() <= command(host, "status", "--partner", "acme").items()
        if not load_sender(host.db.session(), "acme").configured:
            return  # no sender of its own: it stands in no list of senders
        assert f"Default {found.headline}" in page(host, f"{ACME}/senders")
        (listed, *_) = as_json(host, f"{ACME}/senders")["senders"]
        assert told.items() <= listed.items()
        (one, *_) = command(host, "senders", "list", "--partner", "acme")
        assert told.items() <= one.items()
        checks = {one["subject"]: one["message"] for one in command(host, "doctor")["checks"]
                  if one["name"] == "sender"}  # fmt: skip
        assert checks["partner acme"].startswith(found.sentence)
        explained = as_json(host, f"{ACME}/explain")["rows"]
        (row,) = [one for one in explained if one["name"] == "state"]
        if key in {"delivering", "ready"}:
            assert row["value"] == "yes"
        else:
            assert found.headline[1:] in row["value"]
            assert row["detail"] == found.detail


def those_of_each(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> set[Key]:
    """Look at all senders at once, as a list does, and at each alone; the keys of their states."""
    session = host.db.session()
    session.rollback()
    known = senders_by_owner(session, ["", "acme", "globex", "initech"])
    senders = [one for some in known.values() for one in some]
    with monkeypatch.context() as patched:
        patched.setattr(which, "_MANY", 0)
        together = states_of(session, senders)
    for sender, found in zip(senders, together, strict=True):
        alone = state_of(session, load_sender(session, sender.partner_id, sender.key))
        for name in ("key", "tone", "sentence", "waiting", "due", "used_hour", "used_day", "until"):
            assert getattr(found, name) == getattr(alone, name), (sender.partner_id, name)
    return {one.key for one in together}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_of_all_at_once_they_are_those_of_each(
    request: pytest.FixtureRequest,
    redis: RedisServer,
    server: ScriptedServer,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    uri = (
        f"sqlite:///{tmp_path / 'all.db'}"
        if kind == "sqlite"
        else request.getfixturevalue(kind).create_database()
    )
    made = make_app(uri, {"REDIS_URL": redis.url})
    with made.app.app_context():
        scene = Scene(made, server)
        made.save_sender("", port=server.port, max_per_hour=5, max_per_day=9)
        made.save_sender("acme", key="news", port=server.port, max_per_day=2)
        scene.save(max_per_hour=2)
        scene.send(4)
        queue(made, "a@else.example", sender="news")
        queue(made, "b@else.example", "c@else.example", partner_id="globex")
        scene.send(1, partner_id="initech")
        queue(made, "d@else.example", partner_id="initech")
        assert those_of_each(made, monkeypatch) == {"no_worker", "system"}
        with a_worker(made.app):
            assert {"limit", "system", "delivering"} <= those_of_each(made, monkeypatch)
            pauses.pause(made.db.session(), load_sender(made.db.session(), ""), ADMIN)
            made.db.session.commit()
            found = those_of_each(made, monkeypatch)
        assert {"system_waits", "paused_by_hand"} <= found
        made.db.session.remove()
        made.db.engine.dispose()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_other_databases(
    request: pytest.FixtureRequest, redis: RedisServer, server: ScriptedServer, kind: str
) -> None:
    uri = request.getfixturevalue(kind).create_database()
    made = make_app(uri, {"REDIS_URL": redis.url})
    with made.app.app_context():
        scene = Scene(made, server)
        keys: tuple[Key, ...] = ("ready", "delivering", "limit", "failing", "no_worker")
        for key in keys:
            server.behave("rcpt", None)
            SCENES[key](scene)
            with ExitStack() as until:
                if scene.worker:
                    until.enter_context(a_worker(made.app))
                found = state(made)
            assert found.key == key
            lift(made.db.session(), "acme", "you@example.org")
            made.db.session.commit()
        assert found.waiting >= 12
        made.db.session.remove()
        made.db.engine.dispose()


def test_no_time_is_named_where_none_is_known(scene: Scene) -> None:
    """A pause until somebody corrects the settings lasts ten years for the machine."""
    SCENES["stopped"](scene)
    for path in (ACME, f"{ACME}/explain", f"{ACME}/symptoms"):
        words = page(scene.host, path)
        assert "20" + "36" not in words
        assert "minutes" not in words.partition("Sender")[0]
    assert state(scene.host).until is None


def test_mail_that_waits_for_another_try_does_not_drain(scene: Scene) -> None:
    scene.save(max_per_hour=100)
    scene.send()
    scene.server.behave("rcpt", Reply("450 4.2.0 greylisted, come back later"))
    scene.send(work=False)
    host = scene.host
    with a_worker(host.app):
        assert "drains in" in page(host), "it is due"
    start_again(host, retry_delay=600.0)
    with shifted(timedelta(seconds=30)):
        host.work()
    with a_worker(host.app), shifted(timedelta(seconds=40)):
        found = state(host)
        assert (found.key, found.waiting, found.due) == ("retrying", 1, 0)
        assert "drains in" not in page(host)


def test_the_limit_goes_on_when_the_first_mail_is_an_hour_old(scene: Scene) -> None:
    scene.save(max_per_hour=3)  # one of them is kept for urgent mail
    with shifted(timedelta(minutes=-40)):
        scene.send()
    scene.send(4)
    with a_worker(scene.host.app):
        found = state(scene.host)
        assert found.key == "limit"
        assert found.until
        bar = re.search(r"<meter[^>]*>", scene.host.client.get(ACME, headers=HTML).text)
        assert bar
        assert 'low="1.5" optimum="0" value="2"' in bar[0], "two are as much as may go"
        with shifted(timedelta(minutes=19)):
            assert state(scene.host).key == "limit"
        with shifted(timedelta(minutes=21)):
            assert state(scene.host).key != "limit"


def test_a_test_says_more_until_mail_does(scene: Scene) -> None:
    """What works there is ready, and what was accepted needs no test."""
    SCENES["test_failed"](scene)
    with a_worker(scene.host.app):
        assert state(scene.host).key == "test_failed"
        scene.save()
        assert state(scene.host).headline == "Ready, not tested"
        command(scene.host, "test-connection", "--partner", "acme")
        assert state(scene.host).headline == "Ready"
        scene.send()
        scene.server.behave("mail", Reply("550 5.7.1 Sender address rejected"))
        command(scene.host, "test-connection", "--partner", "acme")
        assert state(scene.host).key == "delivering"


def test_without_redis_nothing_is_said_of_workers(scene: Scene) -> None:
    scene.save()
    scene.send(work=False)
    start_again(scene.host, redis_url="redis://127.0.0.1:1/0")
    assert state(scene.host).key == "ready"


def test_failures_of_other_settings_do_not_count(scene: Scene) -> None:
    SCENES["failing"](scene)
    with a_worker(scene.host.app):
        assert state(scene.host).key == "failing"
        scene.save(from_name="Corrected")
        assert state(scene.host).key == "ready"


def test_after_new_settings_nothing_is_proven(scene: Scene) -> None:
    SCENES["delivering"](scene)
    scene.save(from_name="Changed")
    with a_worker(scene.host.app):
        found = state(scene.host)
    assert found.key == "ready"
    assert found.detail.startswith(
        "No mail has been sent with these settings yet. With earlier settings, last"
    )


def test_a_recipients_own_trouble_says_nothing_of_a_sender_that_works(scene: Scene) -> None:
    """Else whoever types three wrong addresses stops a sender, and wakes somebody."""
    SCENES["delivering"](scene)
    with shifted(timedelta(seconds=30)), a_worker(scene.host.app):
        for reply in ("550 5.1.1 no such user", "552 5.2.2 mailbox full", "550 5.2.1 disabled"):
            scene.refuse(reply)
            scene.send(2)
            assert state(scene.host).key == "delivering", reply
            lift(scene.host.db.session(), "acme", "you@example.org")
            scene.host.db.session.commit()
        start_again(scene.host, retry_delay=600.0)
        scene.refuse("452 4.2.2 The account is over quota")
        scene.send()
        found = state(scene.host)
        assert (found.key, found.waiting) == ("delivering", 1), "one waits for another try"
    with shifted(timedelta(minutes=12)), a_worker(scene.host.app):
        scene.refuse("554 5.6.0 We do not like this text")
        scene.send()  # and that one
        assert state(scene.host).headline == "Failing: the last 2 were refused"


def test_what_is_the_recipients_own_is_a_column_of_the_table() -> None:
    causes = replies().recipient_causes
    assert causes >= {"recipient_unknown", "mailbox_full", "mailbox_disabled", "recipient_closed"}
    assert not causes & {"own_mailbox_full", "greylisted", "spam", "server_full"}


def test_one_refused_mail_among_many_is_no_failure(scene: Scene) -> None:
    SCENES["delivering"](scene)
    scene.refuse("554 5.6.0 We do not like this text")
    with shifted(timedelta(seconds=30)):
        scene.send()
        with a_worker(scene.host.app):
            found = state(scene.host)
            assert found.key == "delivering"
            assert "The mail after it failed: " in found.detail
            scene.send()
            assert state(scene.host).headline == "Failing: the last 2 were refused"
            scene.server.behave("rcpt", None)
            with shifted(timedelta(seconds=30)):
                scene.send()
                assert state(scene.host).key == "delivering"


def test_the_systems_card_counts_what_the_systems_sender_sends(scene: Scene) -> None:
    scene.save("")
    scene.send(3, partner_id="globex")
    with a_worker(scene.host.app):
        words = page(scene.host, "/smtp-admin/system")
    assert "Delivering" in words
    assert "Sent, 24 h 3 " in words


def test_a_partner_does_not_learn_why_the_systems_sender_waits(scene: Scene) -> None:
    host = scene.host
    host.save_sender("", port=scene.server.port)
    scene.server.behave("rcpt", Reply("450 4.7.0 rate limit exceeded for globex"))
    scene.send(3, partner_id="globex")
    scene.send(work=False)
    host.actor = ACME_ADMIN
    with a_worker(host.app):
        for path in (ACME, "/smtp-admin/", f"{ACME}/explain", f"{ACME}/symptoms"):
            words = page(host, path)
            assert "globex" not in words
            assert "rate limit" not in words
            assert "4 mails" not in words
        assert "Waiting for the system's sender" in page(host)
        assert "no, mail waits" in page(host, f"{ACME}/explain")
        status = as_json(host, "/api/email/status?partner_id=acme")
        assert (status["state"], status["until"]) == ("system_waits", None)
    host.actor = ADMIN
    assert state(host, "").key == "rate_limited"


@pytest.mark.parametrize("held_up_by", ["no settings", "a person", "a failure"])
def test_mail_that_was_held_up_is_late_a_minute_after_the_sender_could_send(
    scene: Scene, held_up_by: str
) -> None:
    host, session = scene.host, scene.host.db.session()
    then = timedelta(minutes=20)
    if held_up_by != "no settings":
        scene.save()
    scene.send(work=False)
    if held_up_by == "a person":
        pauses.pause(session, load_sender(session, "acme"), ADMIN)
    elif held_up_by == "a failure":
        session.execute(update(Sender).values(paused_until=now() + then, pause_code="timeout"))
    session.commit()
    with a_worker(host.app):
        with shifted(then + timedelta(seconds=5)):
            if held_up_by == "no settings":
                scene.save()
            elif held_up_by == "a person":
                pauses.resume(session, load_sender(session, "acme"), ADMIN)
                session.commit()
            assert state(host).key == "ready"
        with shifted(then + timedelta(minutes=3)):
            late = state(host)
    assert (late.key, late.tone) == ("late", "warn"), "not for the 20 minutes before"


@pytest.mark.parametrize("key", ["no_worker", "limit", "late", "failing"])
def test_of_many_senders_all_rows_are_read_and_each_gets_its_own(
    scene: Scene, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    SCENES[key](scene)
    scene.host.save_sender("globex", port=scene.server.port)
    queue(scene.host, "x@globex.example", partner_id="globex")
    with ExitStack() as until:
        if scene.worker:
            until.enter_context(a_worker(scene.host.app))
        until.enter_context(shifted(scene.later))
        few = state(scene.host)
        monkeypatch.setattr(which, "_MANY", 0)
        many = state(scene.host)
    assert (many.key, few.key) == (key, key)
    assert (many.waiting, many.due, many.used_hour) == (few.waiting, few.due, few.used_hour)


@pytest.mark.usefixtures("nothing_by_the_clock")
def test_the_number_of_queries_does_not_depend_on_senders_or_mail(scene: Scene) -> None:
    host = scene.host

    def queries(keys: list[str]) -> int:
        host.db.session.rollback()
        senders = [load_sender(host.db.session(), "acme", one) for one in keys]
        counted: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            counted.append(statement)

        event.listen(host.db.engine, "before_cursor_execute", note)
        try:
            assert len(states_of(host.db.session(), senders)) == len(keys)
        finally:
            event.remove(host.db.engine, "before_cursor_execute", note)
        return len(counted)

    keys = ["", *(f"s{number}" for number in range(12))]
    for key in keys:
        host.save_sender("acme", key=key, port=scene.server.port, max_per_hour=50)
    before = queries([""])
    scene.send(3)
    scene.refuse("550 5.1.1 no such user")
    for key in keys:
        queue(host, sender=key or None)
    host.work()
    pauses.pause(host.db.session(), load_sender(host.db.session(), "acme", "s3"), ADMIN)
    host.db.session.commit()
    assert queries(keys) == before
    assert before < 10


def test_what_waits_says_when_the_next_is_tried(host: HostApp) -> None:
    host.save_sender()
    sender = load_sender(host.db.session(), "acme")
    moment = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
    facts = Facts(moment, waiting=2, next_at=moment + timedelta(minutes=30))
    assert ready(sender, facts)[1].endswith("2 mails wait; the next is tried at 13:00 UTC.")


def test_a_queue_drains_without_what_is_kept_for_urgent_mail(scene: Scene) -> None:
    """Six mails at two an hour, of which two went out, take three hours."""
    scene.save(max_per_hour=3)
    scene.send(8)
    with a_worker(scene.host.app):
        assert state(scene.host).key == "limit"
        assert "queue drains in 3 h" in page(scene.host)
