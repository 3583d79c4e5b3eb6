"""``expiry``: what ends, the worst first."""

import click

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import known_partner
from smtp_admin.database import SYSTEM, session
from smtp_admin.expiry.things import Ending
from smtp_admin.expiry.watch import advice_on, as_json, headline
from smtp_admin.monitor.expiring import endings

_WORDS = {"over": "ended", "soon": "soon", "attention": "to do", "fine": "", "endless": ""}


@commands.command(
    "expiry",
    help="List secrets, sign-ins, certificates, tokens and keys that end, the worst first. Without "
    "--all only what has ended, ends soon, or needs someone.\n\n"
    "Example: flask smtp-admin expiry --partner acme",
)
@click.option("--partner", "partner_id", default=None, help="Only this partner's.")
@click.option("--all", "all_", is_flag=True, help="Also list what is fine.")
@click.option("--json", "as_json_", is_flag=True, help="For a script.")
def expiry(partner_id: str | None, all_: bool, as_json_: bool) -> None:
    """List."""
    known_partner(partner_id)
    scope = None if partner_id is None else frozenset({partner_id})
    found = endings(session(), scope)
    if not all_:
        found = [one for one in found if _WORDS[one.condition]]
    if as_json_:
        show_json([as_json(one) for one in found])
        return
    if not found:
        click.echo("Nothing ends soon.")
    for one in found:
        click.echo(_line(one))


def _line(one: Ending) -> str:
    owner = one.partner_id if one.partner_id != SYSTEM else "system"
    whose = f"{owner}/{one.sender.key or 'default'}" if one.sender else owner
    words = [whose, f"{headline(one)}.", advice_on(one)]
    if _WORDS[one.condition]:
        words.insert(0, f"[{_WORDS[one.condition]}]")
    return "  ".join(word for word in words if word)
