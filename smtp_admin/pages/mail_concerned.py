"""Which of the mails that somebody ticked an action concerns, and why not the others."""

from collections import Counter as Tally
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import select

from smtp_admin.database import database_now, session
from smtp_admin.delivery.logged_mail import LoggedMail, rows_of
from smtp_admin.delivery.mail_actions import MailAction
from smtp_admin.delivery.mail_log import MailFilter, conditions
from smtp_admin.delivery.models import Delivery
from smtp_admin.pages.mail_words import next_try, state_words
from smtp_admin.translation import gettext, joined, number

#: What these send needs its text, and an address that is not suppressed.
SENDS = frozenset({"retry", "release"})


class Concerned(NamedTuple):
    """Which of those *selected* it concerns; *others* says what the rest is, if there is one."""

    ids: tuple[int, ...]
    selected: int
    others: str


def concerned(action: MailAction, ids: Collection[int], scope: MailFilter) -> Concerned:
    """What *action* would change of these deliveries, as far as *scope* has them."""
    mine = select(Delivery.id).where(Delivery.id.in_(ids), *conditions(session(), scope))
    rows = rows_of(session(), session().scalars(mine).all())
    moment = database_now(session())
    rest: Tally[str] = Tally()
    found = []
    for one in rows:
        if one.state not in action.states or (action.name == "hurry" and not next_try(one, moment)):
            rest[state_words(one, moment).label] += 1
        elif not can_be_sent(action, one):
            rest[gettext("text erased")] += 1
        else:
            found.append(one.id)
    words = [joined((f"{number(count)} ×", label)) for label, count in rest.most_common()]
    return Concerned(tuple(found), len(rows), joined(words, ", "))


def can_be_sent(action: MailAction, one: LoggedMail) -> bool:
    """Whether there is a text left, where *action* sends it."""
    return one.has_text or action.name not in SENDS
