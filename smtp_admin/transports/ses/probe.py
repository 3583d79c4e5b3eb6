"""The test of a sender that sends by Amazon SES: all that sending does, but no mail.

The account is asked first, which proves the key. A key that may do nothing but send cannot ask; a
call without a mail tells then whether it is one.
"""

from typing import Any

from smtp_admin.http.connection import Answer, CallBroken, Connection
from smtp_admin.replies.meaning import Context
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.translation import gettext, joined, number
from smtp_admin.transports import api_call
from smtp_admin.transports.driver import Caution, Trial
from smtp_admin.transports.ses import account as ses
from smtp_admin.transports.ses.account import SESAccount
from smtp_admin.transports.ses.sending import explained
from smtp_admin.transports.ses.signing import Signer, with_content
from smtp_admin.transports.verdicts import STRANGE

STEPS = {
    "validate": gettext("Settings"),
    "dns": "DNS",
    "connect": gettext("Connect"),
    "tls": gettext("Encryption"),
    "certificate": gettext("Certificate"),
    "key": gettext("API key"),
    "sending": gettext("Sending"),
    "identity": gettext("Identity"),
    "production": gettext("Production access"),
    "quota": gettext("Quota"),
}
_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404
#: The most identities that are asked for one address.
_MOST_IDENTITIES = 5
_ONLY_SENDS = gettext("this key may only send, so SES tells nothing about the account")
#: Of the quota, so much is nearly all.
_NEARLY = 0.9


def test_with(trial: Trial, account: SESAccount, signer: Signer) -> None:
    """Run the steps.

    Raises:
        SMTPFailure: at the first that fails.
    """
    endpoint = ses.endpoint_of(account, trial.surroundings.endpoints.get("ses", ""))
    trial.report.run("validate", lambda: (_where(account), None))
    try:
        try:
            connection = Connection(
                endpoint, trial.surroundings.dialler, overall=trial.overall, report=trial.report
            )
        except SMTPFailure as failure:
            explained(failure)
            raise
        try:
            _Asking(trial, account, signer, connection).all()
        finally:
            connection.close()
    finally:
        api_call.mark_unreached(trial.report, STEPS, endpoint)


def _where(account: SESAccount) -> str:
    if not account.configuration_set:
        return account.region
    return gettext(
        "%(region)s, configuration set %(name)s",
        region=account.region,
        name=account.configuration_set,
    )


