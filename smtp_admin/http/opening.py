"""Dial the machine of an API and agree on encryption, each step reported as it happens."""

import ssl
from collections.abc import Callable

from smtp_admin.http.endpoint import Endpoint
from smtp_admin.smtp import explain
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report, StepResult
from smtp_admin.smtp.session import Dialler
from smtp_admin.smtp.tls import client_context, describe
from smtp_admin.smtp.wire import Wire, WireClosed, WireTimeout
from smtp_admin.translation import gettext


def open_wire(
    endpoint: Endpoint,
    dialler: Dialler,
    *,
    overall: Deadline | None,
    report: Report,
    dialled: Callable[[Wire], None],
) -> Wire:
    """A connection to *endpoint*, encrypted where its scheme says so.

    The port is not looked at: it is no partner's choice, and mail servers' ports are others.

    Args:
        dialled: told the wire as soon as there is one, for whoever may have to cut it.

    Raises:
        SMTPFailure: with the code and the step ``dns``, ``connect``, ``tls`` or ``certificate``.
    """
    wire = dialler.connect(endpoint.host, endpoint.port, overall, report, name=endpoint.host)
    dialled(wire)
    try:
        if endpoint.scheme == "https":
            _encrypt(wire, endpoint.host, dialler, overall, report)
    except BaseException:
        wire.close()
        raise
    return wire


def _encrypt(
    wire: Wire, host: str, dialler: Dialler, overall: Deadline | None, report: Report
) -> None:
    def encrypt() -> tuple[str, None]:
        context = client_context(ca_file=dialler.ca_file)
        try:
            wire.start_tls(context, host, Deadline(dialler.timeouts.command, overall))
        except ssl.SSLCertVerificationError as error:
            raise explain.of_certificate(error, host) from error
        except ssl.SSLError as error:
            raise SMTPFailure(
                "tls_failed", "tls", gettext("No encryption could be agreed on.")
            ) from error
        except (WireClosed, WireTimeout) as error:
            raise explain.of_wire("tls", error) from error
        if wire.tls is not None:
            report.tls = describe(wire.tls)
        return f"{report.tls.version}, {report.tls.cipher}" if report.tls else "", None

    report.run("tls", encrypt)
    if report.tls is not None:
        until = (
            gettext(", valid until %(expires)s", expires=str(report.tls.expires.date()))
            if report.tls.expires
            else ""
        )
        named = gettext(
            "%(subject)s, issued by %(issuer)s%(until)s",
            subject=report.tls.subject,
            issuer=report.tls.issuer,
            until=until,
        )
        report.add(StepResult("certificate", "ok", 0.0, named))
