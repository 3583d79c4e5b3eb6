"""A shop with two branches in one process: each an app with its own database and settings.

It stands for the apps that people mount the plugin in: Flask-Migrate for its own tables, a global
``CSRFProtect``, a layout of its own, and everything under a path of somebody else's choice.

The environment says where things are: ``SHOP_FOLDER``, ``SHOP_REDIS``; ``SHOP_BRANCH`` names the
branch that ``flask`` commands work on.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask import Flask, render_template, request, session
from flask.typing import ResponseReturnValue
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect, generate_csrf
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import run_simple

import smtp_admin as plugin
from smtp_admin import Actor, EmailType, Host, Partner, SMTPAdmin, schema
from smtp_admin.mail.types import SHIPPED

FOLDER = Path(os.environ["SHOP_FOLDER"])
REDIS = os.environ["SHOP_REDIS"]
BRANCHES: dict[str, dict[str, Any]] = {
    "north": {
        "SMTP_ADMIN_APP_NAME": "Shop North",
        "SMTP_ADMIN_URL_PREFIX": "/settings/mail",
        "SMTP_ADMIN_SECRET_KEYS": ["bm9ydGhub3J0aG5vcnRobm9ydGhub3J0aG5vcnRoMTI="],
        "SMTP_ADMIN_REDIS_URL": f"{REDIS}/1",
    },
    "south": {
        "SMTP_ADMIN_APP_NAME": "Shop South",
        "SMTP_ADMIN_URL_PREFIX": "/post",
        "SMTP_ADMIN_SECRET_KEYS": ["c291dGhzb3V0aHNvdXRoc291dGhzb3V0aHNvdXRoMTI="],
        "SMTP_ADMIN_REDIS_URL": f"{REDIS}/2",
    },
    "east": {},  # these two only ever see migrations
    "west": {},
}

db = SQLAlchemy()


class Article(db.Model):  # type: ignore[name-defined, misc]  # Flask-SQLAlchemy makes the class
    """The shop's own table, in the same database as the plugin's."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class ShopHost(Host):
    """Signed in is whoever the session says."""

    def current_actor(self) -> Actor | None:
        match session.get("person"):
            case "admin":
                return Actor(id="1", email="boss@shop.example", name="Bo", is_admin=True)
            case "seller":
                return Actor(id="2", email="s@shop.example", partner_ids=frozenset({"books"}))
            case _:
                return None

    def partners(self) -> Iterable[Partner]:
        return [Partner("books", "Books & Maps", "books.example"), Partner("toys", "Toys")]


smtp = SMTPAdmin(host=ShopHost())
smtp.register_type(
    EmailType(
        name="shipped",
        label="Parcel on its way",
        variables={"parcel": "its number"},
        sample={"parcel": "P-1"},
    )
)


def create_app(branch: str = "") -> Flask:
    """Make one branch's app."""
    branch = branch or os.environ.get("SHOP_BRANCH", "north")
    app = Flask("shop")
    app.config.from_mapping(
        SECRET_KEY=f"a secret of {branch}",
        SESSION_COOKIE_NAME=branch,
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{FOLDER / branch}.db",
        SMTP_ADMIN_LAYOUT="shop/frame.html",
        SMTP_ADMIN_ALLOWED_NETWORKS=["127.0.0.0/8"],
        SMTP_ADMIN_ALLOWED_PORTS=range(1024, 65536),
        **BRANCHES[branch],
    )
    db.init_app(app)
    # What keeps the shop's `flask db migrate` from proposing to drop the plugin's tables.
    guard = {} if "SHOP_UNGUARDED" in os.environ else {"include_object": schema.include_object}
    Migrate(app, db, directory=str(FOLDER / f"{branch}-migrations"), **guard)
    CSRFProtect(app)
    smtp.init_app(app, db)

    @app.get("/")
    def home() -> ResponseReturnValue:
        return {"branch": branch, "plugin": plugin.__file__, "token": generate_csrf()}

    @app.post("/sign-in/<person>")
    def sign_in(person: str) -> ResponseReturnValue:
        session["person"] = person
        return {"person": person}

    @app.get("/pages")
    def pages() -> ResponseReturnValue:
        return [
            rule.rule
            for rule in app.url_map.iter_rules()
            if rule.endpoint.startswith("smtp_admin.")
            and "GET" in (rule.methods or ())
            and not rule.endpoint.endswith(".static")
        ]

    @app.post("/articles")
    def add_article() -> ResponseReturnValue:
        """One transaction with a mail in it, or with neither, as the form says."""
        db.session.add(Article(name=request.form["name"]))
        smtp.send("shipped", to="c@customer.example", partner_id="books", context={"parcel": "P-7"})
        if "cancel" in request.form:
            db.session.rollback()
        else:
            db.session.commit()
        return {"articles": list(db.session.scalars(select(Article.name).order_by(Article.id)))}

    @app.post("/send-samples")
    def send_samples() -> ResponseReturnValue:
        """Queue one mail of each type that the plugin brings along."""
        for one in SHIPPED:
            to = f"{one.name.replace('_', '-')}@customer.example"
            smtp.send(one.name, to=to, partner_id="books", context=one.sample)
        db.session.commit()
        return {"types": [one.name for one in SHIPPED]}

    @app.cli.command("make-tables")
    def make_tables() -> None:
        """Make the shop's own tables, without its migrations."""
        db.create_all()

    @app.errorhandler(404)
    def not_found(error: Exception) -> ResponseReturnValue:
        return render_template("shop/frame.html", error=error), 404

    return app


if __name__ == "__main__":
    north, south = create_app("north"), create_app("south")
    both = DispatcherMiddleware(north, {"/south": south})
    run_simple("127.0.0.1", int(sys.argv[1]), both, threaded=True)
