"""Redis and the workers that listen there. Without Redis mail goes out all the same, but later."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout
from sqlalchemy import select

from smtp_admin import clock
from smtp_admin.database import database_now, host_engine, session
from smtp_admin.delivery import shared_redis
from smtp_admin.delivery.doorbell import queue_name
from smtp_admin.delivery.listeners import (
    Listener,
    at_work,
    listeners,
    other_queues,
    redis_time,
)
from smtp_admin.delivery.models import Lane
from smtp_admin.delivery.shared_redis import redis_client, redis_place
from smtp_admin.installation import installation
from smtp_admin.monitor.check_database import compare_clocks
from smtp_admin.monitor.health import Check

_SECONDS = 2.0
_OLDEST_MAJOR = 5
_NEARLY_FULL = 0.9
_START = "Start one: flask smtp-admin worker"
_MEANWHILE = "Until then workers check for mail every ten seconds. No mail is lost."


def redis() -> Iterator[Check]:
    """Whether it answers, takes writes, is new enough, and keeps what it is given."""
    where = redis_place(installation().config.redis_url)
    began = time.monotonic()
    try:
        with closing(_client()) as client:
            client.ping()
            took = time.monotonic() - began
            client.set("smtp_admin:doctor", "1", ex=10)
            about = _info(client)
    except (RedisError, OSError) as error:
        words, hint = _refusal(error)
        yield Check("redis", "failed", f"Redis at {where} {words}", f"{hint} {_MEANWHILE}")
        return
    version = str(about.get("redis_version", "unknown"))
    trouble = list(_doubts(about, version))
    patience = shared_redis.PATIENCE_SECONDS
    if took > patience / 2:
        slow = f"it took {took:.1f} s to answer; bells give up after {patience:g} s."
        trouble.append((slow, "It is busy or far away."))
    for words, hint in trouble:
        yield Check("redis", "warning", f"Redis {version} at {where}: {words}", hint)
    if not trouble:
        yield Check("redis", "ok", f"Redis {version} at {where} answers in {took * 1000:.0f} ms.")


def workers() -> Iterator[Check]:
    """Whether somebody is there to send."""
    queue = queue_name(host_engine())
    try:
        with closing(_client()) as client:
            found = listeners(client, queue)
            others = [] if found else other_queues(client, queue)
    except (RedisError, OSError):
        yield _without_redis()
        return
    alive = [one for one in found if one.lives]
    silent = [one for one in found if not one.lives]
    if not alive:
        sending = _sending()
        yield _sending_now(sending) if sending else _none(silent, others)
        return
    names = ", ".join(str(one) for one in alive)
    count = f"{len(alive)} worker{'' if len(alive) == 1 else 's'}"
    heard = max(one.silent for one in alive)
    yield Check("workers", "ok", f"{count} ({names}), heard {heard:.0f} s ago.")
    for one in silent:
        yield Check("workers", "warning", f"The worker {one} was last heard {one.silent:.0f} s "
                    "ago.", "It was killed or hangs. Other workers finish its mail. Check its log, "
                    "or end it.")  # fmt: skip


def redis_clock(now: Callable[[], datetime] = clock.now) -> Iterator[Check]:
    """How far this machine's clock is from that of Redis.

    Args:
        now: this machine's clock.
    """
    with closing(_client()) as client:
        before = now()
        theirs = redis_time(client)
        middle = before + (now() - before) / 2
    yield compare_clocks("Redis", (theirs - middle).total_seconds())


def _client() -> Redis:
    return redis_client(installation().config.redis_url, patience=_SECONDS)


def _info(client: Redis) -> dict[str, Any]:
    try:
        found: Any = client.info()
    except ResponseError:  # whoever runs it forbade the question
        return {}
    return dict(found)


def _refusal(error: Exception) -> tuple[str, str]:
    """What an error means, and what to do about it."""
    if isinstance(error, AuthenticationError) or "NOAUTH" in str(error):
        return "refuses our password.", "Correct the password in SMTP_ADMIN_REDIS_URL."
    if isinstance(error, RedisTimeout):
        return (
            f"does not answer in {_SECONDS:g} seconds.",
            "It hangs, or a firewall drops the connection.",
        )
    if isinstance(error, ResponseError):
        # Its own words name the reason: READONLY, MISCONF, OOM, NOPERM. They repeat no value.
        return (
            f"answers, but refuses writes: {str(error)[:200].rstrip('.')}.",
            "It is a replica, full, cannot save to its disk, or forbids this user to write.",
        )
    return (
        f"cannot be reached ({type(error).__name__}).",
        "Start it, or correct SMTP_ADMIN_REDIS_URL.",
    )


def _doubts(about: dict[str, Any], version: str) -> Iterator[tuple[str, str]]:
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < _OLDEST_MAJOR:
        yield "it is too old.", f"Use {_OLDEST_MAJOR}.0 or newer."
    most, used = int(about.get("maxmemory", 0) or 0), int(about.get("used_memory", 0) or 0)
    policy = str(about.get("maxmemory_policy", "noeviction"))
    if most and policy != "noeviction":
        words = (
            f"it deletes keys when its memory ({most / 1024**2:.0f} MB) is full ({policy}), "
            "and bells and journals with them."
        )
        hint = (
            "Set maxmemory-policy to noeviction, or use a separate Redis for this app. No mail is "
            "lost, but it may be sent later or end with an unknown outcome."
        )
        yield words, hint
    elif most and used > most * _NEARLY_FULL:
        yield (
            f"{used / most:.0%} of its memory ({most / 1024**2:.0f} MB) is used.",
            "Raise maxmemory, or find out what fills it. This app needs a few MB.",
        )


def _none(silent: list[Listener], others: list[str]) -> Check:
    words = "No worker runs for this database, so no mail is sent."
    if silent:
        last = silent[0]
        heard = f"{last} was last heard {last.silent:.0f} s ago"
        words = f"No worker answers, so no mail is sent; {heard}."
    hint = f"{_START}."
    if others:
        hint += (
            f" On this Redis {len(others)} other databases have workers. If one of them should be "
            "this one, compare SQLALCHEMY_DATABASE_URI: it must be spelled the same."
        )
    return Check("workers", "failed", words, hint)


def _without_redis() -> Check:
    """What the database knows of workers."""
    holders = _sending()
    if holders:
        return _sending_now(holders)
    return Check("workers", "warning", "It is unknown whether a worker runs, because "
        "Redis does not answer.",
                 "Check its log. If none runs, start one: flask smtp-admin worker")  # fmt: skip


def _sending() -> list[str]:
    """Who holds a lane right now."""
    holders = select(Lane.holder).where(at_work(database_now(session()))).distinct()
    return sorted(session().scalars(holders))


def _sending_now(holders: list[str]) -> Check:
    return Check("workers", "ok", f"Sending right now: {', '.join(holders)}.")
