"""``senders routes``: by which sender which mail goes."""

import click

from smtp_admin.cli.group import show_json
from smtp_admin.cli.senders import senders
from smtp_admin.cli.which import key_of, known_partner, partner_option, word_of
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput
from smtp_admin.host import OPERATOR
from smtp_admin.mail.service import registry
from smtp_admin.mail.types import PRIORITIES
from smtp_admin.senders.routing import Kind, routes_of, save_routes, senders_of


@senders.command(
    help="Show or change routes: which sender sends which mail. The default sender sends mail "
    "without a route.\n\nExample: flask smtp-admin senders routes --partner acme "
    "--set urgent=alerts --set renewal="
)
@partner_option
@click.option("--set", "wanted", multiple=True, metavar="WHAT=KEY",
              help="Send mail of an e-mail type, or of a priority (urgent, normal, bulk), by this "
              "sender; without a key, by no route. May be given several times.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def routes(partner_id: str, wanted: tuple[str, ...], as_json: bool) -> None:
    """Routes."""
    known_partner(partner_id)
    keys = {one.sender_id: one.key for one in senders_of(session(), partner_id)}
    now = {what: keys[sender_id] for what, sender_id in routes_of(session(), partner_id).items()
           if sender_id in keys}  # fmt: skip
    after: dict[tuple[Kind, str], str] = {
        ("type" if kind == "type" else "priority", name): key for (kind, name), key in now.items()
    }
    for word in wanted:
        what, key = _route(word)
        after.pop(what, None)
        if key is not None:
            after[what] = key
    if wanted:
        save_routes(session(), partner_id, after, OPERATOR)
        session().commit()
    shown = [{"kind": kind, "name": name, "sender": key} for (kind, name), key in after.items()]
    if as_json:
        show_json(shown)
        return
    if not shown:
        click.echo("No routes. The default sender sends all mail.")
    for one in shown:
        click.echo(f"{one['kind']:<10}{one['name']:<24}{word_of(one['sender'])}")


def _route(word: str) -> tuple[tuple[Kind, str], str | None]:
    """What ``WHAT=KEY`` means; no key for no route."""
    name, equals, key = word.partition("=")
    name = name.strip()
    if not equals or not name:
        raise click.UsageError(f"--set {word}: write an e-mail type or a priority, an equals sign "
                               "and the key of a sender.")  # fmt: skip
    types = [one.name for one in registry()]
    kind: Kind = "priority" if name in PRIORITIES else "type"
    if kind == "type" and name not in types:
        raise InvalidInput(
            f"There is no e-mail type or priority {name[:60]!r}.",
            hint=f"Priorities: {', '.join(PRIORITIES)}. Types: {', '.join(sorted(types))}.",
        )
    return (kind, name), key_of(key) if key.strip() else None
