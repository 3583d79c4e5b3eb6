"""A line break in a header, as one error for our callers and Flask-Mail's."""

from flask_mail import BadHeaderError

from smtp_admin.errors import MessageError


class BadHeader(MessageError, BadHeaderError):
    """A header has a line break, with which it could bring further headers."""
