"""Sample customers of the demo: several zones and languages, and each reason for no reminder."""

from typing import Any

#: The customers who can sign in; mail to the second is in German.
CARL = "carl@customer.example"
DANA = "dana@customer.example"
#: Partner, name, address, language, zone, balance, and services as (name, days, price, currency).
CUSTOMERS: tuple[tuple[str, dict[str, Any], tuple[tuple[str, float, str, str], ...]], ...] = (
    (
        "acme",
        {"name": "Carl Castner", "email": CARL, "language": "en",
         "time_zone": "Europe/Berlin", "balance": "0"},
        (("castner.example, domain", 6, "12.90", "EUR"), ("Web hosting M", 34, "95.40", "EUR"),
         ("Mailboxes, 10", 210, "48.00", "EUR")),
    ),
    (
        "acme",
        {"name": "Dana Dietrich", "email": DANA, "language": "de",
         "time_zone": "Europe/Berlin", "balance": "20.00"},
        (("dietrich.example, domain", 2, "12.90", "EUR"), ("Web hosting S", 5, "47.40", "EUR")),
    ),
    (
        "acme",
        {"name": "Emi Endo", "email": "emi@customer.example", "language": "ja",
         "time_zone": "Asia/Tokyo", "balance": "0"},
        (("endo.example, domain", 12, "2400", "JPY"), ("Backup 100 GB", 26, "1200", "JPY")),
    ),
    (
        "acme",
        {"name": "Frank without an address", "email": "frank", "language": "en",
         "time_zone": "Europe/London", "balance": "0"},
        (("frank.example, domain", 3, "9.90", "GBP"),),
    ),
    (
        "globex",
        {"name": "Gina Gomez", "email": "gina@customer.example", "language": "es",
         "time_zone": "America/Mexico_City", "balance": "150.00"},
        tuple((f"gomez{number}.example, domain", 4 + 3 * number, "320.00", "MXN")
              for number in range(5)),
    ),
    (
        "globex",
        {"name": "Hugo Hubert", "email": "hugo@customer.example", "language": "fr",
         "time_zone": "Europe/Paris", "balance": "5.00"},
        (("hubert.example, domain", 4, "11.90", "EUR"),),
    ),
    (
        "globex",
        {"name": "Jan Jankowski", "email": "jan@customer.example", "language": "pl",
         "time_zone": "Europe/Warsaw", "balance": "0"},
        (("jankowski.example, domain", 7, "49.00", "PLN"),),
    ),
)  # fmt: skip
