"""What the tests of the test servers share."""

import pytest

from .certificates import CertificateFactory


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFactory:
    """One authority for all tests; making its certificates anew each time would only cost time."""
    return CertificateFactory(tmp_path_factory.mktemp("certificates"))
