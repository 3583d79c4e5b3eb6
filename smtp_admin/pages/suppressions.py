"""``/suppressions`` and ``…/suppressions``: addresses that get no mail, or no notices, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from smtp_admin import web
from smtp_admin.access import Action, guarded, require
from smtp_admin.api.suppressions import as_json
from smtp_admin.audit.service import record_change
from smtp_admin.database import session
from smtp_admin.delivery.maintenance.provider_lists import imports_of
from smtp_admin.delivery.maintenance.provider_removals import stuck_of
from smtp_admin.delivery.provider_suppressions import (
    PAGE_SECONDS,
    account_to_read,
    take_over,
)
from smtp_admin.delivery.suppressions import lift_rows, suppress, suppress_all
from smtp_admin.errors import InvalidInput, MessageError, RequestError
from smtp_admin.installation import installation
from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.bad_lines import BadLines
from smtp_admin.mail.suppression_file import MOST_LINES, read_suppressions
from smtp_admin.pages import lists
from smtp_admin.pages.mail_filters import kept_back_url
from smtp_admin.pages.mail_log import owner_name
from smtp_admin.pages.new_batch import given_csv, skipped_lines
from smtp_admin.pages.sender_frame import frame, owner_links
from smtp_admin.pages.sender_routes import add_owner_page, owner_url
from smtp_admin.pages.suppression_words import (
    categories,
    category_words,
    in_lines,
    kept_words,
    left_of,
    lifted_words,
)
from smtp_admin.senders.cleaning import DEFAULT
from smtp_admin.senders.resolve import DEFAULT_KEY
from smtp_admin.suppression.models import ProviderList, Suppression
from smtp_admin.suppression.provider_lists.removing import remove_at_providers
from smtp_admin.suppression.provider_lists.table import accounts_of
from smtp_admin.suppression.reading import address_hash, left_on_the_list
from smtp_admin.suppression.reasons import ALL, REASONS, label_of
from smtp_admin.suppression.writing import clean_category
from smtp_admin.translation import gettext, joined, ngettext, number

_MOST_EXPORTED = 200_000
_STEP = 1000
_MOST_TICKED = 500
#: Reasons for which a provider watches whoever sends more.
_CAME_BACK = frozenset({"bounce", "soft_bounces", "complaint"})
#: What a message calls the fields of the forms.
_LABELS = {
    "address": gettext("Address"),
    "category": gettext("Mail"),
    "file": gettext("CSV file"),
    "sender": gettext("Sender"),
}


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/suppressions")(suppressions)
    add_owner_page(blueprint, "suppressions", _suppressions)
    add_owner_page(blueprint, "import_suppressions", _import)
    add_owner_page(blueprint, "lift_suppressions", _lift)
    add_owner_page(blueprint, "sync_suppressions", _sync)


@guarded(Action.MANAGE_SUPPRESSIONS)
def suppressions() -> ResponseReturnValue:
    """The addresses of all whom one looks after."""
    return _list(None)


def _suppressions(owner: str) -> ResponseReturnValue:
    """The addresses of one owner; POST adds one."""
    require(web.signed_in(), Action.MANAGE_SUPPRESSIONS, owner)
    if request.method != "POST":
        return _list(owner)
    entered = {
        "address": lists.word("address", 320),
        "category": lists.word("category", 64),
        "detail": lists.word("detail", 500),
    }
    try:
        address, done = _add(owner, entered)
    except RequestError as error:
        return _refused(owner, error, entered)
    if web.wants_json():
        return web.answer_json(
            {"ok": True, "address": address, "new": done.new, "kept_back": done.kept_back},
            201 if done.new else 200,
        )
    words = (
        gettext("Suppressed: %(address)s.", address=address)
        if done.new
        else gettext("%(address)s was suppressed before.", address=address)
    )
    if done.kept_back:
        words = f"{words} {kept_words(done.kept_back)}"
    web.notify(words)
    return redirect(owner_url(owner, "suppressions"), code=303)


def _add(owner: str, entered: dict[str, str]) -> Any:
    try:
        address = address_of(entered["address"])[1]
    except MessageError as error:
        raise InvalidInput(fields={"address": [error.message]}) from error
    category = clean_category(entered["category"] or ALL)
    actor = web.signed_in()
    done = suppress(
        session(), owner, address, "manual", category=category, detail=entered["detail"],
        by=_who(),
    )  # fmt: skip
    if done.new:
        record_change(session(), actor, owner, "suppression.added", f"{address}: {category}")
    session().commit()
    return address, done


def _import(owner: str) -> ResponseReturnValue:
    """Suppress all addresses of a list; none while a line of it cannot be used or skipped."""
    require(web.signed_in(), Action.MANAGE_SUPPRESSIONS, owner)
    entered, text = {"category": lists.word("category", 64)}, ""
    try:
        text = given_csv()
        category = clean_category(entered["category"] or ALL)
        given = read_suppressions(text, owner, category=category, by=_who(), skip=skipped_lines())
        rows = given.rows
        new = suppress_all(session(), owner, rows)
        detail = f"{new} new of {len(rows)}"
        record_change(session(), web.signed_in(), owner, "suppression.imported", detail)
        session().commit()
    except RequestError as error:
        return _refused(owner, error, entered, typed=text)
    if web.wants_json():
        return web.answer_json(
            {"ok": True, "rows": len(rows), "new": new, "ignored_columns": list(given.ignored)}
        )
    words = ngettext("%(number)s address is new.", "%(number)s addresses are new.", new)
    unused = ", ".join(given.ignored)
    rest = gettext("Columns not used: %(names)s.", names=unused) if unused else ""
    web.notify(joined((gettext("Imported. %(words)s", words=words), rest)))
    return redirect(owner_url(owner, "suppressions"), code=303)


def _sync(owner: str) -> ResponseReturnValue:
    """Suppress what the provider of one of the owner's senders suppresses."""
    actor = web.signed_in()
    require(actor, Action.MANAGE_SUPPRESSIONS, owner)
    word = lists.word("sender", 64)
    try:
        found = account_to_read(session(), owner, DEFAULT_KEY if word == DEFAULT else word)
        done = take_over(session(), owner, found, actor, seconds=PAGE_SECONDS)
    except RequestError as error:
        return _refused(owner, error, {})
    if web.wants_json():
        return web.answer_json({"ok": True, **done.as_json()})
    new = ngettext("%(number)s address is new.", "%(number)s addresses are new.", done.new)
    words = gettext("Imported from %(provider)s. %(words)s", provider=done.provider, words=new)
    rest = (
        gettext("That is not all of it. %(trouble)s", trouble=done.trouble) if done.trouble else ""
    )
    web.notify(joined((words, rest)))
    return redirect(owner_url(owner, "suppressions"), code=303)