class _Asking:
    """The calls of one test."""

    def __init__(
        self, trial: Trial, account: SESAccount, signer: Signer, connection: Connection
    ) -> None:
        self._trial = trial
        self._account = account
        self._signer = signer
        self._connection = connection
        self._about: dict[str, Any] | None = None

    def all(self) -> None:
        """Each step, as far as the key may ask."""
        report = self._trial.report
        report.run("key", self._key)
        about = self._about
        if about is None:
            for name in ("sending", "identity", "production", "quota"):
                report.skip(name, _ONLY_SENDS)
            return
        report.run("sending", lambda: self._sending(about))
        self._identity_step()
        report.run("production", lambda: self._production(about))
        report.run("quota", lambda: self._quota(about))

    def _key(self) -> tuple[str, Reply | None]:
        answer = self._call("key", "GET", ses.ACCOUNT_PATH)
        if answer.status == _OK:
            self._about = api_call.document_of(answer)
            if self._about is None or "SendQuota" not in self._about:
                raise self._refused("key", answer, strange=True)
            return gettext("AWS knows this key"), None
        if ses.kind_of(answer) != "AccessDeniedException":
            raise self._refused("key", answer)
        # It is known, and may not ask: is it one that may send?
        answer = self._call("key", "POST", ses.SEND_PATH, b"{}")
        if answer.status != _BAD_REQUEST or ses.kind_of(answer) != "BadRequestException":
            raise self._refused("key", answer)
        return gettext("AWS knows this key, and takes mail from it"), None

    def _sending(self, about: dict[str, Any]) -> tuple[str, None]:
        status = str(about.get("EnforcementStatus", "HEALTHY"))
        if about.get("SendingEnabled") is False or status == "SHUTDOWN":
            raise SMTPFailure(
                "sender_refused", "sending", gettext("AWS has paused sending for this account."),
                cause="ses_paused",
            )  # fmt: skip
        if status == "PROBATION":
            words = gettext(
                "AWS has this account under review, usually because of bounces or complaints. "
                "It may pause sending. Read the mail that AWS sent to the account's owner."
            )
            self._trial.cautions.append(Caution("ses_probation", words))
        return gettext("enabled, %(status)s", status=status.lower()), None

    def _identity_step(self) -> None:
        # SES wants both verified: what stands in the mail, and where bounces go.
        both = (self._trial.from_address, self._trial.sender_address)
        addresses = [one for one in dict.fromkeys(both) if one]
        if addresses:
            self._trial.report.run("identity", lambda: self._identities(addresses))
        else:
            self._trial.report.skip("identity", gettext("no from address was given"))

    def _identities(self, addresses: list[str]) -> tuple[str, None]:
        told = dict.fromkeys(self._identity(address)[0] for address in addresses)
        return joined(told, "; "), None

    def _identity(self, address: str) -> tuple[str, None]:
        for identity in ses.identities_for(address)[:_MOST_IDENTITIES]:
            answer = self._call("identity", "GET", ses.identity_path(identity))
            if answer.status == _NOT_FOUND:
                continue
            if ses.kind_of(answer) == "AccessDeniedException":
                return gettext("this key may not ask about identities"), None
            about = api_call.document_of(answer)
            if answer.status != _OK or about is None:
                raise self._refused("identity", answer, strange=answer.status == _OK)
            if about.get("VerifiedForSendingStatus") is True:
                return gettext("%(identity)s is verified", identity=identity), None
            raise self._not_verified(
                gettext(
                    "%(identity)s is not verified in %(region)s yet.",
                    identity=identity,
                    region=self._account.region,
                )
            )
        raise self._not_verified(
            gettext(
                "Nothing that %(address)s could be sent from is in this region.", address=address
            )
        )

    def _production(self, about: dict[str, Any]) -> tuple[str, None]:
        if about.get("ProductionAccessEnabled") is True:
            return gettext("granted"), None
        words = gettext(
            "This account is in the sandbox of SES: it only sends to verified addresses. Request "
            "production access in the SES console, in this region."
        )
        self._trial.cautions.append(Caution("ses_sandbox", words))
        return gettext("sandbox: mail goes to verified addresses only"), None

    def _quota(self, about: dict[str, Any]) -> tuple[str, None]:
        quota = about["SendQuota"] if isinstance(about["SendQuota"], dict) else {}
        most, sent, rate = (
            _number(quota.get(name)) for name in ("Max24HourSend", "SentLast24Hours", "MaxSendRate")
        )
        if most is None or sent is None or rate is None:
            return gettext("SES tells no numbers"), None
        a_second = f"{rate:g}"
        if most < 0:
            return gettext("no limit a day, %(rate)s a second", rate=a_second), None
        if sent >= most:
            raise SMTPFailure(
                "rate_limited",
                "quota",
                gettext("The %(most)s mails of 24 hours are used up.", most=number(most)),
                cause="ses_daily_quota",
            )
        if sent > most * _NEARLY:
            words = gettext(
                "%(left)s of %(most)s mails are left for these 24 hours.",
                left=number(most - sent),
                most=number(most),
            )
            self._trial.cautions.append(Caution("ses_quota_low", words, "ses_daily_quota"))
        told = gettext(
            "%(left)s of %(most)s mails left for 24 hours, %(rate)s a second",
            left=number(most - sent),
            most=number(most),
            rate=a_second,
        )
        return told, None

    def _not_verified(self, sentence: str) -> SMTPFailure:
        return SMTPFailure("sender_refused", "identity", sentence, cause="ses_not_verified")

    def _refused(self, step: str, answer: Answer, *, strange: bool = False) -> SMTPFailure:
        reply = api_call.reply_of(answer.status, ses.words_of(answer), self._signer.redactor())
        if strange:
            return SMTPFailure("not_api", step, STRANGE, reply=reply)
        address = self._trial.sender_address
        context = Context("", address, self._account.host)
        return api_call.refused(step, reply, self._trial.surroundings.replies, context)

    def _call(self, step: str, method: str, path: str, body: bytes = b"") -> Answer:
        headers = self._signer.headers(method, self._connection.endpoint, path, body)
        try:
            return self._connection.call(
                method,
                path,
                with_content(headers),
                body,
                seconds=self._trial.overall.remaining(),
            )
        except CallBroken as broken:
            raise api_call.broken(step, broken) from broken


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
