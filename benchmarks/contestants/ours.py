"""smtp_admin: a worker process as it runs in production."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contestants import Task
from benchmarks.site import Site, check_alive, processor_seconds, wait_until_idle
from benchmarks.stage import Kind
from tests.worker.running import Worker


class Ours:
    """``flask smtp-admin worker``, from the committed row to the committed result."""

    share = 1.0

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind
        self.name = f"smtp_admin on {kind}"

    def install(self) -> str:
        """Nothing: it is here."""
        return ""

    @contextmanager
    def ready(self, task: Task) -> Iterator["_Held"]:
        """A new database, the mail in it, and a worker whose sender is paused."""
        stage = task.stage
        site = Site(stage.new_folder(), stage.new_database(self._kind), stage.redis.url)
        with site.opened():
            site.host.save_sender("acme", port=task.port, max_connections=task.connections)
            site.hold()
            site.queue(task.count)
            with site.worker(task.connections) as worker:
                wait_until_idle(worker)
                yield _Held(site, worker)


class _Held:
    """Paused until the word."""

    def __init__(self, site: Site, worker: Worker) -> None:
        self._site = site
        self._worker = worker

    def go(self) -> None:
        """End the pause and ring."""
        self._site.release()

    def check(self) -> None:
        """Whether the worker still runs."""
        check_alive(self._worker)

    def settle(self) -> None:
        """Until the last result is committed."""
        self._site.settle()

    def processor(self) -> float:
        """The worker's."""
        return processor_seconds(self._worker)
