"""Which code says most about a delivery."""

import pytest

from smtp_admin.diagnosis.diagnose import code_of_delivery


@pytest.mark.parametrize(
    ("state", "last_code", "uncertains", "code"),
    [
        ("dead", "connection_lost", 2, "uncertain"),
        ("dead", "timeout", 3, "uncertain"),
        # Somebody tried again after two unknown outcomes, and now there is a clear answer.
        ("dead", "recipient_refused", 2, "recipient_refused"),
        ("dead", "too_large", 2, "too_large"),
        ("dead", "message_refused", 0, "message_refused"),
        ("uncertain", "timeout", 1, "uncertain"),
        ("uncertain", "worker_lost", 1, "worker_lost"),
        ("delivered", "", 0, "sent"),
        ("sent", "", 1, "sent"),
    ],
)
def test_a_clear_answer_says_more_than_an_unknown_outcome_before(
    state: str, last_code: str, uncertains: int, code: str
) -> None:
    assert code_of_delivery(state, last_code, uncertains) == code
