"""Whether a login and a password can be right at a provider, before anything is dialled."""

from smtp_admin.errors import InvalidInput
from smtp_admin.providers.catalogue import check_shape, provider_of_host, tidy_password


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
