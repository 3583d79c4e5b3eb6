"""What went wrong on the wire, in words: what happened, and what to do about it."""

import ssl
from collections.abc import Sequence

from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import ip_literal
from smtp_admin.smtp.redaction import printable
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.wire import WireGarbage, WireTimeout
from smtp_admin.translation import gettext, joined


def of_wire(step: str, error: Exception) -> SMTPFailure:
    """What a failure of the wire means to a person."""
    if isinstance(error, WireTimeout):
        return SMTPFailure(
            "timeout",
            step,
            gettext("The server stopped answering."),
            hint=_SILENCE.get(step, gettext("It may be overloaded. Try again in a few minutes.")),
        )
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError) and _is_about_our_certificate(cause):
        return _our_certificate(step)
    if isinstance(error, WireGarbage):
        return SMTPFailure(
            "not_smtp",
            step,
            gettext("The answer does not come from a mail server, or the server is broken."),
            hint=gettext("Check host and port: 587 with STARTTLS or 465 with SSL are usual."),
        )
    return SMTPFailure(
        "connection_lost",
        step,
        gettext("The server closed the connection."),
        hint=_HANG_UP.get(step, gettext("Try again in a few minutes.")),
    )


_SILENCE: dict[str, str] = {
    "greeting": gettext(
        "Connected, but the server sent no greeting. On port 465 choose SSL, "
        "because the server expects encryption first. On other ports a "
        "firewall may block the connection."
    ),
    "tls": gettext("The server did not finish the encryption handshake. Check port and security."),
}
_HANG_UP: dict[str, str] = {
    "greeting": gettext(
        "It closed the connection before its greeting. It may block this "
        "platform's IP address, or expect encryption at once: on port 465 "
        "choose SSL."
    ),
    "tls": gettext(
        "It closed the connection during the encryption handshake. Check that "
        "port and security match: 465 with SSL, 587 with STARTTLS."
    ),
    "auth": gettext(
        "It closed the connection during the login. Some servers do this "
        "after too many failed logins."
    ),
}


# OpenSSL's numbers for what is wrong with a certificate. They stay; its words change.
_CODES_OF_EXPIRED = frozenset({10})
_CODES_OF_TOO_EARLY = frozenset({9})
_CODES_OF_OTHER_NAME = frozenset({62, 64})  # a host name, an IP address
_CODES_OF_SELF_SIGNED = frozenset({18})

_EXPIRED = gettext("The operator of the mail server must renew it.")
_TOO_EARLY = gettext("The clock of the mail server, or of this platform, is wrong.")
_OTHER_NAME = gettext(
    "Use the host name that your provider documents. An alias in your own "
    "domain is usually not in the provider's certificate."
)
_SELF_SIGNED = gettext(
    "Install a certificate of a public authority on the mail server, or "
    "enter your authority in the field “Certificate authority”."
)
_UNTRUSTED = gettext(
    "The mail server may not send its intermediate certificates, or may "
    "use a private authority. If so, enter the authority in the field "
    "“Certificate authority”."
)


def of_certificate(error: ssl.SSLCertVerificationError, host: str) -> SMTPFailure:
    """A certificate that does not prove that the server is *host*."""
    code = getattr(error, "verify_code", None)  # some of Python's own errors have none
    if code in _CODES_OF_EXPIRED:
        cause, hint = "certificate_expired", _EXPIRED
        message = gettext("The server's certificate has expired.")
    elif code in _CODES_OF_TOO_EARLY:
        cause, hint = "certificate_early", _TOO_EARLY
        message = gettext("The server's certificate is not valid yet.")
    elif code in _CODES_OF_OTHER_NAME:
        cause = "certificate_name" if ip_literal(host) is None else "certificate_address"
        hint = _OTHER_NAME
        message = gettext("The server's certificate is not for %(host)s.", host=host)
    elif code in _CODES_OF_SELF_SIGNED:
        cause, hint = "certificate_self_signed", _SELF_SIGNED
        message = gettext(
            "The server's certificate is self-signed: no trusted authority issued it."
        )
    else:
        cause, hint = "certificate_unknown", _UNTRUSTED
        technical = str(getattr(error, "verify_message", "")).rstrip(".")
        reason = technical or gettext("it cannot be checked")
        message = gettext("The server's certificate cannot be trusted: %(reason)s.", reason=reason)
    facts = {} if code is None else {"verify_code": str(code)}
    return SMTPFailure(
        "certificate_error", "certificate", message, hint=hint, cause=cause, facts=facts
    )


def of_authorities() -> SMTPFailure:
    """The file of certificates that was there when the app started is gone, or broken."""
    return SMTPFailure(
        "tls_failed",
        "tls",
        gettext("The certificates that this platform trusts cannot be read."),
        hint=gettext(
            "Ask the platform's operator to correct the file named in SMTP_ADMIN_CA_FILE."
        ),
        cause="authorities_unreadable",
    )


