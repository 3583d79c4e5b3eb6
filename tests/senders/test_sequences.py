"""Any sequence of saves leaves what a simple model says."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from smtp_admin.errors import Conflict, InvalidInput
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.smtp.fields import FIELDS
from tests.app import ADMIN, HostApp

VALUES = st.builds(
    SenderValues,
    host=st.sampled_from(["a.example", "b.example"]),
    port=st.sampled_from([25, 587]),
    security=st.sampled_from(["none", "tls"]),
    username=st.sampled_from(["", "u", "w"]),
    from_email=st.sampled_from(["x@acme.example", "y@acme.example"]),
    verify_tls=st.booleans(),
)
PASSWORD_FIELD = next(one for one in FIELDS if one.name == "password")
PASSWORDS = st.sampled_from(["", "", "one", "zwö"])
NUMBERS = count()


class Saves(RuleBasedStateMachine):
    """Saves of one partner; the model keeps the values, the password and where it may go."""

    site: HostApp

    def __init__(self) -> None:
        super().__init__()
        self.partner_id = f"p{next(NUMBERS)}"
        self.values: SenderValues | None = None
        self.password = ""
        self.revision = 0
        self.history: list[Any] = []

    @rule(values=VALUES, password=PASSWORDS, commit=st.booleans())
    def save(self, values: SenderValues, password: str, commit: bool) -> None:
        """Save with the present revision, and commit or think better of it."""
        same = self.values is not None and self.values.destination == values.destination
        if password and not values.username:
            expected: str | None = "invalid_input"
        elif values.username and not password and not (same and self.password):
            expected = "password_required"
        else:
            expected = None
        found = self._save(values, password, self.revision, commit=commit)
        assert found == expected
        if found is None and commit:
            before = (self.values, self.password)
            self.password = (password or self.password) if values.username else ""
            self.values = values
            self.revision += before != (self.values, self.password)  # the same makes none
            self.history = self._rows()

    @rule(
        change=st.sampled_from(["from_name", "reply_to"]), text=st.sampled_from(["", "n@a.example"])
    )
    def save_something_else(self, change: str, text: str) -> None:
        """A save that leaves the destination alone never asks for a password."""
        if self.values is None:
            return
        changes: dict[str, Any] = {change: text}
        values = self.values.replace(**changes)
        needs = bool(values.username and not self.password)
        assert not needs
        assert self._save(values, "", self.revision, commit=True) is None
        self.revision += values != self.values
        self.values = values
        self.history = self._rows()

    @rule(values=VALUES, off=st.sampled_from([-1, 1]))
    def save_blindly(self, values: SenderValues, off: int) -> None:
        """With another revision than the present one."""
        assert self._save(values, "x", self.revision + off, commit=True) == "conflict"

    @invariant()
    def present_is_as_the_model_says(self) -> None:
        """Values, revision and password."""
        session = self.site.db.session()
        sender = load_sender(session, self.partner_id)
        assert sender.revision == self.revision
        if self.values is not None:
            assert sender.values == self.values
            assert sender.has_secret("password") == bool(self.password)
            assert self._password_for(self.values) == self.password
            present = self.values
            for moved in (
                present.replace(host="c.example"),
                present.replace(port=26),
                present.replace(verify_tls=not present.verify_tls),
            ):
                assert self._password_for(moved) in {"", None}
        session.rollback()

    @invariant()
    def history_only_grows(self) -> None:
        """One row per revision, the earlier ones as they were."""
        rows = self._rows()
        assert rows == self.history
        assert [row.number for row in rows] == list(range(1, self.revision + 1))

    def _password_for(self, values: SenderValues) -> str | None:
        sender = load_sender(self.site.db.session(), self.partner_id)
        try:
            return sender.secret_for(PASSWORD_FIELD, values, self.site.installation.keyring)
        except InvalidInput:
            return None

    def _save(self, values: SenderValues, password: str, seen: int, *, commit: bool) -> str | None:
        session = self.site.db.session()
        try:
            save_settings(
                session,
                self.partner_id,
                values,
                secrets={"password": password},
                expected_revision=seen,
                actor=ADMIN,
            )
        except (Conflict, InvalidInput) as error:
            session.rollback()
            return error.code
        if commit:
            session.commit()
        else:
            session.rollback()
        return None

    def _rows(self) -> list[Any]:
        session = self.site.db.session()
        sender = load_sender(session, self.partner_id).sender_id
        table = SenderRevision.__table__
        query = select(table).where(table.c.sender_id == sender).order_by(table.c.number)
        rows = list(session.execute(query))
        session.rollback()
        return rows


def test_any_sequence(new_app: Callable[..., HostApp], monkeypatch: pytest.MonkeyPatch) -> None:
    site = new_app()
    monkeypatch.setattr(Saves, "site", site, raising=False)
    with site.app.app_context():
        run_state_machine_as_test(
            Saves,
            settings=settings(max_examples=25, stateful_step_count=10, derandomize=True),
        )
