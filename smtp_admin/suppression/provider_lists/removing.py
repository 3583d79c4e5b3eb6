"""Take addresses off the lists of a partner's providers, after they were taken off our own.

Ours is gone by then and stays so: whatever a provider answers, or does not, is only told, and a
worker tries again where it helps. A slow one takes five seconds, and all of them together ten,
however many addresses there are.
"""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy.orm import Session

from smtp_admin.audit.in_flight import in_flight
from smtp_admin.errors import RateLimited
from smtp_admin.http.caller import CallFailed
from smtp_admin.installation import installation
from smtp_admin.sandbox.site import may_act
from smtp_admin.senders.cleaning import DEFAULT
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.session import Dialler
from smtp_admin.suppression.provider_lists.calling import Calling
from smtp_admin.suppression.provider_lists.lifted import Lifted, Lifting, note_asked
from smtp_admin.suppression.provider_lists.shape import Account, Removal, TheirList
from smtp_admin.suppression.provider_lists.table import OfSender, accounts_of
from smtp_admin.suppression.reading import Suppressed
from smtp_admin.suppression.reasons import ALL, NOTICES
from smtp_admin.translation import gettext, joined, ngettext

log = logging.getLogger("smtp_admin.suppression")

EACH_SECONDS, ALL_SECONDS = 5.0, 10.0
Status = Literal["removed", "absent", "refused", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class AtProvider:
    """What became of it at one provider.

    Attributes:
        sender: the key of the sender whose account it is.
        status: the worst that happened there.
        removed: how many addresses stand on none of its lists any more that stood on one.
        message: all of it, in sentences for a person.
        page: where to remove the rest by hand; empty where nothing is left.
        again: whether it may go well another time.
    """

    sender: str
    provider: str
    status: Status
    removed: int
    message: str
    page: str = ""
    again: bool = False

    def as_json(self) -> dict[str, Any]:
        """The same for a script."""
        return {
            "sender": self.sender or DEFAULT,
            "provider": self.provider,
            "status": self.status,
            "removed": self.removed,
            "message": self.message,
            "page": self.page or None,
        }


def remove_at_providers(
    session: Session, partner_id: str, lifting: Lifting
) -> tuple[AtProvider, ...]:
    """Take what was lifted, and committed, off the lists of the partner's providers too.

    What a provider did not answer a worker tries again; all of it, should this process end before
    they did. The session has no transaction open while anybody is called.
    """
    done = ask_providers(session, partner_id, lifting.lifted)
    if lifting.asked_at is None:
        return done
    note_asked(session, partner_id, lifting, again=any(one.again for one in done))
    again = gettext("It is tried again automatically.")
    return tuple(
        replace(one, message=joined((one.message, again))) if one.again else one for one in done
    )


def ask_providers(
    session: Session, partner_id: str, lifted: Sequence[Lifted]
) -> tuple[AtProvider, ...]:
    """The same, once."""
    wanted = _wanted(session, partner_id, lifted)
    accounts = accounts_of(session, partner_id) if wanted else []
    acts = may_act(session) if accounts else False
    session.rollback()
    if not accounts:
        return ()
    names = Counter(one.account.provider for one in accounts)
    here = installation()
    overall = Deadline(ALL_SECONDS)
    found = []
    with ExitStack() as stack:
        why_not, again = "", False
        if here.config.sandbox is not None or not acts:
            why_not = gettext("this installation is a sandbox, which changes nothing outside")
        else:
            try:
                stack.enter_context(in_flight(partner_id))
            except RateLimited:
                why_not = gettext("too many calls of this partner are already running")
                again = True
        for one in accounts:
            name = _name(one, alone=names[one.account.provider] == 1)
            if why_not:
                found.append(_skipped(one, name, why_not, again=again))
                continue
            done = _remove(one, name, wanted, overall)
            if done is not None:
                _log(partner_id, done)
                found.append(done)
    return tuple(found)


def _wanted(
    session: Session, partner_id: str, lifted: Sequence[Lifted]
) -> dict[str, tuple[list[Lifted], list[str]]]:
    """Address → what was lifted of it, and which of all mail and all notices is still stopped."""
    addresses = sorted({one.address for one in lifted})
    left = Suppressed(session, [(partner_id, one) for one in addresses])
    return {
        address: (
            [one for one in lifted if one.address == address],
            [one for one in (ALL, NOTICES) if left.has(partner_id, address, one)],
        )
        for address in addresses
    }


def _concerns(their: TheirList, lifted: Sequence[Lifted], left: Collection[str]) -> bool:
    """Whether an address is to be taken off a list.

    It stays where what is left of ours stops the same mail: a list is never emptier than ours.
    """
    if ALL in left or (their.category == NOTICES and NOTICES in left):
        return False
    return any(
        one.reason in their.reasons
        or one.category == ALL
        or (one.category == NOTICES and their.category == NOTICES)
        for one in lifted
    )


def _remove(
    one: OfSender,
    name: str,
    wanted: dict[str, tuple[list[Lifted], list[str]]],
    overall: Deadline,
) -> AtProvider | None:
    """Ask one provider; ``None`` where none of its lists is concerned."""
    work = [
        (address, their)
        for address, (lifted, left) in wanted.items()
        for their in one.account.lists
        if _concerns(their, lifted, left)
    ]
    if not work:
        return None
    addresses = {address for address, _ in work}
    gone: set[str] = set()
    troubled: set[str] = set()
    worst: Removal = "absent"
    why = ""
    with Calling(one.account, _dialler(), Deadline(EACH_SECONDS, overall)) as calling:
        for at, (address, their) in enumerate(work):
            try:
                answer = calling.call(their.remove(address))
            except CallFailed as error:
                # All further calls would fail like this one, or come too late.
                worst, why = "failed", str(error)
                troubled |= {later for later, _ in work[at:]}
                break
            removal = their.removed(answer)
            if removal == "removed":
                gone.add(address)
            elif removal != "absent":
                worst, why = removal, calling.said(answer)
                troubled.add(address)
                if removal == "refused" and answer.status != _ANSWERED:
                    troubled |= {later for later, _ in work[at:]}
                    break
    removed = len(gone - troubled)
    if not troubled:
        if not gone:
            words = gettext("Not on the list at %(provider)s.", provider=name)
            return AtProvider(one.sender.key, one.account.provider, "absent", 0, words)
        words = _removed_words(name, removed, len(addresses))
        return AtProvider(one.sender.key, one.account.provider, "removed", removed, words)
    status: Status = "refused" if worst == "refused" else "failed"
    words = joined(
        (
            _removed_words(name, removed, len(addresses)) if removed else "",
            _trouble_words(one.account, name, status, why),
        )
    )
    page, again = one.account.page, status == "failed"
    return AtProvider(one.sender.key, one.account.provider, status, removed, words, page, again)


#: A call that was understood, and refused for this address alone.
_ANSWERED = 200


def _removed_words(name: str, removed: int, asked: int) -> str:
    if asked == 1:
        return gettext("Also removed at %(provider)s.", provider=name)
    return ngettext(
        "Also removed at %(provider)s: %(number)s address.",
        "Also removed at %(provider)s: %(number)s addresses.",
        removed,
        provider=name,
    )


def _trouble_words(account: Account, name: str, status: Status, why: str) -> str:
    by_hand = gettext("Remove it on its page: %(page)s", page=account.page)
    if status == "refused":
        said = gettext("%(provider)s refused (%(why)s).", provider=name, why=why)
        return joined((said, account.right, by_hand))
    said = gettext(
        "At %(provider)s it may still be on the list: %(why)s.", provider=name, why=why.rstrip(".")
    )
    return joined((said, by_hand))


def _skipped(one: OfSender, name: str, why: str, *, again: bool) -> AtProvider:
    words = joined(
        (
            gettext("%(provider)s was not asked: %(why)s.", provider=name, why=why),
            gettext("Remove it on its page: %(page)s", page=one.account.page),
        )
    )
    provider, page = one.account.provider, one.account.page
    return AtProvider(one.sender.key, provider, "skipped", 0, words, page, again)


def _name(one: OfSender, *, alone: bool) -> str:
    provider = one.account.provider
    return provider if alone else f"{provider} ({one.sender.name})"


def _dialler() -> Dialler:
    return Dialler.from_config(installation().config)


def _log(partner_id: str, done: AtProvider) -> None:
    if done.status in {"refused", "failed"}:
        log.warning(
            "suppressions of partner %r were not all removed at %s: %s",
            partner_id, done.provider, done.message,
        )  # fmt: skip
