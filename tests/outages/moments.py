"""The moments at which a database fails, for how long, and what must be so afterwards."""

import threading
import time

from .scenes import Stage

__all__ = [
    "at_the_claim",
    "at_the_end_of_the_claim",
    "at_the_final_update",
    "at_the_final_update_for_long",
    "in_the_middle_of_a_mail",
    "in_the_middle_of_a_mail_for_long",
    "just_after_a_final_update",
    "just_after_the_last_update_of_a_batch",
]

#: Shorter and longer than a worker tries to write down its results.
_SHORT, _LONG = 0.2, 10.0


def _away(stage: Stage, seconds: float) -> None:
    stage.database.crash()
    time.sleep(seconds)
    stage.database.come_back()


def at_the_claim(stage: Stage) -> None:
    """The claim's transaction is open; nothing of it stays."""
    stage.gate("sending")
    with stage.closed_gate():
        stage.queue_mails()
        stage.wait_at_gate()
        _away(stage, _SHORT)


def at_the_end_of_the_claim(stage: Stage) -> None:
    """The claim is committed, but its worker never hears of it.

    A commit that waits for a replica is on the disk already when the server dies.
    """
    if stage.database.kind == "postgresql":
        _claim_unheard_on_postgresql(stage)
    else:
        _claim_unheard_on_mariadb(stage)
    _away(stage, _SHORT)


def _claim_unheard_on_postgresql(stage: Stage) -> None:
    name = stage.uri.rpartition("/")[2]
    stage.query.run(f"ALTER DATABASE {name} SET synchronous_commit = 'local'")
    stage.query.run(
        "CREATE FUNCTION await_standby() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM set_config(''synchronous_commit'', ''on'', true); RETURN NEW; END'"
    )
    stage.query.run(
        "CREATE TRIGGER await_standby BEFORE UPDATE ON smtp_admin_delivery FOR EACH ROW "
        "WHEN (NEW.state = 'sending') EXECUTE FUNCTION await_standby()"
    )
    _configure_postgresql(stage, synchronous_standby_names="nobody")
    stage.queue_mails()
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    assert stage.query.wait_for(waiting), "no claim was committed"
    stage.query.run("ALTER SYSTEM RESET synchronous_standby_names")


def _claim_unheard_on_mariadb(stage: Stage) -> None:
    stage.gate("sending")
    with stage.closed_gate():
        stage.queue_mails()
        stage.wait_at_gate()
        # Of everybody, until the server is back: so only when the claim is all but committed.
        stage.query.run("SET GLOBAL rpl_semi_sync_master_timeout = 60000")
        stage.query.run("SET GLOBAL rpl_semi_sync_master_enabled = ON")
    waiting = (
        "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for semi-sync%'"
    )
    assert stage.query.wait_for(waiting), "no claim was committed"


def _configure_postgresql(stage: Stage, **settings: str) -> None:
    """Change settings of the server that need no restart."""
    for name, value in settings.items():
        stage.query.run(f"ALTER SYSTEM SET {name} = '{value}'")
    stage.query.run("SELECT pg_reload_conf()")


def _commits_stay_in_memory(stage: Stage) -> None:
    """Results are not on the disk at once; on MariaDB every commit is."""
    if stage.database.kind == "postgresql":
        _configure_postgresql(stage, wal_writer_delay="10s")


def in_the_middle_of_a_mail(stage: Stage) -> None:
    """The server's answer after the final dot comes when the database is back."""
    _while_a_dot_is_held(stage, _SHORT, answered_meanwhile=False)


def in_the_middle_of_a_mail_for_long(stage: Stage) -> None:
    """The server's answer after the final dot comes while the database is away."""
    _while_a_dot_is_held(stage, _LONG, answered_meanwhile=True)


def _while_a_dot_is_held(stage: Stage, seconds: float, *, answered_meanwhile: bool) -> None:
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go.wait(60)

    stage.at_dot[5] = hold
    stage.queue_mails()
    assert held.wait(60), "no mail came"
    stage.database.crash()
    if answered_meanwhile:
        go.set()
    time.sleep(seconds)
    stage.database.come_back()
    go.set()


def at_the_final_update(stage: Stage) -> None:
    """Results are being written; the server is back while their worker still tries."""
    _at_the_final_update(stage, _SHORT)


def at_the_final_update_for_long(stage: Stage) -> None:
    """Results are being written; the server comes back after their worker gave up."""
    _at_the_final_update(stage, _LONG)


def _at_the_final_update(stage: Stage, seconds: float) -> None:
    stage.gate("sent")
    with stage.closed_gate():
        stage.queue_mails()
        stage.wait_at_gate()
        _away(stage, seconds)


def just_after_a_final_update(stage: Stage) -> None:
    """Some results of a batch are committed, but not yet on the disk; the rest is being sent."""
    _commits_stay_in_memory(stage)
    done = threading.Event()

    def restart() -> None:
        written = "SELECT 1 FROM smtp_admin_delivery WHERE state = 'sent'"
        # The group of results is written half a second after its first.
        while not stage.query(written):
            pass
        stage.database.restart_immediately()
        done.set()

    stage.at_dot.update({number: lambda: time.sleep(0.2) for number in range(1, 5)})
    stage.at_dot[6] = restart
    stage.queue_mails()
    assert done.wait(60), "the server was not restarted"


def just_after_the_last_update_of_a_batch(stage: Stage) -> None:
    """All results of a batch are committed, but not yet on the disk; the next is being claimed."""
    _commits_stay_in_memory(stage)
    stage.gate("sending")
    begun, closed = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        closed.wait(60)

    stage.at_dot[1] = hold
    stage.queue_mails()
    assert begun.wait(60), "no mail came"
    with stage.closed_gate():
        closed.set()
        stage.wait_at_gate()
        _away(stage, _SHORT)
