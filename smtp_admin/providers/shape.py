"""Whether a login and a password can be right at a provider, before anything is dialled."""

from smtp_admin.errors import InvalidInput
from smtp_admin.providers.catalogue import provider_of_host
from smtp_admin.providers.provider import Provider, Rule


def tidy_password(provider: Provider | None, password: str) -> str:
    """*password* as the provider means it: without spaces where it has none.

    Google and Yahoo show their app passwords in groups of four, and what is copied from a page
    often has a space at its end, sometimes one that does not break.
    """
    return password if provider is None or provider.spaces else "".join(password.split())


def broken_rules(
    provider: Provider | None, username: str, password: str, from_email: str
) -> tuple[Rule, ...]:
    """The rules of *provider* that these values break, mistakes and doubts alike."""
    if provider is None:
        return ()
    entered = {
        "username": username,
        "password": tidy_password(provider, password),
        "from_email": from_email,
    }
    return tuple(rule for rule in provider.rules if rule.broken_by(entered))


def check_shape(
    provider: Provider | None, username: str, password: str, from_email: str
) -> dict[str, list[str]]:
    """Field → what cannot work there, judged by its shape alone.

    Only what is certain: doubts are :func:`~smtp_admin.senders.advice.advice`. An empty password
    is not judged, because it stands for the stored one.
    """
    found: dict[str, list[str]] = {}
    for rule in broken_rules(provider, username, password, from_email):
        if rule.certain:
            found.setdefault(rule.field, []).append(rule.message)
    return found


def usable_password(host: str, username: str, password: str, from_email: str) -> str:
    """*password* as the provider of *host* means it, if its shape and the login's can be right.

    Raises:
        InvalidInput: they cannot; nothing needs to be dialled to know.
    """
    known = provider_of_host(host)
    tidy = tidy_password(known, password)
    wrong = check_shape(known, username, tidy, from_email)
    if wrong:
        raise InvalidInput(fields=wrong)
    return tidy
