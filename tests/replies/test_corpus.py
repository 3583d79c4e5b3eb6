"""The table of replies is judged by what real servers said."""

import pytest

from smtp_admin.providers.catalogue import replies
from tests.replies.judging import Said, corpus, reply_of

CORPUS = corpus()


@pytest.mark.parametrize("one", CORPUS, ids=[f"{one.at} {one.said[:60]}" for one in CORPUS])
def test_right(one: Said) -> None:
    judged = replies().judge(one.at, reply_of(one.said), one.given)
    found = f"{judged.verdict.value} {judged.health.value} {judged.code}"
    assert found == one.right, judged.row
    assert judged.bad_address is one.bad_address
    assert judged.worn is one.worn
    if one.pause is not None:
        assert judged.pause == one.pause
    if one.cause is not None:
        assert judged.cause == one.cause


def test_there_are_enough_of_them_and_each_only_once() -> None:
    assert len(CORPUS) >= 250
    assert len({(one.at, one.said, one.given) for one in CORPUS}) == len(CORPUS)
    assert all(one.source for one in CORPUS)


def test_most_are_recognised() -> None:
    """The rest is treated by its class; a table that knew few would be no table."""
    unknown = [
        one.said
        for one in CORPUS
        if not replies().judge(one.at, reply_of(one.said), one.given).recognised
    ]
    assert len(unknown) < len(CORPUS) / 5, unknown
