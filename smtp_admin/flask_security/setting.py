"""``SECURITY_MAIL_UTIL_CLS``, whichever of the two is put into the app first.

Flask-Security takes the class as an argument; as a setting it is read here.
"""

from typing import Any

from flask import Flask, appcontext_pushed
from werkzeug.utils import import_string

from smtp_admin.errors import ConfigError

KEY = "SECURITY_MAIL_UTIL_CLS"
#: Where the receiver is kept, so that it lives as long as the app.
_RECEIVER = "smtp_admin_security_setting"


def follow(app: Flask) -> None:
    """Let *app*'s Flask-Security use the class that the setting names, now or when it is there.

    Raises:
        ConfigError: it names none.
    """
    wanted = _wanted(app)
    if _applied(app, wanted):
        return

    def look(_app: Any, **_more: Any) -> None:
        if _applied(app, wanted):
            appcontext_pushed.disconnect(look, app)
            app.extensions.pop(_RECEIVER, None)

    app.extensions[_RECEIVER] = look
    appcontext_pushed.connect(look, app)


def _wanted(app: Flask) -> Any:
    given = app.config[KEY]
    try:
        return import_string(given) if isinstance(given, str) else given
    except ImportError as error:
        raise ConfigError(
            f"{KEY} is {given!r}, and there is no such class. "
            'Write "smtp_admin.flask_security.MailUtil", or a subclass of it.'
        ) from error


def _applied(app: Flask, wanted: Any) -> bool:
    security = app.extensions.get("security")
    if security is None:
        return False
    if type(security.mail_util) is not wanted:
        security._mail_util = wanted(app)
    return True
