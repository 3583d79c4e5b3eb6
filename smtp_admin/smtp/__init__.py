"""The protocol itself: where we may dial, the hardened client, and what replies mean.

Nothing here knows Flask, a database or a queue. The connection test, the workers and every
command reach a mail server through :func:`smtp_admin.smtp.session.open_session` and no other way.
"""
