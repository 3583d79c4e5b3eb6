"""What a From name may do to the trust of those who read it, as sentences for the advice."""

import re
import unicodedata
from collections.abc import Iterator

from smtp_admin.providers.catalogue import knowledge
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.address import domain_of
from smtp_admin.smtp.hostname import clean_host, ip_literal
from smtp_admin.translation import gettext

_GENERIC = {
    "account", "accounts", "admin", "administrator", "app", "application", "auto", "autoreply",
    "bot", "company", "contact", "default", "demo", "donotreply", "email", "example", "flask",
    "hello", "info", "mail", "mailer", "mailerdaemon", "me", "myapp", "mycompany", "none",
    "noreply", "notification", "notifications", "null", "office", "postmaster", "root", "sales",
    "sender", "server", "service", "smtp", "support", "system", "team", "test", "tester", "testing",
    "unknown", "user", "username", "webmaster", "website", "yourcompany", "yourname",
}  # fmt: skip
# What pretends to be somebody, or an answer to something.
_PRETENDING = re.compile(
    r"\b(?:your (?:friend|bank|boss|colleague)|click here)\b|^(?:re|fwd?|aw|wg):", re.IGNORECASE
)
_ADDRESS = re.compile(r"[^\s<>()\",;]+@[^\s<>()\",;]+")
_DOMAIN = re.compile(r"\b(?:[a-z0-9-]+\.)+(?:com|net|org|info|io|eu|de|fr|uk|us)\b", re.IGNORECASE)
# Second-level names under which domains are registered: acme.co.uk, acme.com.au.
_REGISTRIES = {"ac", "co", "com", "edu", "gov", "net", "or", "org"}
_COUNTRY = 2
_SHOUTED_WORD, _SHOUTED_NAME = 6, 8


def faults_of_name(values: SenderValues, site_domain: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the From name: the code of each advice, and its sentence."""
    name = values.from_name
    letters = [letter for letter in name if letter.isalpha()]
    if (
        name.isupper()
        and len(letters) >= _SHOUTED_NAME
        and any(len(word) >= _SHOUTED_WORD for word in name.split())
    ):
        words = gettext("A name in all capital letters looks like spam. Use normal spelling.")
        yield "name_in_capitals", words
    if re.sub(r"[\W\d_]+", "", name).casefold() in _GENERIC:
        words = gettext(
            "“%(name)s” does not say who sends the mail. Use the name of the company or the "
            "product, such as “Acme Support”.",
            name=name,
        )
        yield "generic_name", words
    pretended = _pretended(values, site_domain)
    if pretended:
        yield "misleading_name", pretended


def _pretended(values: SenderValues, site_domain: str) -> str:
    """How the name lets somebody take the sender for another one, as a sentence."""
    name, domain = values.from_name, domain_of(values.from_email)
    own = {organisation_of(one) for one in (domain, site_of(site_domain)) if one}
    if any(unicodedata.category(one) == "Cf" and one not in "\u200c\u200d" for one in name):
        return gettext("The name contains invisible characters. Type it again.")
    addresses = _ADDRESS.findall(name)
    if any(one.casefold() != values.from_email.casefold() for one in addresses):
        return gettext(
            "The name contains a different e-mail address than the from address. "
            "Spam filters treat this as fraud. Enter only a name."
        )
    elsewhere = [] if addresses else _DOMAIN.findall(name)
    if any(organisation_of(one) not in own for one in elsewhere):
        return gettext(
            "The name contains a different domain than the from address. Spam "
            "filters treat this as fraud. Enter only a name."
        )
    words = set(re.findall(r"\w+", name.casefold()))
    for brand in knowledge().brands:
        if brand in words and not any(brand in one for one in own):
            return gettext(
                "The name contains “%(brand)s”, but mail comes from %(domain)s. Customers and spam "
                "filters may treat this as fraud.",
                brand=brand,
                domain=domain or gettext("another domain"),
            )
    if _PRETENDING.search(name):
        return gettext(
            "“%(name)s” does not look like a sender's name. Use the name of the "
            "company or the product.",
            name=name,
        )
    return ""


def site_of(text: str) -> str:
    """The partner's site as a host name; empty if it says nothing, as ``localhost`` does."""
    try:
        host = clean_host(text)
    except ValueError:
        return ""
    return host if "." in host and ip_literal(host) is None else ""


def organisation_of(domain: str) -> str:
    """The part of a domain that somebody registered, as well as one can tell without a list."""
    labels = domain.lower().removesuffix(".").split(".")
    under_registry = len(labels) > 2 and len(labels[-1]) == _COUNTRY and labels[-2] in _REGISTRIES  # noqa: PLR2004
    return ".".join(labels[-3:] if under_registry else labels[-2:])
