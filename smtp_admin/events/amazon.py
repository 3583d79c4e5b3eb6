"""The way to Amazon SNS of this installation: one host of one region, over the guarded dialler."""

from smtp_admin.events.arrived import Arrived, Known, Proof, Refused, Unreachable
from smtp_admin.events.sns import SNS, Topic
from smtp_admin.http.caller import Caller, CallFailed
from smtp_admin.installation import Kept, installation
from smtp_admin.smtp.session import Dialler

_SECONDS = 5.0
_OK, _NOT_FOUND, _FORBIDDEN = 200, 404, 403
_HTTPS = frozenset({443})


def _ask(topic: Topic, path: str) -> bytes:
    """What SNS answers; no redirect is followed."""
    config = installation().config
    configured = config.api_endpoints.get("sns", "").replace("{region}", topic.region)
    dialler = Dialler.from_config(config)
    caller = Caller(
        dialler.policy,
        dialler.ca_file,
        seconds=_SECONDS,
        ports=None if configured else _HTTPS,
    )
    try:
        answer = caller.get(f"{configured or f'https://{topic.host}'}{path}")
    except CallFailed as error:
        raise Unreachable from error
    if answer.status in {_NOT_FOUND, _FORBIDDEN}:
        raise Refused("certificate")
    if answer.status != _OK:
        raise Unreachable
    return answer.body


_SNS = Kept[SNS](lambda _: SNS(_ask))


def verify(arrived: Arrived, known: Known) -> Proof:
    """See :meth:`smtp_admin.events.sns.SNS.verify`."""
    return _SNS.of(installation()).verify(arrived, known)


def confirm(topic: Topic, token: str) -> None:
    """See :meth:`smtp_admin.events.sns.SNS.confirm`."""
    _SNS.of(installation()).confirm(topic, token)
