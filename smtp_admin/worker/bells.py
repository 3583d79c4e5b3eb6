"""RQ's part in a worker: it brings bells, and calls for connection tests."""

import logging
import threading
import time
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError, StopRequested
from rq.job import Job
from rq.utils import utcformat

from smtp_admin.delivery.listeners import redis_time
from smtp_admin.worker import jobs
from smtp_admin.worker.permission import Permission
from smtp_admin.worker.pool import SenderThreads

log = logging.getLogger(__name__)

#: How long a bell waits for another machine while lanes wait for a place on this one.
_LEFT_TO_OTHERS_SECONDS = 1.0


def _is_bell(job: Job) -> bool:
    try:
        return isinstance(job, jobs.SafeJob) and job.is_bell
    except (DeserializationError, TypeError, ValueError):
        return False  # whatever it is made of, RQ files it as failed


class BellWorker(SimpleWorker):
    """RQ's loop, hearing bells: a job takes milliseconds, the sending is done by threads."""

    _threads: SenderThreads
    _process_stopping = threading.Event()
    _impatient: Redis
    _permission: Permission
    #: RQ would wait up to a minute before it looks for a lost Redis again, in seconds.
    max_connection_wait_time = 2.0

    def prepare(
        self,
        threads: SenderThreads,
        stopping: threading.Event,
        impatient: Redis,
        permission: Permission,
    ) -> None:
        """Say whom the bells are for, and give a client that does not wait.

        Args:
            permission: without it bells are left to others.
        """
        self._permission = permission
        self._threads = threads
        self._impatient = impatient
        self._process_stopping = stopping

    def _install_signal_handlers(self) -> None:
        """None: the process has its own."""

    def dequeue_job_and_maintain_ttl(self, *args: Any, **kwargs: Any) -> Any:
        """Wait for the next bell; for a moment it is left to others while all threads are busy.

        Meanwhile it stays in Redis, where another machine may take it.
        """
        until = time.monotonic() + _LEFT_TO_OTHERS_SECONDS
        while not self._threads.hears() and time.monotonic() < until:
            if self._process_stopping.wait(0.1):
                raise StopRequested
            if any(queue.count for queue in self.queues):
                self._threads.want()
        if self._process_stopping.is_set() or not self._permission.held:
            raise StopRequested
        return super().dequeue_job_and_maintain_ttl(*args, **kwargs)

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """Say that we live, unless we are told to stop: RQ does this whenever it begins to wait."""
        if self._process_stopping.is_set():
            raise StopRequested
        super().heartbeat(*args, **kwargs)
        # By the clock of Redis: whoever reads it may have another one than this machine.
        heard_at = utcformat(redis_time(self.connection))
        self.connection.hset(self.key, "last_heartbeat", heard_at)
        if not self.connection.hexists(self.key, "pid"):
            # Redis was emptied: we listen, but nobody knows of us.
            self.connection.delete(self.key)
            self.register_birth()  # type: ignore[no-untyped-call]  # RQ's own

    def subscribe(self) -> None:
        """Nothing: RQ's remote commands would let whoever reaches Redis stop workers."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed to."""

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log what went wrong with a bell, unless it is only that we were told to stop."""
        if self._process_stopping.is_set():
            raise StopRequested
        super().handle_exception(job, *exc_info)

    def teardown(self) -> None:
        """Sign off at Redis, unless it does not answer: then our entry there expires."""
        try:
            self._impatient.ping()
            super().teardown()  # type: ignore[no-untyped-call]  # RQ's own
        except (RedisError, OSError) as error:
            log.debug("signing off at Redis failed (%s)", type(error).__name__)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job: a bell, without what RQ does for jobs that take long and have results.

        Its registries and heartbeats cost five milliseconds for each, and a bell that is lost is
        rung again.
        """
        if not _is_bell(job):
            super().execute_job(job, queue)
            return
        with self.connection.pipeline(transaction=False) as pipeline:
            pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
            pipeline.delete(job.key)
            pipeline.execute()
        job.func(*job.args)
