# SPDX-License-Identifier: MIT
"""TLS as openssl's own client sees it: versions, ALPN, and one certificate for each virtual host."""
import os
import subprocess

import pytest

from jabiru import PATIENCE_S


@pytest.fixture(scope="module")
def server(module_servers, ca, certificate):
    return module_servers(hosts={"localhost": certificate, "chat.example": ca.issue("chat.example", "DNS:chat.example")})


def s_client(server, ca, *options, direct=False, host="localhost"):
    port = server.tls_port if direct else server.port
    how = [] if direct else ["-starttls", "xmpp", "-xmpphost", host]
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(ca.certificate), "-verify_hostname",
                           host, "-servername", host, "-verify_return_error", *how, *options], input="", capture_output=True,
                          text=True, timeout=PATIENCE_S)
    return done.stdout + done.stderr


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct-tls"])
@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_version_that_is_served(server, ca, version, direct):
    text = s_client(server, ca, f"-tls{version}", direct=direct)
    assert f"TLSv{version.replace('_', '.')}, Cipher is" in text and "(NONE)" not in text, text
    assert "Verification: OK" in text, text
    assert "Compression: NONE" in text, text


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct-tls"])
@pytest.mark.parametrize("version", ["1", "1_1"])
def test_version_that_is_refused(server, ca, version, direct):
    text = s_client(server, ca, f"-tls{version}", "-cipher", "DEFAULT@SECLEVEL=0", direct=direct)
    assert "alert protocol version" in text and "Cipher is (NONE)" in text, text


def test_alpn(server, ca):
    assert "ALPN protocol: xmpp-client" in s_client(server, ca, "-alpn", "xmpp-client", direct=True)
    assert "No ALPN negotiated" in s_client(server, ca, direct=True)


def test_no_client_protocol_of_others(server, ca):
    text = s_client(server, ca, "-alpn", "http/1.1", direct=True)
    assert "ALPN protocol: http/1.1" not in text, text


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct-tls"])
@pytest.mark.parametrize("host", ["localhost", "chat.example"])
def test_each_host_has_its_certificate(server, ca, host, direct):
    text = s_client(server, ca, direct=direct, host=host)
    assert f"subject=CN = {host}" in text and "Verification: OK" in text, text


def test_no_renegotiation_in_tls_1_2(server, ca):
    read, write = os.pipe()
    os.write(write, b"R\n")
    try:  # it ends although its own input stays open
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.tls_port}", "-CAfile", str(ca.certificate), "-tls1_2"],
                              stdin=read, capture_output=True, text=True, timeout=PATIENCE_S)
    finally:
        os.close(read)
        os.close(write)
    assert "RENEGOTIATING" in done.stdout + done.stderr and "stream:error" not in done.stdout, done
