"""Duties of a worker that the sweep cannot wait for, each kind in a thread of its own.

A run over many customers takes long, and so does erasing somebody with much mail; webhooks,
mailboxes and providers may be slow.
"""

import threading
import time
from collections.abc import Callable

from flask import Flask
from sqlalchemy import Engine

from smtp_admin.delivery.maintenance.provider_lists import LOOK_SECONDS as LISTS_SECONDS
from smtp_admin.delivery.maintenance.provider_lists import import_lists
from smtp_admin.delivery.maintenance.provider_removals import LOOK_SECONDS as REMOVALS_SECONDS
from smtp_admin.delivery.maintenance.provider_removals import remove_waiting
from smtp_admin.erasure.working import LOOK_SECONDS as ERASE_SECONDS
from smtp_admin.erasure.working import erase_rest
from smtp_admin.events.bounces.collecting import LOOK_SECONDS as COLLECT_SECONDS
from smtp_admin.events.bounces.collecting import collect
from smtp_admin.installation import Installation
from smtp_admin.monitor.alerts.announce import ANNOUNCE_SECONDS, announce
from smtp_admin.monitor.alerts.incidents import LOOK_SECONDS as LOOK_FOR_ALERTS_SECONDS
from smtp_admin.monitor.alerts.incidents import prune_alerts, take_turn_and_look
from smtp_admin.monitor.summary import send_summaries
from smtp_admin.renewals.scheduler import LOOK_SECONDS, run_slot
from smtp_admin.worker.schedule import Duty, Schedule

_PRUNE_SECONDS = 3600.0


class Beside:
    """The schedules beside the sweep.

    Args:
        allowed: asked before duties are done.
    """

    def __init__(
        self,
        app: Flask,
        engine: Engine,
        here: Installation,
        stopping: threading.Event,
        allowed: Callable[[], bool],
    ) -> None:
        over = stopping.is_set
        kinds = (
            (
                Duty("renewals", LOOK_SECONDS, lambda: run_slot(engine, here, over)),
                Duty("erasing", ERASE_SECONDS, lambda: erase_rest(engine, over)),
            ),
            (
                Duty("alerts", LOOK_FOR_ALERTS_SECONDS, lambda: take_turn_and_look(engine)),
                Duty("telling of alerts", ANNOUNCE_SECONDS, lambda: announce(engine)),
                Duty("weekly summary", LOOK_SECONDS, lambda: send_summaries(engine)),
                Duty("old alerts", _PRUNE_SECONDS, lambda: prune_alerts(engine)),
            ),
            (Duty("bounce mailboxes", COLLECT_SECONDS, lambda: collect(engine, over)),),
            (Duty("suppression lists", LISTS_SECONDS, lambda: import_lists(engine, over)),),
            (
                Duty(
                    "removals at providers",
                    REMOVALS_SECONDS,
                    lambda: remove_waiting(engine, over),
                ),
            ),
        )
        self._schedules = [Schedule(app, list(duties), stopping, allowed) for duties in kinds]

    def start(self) -> None:
        """Start them all."""
        for one in self._schedules:
            one.start()

    def join(self, ends: float) -> None:
        """Wait for what is under way until *ends*, by the monotonic clock, for all together."""
        for one in self._schedules:
            one.join(max(0.0, ends - time.monotonic()))
