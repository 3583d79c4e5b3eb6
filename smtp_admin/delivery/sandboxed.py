"""What a sandbox makes of mail that is being queued.

It is decided here although the worker looks once more, because the worker may be one that was
started without a sandbox.
"""

from dataclasses import replace

from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.sandbox.rewriting import redirected, subject_for
from smtp_admin.sandbox_rule import Sandbox


def in_sandbox(mail: OutgoingMail, sandbox: Sandbox) -> OutgoingMail:
    """*mail* as a sandbox queues it; no archive gets a copy, for it is not the sender's mail.

    What is scheduled is held when its time has come, else that time would be lost.
    """
    if sandbox.redirect:
        return _redirected(mail, sandbox.redirect)
    held = [one for one in mail.recipients if not sandbox.lets_out(one)]
    return replace(mail, archive_to="", held=held if mail.send_at is None else ())


def _redirected(mail: OutgoingMail, address: str) -> OutgoingMail:
    content, head = redirected(mail.content, mail.recipients, address, mail.sender_head or 0)
    return replace(
        mail,
        content=content,
        size=len(content),
        sender_head=None if mail.sender_head is None else head,
        subject=subject_for(mail.recipients, mail.subject),
        recipients=[address],
        intended=mail.recipients,
        archive_to="",
    )
