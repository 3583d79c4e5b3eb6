"""The database dies without goodbye while a worker sends, and is back a second later.

The scenes take some seconds each, so they are played side by side, once, before the tests.
"""

import pytest

from tests.servers.skipping import skipped_if_unavailable

from . import moments
from .scenes import MAILS, PROMISED_SECONDS, Endings, Scene, play_all
from .surroundings import FAILING

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SCENES: tuple[Scene, ...] = (
    moments.in_the_middle_of_a_mail,
    moments.at_the_final_update,
    moments.just_after_a_final_update,
    moments.just_after_the_last_update_of_a_batch,
)


@pytest.fixture(scope="module", params=FAILING)
def endings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Endings:
    with skipped_if_unavailable():
        return play_all(request.param, SCENES, tmp_path_factory.mktemp("scenes"), hurry=True)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_every_mail_is_sent_once_and_recorded_so(endings: Endings, scene: Scene) -> None:
    ending = endings[scene].result()
    assert ending.orphans == 0, ending
    assert ending.states == {"sent": MAILS}, ending
    assert ending.missing == set(), ending
    assert len(ending.copies) == sum(ending.copies.values()) == MAILS, ending


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_no_outcome_is_unknown(endings: Endings, scene: Scene) -> None:
    """The worker lived all the time, and every answer of the mail server reached it."""
    assert endings[scene].result().uncertains == 0


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_the_worker_lives_and_goes_on(endings: Endings, scene: Scene) -> None:
    ending = endings[scene].result()
    assert ending.worker_lived
    assert ending.seconds < PROMISED_SECONDS
    assert "Traceback" not in ending.output
