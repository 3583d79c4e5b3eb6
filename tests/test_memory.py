"""Apps that are gone: nothing in the process remembers them."""

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

from tests.app import ADMIN, HostApp


def test_an_app_that_is_gone_is_not_remembered(new_app: Callable[..., HostApp]) -> None:
    """SQLAlchemy keeps event listeners for good, and whatever these hold: megabytes an app."""
    host = new_app()
    host.actor = ADMIN
    with host.app.app_context():
        host.save_sender("acme")
        host.plugin.send(
            "password_reset",
            to="carl@customer.example",
            partner_id="acme",
            context={"name": "Carl", "reset_url": "https://acme.example/", "expires_minutes": 60},
        )
        host.db.session.commit()
        assert host.client.get("/smtp-admin/partners/acme").status_code == 200
    remembered: dict[str, ref[Any]] = {
        "app": ref(host.app),
        "db": ref(host.db),
        "plugin": ref(host.installation),
    }
    del host
    gc.collect()
    assert [name for name, one in remembered.items() if one() is not None] == []
