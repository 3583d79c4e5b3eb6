"""What every page says in a test installation, and in one that stands beside a copy."""

from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from smtp_admin import web
from smtp_admin.access import Action, allowed
from smtp_admin.database import session
from smtp_admin.installation import installation
from smtp_admin.sandbox.site import standing
from smtp_admin.sandbox_rule import Sandbox
from smtp_admin.translation import gettext, joined


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to say, with what only those learn who may do something about it."""

    title: str
    text: str


def sandbox_notes() -> tuple[Note, ...]:
    """What is to be said, if anything; error pages say it too.

    Addresses and variables are for those who look after the platform; everybody else learns that
    this is a test installation. Where the database is away, nothing is said of it.
    """
    actor = web.current_actor()
    of_platform = allowed(actor, Action.EDIT_SYSTEM_SENDER)
    rule = installation().config.sandbox
    found = [] if rule is None else [_of_rule(rule, of_platform=of_platform)]
    try:
        here = standing(session())
    except SQLAlchemyError:
        session().rollback()
        return tuple(found)
    if not here.acts:
        text = (
            joined((here.reason, here.hint)) if of_platform else gettext("It waits in the queue.")
        )
        found.insert(0, Note(gettext("No mail is sent from this installation."), text))
    return tuple(found)


def _of_rule(rule: Sandbox, *, of_platform: bool) -> Note:
    if rule.redirect:
        title = gettext("This is a test installation: all mail goes to one address instead.")
        text = gettext("That is %(redirect)s, set in SMTP_ADMIN_SANDBOX.", redirect=rule.redirect)
    else:
        title = gettext("This is a test installation: it holds most mail.")
        text = gettext(
            "Only mail to %(addresses)s is sent, set in SMTP_ADMIN_SANDBOX.",
            addresses=", ".join(rule.allow),
        )
    return Note(title, text if of_platform else "")
