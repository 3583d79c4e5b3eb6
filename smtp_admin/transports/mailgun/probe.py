"""The test of a sender that sends by Mailgun: all that sending does, but no mail.

A form without a mail is posted to where mails are: whoever may send there is told what is missing
in it, all others that they may not. That also works with a key that may do nothing but send.
"""

from typing import Any, cast

from smtp_admin.http.connection import Answer, CallBroken, Connection
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.replies.meaning import Context
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.translation import gettext
from smtp_admin.transports import api_call
from smtp_admin.transports.driver import Caution, Trial
from smtp_admin.transports.mailgun import account as mailgun
from smtp_admin.transports.mailgun.account import Account

STEPS = {
    "validate": gettext("Settings"),
    "dns": "DNS",
    "connect": gettext("Connect"),
    "tls": gettext("Encryption"),
    "certificate": gettext("Certificate"),
    "key": gettext("API key"),
    "domain": gettext("Sending domain"),
    "sending": gettext("Sending"),
}
_OK, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN = 200, 400, 401, 403
_ONLY_SENDS = gettext("this key may only send, so Mailgun tells nothing about the domain")


def test(trial: Trial) -> None:
    """Run the steps.

    Raises:
        SMTPFailure: at the first that fails.
    """
    account = cast(Account, trial.setup.settings)
    configured = trial.surroundings.endpoints.get("mailgun", "")
    endpoint = mailgun.endpoint_of(account, configured)
    try:
        _run(trial, account, endpoint)
    finally:
        api_call.mark_unreached(trial.report, STEPS, endpoint)


def _run(trial: Trial, account: Account, endpoint: Endpoint) -> None:
    where = f"{account.domain}, {mailgun.REGION_LABELS[account.region]}"
    trial.report.run("validate", lambda: (where, None))
    try:
        connection = Connection(
            endpoint, trial.surroundings.dialler, overall=trial.overall, report=trial.report
        )
    except SMTPFailure as failure:
        api_call.explained(failure)
        raise
    try:
        asking = _Asking(trial, account, connection)
        trial.report.run("key", asking.key)
        asking.about_the_domain()
    finally:
        connection.close()


class _Asking:
    """The calls of one test."""

    def __init__(self, trial: Trial, account: Account, connection: Connection) -> None:
        self._trial = trial
        self._account = account
        self._connection = connection
        credential = trial.setup.credential
        self._authorization = mailgun.authorization(credential)
        self._redact = mailgun.redactor_for(credential)

    def key(self) -> tuple[str, Reply]:
        """Whether this key may send for this domain."""
        headers, body = mailgun.form_of(None)
        answer = self._call("key", "POST", self._account.send_path, headers, body)
        reply = self._reply(answer)
        judged = self._replies.judge("api", reply, self._context) if reply.temporary else None
        asked_for_more = answer.status == _BAD_REQUEST and judged and not judged.recognised
        if not asked_for_more:
            raise self._refused("key", reply)
        return gettext("Mailgun takes mail from this key for this domain"), reply

    def about_the_domain(self) -> None:
        """Whether the domain is verified, and may send."""
        answer = self._call("domain", "GET", self._account.domain_path, {}, b"")
        if answer.status in {_UNAUTHORIZED, _FORBIDDEN}:
            self._trial.report.skip("domain", _ONLY_SENDS)
            self._trial.report.skip("sending", _ONLY_SENDS)
            return
        document = api_call.document_of(answer) or {}
        found = document.get("domain")
        about: dict[str, Any] = found if isinstance(found, dict) else {}
        self._trial.report.run("domain", lambda: self._verified(answer, about))
        self._trial.report.run("sending", lambda: self._enabled(about))

    def _verified(self, answer: Answer, about: dict[str, Any]) -> tuple[str, None]:
        if answer.status != _OK or not about:
            raise self._refused("domain", self._reply(answer))
        if about.get("state") == "unverified":
            raise SMTPFailure(
                "sender_refused",
                "domain",
                gettext("Mailgun has not verified %(domain)s.", domain=self._account.domain),
                cause="mailgun_unverified",
            )
        return gettext("%(domain)s is verified", domain=self._account.domain), None

    def _enabled(self, about: dict[str, Any]) -> tuple[str, None]:
        why = about.get("disabled")
        if about.get("state") == "disabled" or about.get("is_disabled") is True:
            said = str(why.get("reason", "")) if isinstance(why, dict) else ""
            reply = api_call.reply_of(_FORBIDDEN, said, self._redact) if said else None
            raise SMTPFailure(
                "sender_refused",
                "sending",
                gettext("Mailgun has disabled %(domain)s.", domain=self._account.domain),
                reply=reply,
                cause="mailgun_disabled",
            )
        if about.get("type") == "sandbox":
            words = gettext(
                "This is Mailgun's sandbox domain. It only sends to authorized recipients."
            )
            self._trial.cautions.append(Caution("mailgun_sandbox", words, "mailgun_sandbox"))
        return gettext("not disabled"), None

    @property
    def _replies(self) -> Any:
        return self._trial.surroundings.replies

    @property
    def _context(self) -> Context:
        return Context("", self._trial.sender_address, self._account.host)

    def _refused(self, step: str, reply: Reply) -> SMTPFailure:
        return api_call.refused(step, reply, self._replies, self._context)

    def _reply(self, answer: Answer) -> Reply:
        return api_call.reply_of(answer.status, mailgun.words_of(answer), self._redact)

    def _call(
        self, step: str, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        try:
            return self._connection.call(
                method,
                path,
                {**self._authorization, **headers},
                body,
                seconds=self._trial.overall.remaining(),
            )
        except CallBroken as broken:
            raise api_call.broken(step, broken) from broken
