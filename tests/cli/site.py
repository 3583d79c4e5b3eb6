"""A host app with partners in a folder, for commands that run as processes of their own."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import select

from smtp_admin.audit.models import Audit
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from tests.app import HostApp
from tests.servers.certificates import CertificateFactory
from tests.worker.running import Site

__all__ = ["audited", "configure", "make_site_with_partners", "saved", "sender_of"]

_HOST = """
class Partners(Host):
    def partners(self):
        return [Partner("acme", "Acme GmbH", "acme.example")]

"""


def make_site_with_partners(
    folder: Path, redis_url: str, certificates: CertificateFactory, **config: Any
) -> Site:
    """A site whose app trusts the tests' authority and has one partner, ``acme``."""
    site = Site(folder, redis_url)
    app = folder / "app.py"
    text = app.read_text().replace("import Host, SMTPAdmin", "import Host, Partner, SMTPAdmin")
    text = text.replace("app = Flask", _HOST + "app = Flask").replace(
        "host=Host()", "host=Partners()"
    )
    app.write_text(text)
    configure(site, CA_FILE=str(certificates.ca_file), **config)
    return site


def configure(site: Site, **config: Any) -> None:
    """Change keys of the site's app, without their prefix."""
    path = site.folder / "config.json"
    keys = {f"SMTP_ADMIN_{name}": value for name, value in config.items()}
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def sender_of(host: HostApp, partner_id: str = "", key: str = "") -> ResolvedSender:
    """The sender as it is in the database now."""
    session = host.db.session()
    session.rollback()
    session.expire_all()
    return load_sender(session, partner_id, key)


def saved(host: HostApp) -> list[SenderRevision]:
    """Every revision of every sender."""
    session = host.db.session()
    session.rollback()
    return list(session.scalars(select(SenderRevision).order_by(SenderRevision.id)))


def audited(host: HostApp) -> list[tuple[str, str, str]]:
    """Who did what to whose settings, oldest first."""
    session = host.db.session()
    session.rollback()
    rows = session.scalars(select(Audit).order_by(Audit.id))
    return [(one.actor_id, one.action, one.partner_id) for one in rows]
