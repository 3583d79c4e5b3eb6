"""What Flask-Security asks to send its mails."""

import logging
from typing import Any

from flask import Flask, current_app
from flask_mail import Message
from flask_security import MailUtil as TheirMailUtil
from werkzeug.local import LocalProxy

from smtp_admin.database import SYSTEM
from smtp_admin.errors import MessageError
from smtp_admin.flask_security.origin import is_ours, language_of_reader
from smtp_admin.flask_security.values import find_mail, values_of
from smtp_admin.mail import templates
from smtp_admin.mail.compose import message_from_type
from smtp_admin.mail.mail_connection import beside_caller
from smtp_admin.mail.mail_slot import slot_of
from smtp_admin.mail.security_types import OTHER, make_known
from smtp_admin.mail.service import registry, voice_for
from smtp_admin.mail.templates import Voice
from smtp_admin.mail.types import EmailType

log = logging.getLogger(__name__)


class MailUtil(TheirMailUtil):
    """Sends Flask-Security's mails as e-mail types of ours.

    The text is that of our templates, unless the app has its own: a Liquid template of the type,
    or a file of Flask-Security's in its template folder. Subclass it to say whose mail it is.
    """

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        make_known(app)

    def partner_id(self, template: str, context: dict[str, Any]) -> str:
        """Whose mail it is; override it where partners have users of their own.

        Args:
            template: Flask-Security's, such as ``security/email/welcome``.
            context: what Flask-Security hands to it; ``user`` is there in most cases.
        """
        del template, context
        return SYSTEM

    def language(self, template: str, context: dict[str, Any]) -> str:
        """In which language it is, such as ``de`` or ``pt-BR``; override it where users have one.

        Args:
            template, context: as for :meth:`partner_id`.
        """
        del template, context
        return language_of_reader()

    def send_mail(
        self,
        template: str,
        subject: str,
        recipient: str | tuple[str, str],
        sender: str | tuple[str, str],
        body: str | None,
        html: str | None,
        **kwargs: Any,
    ) -> None:
        """Queue one of Flask-Security's mails, and commit.

        Raises:
            MessageError: the address cannot be used.
            SetupError: the tables are missing; it names the command that makes them.
        """
        mail = find_mail(template)
        type_ = registry().get(mail.type_.name) if mail else OTHER
        message = Message(
            str(subject), recipients=[recipient], body=body, html=html, sender=_chosen(sender)
        )
        slot = slot_of(current_app._get_current_object())  # type: ignore[attr-defined]  # werkzeug's
        partner_id = self.partner_id(template, kwargs)
        if mail is not None:
            language = self.language(template, kwargs)
            values = values_of(mail, str(subject), kwargs, language)
            ours = is_ours(type_, template, language)
            if not slot.suppress:
                with beside_caller() as own:
                    voice = voice_for(own, type_, partner_id, language)
                    if ours or (voice.saved and templates.choose(type_, voice).saved):
                        _rewrite(message, type_, values, voice)
            elif ours:  # tests may have no tables
                _rewrite(message, type_, values, Voice(language=language))
        with slot.connect(partner_id=partner_id) as connection:
            connection.send(message, type_=type_)


def _rewrite(message: Message, type_: EmailType, values: dict[str, Any], voice: Voice) -> None:
    """Put the words of *voice* into *message*; if they cannot be made, Flask-Security's stay."""
    try:
        ours = message_from_type(type_, message.recipients[0], values, voice=voice)
    except MessageError as error:
        log.warning("%s is sent with Flask-Security's own text: %s", type_.name, error.message)
        return
    message.subject, message.body = ours.subject, ours.body
    if message.html is not None:  # SECURITY_EMAIL_HTML
        message.html = ours.html


def _chosen(sender: Any) -> Any:
    """``SECURITY_EMAIL_SENDER`` if the app has set it; else the routes decide."""
    given = current_app.config.get("SECURITY_EMAIL_SENDER")
    if given is None or type(given) is LocalProxy:
        return None
    return (str(sender[0]), str(sender[1])) if isinstance(sender, tuple) else str(sender)
