"""Flask-Mail's ``Mail``, into our outbox."""

from collections.abc import Mapping
from typing import Any

import flask_mail

from smtp_admin.mail.mail_slot import MailState, Sending


class Mail(Sending, flask_mail.Mail):  # type: ignore[misc]  # ours return the id of the mail
    """Flask-Mail's ``Mail``: the same places, settings, signal and methods.

    ::

        mail = Mail(app)  # or mail = Mail() and mail.init_app(app)

    It may be initialised before or after :class:`smtp_admin.SMTPAdmin`, which sends for it.
    """

    def init_mail(  # type: ignore[override]  # what Flask-Mail makes here is private to it
        self, config: Mapping[str, Any], debug: bool | int = False, testing: bool = False
    ) -> MailState:
        """What the ``MAIL_…`` settings say."""
        return MailState(config, debug, testing)
