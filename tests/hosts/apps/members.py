"""An app that signs people in with Flask-Security: everything of it that sends mail is on."""

from collections.abc import Iterator
from typing import Any

from flask import Flask
from flask_security import (
    Security,
    SQLAlchemyUserDatastore,
)
from flask_security.models import fsqla_v3 as models
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import LoginHost, Partner, SMTPAdmin

SETTINGS: dict[str, Any] = {
    "SECRET_KEY": "a secret of the members' app",
    "SECURITY_PASSWORD_SALT": "some salt",
    "SECURITY_PASSWORD_HASH": "pbkdf2_sha512",
    "SECURITY_REGISTERABLE": True,
    "SECURITY_CONFIRMABLE": True,
    "SECURITY_RECOVERABLE": True,
    "SECURITY_CHANGEABLE": True,
    "SECURITY_RETURN_GENERIC_RESPONSES": True,
    "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    "WTF_CSRF_ENABLED": True,
    # The one setting:
    "SECURITY_MAIL_UTIL_CLS": "smtp_admin.flask_security.MailUtil",
}


def create_app(**config: Any) -> tuple[Flask, SQLAlchemy, SMTPAdmin]:
    """The app, its database, and the plugin that was put into it."""
    app = Flask(__name__, template_folder=config.pop("templates", None))
    app.config.update(SETTINGS | config)
    db = SQLAlchemy(app)
    models.FsModels.set_db_info(db)  # type: ignore[attr-defined, no-untyped-call]
    role = type("Role", (db.Model, models.FsRoleMixin), {})
    user = type("User", (db.Model, models.FsUserMixin), {})

    def partners() -> Iterator[Partner]:
        yield Partner("acme", "Acme")

    plugin = SMTPAdmin(
        host=LoginHost(
            partners=partners,
            is_admin=lambda user: user.has_role("admin"),
            partner_ids=lambda user: [one.name for one in user.roles if one.name != "admin"],
            sign_in="security.login",
        )
    )
    app.add_url_rule("/", view_func=lambda: "The club", endpoint="home")
    first = app.config.get("MEMBERS_PLUGIN_FIRST")
    if first:
        plugin.init_app(app, db)
    Security(app, SQLAlchemyUserDatastore(db, user, role))
    if not first:
        plugin.init_app(app, db)
    return app, db, plugin
