"""How our pages stand beside what the host app does with every request and answer."""

from flask import Blueprint, Flask, Response, request

from smtp_admin.protection import OURS


def guard_frames(app: Flask) -> None:
    """Let no other site frame our pages or guess their types, unless *app* says otherwise itself.

    It has to look last: a host may set its headers after each request, and they win.
    """
    app.after_request_funcs.setdefault(None, []).insert(0, _not_framed)


def exempt(app: Flask, blueprint: Blueprint) -> None:
    """Keep the host's ``CSRFProtect`` from asking *blueprint* for a token, now or once it is there.

    Whatever checks requests was registered with the app before or after us: in the first case it
    is known already, in the second our own look comes before its.
    """

    def look() -> None:
        guard = app.extensions.get("csrf")
        if guard is not None:
            guard.exempt(blueprint)

    look()
    app.before_request(look)


def _not_framed(response: Response) -> Response:
    if request.blueprint not in OURS:
        return response
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    said = " ".join(headers.getlist("Content-Security-Policy"))
    if "frame-ancestors" not in said and "X-Frame-Options" not in headers:
        # A policy of its own: what the host's says beside it goes on to hold.
        headers.add("Content-Security-Policy", "frame-ancestors 'self'")
        headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
