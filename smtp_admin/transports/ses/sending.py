"""A mail as a call of Amazon SES, and what the answer means."""

from smtp_admin.http.connection import Answer
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.replies.meaning import Context
from smtp_admin.replies.table import Table
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.transports import api_call, verdicts
from smtp_admin.transports.api_transport import Request
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.outcome import Outcome, Verdict
from smtp_admin.transports.ses import account as ses
from smtp_admin.transports.ses.account import SESAccount
from smtp_admin.transports.ses.signing import Signer, with_content

_OK = 200


def explained(failure: SMTPFailure) -> SMTPFailure:
    """*failure* with what is behind it: a name that does not exist is that of a wrong region."""
    api_call.explained(failure)
    if failure.cause == "api_name":
        failure.cause = "ses_api_region"
    return failure


class SESCalls:
    """The calls of one account in one region."""

    def __init__(
        self, account: SESAccount, endpoint: Endpoint, signer: Signer, replies: Table
    ) -> None:
        self.endpoint = endpoint
        self._account = account
        self._signer = signer
        self._replies = replies

    def explained(self, failure: SMTPFailure) -> SMTPFailure:
        """As the test says it."""
        return explained(failure)

    def request(self, mail: Outgoing) -> Request:
        """The mail as it is, in Base64, with its recipient."""
        body = ses.document_for(self._account, mail)
        headers = self._signer.headers("POST", self.endpoint, ses.SEND_PATH, body)
        return Request(ses.SEND_PATH, with_content(headers), body)

    def outcome(self, mail: Outgoing, answer: Answer) -> Outcome:
        """SES has it only if it gave it an id."""
        if answer.status == _OK:
            provider_id = api_call.id_in(answer, "MessageId")
            reply = api_call.reply_of(_OK, "", Redactor())
            if provider_id is None:
                return verdicts.strange_answer(reply)
            return Outcome(Verdict.ACCEPTED, reply=reply, provider_id=provider_id)
        reply = api_call.reply_of(answer.status, ses.words_of(answer), self._signer.redactor())
        context = Context(mail.recipient, mail.mail_from, self._account.host)
        return api_call.not_accepted(answer, reply, self._replies, context)
