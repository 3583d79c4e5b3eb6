"""Certificates and keys as PEM: what is taken, and how they are shown."""

from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from smtp_admin.translation import gettext

_LONGEST_PEM = 64 * 1024
#: RSA with 8192 bits has 6.3 KiB. To check one of 16,384 bits takes a quarter of a minute, in which
#: a web process does nothing else.
_LONGEST_KEY = 8 * 1024


def clean_certificates(text: str) -> str:
    """One or several certificates as PEM, with Unix line ends; empty for none."""
    pem = _clean_pem(text)
    if not pem:
        return ""
    if "PRIVATE KEY-----" in pem:
        # This field is shown and stored as it is.
        raise ValueError(gettext("This text contains a private key. Enter only the certificate."))
    try:
        # Loading alone does not read the names, which would fail where they are shown.
        _shown(pem)
    except (ValueError, x509.InvalidVersion) as error:
        raise ValueError(
            gettext(
                "This is not a certificate in PEM form. It begins with “-----BEGIN "
                "CERTIFICATE-----”."
            )
        ) from error
    return pem


def clean_key(text: str) -> str:
    """A private key as PEM without a passphrase; empty for none."""
    pem = _clean_pem(text)
    if not pem:
        return ""
    if len(pem) > _LONGEST_KEY:
        raise ValueError(gettext("This key is too large. Use an RSA key of at most 8192 bits."))
    if "ENCRYPTED" in pem:
        raise ValueError(
            gettext("This key has a passphrase. Remove it first, for example with openssl pkey.")
        )
    try:
        load_pem_private_key(pem.encode("ascii"), password=None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(gettext("This is not a private key in PEM form.")) from error
    return pem


def _clean_pem(text: str) -> str:
    if len(text) > _LONGEST_PEM:
        raise ValueError(gettext("This is longer than 64 KiB."))
    lines = [line.strip() for line in text.strip().splitlines()]
    pem = "\n".join(line for line in lines if line)
    if not pem.isascii():
        raise ValueError(gettext("A PEM text has only plain letters and digits."))
    return f"{pem}\n" if pem else ""


def words_of_pem(value: Any) -> str:
    """A certificate in history and explanations."""
    if not value:
        return gettext("none")
    try:
        return _shown(str(value))
    except (ValueError, x509.InvalidVersion):
        return gettext("not readable")


def _shown(pem: str) -> str:
    found = x509.load_pem_x509_certificates(pem.encode("ascii"))
    told = [
        (
            one.subject.rfc4514_string()[:100] or gettext("unnamed"),
            f"{one.not_valid_after_utc:%Y-%m-%d}",
        )
        for one in found
    ]
    more = gettext(" and %(number)s more", number=len(told) - 1) if len(told) > 1 else ""
    return gettext(
        "%(name)s%(more)s, valid until %(day)s", name=told[0][0], more=more, day=told[0][1]
    )
