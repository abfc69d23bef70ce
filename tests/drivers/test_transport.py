"""Ports: for us alone, never blocking, and gone when they are gone."""

from __future__ import annotations

import os
import pty
import socket
import termios

import pytest

from drivers.errors import PortError
from drivers.simulators.uart import baud_of
from drivers.transport import open_transport


def test_bytes_cross_a_pty_without_blocking():
    master, slave = pty.openpty()
    transport = open_transport(os.ttyname(slave), 115200)
    assert transport.read() == b""
    assert transport.write(b"G28\n") == 4
    assert os.read(master, 10) == b"G28\n"
    os.write(master, b"ok\n")
    assert transport.read() == b"ok\n"
    transport.close()
    transport.close()
    os.close(slave)
    os.close(master)


def test_a_port_has_one_host():
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    first = open_transport(name, 115200)
    with pytest.raises(PortError) as caught:
        open_transport(name, 115200)
    assert caught.value.code == "port.busy"
    first.close()
    open_transport(name, 115200).close()
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize("baud", [115_200, 250_000, 123_456])
def test_another_rate_needs_no_other_opening_and_no_reset_follows(baud):
    master, slave = pty.openpty()
    transport = open_transport(os.ttyname(slave), 57_600)
    transport.set_baud(baud)
    assert baud_of(slave) == baud
    assert not termios.tcgetattr(slave)[2] & termios.HUPCL
    assert transport.read() == b"", "nothing yet is no hang-up"
    os.write(master, b"ok\n")
    assert transport.read() == b"ok\n"
    transport.close()
    os.close(slave)
    os.close(master)


def test_a_hang_up_is_a_lost_port():
    master, slave = pty.openpty()
    transport = open_transport(os.ttyname(slave), 115200)
    os.close(slave)
    os.close(master)
    with pytest.raises(PortError, match=r"port\.lost"):
        transport.read()
    transport.close()


def test_a_socket_is_a_port_too():
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = open_transport(f"socket://127.0.0.1:{server.getsockname()[1]}", 1)
        peer, _ = server.accept()
        with peer:
            assert transport.read() == b""
            transport.write(b"?")
            assert peer.recv(5) == b"?"
        with pytest.raises(PortError, match=r"port\.lost"):
            transport.read()
        transport.close()


@pytest.mark.parametrize("port", ["/nowhere", "socket://", "socket://127.0.0.1:x", "/tmp"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(PortError):
        open_transport(port, 115200)
