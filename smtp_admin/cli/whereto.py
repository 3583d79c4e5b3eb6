"""What a command says about where mail really goes from here: the sandbox, a copied database."""

import click

from smtp_admin.database import session
from smtp_admin.installation import installation
from smtp_admin.mail.addresses import address_of
from smtp_admin.sandbox import site


def show_where_mail_goes() -> None:
    """Say it if mail does not go out as usual; nothing else."""
    found = site.standing(session())
    if not found.acts:
        click.echo(f"{found.reason} {found.hint}")
    rule = installation().config.sandbox
    if rule is not None:
        click.echo(f"This is a sandbox: SMTP_ADMIN_SANDBOX is {rule}.")


def destination(recipient: str) -> str:
    """In words, where mail to *recipient* goes, which may be elsewhere or nowhere."""
    rule = installation().config.sandbox
    if rule is None:
        return recipient
    if rule.redirect:
        return f"{rule.redirect} instead of {recipient}"
    if rule.lets_out(address_of(recipient)[1]):
        return recipient
    return f"{recipient}, but the sandbox holds it,"
