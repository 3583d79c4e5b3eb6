"""An app on Flask-SQLAlchemy-Lite, with a table of its own; ``lite.json`` says where things are."""

import json
from pathlib import Path

from flask import Flask, request
from flask.typing import ResponseReturnValue
from flask_sqlalchemy_lite import SQLAlchemy
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from smtp_admin import Actor, Host, Message, Partner, SMTPAdmin


class Model(DeclarativeBase):
    """The app's own tables."""


class Order(Model):
    """Somebody bought something."""

    __tablename__ = "order_"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class LiteHost(Host):
    """Everybody is the administrator."""

    def current_actor(self) -> Actor | None:
        return Actor(id="1", email="boss@shop.example", is_admin=True)

    def partners(self) -> list[Partner]:
        return [Partner("acme", "Acme")]


db = SQLAlchemy()
smtp = SMTPAdmin(host=LiteHost())


def create_app() -> Flask:
    """The app."""
    app = Flask(__name__)
    app.config.from_file(str(Path(__file__).with_name("lite.json")), load=json.load)
    db.init_app(app)
    smtp.init_app(app, db)

    @app.post("/orders")
    def order() -> ResponseReturnValue:
        """One transaction with a mail in it, or with neither."""
        name = request.form["name"]
        db.session.add(Order(name=name))
        mail = Message(f"Order of {name}", [f"{name}@customer.example"], "Thank you.")
        smtp.send_message(mail, partner_id="acme")
        with db.session.begin_nested() as inner:
            smtp.send_message(Message("never", ["never@customer.example"], "x"), partner_id="acme")
            inner.rollback()
        if "cancel" in request.form:
            db.session.rollback()
        else:
            db.session.commit()
        return {"orders": list(db.session.scalars(select(Order.name).order_by(Order.id)))}

    @app.post("/newsletter")
    def newsletter() -> ResponseReturnValue:
        """By what takes Flask-Mail's place, which commits by itself."""
        smtp.mail.send(Message("News", ["reader@customer.example"], "Nothing happened."))
        return {}

    return app


app = create_app()
