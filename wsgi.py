"""Northwind Hosting: a small hosting business, and the example of mounting ``smtp_admin``.

What concerns the plugin is in three places: :class:`HostingHost` answers its questions,
:func:`create_app` configures and mounts it, :func:`forgot_password` sends a mail through it.
A customer's dashboard also has its button for a reminder of what expires.
The rest is an ordinary Flask app with sign-in, layout and strict headers; its models are in
``hosting.py``.

``make run`` serves it with all it needs; ``flask --app wsgi smtp-admin --help`` lists commands.
"""

import os
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from babel import Locale
from babel.messages import mofile, pofile
from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import Babel, get_locale, gettext
from flask_login import LoginManager, current_user, login_user, logout_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response

from hosting import Customer, Partner, PasswordReset, Service, User, db
from smtp_admin import Actor, ExpiringService, Host, SMTPAdmin, schema
from smtp_admin import Partner as MailPartner
from smtp_admin.embedded.demo import move_in, run_demo
from smtp_admin.embedded.inbox_pages import inbox_pages
from smtp_admin.embedded.local import LocalServices
from smtp_admin.embedded.samples import CARL, CUSTOMERS, DANA
from smtp_admin.embedded.scenes import more_partners, set_scenes

NAME = "Northwind Hosting"
INSTANCE = os.environ.get("INSTANCE") or Path(__file__).with_name("instance")
DEMO_PASSWORD = "demo-demo"  # noqa: S105 - shown on the sign-in page, of an app on loopback
PUBLIC_URL = f"http://127.0.0.1:{os.environ.get('PORT') or 5000}"
RESET_TIME = timedelta(minutes=60)
#: What the pages can be in: the app's own have these texts, and so have the plugin's.
LANGUAGES = {"en": "English", "de": "Deutsch"}
LANGUAGE_COOKIE = "northwind_language"
TRANSLATIONS = Path(__file__).with_name("hosting_translations")
SHORTEST_PASSWORD = 8
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)


# --- Mounting the plugin: what it asks of its host, and where it goes ---------------------------


class HostingHost(Host):
    """Tells the plugin who is signed in and which partners there are."""

    def current_actor(self) -> Actor | None:
        """The person of this session; every permission in the plugin follows from the answer."""
        if not current_user or not current_user.is_authenticated:
            return None
        return Actor(
            id=str(current_user.id),
            email=current_user.email,
            name=current_user.name,
            is_admin=current_user.is_admin,
            partner_ids=frozenset(partner.id for partner in current_user.partners),
            customer_id=str(current_user.customer_id) if current_user.customer_id else None,
        )

    def partners(self) -> Iterable[MailPartner]:
        """All partners; the plugin itself narrows them to those that somebody may see."""
        for one in db.session.scalars(sa.select(Partner).order_by(Partner.name)):
            yield MailPartner(id=one.id, name=one.name, site_domain=one.domain)

    def expiring_services(self, until: datetime, partner_id: str) -> Iterable[ExpiringService]:
        """What expires by then, customer by customer; the plugin reminds of it."""
        found = sa.select(Service).join(Customer).where(Service.expires_at <= until)
        mine = found.where(Customer.partner_id == partner_id).order_by(Customer.id)
        yield from map(as_expiring, db.session.scalars(mine.execution_options(yield_per=200)))

    def customer_services(self, customer_id: str) -> Iterable[ExpiringService]:
        """All that one customer has, to answer a request for a reminder."""
        mine = sa.select(Service).where(Service.customer_id == int(customer_id))
        return [as_expiring(one) for one in db.session.scalars(mine)]

    def sign_in_url(self, next_url: str) -> str | None:
        """Where a page of the plugin sends a visitor who is not signed in."""
        return url_for("hosting.sign_in", next=next_url)


