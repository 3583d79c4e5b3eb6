"""The same app with smtp_admin put into it."""

from flask_sqlalchemy import SQLAlchemy
from letters import create_app  # type: ignore[import-not-found]  # beside it, where it runs

from smtp_admin import Host, SMTPAdmin

app = create_app()
SMTPAdmin(host=Host()).init_app(app, SQLAlchemy(app))
