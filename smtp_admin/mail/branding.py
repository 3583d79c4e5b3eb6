"""What the mail of a partner looks like: a colour, a logo and a line at its end."""

import re
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record_change
from smtp_admin.database import SYSTEM, changed, database_now
from smtp_admin.errors import Conflict, InvalidInput
from smtp_admin.host import Actor
from smtp_admin.mail.layout import COLOUR
from smtp_admin.mail.template_models import Branding
from smtp_admin.senders.lookups import forget, once
from smtp_admin.senders.owner_names import owner_name
from smtp_admin.translation import gettext

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LOGO = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/[!#$%&'()*+,./:;=?@\[\]_~A-Za-z0-9-]*")
_LONGEST = 500
#: White words on a lighter colour than this cannot be read (a contrast of 4.5).
_LIGHTEST = 0.1833


@dataclass(frozen=True, slots=True)
class Brand:
    """How mail looks.

    Attributes:
        colour: ``#rrggbb``; ``""`` for the usual one.
        logo_url: https; ``""`` for the name in words.
        footer: such as a postal address.
        revision: 0 if nothing was saved.
    """

    name: str = ""
    colour: str = ""
    logo_url: str = ""
    footer: str = ""
    revision: int = 0

    def as_data(self) -> dict[str, str]:
        """What templates may use."""
        return {"name": self.name, "logo_url": self.logo_url, "footer": self.footer}


def brand_of(session: Session, partner_id: str) -> Brand:
    """How mail of *partner_id* looks; a partner that chose nothing has the system's colour."""

    def find() -> Brand:
        own = _rows(session, [partner_id, SYSTEM])
        if partner_id in own:
            return own[partner_id]
        system = own.get(SYSTEM)
        return Brand(owner_name(partner_id), system.colour if system else "")

    return once(session, ("brand", partner_id), find)


def saved(session: Session, partner_id: str) -> Brand:
    """What was saved for *partner_id* itself."""
    return _rows(session, [partner_id]).get(partner_id) or Brand(owner_name(partner_id))


def _rows(session: Session, owners: list[str]) -> dict[str, Brand]:
    found = select(
        Branding.partner_id,
        Branding.colour,
        Branding.logo_url,
        Branding.footer,
        Branding.revision,
    ).where(Branding.partner_id.in_(owners))
    with session.no_autoflush:
        rows = session.execute(found).all()
    return {
        row.partner_id: Brand(
            owner_name(row.partner_id), row.colour, row.logo_url, row.footer, row.revision
        )
        for row in rows
    }


def save(session: Session, partner_id: str, brand: Brand, actor: Actor) -> None:
    """Make *brand* that of *partner_id*; the caller commits.

    Args:
        brand: with the revision that the person saw while editing.

    Raises:
        InvalidInput: one of its values cannot be used.
        Conflict: somebody else saved in the meantime; nothing was changed.
    """
    values = _checked(brand) | {
        "revision": brand.revision + 1,
        "saved_by": (actor.name or actor.email)[:320],
    }
    if brand.revision == 0:
        session.add(Branding(partner_id=partner_id, **values))
        try:
            session.flush()
        except IntegrityError as error:
            session.rollback()
            raise _TOO_LATE from error
    else:
        own = (Branding.partner_id == partner_id, Branding.revision == brand.revision)
        moved = update(Branding).where(*own).values(**values, saved_at=database_now(session))
        if changed(session, moved) != 1:
            session.rollback()
            raise _TOO_LATE
    record_change(session, actor, partner_id, "branding.saved")
    forget(session)


_TOO_LATE = Conflict(
    gettext("Someone else saved this while you were editing it. Nothing was overwritten."),
    hint=gettext("Check the saved values. Save again if yours are correct."),
)


def _checked(brand: Brand) -> dict[str, str]:
    colour, logo, footer = (
        brand.colour.strip().lower(),
        brand.logo_url.strip(),
        brand.footer.strip(),
    )
    fields: dict[str, list[str]] = {}
    if colour and not _COLOUR.fullmatch(colour):
        fields["colour"] = [gettext("Enter a colour as #rrggbb, such as #0b5cd5.")]
    elif colour and _luminance(colour) > _LIGHTEST:
        fields["colour"] = [
            gettext("White words on this colour cannot be read. Choose a darker one.")
        ]
    if logo and not (len(logo) <= _LONGEST and _LOGO.fullmatch(logo)):
        fields["logo_url"] = [
            gettext("Enter an address that begins with https:// and has no spaces.")
        ]
    if len(footer) > _LONGEST or any(one < " " for one in footer):
        fields["footer"] = [
            gettext("Enter one line of at most %(most)s characters.", most=_LONGEST)
        ]
    if fields:
        raise InvalidInput(fields=fields)
    return {"colour": "" if colour == COLOUR else colour, "logo_url": logo, "footer": footer}


def _luminance(colour: str) -> float:
    """How bright a colour is, from 0 to 1 (WCAG 2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - as WCAG says
        for one in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
