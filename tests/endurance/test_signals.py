"""A signal ends a worker whichever of its threads the kernel wakes with it."""

from signal import SIGTERM

from tests.endurance.mortal import Fate, Mortal
from tests.endurance.sites import AnySite


def test_a_signal_that_another_thread_receives_ends_an_idle_worker(sqlite_site: AnySite) -> None:
    """The same happens when it comes just before the main thread begins to wait."""
    third_sweep = Fate("smtp_admin.worker.process:due_senders", "after", 3, SIGTERM)
    with sqlite_site.opened(), Mortal(sqlite_site.folder, fate=third_sweep) as worker:
        assert worker.wait() == 0, worker.output