def _lift(owner: str) -> ResponseReturnValue:
    """Let the chosen addresses have their mail again, once that was confirmed on a page.

    There is no way back: what a provider removed it may not take again.
    """
    actor = web.signed_in()
    require(actor, Action.MANAGE_SUPPRESSIONS, owner)
    texts: list[object] = [*request.form.getlist("ids")]
    if request.is_json and isinstance(web.read_json().get("ids"), list):
        texts = web.read_json()["ids"]
    ids = lists.numbers(texts)
    mine = select(Suppression).where(
        Suppression.partner_id == owner, Suppression.id.in_(sorted(set(ids))[:_MOST_TICKED])
    )
    rows = session().scalars(mine).all()
    if not rows:
        refused = InvalidInput(
            gettext("Select addresses first."),
            fields={"ids": [gettext("None of these is on the list.")]},
        )
        return _refused(owner, refused, {})
    if not web.wants_json() and not lists.flag("confirmed"):
        return _ask(owner, rows)
    kept_back = kept_back_url(session(), owner, {one.address for one in rows})
    for detail in in_lines([f"{one.address or one.address_hash}: {one.category}" for one in rows]):
        record_change(session(), actor, owner, "suppression.removed", detail)
    hashes, count = {one.address_hash for one in rows}, len(rows)
    lifting = lift_rows(session(), owner, rows, asks_now=True)
    left = len(left_on_the_list(session(), owner, hashes))
    session().commit()
    done = remove_at_providers(session(), owner, lifting)
    if web.wants_json():
        providers = [one.as_json() for one in done]
        return web.answer_json({"ok": True, "count": count, "left": left, "providers": providers})
    web.notify(
        joined((*lifted_words(len(hashes) - left, left), *(one.message for one in done))),
        link=(gettext("Look at the mail"), kept_back) if kept_back else None,
    )
    return redirect(owner_url(owner, "suppressions"), code=303)


def _ask(owner: str, rows: Sequence[Suppression]) -> ResponseReturnValue:
    """Which addresses would get mail again, what stopped them, and what still would."""
    providers = sorted({one.account.provider for one in accounts_of(session(), owner)})
    return render_template(
        "smtp_admin/lift.html",
        here="suppressions",
        rows=[(one, category_words(one.category), label_of(one.reason)) for one in rows],
        left=left_of(owner, rows),
        bounced=any(one.reason in _CAME_BACK for one in rows),
        providers=providers,
        **frame(owner),
    )


