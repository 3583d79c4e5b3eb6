"""Whom this app asks for DNS records."""

from smtp_admin.installation import Kept
from smtp_admin.smtp.nameserver import NameService

NAMES = Kept[NameService](lambda _: NameService())
