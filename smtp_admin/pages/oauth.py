"""``/oauth/…``: signing a mailbox in, and coming back from the vendor's page."""

import hmac
import secrets
import time
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask import session as browser
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded, require
from smtp_admin.audit.service import record_change, refuse_many_changes
from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.credentials.token_requests import caller_for_tokens
from smtp_admin.database import SYSTEM, host_engine, session
from smtp_admin.diagnosis.diagnose import of_failure
from smtp_admin.errors import Conflict, InvalidInput, NotFound
from smtp_admin.installation import installation
from smtp_admin.oauth.sealing import SealedFor
from smtp_admin.oauth.sign_in import authorize_url, finish
from smtp_admin.pages.driver_choice import refuse_read_only
from smtp_admin.pages.sender_routes import page_url
from smtp_admin.sandbox import site
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.smtp.redaction import printable
from smtp_admin.smtp.session import Dialler
from smtp_admin.translation import gettext

_STATE = "smtp_admin_oauth"
#: How long a person may take at the vendor's page.
_SECONDS = 900
_SHOWN = 300


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/oauth/<provider>/start", endpoint="oauth_start")(start)
    blueprint.get("/oauth/callback", endpoint="oauth_callback")(callback)


def redirect_uri() -> str:
    """The address to register at the vendor; people come back to it."""
    config = installation().config
    if config.public_url:
        return f"{config.public_url}{config.url_prefix}/oauth/callback"
    return url_for("smtp_admin.oauth_callback", _external=True)


@guarded(Action.SIGN_MAILBOX_IN)
def start(provider: str) -> ResponseReturnValue:
    """Send a person to the page where they sign in to the mailbox of a sender."""
    partner_id, key = request.args.get("partner", SYSTEM), request.args.get("sender", "")
    _, login = _sender(partner_id, key)
    if login.way.vendor != provider:
        raise NotFound
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        # Where it leads is the sender's setting: no page of others' sends anybody there.
        return redirect(page_url(partner_id, key, "tab"), code=303)
    site.require(session())
    installation().keyring.require()
    state = secrets.token_urlsafe(24)
    browser[_STATE] = {
        "state": state,
        "partner": partner_id,
        "sender": key,
        "purpose": login.purpose,
        "actor": web.signed_in().id,
        "at": int(time.time()),
    }
    url = authorize_url(login, installation().keyring, state, redirect_uri())
    return redirect(url, code=303)


@guarded(Action.SIGN_MAILBOX_IN)
def callback() -> ResponseReturnValue:
    """Keep what was granted, and show the sender again."""
    begun: dict[str, Any] = browser.pop(_STATE, None) or {}
    state = request.args.get("state", "")
    same = hmac.compare_digest(state.encode(), str(begun.get("state", "")).encode())
    mine = begun.get("actor") == web.signed_in().id
    if not state or not same or not mine or time.time() - begun["at"] > _SECONDS:
        raise Conflict(
            gettext("This sign-in was not begun here, or it took too long. Nothing was changed."),
            hint=gettext("Open the sender and press “Sign in” again."),
        )
    sender, login = _sender(begun["partner"], begun["sender"])
    if login.purpose != begun["purpose"]:
        raise Conflict(
            gettext("The settings of this sender were changed meanwhile. Nothing was kept."),
            hint=gettext("Open the sender and press “Sign in” again."),
        )
    site.require(session())
    refuse_many_changes(session(), web.signed_in())
    if "code" not in request.args:
        raise _refused()
    here, actor = installation(), web.signed_in()
    session().rollback()  # no transaction waits for the token server
    try:
        account = finish(
            host_engine(),
            caller_for_tokens(Dialler.from_config(here.config)),
            SealedFor(here.keyring, sender.partner_id, sender.sender_id),
            login,
            code=request.args["code"],
            state=state,
            redirect_uri=redirect_uri(),
            by=actor.name or actor.email,
        )
    except TokenFailure as failure:
        raise InvalidInput(
            gettext("The sign-in was not accepted: %(message)s", message=failure.message),
            code=failure.code,
            hint=of_failure(failure, sender.values).hint,
        ) from failure
    record_change(session(), actor, sender.partner_id, "oauth.signed_in", sender.name)
    session().commit()
    other = account and account.casefold() != login.username.casefold()
    done = gettext("Signed in. Now test the connection.")
    if other:
        done = gettext(
            "Signed in as %(account)s, which may send for %(username)s only if it has access. "
            "Now test the connection.",
            account=account,
            username=login.username,
        )
    web.notify(done)
    return redirect(page_url(sender.partner_id, sender.key, "tab"), code=303)


def _sender(partner_id: str, key: str) -> tuple[ResolvedSender, OAuthLogin]:
    """The saved sender that a person may sign in for, and its login.

    Raises:
        NotFound: there is none, or none that a person signs in for.
    """
    actor = web.signed_in()
    if partner_id == SYSTEM:
        require(actor, Action.EDIT_SYSTEM_SENDER)
    else:
        require(actor, Action.EDIT_PARTNER_SENDER, partner_id)
        partner = installation().host.partner(partner_id)
        if partner is None:
            raise NotFound
        web.look_at(partner)
    sender = load_sender(session(), partner_id, key)
    if not sender.sender_id or sender.deleted:
        raise NotFound
    refuse_read_only(sender, actor)
    if not sender.values.sign_in:
        raise NotFound
    login = sender.setup(installation().keyring).credential
    if not isinstance(login, OAuthLogin) or not login.way.by_person:
        raise NotFound
    return sender, login


def _refused() -> InvalidInput:
    """What the vendor's page says of a person who did not get through."""
    error = request.args.get("error", "")[:60]
    words = printable(request.args.get("error_description", ""))[:_SHOWN]
    said = ": ".join(one for one in (printable(error), words) if one)
    return InvalidInput(
        gettext(
            "Nobody was signed in. The vendor's page said: %(said)s.",
            said=said or gettext("nothing"),
        ),
        hint=gettext("If an administrator must agree first, ask them. Then press “Sign in” again."),
    )
