"""What is no sender's: tokens of the API, and the keys that stored secrets are encrypted with."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import String, column, select, table

from smtp_admin.database import SYSTEM, UTCDateTime, among
from smtp_admin.expiry.things import Around, Ending, condition_of
from smtp_admin.translation import gettext, ngettext

#: The room `api` stands above this one, so its table is named here and not imported.
_TOKENS = table(
    "smtp_admin_api_token",
    column("public_id", String),
    column("partner_id", String),
    column("name", String),
    *(column(name, UTCDateTime()) for name in ("created_at", "expires_at", "last_used_at",
                                               "revoked_at")),
)  # fmt: skip
#: A token that nobody used for so long is not missed; one that ended so long ago is forgotten.
_IN_USE, _SHOWN_AFTER = timedelta(days=30), timedelta(days=30)


def api_tokens(around: Around) -> Iterator[Ending]:
    """Tokens that end; those that are revoked or never end are no concern."""
    columns = _TOKENS.c
    wanted = select(_TOKENS).where(
        columns.revoked_at.is_(None), columns.expires_at > around.moment - _SHOWN_AFTER
    )
    if around.partner_ids is not None:
        wanted = wanted.where(among(around.session, columns.partner_id, around.partner_ids))
    for row in around.session.execute(wanted.order_by(columns.expires_at)):
        used = row.last_used_at is not None and around.moment - row.last_used_at <= _IN_USE
        condition = condition_of(row.expires_at, row.created_at, around.moment)
        if condition == "over" and not used:
            continue
        yield Ending(
            "api_token",
            row.partner_id,
            condition,
            what=row.name,
            ends=row.expires_at,
            begins=row.created_at,
            detail="" if used else _not_used(row.last_used_at),
            subject=row.public_id,
            told=used,
        )


def _not_used(last: datetime | None) -> str:
    """That nobody would miss a token; one that was never used may be minutes old."""
    if last is None:
        return gettext("It was never used.")
    return gettext("It was not used in the last 30 days.")


def encryption_keys(around: Around) -> Iterator[Ending]:
    """The keys that what is stored now needs; platform admins alone look after them."""
    if around.partner_ids is not None:
        return
    needed = around.needed_keys(around.session)
    ring = around.keyring.fingerprints
    for name, count in sorted(needed.all.items()):
        if name not in ring:
            if not needed.used[name]:
                continue  # old revisions alone, of which the doctor warns
            # The senders cannot be used then, which is an alert of each.
            yield Ending(
                "encryption_key", SYSTEM, "over", what=name, subject=name, told=False,
                detail=ngettext(
                    "It is missing, and %(number)s stored secret needs it.",
                    "It is missing, and %(number)s stored secrets need it.",
                    needed.used[name],
                ),
            )  # fmt: skip
        elif name != ring[0]:
            yield Ending(
                "encryption_key", SYSTEM, "attention", what=name, subject=name,
                detail=ngettext(
                    "It is an older key, and %(number)s stored secret still needs it.",
                    "It is an older key, and %(number)s stored secrets still need it.",
                    count,
                ),
            )  # fmt: skip
        else:
            yield Ending(
                "encryption_key", SYSTEM, "endless", what=name, subject=name,
                detail=ngettext(
                    "%(number)s stored secret needs it.",
                    "%(number)s stored secrets need it.",
                    count,
                ),
            )  # fmt: skip