def as_expiring(service: "Service") -> ExpiringService:
    """A service as the plugin wants to know it."""
    customer = service.customer
    return ExpiringService(
        partner_id=customer.partner_id,
        customer_id=str(customer.id),
        service_id=str(service.id),
        customer_email=customer.email,
        customer_name=customer.name,
        language=customer.language,
        time_zone=customer.time_zone,
        service_name=service.name,
        expires_at=service.expires_at,
        price=service.price,
        currency=service.currency,
        payment_url=f"{PUBLIC_URL}/#services",
        balance=customer.balance,
    )


smtp_admin = SMTPAdmin(host=HostingHost())
login_manager = LoginManager()
babel = Babel()  # the plugin's pages follow the language that it chooses
csrf = CSRFProtect()  # guards every form of the app; the plugin's pages get along with it


def create_app(instance_path: str | None = None, config: Mapping[str, Any] | None = None) -> Flask:
    """Make the app; secrets and the addresses of local services come from the instance folder."""
    local = LocalServices(Path(instance_path or INSTANCE).absolute())
    app = Flask("wsgi", instance_path=str(local.folder), static_folder="static/hosting")
    app.config.from_mapping(
        SECRET_KEY=local.secrets.flask_secret_key,
        SESSION_COOKIE_NAME="northwind",
        SESSION_COOKIE_SAMESITE="Lax",
        # Links in mails are made from the request's host name, so no invented one is accepted.
        TRUSTED_HOSTS=["127.0.0.1", "localhost"],
        SQLALCHEMY_DATABASE_URI=sa.URL.create("sqlite", database=str(local.folder / "hosting.db")),
        # SQLite has one writer at a time: wait for the worker instead of failing at once.
        SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"timeout": 15}},
        SMTP_ADMIN_APP_NAME=NAME,
        SMTP_ADMIN_LAYOUT="hosting/layout.html",
        SMTP_ADMIN_PUBLIC_URL=PUBLIC_URL,  # what links in reminders begin with
        SMTP_ADMIN_SECRET_KEYS=[local.secrets.smtp_admin_secret_key],
        SMTP_ADMIN_REDIS_URL=local.redis_url,
        # These three because the test inbox is on this machine; without them no private address
        # is ever dialled, and only certificates that everybody trusts are accepted.
        SMTP_ADMIN_ALLOWED_NETWORKS=["127.0.0.0/8", "::1/128"],
        SMTP_ADMIN_ALLOWED_PORTS=(25, 465, 587, 2525, local.inbox_port),
        SMTP_ADMIN_CA_FILE=local.inbox_ca_file,
    )
    app.config.from_mapping(config or {})

    db.init_app(app)
    login_manager.init_app(app)
    csrf.init_app(app)
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(compile_texts(local.folder))
    babel.init_app(app, locale_selector=chosen_language)
    app.jinja_env.globals.update(
        site_languages=LANGUAGES, get_locale=get_locale, language_name=language_name
    )
    smtp_admin.init_app(app, db)  # mounted: its pages, its commands, its worker

    inbox = inbox_pages(local)
    inbox.before_request(require_sign_in)
    app.register_blueprint(inbox)
    app.register_blueprint(site)
    app.register_error_handler(HTTPException, show_error)
    app.after_request(set_headers)
    return app


# --- Languages ----------------------------------------------------------------------------------


def chosen_language() -> str:
    """What the visitor chose, or else what the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES, "en")


def language_name(tag: str) -> str:
    """What a language is called in the language of the page."""
    name = Locale.parse(tag, sep="-").get_display_name(get_locale())
    return name or tag


def compile_texts(folder: Path) -> Path:
    """Make of the app's texts what gettext reads; an app that is built would do it there."""
    compiled = folder / "translations"
    for source in TRANSLATIONS.glob("*/LC_MESSAGES/messages.po"):
        target = compiled / source.relative_to(TRANSLATIONS).with_suffix(".mo")
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as texts:
            catalogue = pofile.read_po(texts)
        beside = target.with_suffix(f".{os.getpid()}")  # others may read it just now
        with beside.open("wb") as file:
            mofile.write_mo(file, catalogue)
        beside.replace(target)
    return compiled


def set_headers(response: Response) -> Response:
    """A strict policy for all pages, the plugin's included: no inline style or script anywhere."""
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cache-Control", "no-store")  # what only the signed-in may see
    return response


