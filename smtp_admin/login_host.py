"""A ready :class:`~smtp_admin.Host` for apps that sign people in with Flask-Login.

Flask-Security is one of them. What differs from app to app is a function each.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, current_app, url_for

from smtp_admin.errors import SetupError
from smtp_admin.host import Actor, Host, Partner, Several, Soon
from smtp_admin.host_calls import answer_of


def _nobody(_user: Any) -> bool:
    return False


def _none(_user: Any) -> tuple[str, ...]:
    return ()


class LoginHost(Host):
    """Who is signed in, from Flask-Login's ``current_user``; partners, from a function.

    ::

        host = LoginHost(
            partners=lambda: (Partner(str(one.id), one.name) for one in Company.query),
            is_admin=lambda user: user.has_role("admin"),
            partner_ids=lambda user: [one.id for one in user.companies],
            sign_in="security.login",
        )

    A function may be ``async def``. For reminders and recipients of alerts, subclass it.

    Args:
        partners: all partners.
        partner: one of them by its id, or ``None``; without it *partners* is searched.
        is_admin: whether a user manages the whole platform. By default nobody does.
        partner_ids: the ids of the partners that a user manages; numbers become text.
        customer_id: of a user who is a customer, or ``None``.
        sign_in: the endpoint of the page to sign in; it gets ``next``. Without it, visitors get a
            plain 401 page.
    """

    def __init__(
        self,
        *,
        partners: Callable[[], Several[Partner]],
        partner: Callable[[str], Soon[Partner | None]] | None = None,
        is_admin: Callable[[Any], Soon[bool]] = _nobody,
        partner_ids: Callable[[Any], Several[Any]] = _none,
        customer_id: Callable[[Any], Soon[Any]] = lambda _user: None,
        sign_in: str = "",
    ) -> None:
        # They are the methods: whoever asks sees whether they are async def.
        self.partners = partners  # type: ignore[method-assign]  # as said above
        if partner is not None:
            self.partner = partner  # type: ignore[method-assign, assignment]  # as above
        self._is_admin = is_admin
        self._partner_ids = partner_ids
        self._customer_id = customer_id
        self._sign_in = sign_in

    def current_actor(self) -> Actor | None:
        """The user of Flask-Login, if somebody is signed in."""
        user = _current_user()
        if user is None or not user.is_authenticated:
            return None
        customer = _asked(self._customer_id, user)
        return Actor(
            id=str(getattr(user, "id", None) or user.get_id()),
            email=getattr(user, "email", None) or "",
            name=_name_of(user),
            is_admin=bool(_asked(self._is_admin, user)),
            partner_ids=frozenset(map(str, _asked(self._partner_ids, user))),
            customer_id=None if customer is None else str(customer),
        )

    def sign_in_url(self, next_url: str) -> str | None:
        """The page that the app names, if it does."""
        return url_for(self._sign_in, next=next_url) if self._sign_in else None


def _current_user() -> Any:
    app: Flask = current_app
    if not hasattr(app, "login_manager"):
        raise SetupError(
            "LoginHost asks Flask-Login who is signed in, and this app has no LoginManager.",
            hint="Call init_app of LoginManager or of Security, or write a Host of your own.",
        )
    from flask_login import current_user

    return current_user


def _asked(function: Callable[[Any], Any], user: Any) -> Any:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    answer = answer_of(app, function(user))
    return answer if not isinstance(answer, Iterable) or isinstance(answer, str) else list(answer)


def _name_of(user: Any) -> str:
    for field in ("name", "full_name", "username"):
        if isinstance(found := getattr(user, field, None), str) and found:
            return found
    return ""
