"""The addresses of a sender's pages: one view for each, whoever the sender belongs to.

A view takes ``(partner_id, key)``. It is reached by four addresses: of the default sender and of a
further one, of the system and of a partner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin.access import Action, guarded, showing_again
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import NotFound
from smtp_admin.senders.cleaning import clean_key
from smtp_admin.senders.resolve import DEFAULT_KEY, load_sender

View = Callable[..., ResponseReturnValue]


@dataclass(frozen=True, slots=True)
class SenderPage:
    """One page of a sender.

    Attributes:
        path: what follows the sender's own address.
        opens: for a further sender, whether it must be ``saved``, may be ``new``, with nothing
            saved yet, or may be ``past``, which is deleted.
        most_bytes: of a request, if that is more than usual.
    """

    path: str
    methods: tuple[str, ...] = ("GET",)
    opens: Literal["saved", "new", "past"] = "saved"
    most_bytes: int | None = None


_GET_AND_POST = ("GET", "POST")
#: What a list of recipients may have.
LARGE_FORM_BYTES = 2 * 1024 * 1024
PAGES: dict[str, SenderPage] = {
    "tab": SenderPage("", _GET_AND_POST, "new"),
    "test": SenderPage("/test-connection", ("POST",), "new"),
    "worker_test": SenderPage("/test-connection/worker", ("POST",), "new"),
    "test_result": SenderPage("/test-connection/<public_id>", opens="new"),
    "advice": SenderPage("/advice", ("POST",), "new"),
    "mail": SenderPage("/test-email", ("POST",), "new"),
    "mail_result": SenderPage("/test-email/<public_id>", opens="new"),
    "discover": SenderPage("/discover", ("POST",), "new"),
    "deliverability": SenderPage("/deliverability", _GET_AND_POST),
    "webhook": SenderPage("/webhook", _GET_AND_POST),
    "bounces": SenderPage("/bounces", _GET_AND_POST),
    "explain": SenderPage("/explain"),
    "symptoms": SenderPage("/symptoms"),
    "history": SenderPage("/history", opens="past"),
    "rollback": SenderPage("/rollback", _GET_AND_POST),
    "delete": SenderPage("/delete", _GET_AND_POST),
    "pause": SenderPage("/pause", ("POST",)),
    "resume": SenderPage("/resume", ("POST",)),
}
#: Pages of a partner, or of the system, that are about all senders.
OWNER_PAGES: dict[str, SenderPage] = {
    "senders": SenderPage("/senders", _GET_AND_POST),
    "routes": SenderPage("/routes", _GET_AND_POST),
    "log": SenderPage("/mail"),
    "batches": SenderPage("/batches"),
    "new_batch": SenderPage("/batches/new", _GET_AND_POST, most_bytes=LARGE_FORM_BYTES),
    "audit": SenderPage("/audit"),
    "tokens": SenderPage("/tokens", _GET_AND_POST),
    "suppressions": SenderPage("/suppressions", _GET_AND_POST),
    "import_suppressions": SenderPage(
        "/suppressions/import", ("POST",), most_bytes=LARGE_FORM_BYTES
    ),
    "lift_suppressions": SenderPage("/suppressions/remove", ("POST",)),
    "sync_suppressions": SenderPage("/suppressions/sync", ("POST",)),
}
#: Pages of other rooms that stand in the same bar.
_BESIDE = ("renewals", "calendar", "templates")


def add_sender_page(blueprint: Blueprint, name: str, view: View, again: View | None = None) -> None:
    """Register *view* as the page *name* of every sender, each with the guard it needs.

    Args:
        again: shows the page with what was typed where only the token was too old; it takes the
            error, then what *view* takes.
    """
    page = PAGES[name]

    @guarded(Action.EDIT_SYSTEM_SENDER)
    def of_system(key: str = DEFAULT_KEY, **more: str) -> ResponseReturnValue:
        _refuse_absent(page, SYSTEM, key)
        return view(SYSTEM, key, **more)

    @guarded(Action.EDIT_PARTNER_SENDER)
    def of_partner(partner_id: str, key: str = DEFAULT_KEY, **more: str) -> ResponseReturnValue:
        _refuse_absent(page, partner_id, key)
        return view(partner_id, key, **more)

    if again is not None:
        showing_again(of_system, partial(again, partner_id=SYSTEM))
        showing_again(of_partner, again)
    for start, endpoint, made in (
        ("/system", _endpoint(SYSTEM, name), of_system),
        ("/partners/<partner_id>", _endpoint("any", name), of_partner),
    ):
        for which in ("", "/senders/<key>"):
            rule = f"{start}{which}{page.path}"
            blueprint.add_url_rule(rule, endpoint, made, methods=list(page.methods))


def add_owner_page(blueprint: Blueprint, name: str, view: View) -> None:
    """Register *view*, which takes a partner's id, as a page of the system and of every partner."""
    page = OWNER_PAGES[name]

    @guarded(Action.EDIT_SYSTEM_SENDER, most_bytes=page.most_bytes)
    def of_system() -> ResponseReturnValue:
        return view(SYSTEM)

    @guarded(Action.EDIT_PARTNER_SENDER, most_bytes=page.most_bytes)
    def of_partner(partner_id: str) -> ResponseReturnValue:
        return view(partner_id)

    methods = list(page.methods)
    blueprint.add_url_rule(
        f"/system{page.path}", _endpoint(SYSTEM, name), of_system, methods=methods
    )
    blueprint.add_url_rule(
        f"/partners/<partner_id>{page.path}", _endpoint("any", name), of_partner, methods=methods
    )


def page_url(partner_id: str, key: str, name: str, **query: Any) -> str:
    """The address of one page of a sender, with the parts and the query that it needs."""
    if key != DEFAULT_KEY:
        query["key"] = key
    return owner_url(partner_id, name, **query)


def owner_url(partner_id: str, name: str, **query: Any) -> str:
    """The address of a page of a partner, or of the system."""
    if partner_id != SYSTEM:
        query["partner_id"] = partner_id
    return url_for(f"smtp_admin.{_endpoint(partner_id, name)}", **query)


def sender_urls(partner_id: str, key: str = DEFAULT_KEY, *, new: bool = False) -> dict[str, str]:
    """Where the pages and buttons of one sender are, by the names above.

    Args:
        new: nothing was saved under this key yet, and the pages are to open all the same.
    """
    urls = {
        name: page_url(
            partner_id, key, name, **({"new": "1"} if new and page.opens == "new" else {})
        )
        for name, page in PAGES.items()
        if "<" not in page.path
    }
    return urls | {name: owner_url(partner_id, name) for name in (*OWNER_PAGES, *_BESIDE)}


def is_new() -> bool:
    """Whether the address says that a sender is about to be added."""
    return bool(request.args.get("new"))


def _endpoint(partner_id: str, name: str) -> str:
    owner = "system" if partner_id == SYSTEM else "partner"
    return owner if name == "tab" else f"{owner}_{name}"


def _refuse_absent(page: SenderPage, partner_id: str, key: str) -> None:
    """Return if the sender is there, or need not be."""
    if key == DEFAULT_KEY:
        return
    try:
        usual = clean_key(key) == key
    except ValueError:
        usual = False
    if not usual:
        raise NotFound
    sender = load_sender(session(), partner_id, key)
    if sender.revision and (not sender.deleted or page.opens == "past"):
        return
    if page.opens != "new" or not is_new():
        raise NotFound
