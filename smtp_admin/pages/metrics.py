"""``/metrics``: the numbers for Prometheus, for whoever has the token or is a platform admin."""

import hmac

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded, require
from smtp_admin.database import session
from smtp_admin.installation import installation

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def add_to(blueprint: Blueprint) -> None:
    """Register the route."""
    blueprint.get("/metrics")(metrics)


@guarded(Action.READ_METRICS)
def metrics() -> ResponseReturnValue:
    """Every number in Prometheus's text format."""
    from smtp_admin.monitor.metrics import metrics_text  # few processes are ever asked

    if not _has_token():
        require(web.current_actor(), Action.SEE_SYSTEM_STATUS)
    return Response(metrics_text(session()), content_type=_CONTENT_TYPE)


def _has_token() -> bool:
    token = installation().config.metrics_token
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    return (
        bool(token)
        and kind.lower() == "bearer"
        and hmac.compare_digest(given.strip().encode(), token.encode())
    )
