"""Ports of this computer that are told to programs before they listen there."""

import socket

_held: list[socket.socket] = []


def free_port() -> str:
    """A port at which nothing listens, and that no other program is given until the tests end.

    It stays bound here. Who sets SO_REUSEADDR, as servers do, may listen there nevertheless.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(('127.0.0.1', 0))
    _held.append(held)
    return str(held.getsockname()[1])
