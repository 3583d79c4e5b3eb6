"""What senders log in with: client secrets, sign-ins, passwords and keys of APIs."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from smtp_admin.credentials.oauth import login_of
from smtp_admin.credentials.sign_ins import SignIn, Vendor
from smtp_admin.expiry.things import Around, Ending, Grant, condition_of
from smtp_admin.read_back import read_back
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext
from smtp_admin.transports.fields import Field
from smtp_admin.transports.smtp.oauth_fields import way_of

#: Microsoft lets no client secret live for longer.
_LONGEST_SECRET = timedelta(days=2 * 365)
#: How long a sign-in that nobody uses counts, where its server does not say: docs/oauth2.md.
UNUSED_LIFE: Mapping[Vendor, timedelta] = {
    "microsoft": timedelta(days=90),
    "google": timedelta(days=180),
}
_OLD = timedelta(days=365)
#: Secrets that a certificate or a day of their own speaks for.
_TOLD_ELSEWHERE = frozenset({"oauth_secret", "client_key"})


def client_secrets(around: Around) -> Iterator[Ending]:
    """By the day that somebody entered, else by what Microsoft allows at most."""
    for sender in around.senders:
        way = way_of(sender.values)
        if way is None or not sender.has_secret("oauth_secret") or _by_certificate(way, sender):
            continue
        yield _client_secret(sender, way, around.moment)


def _by_certificate(way: SignIn, sender: ResolvedSender) -> bool:
    return "oauth_key" in way.proofs and bool(sender.values["oauth_certificate"])


def _client_secret(sender: ResolvedSender, way: SignIn, moment: datetime) -> Ending:
    entered_at = sender.secret_set_at("oauth_secret")
    day = sender.values["oauth_secret_until"]
    if day:
        ends = datetime.fromisoformat(day).replace(tzinfo=UTC)
        if entered_at is None or entered_at < ends:
            # When it was entered is not when it was made, so nobody knows how long it lives.
            condition = condition_of(ends, None, moment)
            return Ending(
                "client_secret", sender.partner_id, condition, sender, ends=ends, begins=entered_at
            )
        detail = gettext("It was entered after its last day. Enter the last day of the new one.")
        return Ending(
            "client_secret", sender.partner_id, "attention", sender, begins=entered_at,
            detail=detail,
        )  # fmt: skip
    if way.vendor != "microsoft":
        return Ending("client_secret", sender.partner_id, "endless", sender, begins=entered_at)
    latest = entered_at + _LONGEST_SECRET if entered_at else None
    condition = condition_of(latest, entered_at, moment) if latest else "fine"
    return Ending(
        "client_secret",
        sender.partner_id,
        "attention" if condition == "fine" else condition,
        sender,
        ends=latest,
        begins=entered_at,
        detail=gettext("Its last day was not entered. It lives for 24 months at most."),
    )


def sign_ins(around: Around) -> Iterator[Ending]:
    """By when it was last renewed, unless its server says until when it counts."""
    for sender in around.senders:
        way = way_of(sender.values)
        if way is None or not way.by_person or not sender.sender_id:
            continue
        grant = around.grants.get(sender.sender_id)
        # What is kept for other settings is nobody's sign-in.
        if grant is not None and grant.purpose != login_of(sender.values, {}).purpose:
            grant = None
        yield _sign_in(sender, way, grant, around.moment)


def _sign_in(sender: ResolvedSender, way: SignIn, grant: Grant | None, moment: datetime) -> Ending:
    owner, began = sender.partner_id, grant.issued_at if grant else None
    if grant is None or not grant.granted:
        detail = gettext("Nobody has signed in yet, so nothing can be sent.")
        return Ending("sign_in", owner, "attention", sender, detail=detail)
    if grant.dead_at is not None:
        # The sender itself pauses for it, and that is the alert.
        detail = read_back(grant.dead_reason)
        return Ending(
            "sign_in", owner, "over", sender, ends=grant.dead_at, begins=began, detail=detail,
            told=False,
        )  # fmt: skip
    life = UNUSED_LIFE.get(way.vendor)
    ends = grant.refresh_until or (began + life if began and life else None)
    lives_from = grant.refresh_from if grant.refresh_until else began
    condition = condition_of(ends, lives_from, moment) if ends else "endless"
    detail = gettext("It is renewed every day.")
    return Ending("sign_in", owner, condition, sender, ends=ends, begins=began, detail=detail)


def passwords(around: Around) -> Iterator[Ending]:
    """By age: no end is known."""
    yield from _by_age(around, lambda one: one.name == "password")


def api_keys(around: Around) -> Iterator[Ending]:
    """By age, of every other secret of every driver."""
    yield from _by_age(around, lambda one: one.name != "password")


def _by_age(around: Around, wanted: Callable[[Field], bool]) -> Iterator[Ending]:
    of_drivers: dict[str, list[Field]] = {}
    for sender in around.senders:
        if sender.missing_driver:
            continue
        name = sender.values.driver
        if name not in of_drivers:
            of_drivers[name] = [one for one in fields_of(name) if one.secret and wanted(one)]
        for one in of_drivers[name]:
            if _counts(one, sender):
                yield _aged(sender, one, around.moment)


def _counts(one: Field, sender: ResolvedSender) -> bool:
    """Whether this secret is there and used, and nothing else tells its end."""
    values = sender.values
    if one.name in _TOLD_ELSEWHERE or not sender.has_secret(one.name):
        return False
    if one.name == "oauth_key" and values["oauth_certificate"]:
        return False
    return one.needed(values) or one.used(values)


def _aged(sender: ResolvedSender, one: Field, moment: datetime) -> Ending:
    entered_at = sender.secret_set_at(one.name)
    old = entered_at is not None and moment - entered_at > _OLD
    return Ending(
        "password" if one.name == "password" else "api_key",
        sender.partner_id,
        "attention" if old else "endless",
        sender,
        what="" if one.name == "password" else one.title,
        begins=entered_at,
        detail=gettext("It is older than a year.") if old else "",
        subject=one.name,
    )