def show_error(error: HTTPException) -> ResponseReturnValue:
    """Say what went wrong in the app's own layout."""
    if isinstance(error, SecurityError):  # a host name that is not ours: no link can be built
        return error.get_response()
    return render_template("hosting/error.html", error=error), error.code or 500


# --- The app's own pages ------------------------------------------------------------------------

site = Blueprint("hosting", __name__)
PUBLIC_PAGES = {
    "hosting.sign_in",
    "hosting.forgot_password",
    "hosting.reset_password",
    "hosting.choose_language",
}


@login_manager.user_loader  # type: ignore[untyped-decorator]  # Flask-Login has no types
def load_user(user_id: str) -> User | None:
    """The person whom a session remembers."""
    return db.session.get(User, int(user_id))


@site.before_request
def require_sign_in() -> ResponseReturnValue | None:
    """Close every page that is not named as public."""
    if current_user.is_authenticated or request.endpoint in PUBLIC_PAGES:
        return None
    return redirect(url_for("hosting.sign_in", next=request.full_path.rstrip("?")))


@site.get("/")
def dashboard() -> str:
    """What this person may do."""
    partners = current_user.partners
    if current_user.is_admin:
        partners = db.session.scalars(sa.select(Partner).order_by(Partner.name)).all()
    return render_template("hosting/dashboard.html", partners=partners, now=datetime.now(UTC))


@site.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> ResponseReturnValue:
    """Sign in, then go where one wanted to go."""
    wanted = request.args.get("next", "")
    if request.method == "POST":
        email = request.form.get("email", "").strip().lower()
        user = db.session.scalar(sa.select(User).filter_by(email=email))
        if user and check_password_hash(user.password_hash, request.form.get("password", "")):
            login_user(user)
            return redirect(own_path(wanted))
        flash(gettext("The e-mail address or the password is wrong."), "error")
    people = db.session.scalars(sa.select(User).order_by(User.id))
    return render_template("hosting/sign_in.html", people=people, password=DEMO_PASSWORD)


def own_path(wanted: str) -> str:
    """*wanted* if it is a path of this app, never another site's address, however spelled."""
    local = re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", wanted)
    return wanted if local else url_for("hosting.dashboard")


@site.post("/language")
def choose_language() -> ResponseReturnValue:
    """Remember the language for a year, and go back to the page."""
    answer = redirect(own_path(request.form.get("next", "")), 303)
    chosen = request.form.get("language", "")
    if chosen in LANGUAGES:
        year = timedelta(days=365)
        answer.set_cookie(LANGUAGE_COOKIE, chosen, max_age=year, httponly=True, samesite="Lax")
    return answer


