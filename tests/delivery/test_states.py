"""Every pair of states: what may follow what, and nothing else."""

import itertools

import pytest

from smtp_admin.delivery.states import STATES, State, check, may

ALLOWED = {
    ("queued", "sending"),
    ("queued", "suppressed"),
    ("suppressed", "queued"),
    ("queued", "cancelled"),
    ("queued", "expired"),
    ("queued", "uncertain"),
    ("sending", "sent"),
    ("sending", "queued"),
    ("sending", "dead"),
    ("sending", "uncertain"),
    ("sent", "delivered"),
    ("sent", "bounced"),
    ("sent", "complained"),
    ("delivered", "bounced"),
    ("delivered", "complained"),
    ("uncertain", "sent"),
    ("uncertain", "queued"),
    ("uncertain", "dead"),
    ("uncertain", "delivered"),
    ("uncertain", "bounced"),
    ("uncertain", "complained"),
    ("bounced", "complained"),
    ("dead", "queued"),
    ("dead", "cancelled"),
    ("dead", "delivered"),
    ("dead", "bounced"),
    ("dead", "complained"),
    ("cancelled", "queued"),
    ("cancelled", "dead"),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATES, repeat=2)))
def test_a_pair(before: State, after: State) -> None:
    if (before, after) in ALLOWED:
        assert may(before, after)
        assert check(before, after) == after
    else:
        assert not may(before, after)
        with pytest.raises(ValueError, match=f"from {before} to {after}"):
            check(before, after)


def test_every_allowed_pair_is_of_known_states() -> None:
    assert {state for pair in ALLOWED for state in pair} <= set(STATES)
    assert len(STATES) == 11
