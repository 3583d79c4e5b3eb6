"""Advice about settings: warnings that never block.

Each has one code, stands beside one field, and says what is meant and what to do. What cannot work
at all is an error and stands elsewhere: in :mod:`.values` and :func:`.presets.check_shape`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from smtp_admin.providers.catalogue import (
    is_free_mail,
    provider_of_address,
    provider_of_host,
    providers,
)
from smtp_admin.providers.nearby import meant_host, outgoing_of
from smtp_admin.providers.provider import Provider
from smtp_admin.providers.shape import broken_rules
from smtp_admin.senders.fix import Fix, use_host, use_port, use_security
from smtp_admin.senders.from_name import faults_of_name, organisation_of, site_of
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.address import domain_of
from smtp_admin.smtp.hostname import ip_literal
from smtp_admin.smtp.session import Security
from smtp_admin.translation import gettext, joined, ngettext
from smtp_admin.transports.smtp.fields import SECURITY_LABELS

PASSWORD_AGE = timedelta(days=90)
_SERVER_PORT = 25
_GENERAL = (
    "port_25",
    "no_encryption",
    "certificate_not_checked",
    "port_wants_ssl",
    "port_wants_starttls",
    "port_not_of_provider",
    "ip_address_as_host",
    "host_nearly_known",
    "incoming_server",
    "too_many_connections",
    "free_mail_sender",
    "from_domain_differs",
    "name_in_capitals",
    "generic_name",
    "misleading_name",
    "old_password",
    "client_secret_day",
)
# What the ports mean everywhere, unless a provider documents something else.
_USUAL: dict[int, Security] = {
    25: "tls",
    465: "ssl",
    587: "tls",
    2465: "ssl",
    2525: "tls",
    2587: "tls",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """A warning beside a field of the form.

    Attributes:
        fix: what would be better, where one value is.
    """

    field: str
    code: str
    message: str
    fix: Fix | None = None

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        return {
            "field": self.field,
            "code": self.code,
            "message": self.message,
            "fix": self.fix and self.fix.as_json(),
        }


@cache
def codes() -> tuple[str, ...]:
    """Every code that there is: those above, and those of the providers' rules and notes."""
    doubts = [rule.code for one in providers() for rule in one.rules if not rule.certain]
    notes = [note.code for one in providers() for note in one.notes]
    return tuple(dict.fromkeys([*_GENERAL, *doubts, *notes]))


def advice(
    values: SenderValues,
    *,
    site_domain: str = "",
    password_set_at: datetime | None = None,
    now: datetime,
    password: str = "",
) -> list[Advice]:
    """What a friend who knows mail would say about *values*.

    Args:
        values: entered or saved; what is empty gets no advice.
        site_domain: where the partner's site is, as a host name.
        password_set_at: when the stored password was saved.
        password: what was entered just now, if anything; only its shape is looked at.
    """
    known = provider_of_host(values.host)
    found = [
        *_on_connection(values, known),
        *_on_address(values, known, site_domain),
        *(Advice("from_name", *one) for one in faults_of_name(values, site_domain)),
    ]
    found += [
        Advice(rule.field, rule.code, rule.message)
        for rule in broken_rules(known, values.username, password, values.from_email)
        if not rule.certain and (rule.field == "from_email" or not values.sign_in)
    ]
    if known is not None:
        found += [
            Advice(note.field, note.code, note.text)
            for note in known.notes_at(now.date())
            if note.field != "password" or not values.sign_in
        ]
    if values.sign_in:
        return [*found, *_on_secret(values)]
    if password_set_at is not None and not password and now - password_set_at > PASSWORD_AGE:
        days = (now - password_set_at).days
        found.append(
            Advice(
                "password",
                "old_password",
                gettext(
                    "This password was saved %(days)s days ago. Make a new one with your "
                    "provider and enter it here; change it about every %(span)s days.",
                    days=days,
                    span=PASSWORD_AGE.days,
                ),
            )
        )
    return found


def _on_secret(values: SenderValues) -> Iterator[Advice]:
    """A client secret that will end on a day that nobody has entered."""
    by_secret = values.sign_in == "microsoft_app" and not values["oauth_certificate"]
    if by_secret and values["oauth_client_id"] and not values["oauth_secret_until"]:
        yield Advice(
            "oauth_secret_until",
            "client_secret_day",
            gettext(
                "Microsoft's client secrets end after 24 months at most. Enter the last day of "
                "this one, to be told in time."
            ),
        )


