"""Flask-Security's mail through our outbox: one setting, ``SECURITY_MAIL_UTIL_CLS``."""

try:
    import flask_security as _needed  # noqa: F401
except ImportError as error:  # pragma: no cover - shown by a process that lacks it
    raise ImportError(
        "smtp_admin.flask_security needs Flask-Security. Install it: "
        'pip install "smtp_admin[flask-security]"'
    ) from error

from smtp_admin.flask_security.mail_util import MailUtil

__all__ = ["MailUtil"]