def _refused(
    owner: str, error: RequestError, entered: dict[str, str], *, typed: str = ""
) -> ResponseReturnValue:
    session().rollback()
    if web.wants_json():
        raise error
    error.call_fields(_LABELS)
    return _list(owner, error=error, entered=entered, typed=typed)


def _list(
    owner: str | None,
    *,
    error: RequestError | None = None,
    entered: dict[str, str] | None = None,
    typed: str = "",
) -> ResponseReturnValue:
    base = url_for("smtp_admin.suppressions") if owner is None else owner_url(owner, "suppressions")
    posted = request.method == "POST"
    chosen = {
        "q": "" if posted else lists.word("q", 320),
        "reason": "" if posted else lists.word("reason", 20),
    }
    wanted = _wanted(owner, chosen)
    if not posted and request.args.get("export") == "csv":
        titles = ("address", "category", "reason", "detail", "at", "by", "partner")
        return lists.csv_answer("suppressions", titles, _all(wanted))
    place = {"before": 0, "after": 0} if posted else lists.place()
    rows, older, newer = lists.page_by_id(session(), wanted, Suppression.id, **place)
    pager = lists.pager(base, chosen, older=older, newer=newer)
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "suppressions": [as_json(one) for one in rows],
                "older": pager.older or None,
                "newer": pager.newer or None,
            }
        )
    page = render_template(
        "smtp_admin/suppressions.html",
        here="suppressions",
        all_=owner is None,
        base=base,
        chosen=chosen,
        rows=[
            (one, category_words(one.category), label_of(one.reason),
             owner_name(one.partner_id))
            for one in rows
        ],
        pager=pager,
        export_url=lists.address(base, chosen, export="csv"),
        reasons=[(name, words.label) for name, words in REASONS.items()],
        categories=categories(),
        entered=entered or {},
        most=number(MOST_LINES),
        accounts=_accounts(owner) if owner is not None else (),
        stuck=stuck_of(session(), owner) if owner is not None else (),
        daily=installation().config.import_suppressions,
        error=error,
        bad=error if isinstance(error, BadLines) else None,
        typed=typed,
        owners=owner_links("suppressions") if owner is None else None,
        owners_url=lambda partner_id: owner_url(partner_id, "suppressions"),
        **(frame(owner) if owner is not None else {}),
    )  # fmt: skip
    return page, error.status if error else 200


def _wanted(owner: str | None, chosen: dict[str, str]) -> Any:
    wanted = select(Suppression)
    scope = lists.scope() if owner is None else frozenset({owner})
    if scope is not None:
        wanted = wanted.where(Suppression.partner_id.in_(sorted(scope)))
    if chosen["reason"]:
        wanted = wanted.where(Suppression.reason == chosen["reason"])
    words = chosen["q"].lower()
    if "@" in words[1:-1]:
        # A whole address is found by its hash, also where only that was kept.
        wanted = wanted.where(Suppression.address_hash == address_hash(_as_stored(words)))
    elif words:
        wanted = wanted.where(Suppression.address.contains(words, autoescape=True))
    return wanted


def _as_stored(words: str) -> str:
    """An address with its domain in ASCII, as mail has it; words that are none as they are."""
    try:
        return address_of(words)[1]
    except MessageError:
        return words


def _all(wanted: Any) -> Iterator[tuple[str, ...]]:
    before, left = 0, _MOST_EXPORTED
    while left > 0:
        some = wanted.where(Suppression.id < before) if before else wanted
        rows = session().scalars(some.order_by(Suppression.id.desc()).limit(_STEP)).all()
        for one in rows:
            yield (one.address or one.address_hash, one.category, one.reason, one.detail,
                   one.created_at.isoformat(), one.created_by, one.partner_id)  # fmt: skip
        if len(rows) < _STEP:
            return
        before, left = rows[-1].id, left - len(rows)
        session().rollback()


@dataclass(frozen=True, slots=True)
class _Listed:
    """One list that can be imported.

    Attributes:
        word: of the sender whose account it is, in addresses; ``name`` is what people call it.
        right: what its key must be.
        last: what is known of the imports by workers, if there were any.
    """

    word: str
    provider: str
    name: str
    right: str
    last: ProviderList | None


def _accounts(owner: str) -> list[_Listed]:
    found = accounts_of(session(), owner)
    last = imports_of(session(), [one.sender.sender_id for one in found])
    return [
        _Listed(
            one.sender.key or DEFAULT, one.account.provider, one.sender.name, one.account.right,
            last.get(one.sender.sender_id),
        )
        for one in found
    ]  # fmt: skip


def _who() -> str:
    actor = web.signed_in()
    return actor.email or actor.name or actor.id
