"""The database dies without goodbye at each moment, and a minute after its return all is well.

With the real leases and rests, so it takes that minute.
"""

import pytest

from tests.servers.skipping import skipped_if_unavailable

from . import moments
from .scenes import PROMISED_SECONDS, Endings, Scene, play_all
from .surroundings import FAILING

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

SCENES: tuple[Scene, ...] = (
    moments.at_the_claim,
    moments.at_the_end_of_the_claim,
    moments.in_the_middle_of_a_mail,
    moments.in_the_middle_of_a_mail_for_long,
    moments.at_the_final_update,
    moments.at_the_final_update_for_long,
    moments.just_after_a_final_update,
    moments.just_after_the_last_update_of_a_batch,
)


@pytest.fixture(scope="module", params=FAILING)
def endings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Endings:
    with skipped_if_unavailable():
        return play_all(request.param, SCENES, tmp_path_factory.mktemp("scenes"), hurry=False)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_everything_is_delivered_within_the_promised_time(endings: Endings, scene: Scene) -> None:
    ending = endings[scene].result()
    assert ending.seconds < PROMISED_SECONDS, ending
    assert ending.uncertains == 0, ending


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_nothing_is_lost_or_sent_twice(endings: Endings, scene: Scene) -> None:
    ending = endings[scene].result()
    assert ending.orphans == 0, ending
    assert ending.missing == set(), ending
    assert max(ending.copies.values()) == 1, ending
    assert set(ending.states) <= {"sent", "uncertain"}, ending
    assert ending.worker_lived
    assert "Traceback" not in ending.output