@site.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Sign out."""
    logout_user()
    return redirect(url_for("hosting.sign_in"))


@site.route("/forgot-password", methods=["GET", "POST"])
def forgot_password() -> ResponseReturnValue:
    """Send a link to a new password, and say the same whether or not the address is known."""
    if request.method == "GET":
        return render_template("hosting/forgot_password.html")
    email = request.form.get("email", "").strip().lower()
    if user := db.session.scalar(sa.select(User).filter_by(email=email)):
        token = secrets.token_urlsafe(32)
        hashed = sha256(token.encode()).hexdigest()
        expires_at = datetime.now(UTC) + RESET_TIME
        db.session.add(PasswordReset(token_hash=hashed, user=user, expires_at=expires_at))
        # Queued in this transaction: the mail goes out if, and only if, the link works.
        partner_ids = [user.customer.partner_id] if user.customer else [p.id for p in user.partners]
        smtp_admin.send(
            "password_reset",
            to=user.email,
            partner_id=partner_ids[0] if partner_ids else "",  # empty: the platform's own sender
            # Mail is in its reader's language, whoever's browser asked for it.
            language=user.customer.language if user.customer else str(get_locale()),
            context={
                "name": user.name,
                "reset_url": url_for("hosting.reset_password", token=token, _external=True),
                "expires_minutes": int(RESET_TIME.total_seconds() // 60),
            },
        )
        db.session.commit()
    told = gettext("If that address is known here, a mail with a link is on its way to it.")
    flash(told, "success")
    return redirect(url_for("hosting.sign_in"))


@site.route("/reset-password/<token>", methods=["GET", "POST"])
def reset_password(token: str) -> ResponseReturnValue:
    """Set a new password with the link from the mail, which works once."""
    reset = db.session.get(PasswordReset, sha256(token.encode()).hexdigest())
    if reset is None or reset.expires_at < datetime.now(UTC):
        abort(404, gettext("This link has been used or has expired. Ask for a new one."))
    password = request.form.get("password", "")
    if len(password) < SHORTEST_PASSWORD:
        if request.method == "POST":
            told = gettext("Use at least %(count)s characters.", count=SHORTEST_PASSWORD)
            flash(told, "error")
        return render_template("hosting/reset_password.html", shortest=SHORTEST_PASSWORD)
    reset.user.password_hash = generate_password_hash(password)
    db.session.execute(sa.delete(PasswordReset).filter_by(user_id=reset.user_id))
    db.session.commit()
    flash(gettext("The new password is set. Sign in with it."), "success")
    return redirect(url_for("hosting.sign_in"))


# --- Demo data, and what `make run` starts ------------------------------------------------------


def add_demo_data() -> None:
    """Three partners without a sender: whoever tries the app fills in their tabs."""
    acme = Partner(id="acme", name="Acme GmbH", domain="acme.example")
    globex = Partner(id="globex", name="Globex Ltd", domain="globex.example")
    initech = Partner(id="initech", name="Initech Inc", domain="initech.example")
    customers = {}
    for partner_id, values, services in CUSTOMERS:
        one = Customer(partner_id=partner_id, **values | {"balance": Decimal(values["balance"])})
        for name, days, price, currency in services:
            expires_at = datetime.now(UTC) + timedelta(days)
            one.services.append(Service(name=name, expires_at=expires_at,
                                        price=Decimal(price), currency=currency))  # fmt: skip
        customers[one.email] = one
    db.session.add_all(customers.values())
    password_hash = generate_password_hash(DEMO_PASSWORD)
    for name, email, rights in (
        ("Nora North", "admin@northwind.example", {"is_admin": True}),
        ("Mia Meyer", "mia@acme.example", {"partners": [acme]}),
        ("Tom Taylor", "tom@globex.example", {"partners": [globex]}),
        ("Ana Alves", "ana@initech.example", {"partners": [initech]}),
        ("Carl Castner", CARL, {"customer": customers[CARL]}),
        ("Dana Dietrich", DANA, {"customer": customers[DANA]}),
    ):
        db.session.add(User(name=name, email=email, password_hash=password_hash, **rights))
    db.session.commit()


def add_scenes() -> None:
    """More partners, to see what a sender looks like in each state, and a long list."""
    for partner_id, name in more_partners(there=3):
        db.session.add(Partner(id=partner_id, name=name, domain=f"{partner_id}.example"))
    db.session.commit()
    nora = db.session.scalars(sa.select(User).filter_by(is_admin=True)).one()
    actor = Actor(id=str(nora.id), email=nora.email, name=nora.name, is_admin=True)
    set_scenes(smtp_admin.send_message, LocalServices(Path(INSTANCE).absolute()), actor)


def prepare() -> str:
    """Make the database ready and list the demo logins."""
    with create_app().app_context():
        db.create_all()
        schema.upgrade(db.engine)
        move_in()  # the page may have another port than before
        if not db.session.scalar(sa.select(sa.exists(sa.select(User)))):
            add_demo_data()
            add_scenes()
        people = db.session.scalars(sa.select(User).order_by(User.id))
        logins = (f"  {one.email:<26}{DEMO_PASSWORD:<12}{one.role}" for one in people)
        return "\n".join(logins)


if __name__ == "__main__":
    sys.exit(run_demo(Path(__file__), Path(INSTANCE), prepare, ready_path="/sign-in"))
