# SPDX-License-Identifier: MIT
"""Fixtures: a CA for the session, and servers that are stopped, and judged, at the end of their module or test."""
import itertools
import subprocess

import pytest

from jabiru import JABIRUD, PATIENCE_S, Authority, Server

_numbers = itertools.count(1)


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=10, help="kill -9 so often in the tests of sessions that resume")


def pytest_configure(config):
    if not JABIRUD.exists():
        pytest.exit(f"{JABIRUD} is not built; run `make debug`, or name the build folder in JABIRU_BUILD", 2)


@pytest.fixture
def kills(request):
    return request.config.getoption("--kills")


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def other_ca(tmp_path_factory):
    """A CA that has signed nothing of the server's."""
    return Authority(tmp_path_factory.mktemp("other-ca"), "Another CA")


@pytest.fixture
def trusted(ca, tmp_path):
    """The CA as a folder that OpenSSL finds it in."""
    folder = tmp_path / "trusted"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(ca.certificate.read_bytes())
    subprocess.run(["openssl", "rehash", folder], check=True, timeout=PATIENCE_S, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def certificate(ca):
    return ca.issue("localhost", "DNS:localhost")


def _keeper(tmp_path_factory, certificate):
    """Makes servers, and stops all that it made."""
    made = []

    def make(start=True, hosts=None, **options):
        server = Server(tmp_path_factory.mktemp("jabirud"), hosts or {"localhost": certificate}, **options)
        made.append(server)
        return server.start() if start else server

    yield make
    failures = []
    for server in made:
        try:
            server.stop()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def make_server(tmp_path_factory, certificate):
    yield from _keeper(tmp_path_factory, certificate)


@pytest.fixture(scope="module")
def module_servers(tmp_path_factory, certificate):
    yield from _keeper(tmp_path_factory, certificate)


@pytest.fixture(scope="module")
def server(module_servers):
    """The plain server that a module's tests share; each test brings its own accounts."""
    return module_servers()


@pytest.fixture
def accounts(server):
    """Makes accounts that no other test has: `alice, bob = accounts("alice", "bob")`."""
    def make(*names):
        number = next(_numbers)
        locals_ = [f"{name}{number}" for name in names]
        server.add_user(*[f"{local}@localhost" for local in locals_])
        return locals_
    return make
