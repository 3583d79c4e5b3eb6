"""``explain``: which values apply to a mail, and where each comes from, in a terminal."""

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import find_sender, known_partner, sender_options
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput
from smtp_admin.mail.explain import explain, gather, known_types


@commands.command(
    "explain",
    help="Show how a mail of a type would be sent: sender, addresses, limits, templates, and where "
    "each value comes from.\n\n"
    "TYPE is the e-mail type; without one it is the first.\n\n"
    "Example: flask smtp-admin explain password_reset --partner acme",
)
@click.argument("type_word", metavar="[TYPE]", default="")
@sender_options
@click.option("--type", "type_name", default="", help="The same as TYPE.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def explain_command(
    type_word: str, partner_id: str, sender_word: str | None, type_name: str, as_json: bool
) -> None:
    """Explain."""
    if type_word and type_name and type_word != type_name:
        raise InvalidInput("Two types are named. Leave out --type.")
    type_name = type_word or type_name
    known_partner(partner_id)
    # Without one that is named, routes choose.
    key = None if sender_word is None else find_sender(partner_id, sender_word).key
    facts = gather(session(), partner_id, type_name or known_types()[0].name, key)
    rows = explain(facts)
    if as_json:
        show_json(
            {
                "ok": True,
                "partner_id": partner_id,
                "sender": key,
                "type": facts.type_.name,
                "rows": [one.as_json() for one in rows],
            }
        )
        return
    table = Table(title=f"{facts.type_.label} ({facts.type_.name})", box=None, title_justify="left")
    for heading in ("What", "Value", "Comes from"):
        table.add_column(heading, overflow="fold")
    for one in rows:
        source = f"{one.source}: {one.detail}" if one.detail else one.source
        table.add_row(Text(one.label, style="bold"), Text(one.value), Text(source, style="dim"))
    Console(highlight=False).print(table)
