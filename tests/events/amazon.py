"""A stand-in for Amazon SNS: it signs messages, and serves its certificate and confirmations."""

import base64
import threading
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from smtp_admin.clock import now
from smtp_admin.events.sns import signed_text
from tests.events.hooking import TOPIC

CERTIFICATE_PATH = "/SimpleNotificationService-0123456789abcdef.pem"
CERTIFICATE_URL = f"https://sns.eu-central-1.amazonaws.com{CERTIFICATE_PATH}"


@cache
def its_key() -> rsa.RSAPrivateKey:
    """One for all tests; making one takes a while."""
    return rsa.generate_private_key(65537, 2048)


class Amazon:
    """Serves on loopback; ``asked`` are the paths that were asked for."""

    def __init__(self) -> None:
        self.key = its_key()
        self.asked: list[str] = []
        self.status = 200
        self.certificate = self._certificate(timedelta(days=30))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.certificate if self.path.endswith(".pem") else b"<ok/>"
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                if outer.status == 302:
                    self.send_header("Location", f"{outer.url}{CERTIFICATE_PATH}")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def message(self, message: str = "{}", *, version: str = "1", key: Any = None,
                **changes: Any) -> dict[str, Any]:  # fmt: skip
        """A message as SNS posts it; *changes* are made before it is signed."""
        found: dict[str, Any] = {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Message": message,
            "Timestamp": now().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE_URL,
            **changes,
        }
        algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}[version]  # noqa: S303
        signature = (key or self.key).sign(signed_text(found), padding.PKCS1v15(), algorithm)
        return {**found, "Signature": base64.b64encode(signature).decode()}

    def expire(self) -> None:
        """Serve a certificate whose time is over."""
        self.certificate = self._certificate(timedelta(days=-1))

    def _certificate(self, lasts: timedelta) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        moment = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - timedelta(days=40))
            .not_valid_after(moment + lasts)
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM)
