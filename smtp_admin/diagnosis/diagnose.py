"""What went wrong, in order of likelihood, and what to do about it: pure, from one table.

It serves the connection test, a sender that is paused and a mail that did not arrive alike: a
code, and whatever else is known.
"""

import re
from dataclasses import dataclass

from smtp_admin.diagnosis.causes import Cause, Facts, Row
from smtp_admin.diagnosis.provider_replies import PROVIDER_REPLIES
from smtp_admin.diagnosis.refusals import REFUSALS
from smtp_admin.diagnosis.server_replies import SERVER_REPLIES
from smtp_admin.diagnosis.situations import SITUATIONS
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.failure import CODES, SMTPFailure
from smtp_admin.smtp.reply import Reply

#: The server's own words first: they know more than a code and our settings.
TABLE: tuple[Row, ...] = (*PROVIDER_REPLIES, *SERVER_REPLIES, *SITUATIONS, *REFUSALS)
#: What a delivery, or a paused sender, may have beside the codes of the connection test.
DELIVERY_CODES: tuple[str, ...] = (
    "recipient_refused", "message_refused", "too_large", "unavailable", "worker_lost",
    "uncertain", "expired", "cancelled", "suppressed", "bounced", "complained", "queued", "sent",
    "sandbox_held", "sandbox_dropped",
)  # fmt: skip
ALL_CODES: tuple[str, ...] = (*CODES, *DELIVERY_CODES)

_MOST = 4
_UNKNOWN = Row(
    "unknown",
    "What is behind this is not known.",
    "Read the server's words, test the connection, and show both to your provider.",
)
_PROVIDERS: tuple[tuple[str, str, str], ...] = (  # key, the end of its hosts, its words
    ("gmail", r"gmail\.com|googlemail\.com|google\.com", r"\bgsmtp\b|support\.google\.com"),
    (
        "microsoft365",
        r"office365\.com|outlook\.com|hotmail\.com|live\.com",
        r"\.outlook\.com|office365|STOREDRV|aka\.ms/",
    ),
    ("yahoo", r"yahoo\.com|yahoodns\.net|aol\.com", r"yahoo(inc)?\.com|\(#AUTH\d+\)"),
    ("sendgrid", r"sendgrid\.(net|com)", r"sendgrid"),
    ("ses", r"amazonaws\.com(\.cn)?", r"\bses:|Throttling failure"),
    ("postmark", r"postmarkapp\.com", r"postmark"),
    ("mailgun", r"mailgun\.org", r"mailgun"),
    ("sparkpost", r"sparkpostmail\.com|sparkpost\.com", r"No authentication type succeeded"),
    ("mailtrap", r"mailtrap\.io", r"mailtrap"),
    ("gmx", r"gmx\.(net|com|de|at|ch)|web\.de", r"\bgmx\.net"),
    ("icloud", r"mail\.me\.com|icloud\.com", r"icloud\.com"),
    ("fastmail", r"fastmail\.com|messagingengine\.com", r"fastmail"),
    ("zoho", r"zoho\.(com|eu|in|jp|sa|com\.au|com\.cn)|zohocloud\.ca", r"zoho"),
)
_REPLY = re.compile(r"(^|\()([2-5]\d\d)(?:[ -](.*?))?(\))?$")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The likely causes, most likely first; there is always one."""

    causes: tuple[Cause, ...]

    @property
    def hint(self) -> str:
        """The first cause and what to do about it, for one line."""
        return f"{self.causes[0].what} {self.causes[0].do}"


def diagnose(
    code: str,
    *,
    step: str | None = None,
    reply: Reply | None = None,
    reply_text: str = "",
    message: str = "",
    host: str = "",
    port: int | None = None,
    security: str | None = None,
    username: str | None = None,
    from_email: str = "",
) -> Diagnosis:
    """What *code* is likely to come from.

    Args:
        code: one of :data:`ALL_CODES`; of a delivery as :func:`code_of_delivery` says.
        step: of the connection test, if it was one.
        reply: the server's, or *reply_text*: the stored one, or a sentence with it in brackets.
        message: our own words about the failure: they name the kind of certificate or TLS error.
        username: ``""`` says that no login was used, ``None`` that it is not known.
    """
    said = _one_line(str(reply) if reply is not None else reply_text)
    facts = Facts(
        code=code,
        step=step or "",
        said=said,
        message=message,
        provider=provider_of(host, said),
        host=host,
        port=port,
        security=security or "",
        username=username,
        from_email=from_email,
    )
    causes = []
    for row in TABLE:
        if row.fits(facts):
            causes.append(row.cause(facts))
            if row.sure or len(causes) == _MOST:
                break
    return Diagnosis(tuple(causes) or (_UNKNOWN.cause(facts),))


def of_failure(failure: SMTPFailure, values: SenderValues) -> Diagnosis:
    """What the failure of a test of *values* is likely to come from."""
    return diagnose(
        failure.code,
        step=failure.step,
        reply=failure.reply,
        message=f"{failure.message} {failure.hint}",
        host=values.host,
        port=values.port or None,
        security=values.security,
        username=values.username,
        from_email=values.from_email,
    )


def code_of_delivery(state: str, last_code: str, uncertains: int = 0) -> str:
    """What says most about a delivery: its code, or its state where that says more.

    A lost reply has the code of what broke the connection, and that is not what matters.
    """
    if state == "uncertain":
        return "worker_lost" if last_code == "worker_lost" else state
    refused = last_code.endswith("_refused") or last_code == "too_large"
    if state == "dead" and uncertains > 1 and not refused:
        return "uncertain"
    if state in {"bounced", "complained", "suppressed"}:
        return state
    if state == "delivered":
        return "sent"
    return last_code or state


def provider_of(host: str, said: str = "") -> str:
    """The provider behind *host*, or else the one that speaks so; ``""`` if it is none we know."""
    for key, ends, _ in _PROVIDERS:
        if re.search(rf"(?:^|\.)(?:{ends})$", host, re.IGNORECASE):
            return key
    for key, _, words in _PROVIDERS:
        if re.search(words, said, re.IGNORECASE):
            return key
    return ""


def _one_line(text: str) -> str:
    """The reply in *text*, with a space after its code; ``""`` where there is none."""
    found = _REPLY.search(" ".join(text.split()))
    if found is None:
        return ""
    opened, code, words, closing = found.groups()
    return f"{code} {words or ''}{'' if opened else closing or ''}".strip()
