"""``/erase``: everything about one address that one looks after: shown, exported, erased."""

from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.audit.service import record, record_within, refuse_many_changes
from smtp_admin.clock import now
from smtp_admin.database import SYSTEM, beside_workers, session
from smtp_admin.erasure.exporting import zip_pieces
from smtp_admin.erasure.finding import FoundIn, Search, find
from smtp_admin.erasure.working import erase, open_erasures
from smtp_admin.errors import InvalidInput, MessageError, RateLimited, RequestError
from smtp_admin.installation import installation
from smtp_admin.mail.addresses import address_of
from smtp_admin.pages import lists
from smtp_admin.suppression.reading import address_hash
from smtp_admin.translation import gettext

#: A person waits for the answer; a worker does the rest.
_LONGEST_SECONDS = 8.0
_LABELS = {"address": gettext("Address"), "sure": gettext("“I have read this”")}


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.add_url_rule("/erase", "erase_address", erase_address, methods=["GET", "POST"])


@guarded(Action.ERASE_ADDRESS)
def erase_address() -> ResponseReturnValue:
    """Ask for an address; POST finds, exports or erases it.

    Not in the address of the page, which browsers and logs keep.
    """
    if request.method != "POST":
        return _show()
    entered = lists.word("address", 320)
    do = lists.word("do", 10) or "find"
    search = None
    try:
        search = _search(entered)
        if do == "erase":
            return _erased(search)
        _count(search)
        if do == "export":
            return _exported(search)
        found = find(session(), search)
    except RequestError as error:
        session().rollback()
        if web.wants_json():
            raise
        error.call_fields(_LABELS)
        before = _found_before(search) if search and do == "erase" else None
        return _show(entered=entered, found=before, error=error)
    if web.wants_json():
        return web.answer_json(
            {"ok": True, "address": search.address,
             "found": {one.place.key: one.count for one in found}}
        )  # fmt: skip
    return _show(entered=search.address, found=found)


def _search(entered: str) -> Search:
    try:
        address = address_of(entered)[1].lower()
    except MessageError as error:
        raise InvalidInput(fields={"address": [error.message]}) from error
    scope = lists.scope()
    return Search(address, None if scope is None else sorted(scope))


def _found_before(search: Search) -> list[FoundIn] | None:
    """What stood on the page where Erase was pressed; ``None`` for who looked too often."""
    try:
        _count(search)
    except RateLimited:
        session().rollback()
        return None
    return find(session(), search)


def _count(search: Search) -> None:
    """Note that somebody looks for a person: it takes seconds, and is none of everybody's business.

    Raises:
        RateLimited: they do so too often.
    """
    owners = _owners(search)
    record_within(
        session(), web.signed_in(), owners[0] if len(owners) == 1 else SYSTEM, "address.searched",
        f"records of {address_hash(search.address)}", limit=installation().config.test_limit,
    )  # fmt: skip


def _exported(search: Search) -> ResponseReturnValue:
    pieces = zip_pieces(session(), search)
    detail = f"records of {address_hash(search.address)}"
    refuse_many_changes(session(), web.signed_in())
    for owner in _owners(search):
        record(session(), web.signed_in(), owner, "address.exported", detail)
    session().commit()
    answer = Response(pieces, mimetype="application/zip")
    name = f"person-{now():%Y-%m-%d}.zip"  # not the address: it stays in lists of downloads
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _erased(search: Search) -> ResponseReturnValue:
    if not lists.flag("sure"):
        raise InvalidInput(
            gettext("Nothing was erased."),
            fields={"sure": [gettext("Tick it if you want to erase this address.")]},
        )
    actor = web.signed_in()
    session().rollback()
    with beside_workers() as engine:
        done = erase(engine, actor, search, seconds=_LONGEST_SECONDS)
    if web.wants_json():
        return web.answer_json(
            {"ok": True, "erased": done.counts, "under_way": done.under_way,
             "needed": done.needed, "over": done.over, "complete": done.complete}
        )  # fmt: skip
    return _show(done=done)


def _owners(search: Search) -> list[str]:
    return [SYSTEM] if search.partner_ids is None else list(search.partner_ids)


def _show(
    *,
    entered: str = "",
    found: list[FoundIn] | None = None,
    done: Any = None,
    error: RequestError | None = None,
) -> ResponseReturnValue:
    scope = lists.scope()
    page = render_template(
        "smtp_admin/erase.html",
        entered=entered,
        found=found,
        left=found is None or any(one.can_be_erased for one in found),
        done=done,
        error=error,
        unfinished=open_erasures(session(), scope),
        everything=scope is None,
    )
    response = make_response(page, error.status if error else 200)
    if error is not None and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response
