"""The one page around what mails say: name, logo and colour of whose mail it is."""

from functools import lru_cache

from smtp_admin.mail import template_files

_FILE = "smtp_admin/email/layout.liquid"
#: Where the content goes, and what marks a file whose content it is.
_PLACE, MARK = "<!-- content -->", "<!-- layout -->"
#: Stands in the layout; a brand's own colour takes its place, so that styles can be moved ahead.
COLOUR = "#0b5cd5"


def whole(content: str, colour: str = COLOUR) -> str:
    """*content* within the layout; what is a page already stays as it is."""
    return _put_together(template_files.source(_FILE) or _PLACE, content, colour)


@lru_cache(maxsize=256)
def _put_together(layout: str, content: str, colour: str) -> str:
    if "<html" in content.lower():
        return content
    before, _, after = layout.partition(_PLACE)
    page = f"{before}{content.removeprefix(MARK)}{after}"
    return page if colour == COLOUR else page.replace(COLOUR, colour)