def of_own_authority() -> SMTPFailure:
    """The authority that a person entered for one sender is no certificate."""
    return SMTPFailure(
        "tls_failed",
        "tls",
        gettext("The certificate authority of this sender cannot be read."),
        hint=gettext("Enter it again: PEM text that begins with “-----BEGIN CERTIFICATE-----”."),
        cause="own_authority_unreadable",
    )


def of_client_certificate(error: ssl.SSLError) -> SMTPFailure:
    """The certificate that we are to show to a server, or its key, does not work."""
    if error.reason == "KEY_VALUES_MISMATCH":
        message = gettext("The key does not belong to the client certificate.")
    else:
        message = gettext("The client certificate or its key cannot be used.")
    return SMTPFailure(
        "tls_failed",
        "tls",
        message,
        hint=gettext(
            "Enter both again. The key begins with “-----BEGIN PRIVATE KEY-----” "
            "and has no passphrase."
        ),
        cause="client_certificate_unusable",
    )


def _is_about_our_certificate(error: ssl.SSLError) -> bool:
    """Whether a server refuses us, which with TLS 1.3 it says only after the handshake."""
    reason = error.reason or ""
    return "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason)


def _our_certificate(step: str) -> SMTPFailure:
    return SMTPFailure(
        "tls_failed",
        step,
        gettext("The server does not accept our certificate."),
        hint=gettext(
            "It requires a client certificate, or a different one from this "
            "sender's. Ask its operator for one, and enter it with its key."
        ),
        cause="client_certificate_refused",
    )


def of_handshake(error: ssl.SSLError) -> SMTPFailure:
    """No encryption came about."""
    if _is_about_our_certificate(error):
        return _our_certificate("tls")
    if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}:
        return SMTPFailure(
            "tls_failed",
            "tls",
            gettext("The server does not start with encryption on this port."),
            hint=gettext("SSL goes with port 465. On port 587, 25 and 2525 choose STARTTLS."),
            cause="speaks_plain",
        )
    reason = error.reason or "UNKNOWN"
    return SMTPFailure(
        "tls_failed",
        "tls",
        gettext("The server and this platform have no encryption in common."),
        hint=gettext("It may only support versions older than TLS 1.2, which are not secure."),
        cause="old_encryption" if reason in _OLD or reason.endswith(_WEAK) else "",
        facts={"technical": reason.replace("_", " ").lower()},
    )


# OpenSSL's reasons for encryption that is broken by now: of versions, and how those of keys end.
_OLD = frozenset({
    "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE",
    "WRONG_SSL_VERSION", "TLSV1_ALERT_INSUFFICIENT_SECURITY",
})  # fmt: skip
_WEAK = ("_TOO_SMALL", "_TOO_WEAK")


def of_mechanisms(offered: Sequence[str]) -> SMTPFailure:
    """Logins that we have none of."""
    windows = all(one in _OF_WINDOWS for one in offered)
    return SMTPFailure(
        "auth_not_offered",
        "auth",
        gettext(
            "The server only offers logins that this platform does not support: %(logins)s.",
            logins=", ".join(offered),
        ),
        hint=gettext(
            "It may require OAuth2 instead of a password: choose that in “Sign in by”. Or ask "
            "your provider for an app password or another host for programs that send mail."
        ),
        cause="only_windows_logins" if windows else "only_oauth",
    )


_OF_WINDOWS = frozenset({"NTLM", "GSSAPI", "GSS-SPNEGO", "KERBEROS_V4"})


def of_unanswerable(reply: Reply) -> SMTPFailure:
    """A login in which the server asked for more than there is to say."""
    return SMTPFailure(
        "auth_failed",
        "auth",
        gettext("The server asked an unexpected question during the login."),
        hint=gettext("It is broken, or expects a different login than it offers."),
        reply=reply,
    )


def of_login(reply: Reply, told: str | None = None) -> SMTPFailure:
    """A login that was refused, for now or for good.

    Args:
        told: of a login by token, what the server said of the token before; else ``None``.
    """
    if reply.temporary:
        return SMTPFailure(
            "server_refused",
            "auth",
            gettext("The server cannot check logins right now."),
            hint=gettext("The password is probably correct. Try again later."),
            reply=reply,
        )
    if told is not None:
        refused = gettext("The server refused the access token.")
        said = gettext("It said: %(words)s.", words=printable(told)) if told else ""
        return SMTPFailure(
            "auth_failed",
            "auth",
            joined((refused, said)),
            hint=gettext("The token may be for another mailbox or another service."),
            reply=reply,
        )
    return SMTPFailure(
        "auth_failed",
        "auth",
        gettext("The server refused the user name or password."),
        hint=gettext(
            "Check both. Gmail, Yahoo and Outlook require an app password, "
            "services such as SendGrid an API key."
        ),
        reply=reply,
    )
