"""What every template may use, beside the variables of its type; a test renders all of it."""

from collections.abc import Mapping

from smtp_admin.translation import gettext

COMMON: Mapping[str, str] = {
    "app_name": gettext("the application"),
    "brand.name": gettext("the name of the partner, or of the application"),
    "brand.logo_url": gettext("the address of the logo; empty if there is none"),
    "brand.footer": gettext("the line at the end of each mail; may be empty"),
    "mail.language": gettext("the language of the text, such as de"),
    "mail.direction": gettext("ltr, or rtl where the language is written from right to left"),
    "mail.subject": gettext("the subject as it is sent; in the HTML only"),
    "mail.stop": gettext("what the link says that ends such mail, in that language"),
    "unsubscribe_url": gettext("the link that ends such mail; empty if there is none"),
}