def _on_connection(values: SenderValues, known: Provider | None) -> Iterator[Advice]:
    if values.host and ip_literal(values.host) is not None:
        yield Advice(
            "host",
            "ip_address_as_host",
            gettext(
                "Certificates are issued for names, not for IP addresses. An IP "
                "address also changes when the server moves. Enter the host name that "
                "your provider documents."
            ),
        )
    yield from _on_host(values.host)
    if values.port == _SERVER_PORT:
        yield Advice(
            "port",
            "port_25",
            gettext(
                "Port 25 is for mail between servers, and many networks block it. Use "
                "587 with STARTTLS or 465 with SSL/TLS if the server offers one of "
                "them."
            ),
            use_port(587, "tls"),
        )
    yield from _on_port(values, known)
    if values.security == "none":
        what = gettext("mail and password") if values.username else gettext("the mail")
        yield Advice(
            "security",
            "no_encryption",
            gettext(
                "Without encryption, anyone between here and the server can read "
                "%(what)s. Choose STARTTLS or SSL/TLS.",
                what=what,
            ),
            use_security(_USUAL.get(values.port, "tls")),
        )
    elif not values.verify_tls:
        yield Advice(
            "verify_tls",
            "certificate_not_checked",
            gettext(
                "The server's certificate is not checked, so an attacker could read "
                "mail and password. Turn on the check. If it fails, the connection "
                "test shows the reason."
            ),
            Fix(gettext("Check it"), {"verify_tls": "true"}),
        )
    most = [limit.connections for limit in known.limits if limit.connections] if known else []
    if known and most and values.max_connections > max(most):
        yield Advice(
            "max_connections",
            "too_many_connections",
            ngettext(
                "%(label)s accepts %(number)s connection at a time for one login and refuses more.",
                "%(label)s accepts %(number)s connections at a time for one login and refuses "
                "more.",
                max(most),
                label=known.label,
            ),
            Fix(gettext("Use %(max)s", max=max(most)), {"max_connections": str(max(most))}),
        )


def _on_host(host: str) -> Iterator[Advice]:
    """A slip in the name, or the provider's server for mail that comes in."""
    incoming = outgoing_of(host)
    if incoming is not None:
        owner, place = incoming
        yield Advice(
            "host",
            "incoming_server",
            gettext(
                "This host receives mail for customers of %(label)s. It does not send "
                "mail for you. The outgoing server is %(place)s.",
                label=owner.label,
                place=place,
            ),
            server_of(owner),
        )
    elif meant := meant_host(host):
        yield Advice(
            "host",
            "host_nearly_known",
            gettext("Did you mean %(meant)s? This name is slightly different.", meant=meant),
            use_host(meant),
        )


def server_of(owner: Provider) -> Fix | None:
    """Its server for sending, where it has one only."""
    several = len(owner.regions) > 1 or "{" in owner.host
    host = owner.host or next(iter(owner.servers), "")
    return None if several or not host else use_host(host, owner.port, owner.security)


def _on_port(values: SenderValues, known: Provider | None) -> Iterator[Advice]:
    """Port and security that do not belong together, which no server can answer."""
    if known and known.kind != "own":
        if (values.port, values.security) in {(one.port, one.security) for one in known.ports}:
            return
        if values.port not in {one.port for one in known.ports}:
            offered = joined(
                (
                    gettext(
                        "%(port)s with %(security)s",
                        port=one.port,
                        security=SECURITY_LABELS[one.security],
                    )
                    for one in known.ports
                ),
                ", ",
            )
            yield Advice(
                "port",
                "port_not_of_provider",
                gettext(
                    "%(label)s does not offer port %(port)s. It offers %(offered)s.",
                    label=known.label,
                    port=values.port,
                    offered=offered,
                ),
                use_port(known.port, known.security),
            )
            return
    usual = _USUAL.get(values.port)
    if known:
        usual = next((one.security for one in known.ports if one.port == values.port), usual)
    if usual == "ssl" and values.security != "ssl":
        yield Advice(
            "security",
            "port_wants_ssl",
            gettext(
                "Port %(port)s is encrypted from the first byte. Choose SSL/TLS, or "
                "port 587 with STARTTLS.",
                port=values.port,
            ),
            use_security("ssl"),
        )
    elif usual == "tls" and values.security == "ssl":
        yield Advice(
            "security",
            "port_wants_starttls",
            gettext(
                "On port %(port)s the connection starts in plain text and then "
                "changes to encryption. Choose STARTTLS, or port 465 with SSL/TLS.",
                port=values.port,
            ),
            use_security("tls"),
        )


def _on_address(values: SenderValues, known: Provider | None, site_domain: str) -> Iterator[Advice]:
    domain = domain_of(values.from_email)
    if not domain:
        return
    if is_free_mail(domain):
        owner = provider_of_address(values.from_email)
        if known is not None and known is owner:
            message = gettext(
                "Anyone can get an address at %(domain)s, and it allows few mails a "
                "day. Customers trust an address of your own domain more.",
                domain=domain,
            )
        else:
            message = gettext(
                "Only the servers of %(domain)s may send mail from there; mail from "
                "other servers becomes spam or is refused. Use an address of your own "
                "domain.",
                domain=domain,
            )
        yield Advice("from_email", "free_mail_sender", message)
        return
    site = site_of(site_domain)
    if site and organisation_of(domain) != organisation_of(site):
        yield Advice(
            "from_email",
            "from_domain_differs",
            gettext(
                "Mail comes from %(domain)s, but the site is %(site)s. Customers and "
                "spam filters trust mail from the site's domain more.",
                domain=domain,
                site=site,
            ),
        )
