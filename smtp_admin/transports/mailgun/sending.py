"""A mail as a call of Mailgun's API, and what the answer means."""

from smtp_admin.http.connection import Answer
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.replies.meaning import Context
from smtp_admin.replies.table import Table
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.login import Credential
from smtp_admin.transports import api_call, verdicts
from smtp_admin.transports.api_transport import Request
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.mailgun import account as mailgun
from smtp_admin.transports.mailgun.account import Account
from smtp_admin.transports.outcome import Outcome, Verdict

_OK = 200


class MailgunCalls:
    """The calls of one account."""

    def __init__(
        self, account: Account, endpoint: Endpoint, credential: Credential, replies: Table
    ) -> None:
        self.endpoint = endpoint
        self._account = account
        self._authorization = mailgun.authorization(credential)
        self._redact = mailgun.redactor_for(credential)
        self._replies = replies

    def explained(self, failure: SMTPFailure) -> SMTPFailure:
        """As for any API."""
        return api_call.explained(failure)

    def request(self, mail: Outgoing) -> Request:
        """Post the mail as it is, as a form with its recipient."""
        headers, body = mailgun.form_of(mail)
        return Request(self._account.send_path, {**self._authorization, **headers}, body)

    def outcome(self, mail: Outgoing, answer: Answer) -> Outcome:
        """Mailgun has it only if it gave it an id."""
        reply = api_call.reply_of(answer.status, mailgun.words_of(answer), self._redact)
        if answer.status != _OK:
            context = Context(mail.recipient, mail.mail_from, self._account.host)
            return api_call.not_accepted(answer, reply, self._replies, context)
        provider_id = mailgun.id_of(answer)
        if provider_id is None:
            return verdicts.strange_answer(reply)
        return Outcome(Verdict.ACCEPTED, reply=reply, provider_id=provider_id)
