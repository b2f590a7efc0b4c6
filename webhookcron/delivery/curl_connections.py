"""Whether a kept-alive connection is still good, asked just before a request goes out on it.

libcurl looks for dead connections once a second at most and otherwise finds out by sending: when the peer has closed
meanwhile, or has sent something that nobody asked for, it would notice only after the request had gone out. That
is too late to send it again without the risk of doing so twice.
"""

from __future__ import annotations

import errno
import select
import socket

Address = tuple[str, int]

_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)


class ConnectionWatch:
    """Finds libcurl's sockets by their local addresses. Belongs to the transport's thread."""

    def __init__(self) -> None:
        self._fd_by_address: dict[Address, int] = {}
        self._address_by_fd: dict[int, Address] = {}
        self._http2: set[Address] = set()
        self._opened = 0
        self._seen_when: dict[int, int] = {}
        self._poll = select.poll()

    def opened(self) -> None:
        """Take note that a socket is opened for a connection: its number may have been another one's."""
        self._opened += 1

    def saw(self, fd: int) -> None:
        """Take note that libcurl waits for this socket; called whenever it begins to."""
        if self._seen_when.get(fd) == self._opened:
            # No connection was made since, so it is the one that it was.
            return
        address = _local_address(fd)
        if address is None:
            return
        if address[1]:
            self._seen_when[fd] = self._opened
        former = self._address_by_fd.get(fd)
        if former == address:
            return
        if former is not None and self._fd_by_address.get(former) == fd:
            del self._fd_by_address[former]
            self._http2.discard(former)
        self._address_by_fd[fd] = address
        self._fd_by_address[address] = fd
        self._http2.discard(address)

    def speaks_http2(self, address: Address) -> None:
        """Take note that the connection may have frames waiting that belong to no request."""
        self._http2.add(address)

    def is_usable(self, address: Address) -> bool:
        """Whether a request may go out on the kept connection with this local address.

        It may when the peer has neither closed it nor, over HTTP/1, sent anything: that could only be the answer to
        a request that was not made yet.
        """
        fd = self._fd_by_address.get(address)
        if fd is None:
            return False
        self._poll.register(fd, select.POLLIN | _GONE)
        try:
            ready = self._poll.poll(0)
        finally:
            self._poll.unregister(fd)
        if not ready:
            return True
        events = ready[0][1]
        return not events & _GONE and address in self._http2


def _local_address(fd: int) -> Address | None:
    """The socket's own address and port; None for what is no TCP socket (libcurl waits for pipes of its own too)."""
    try:
        # The family makes no difference to getsockname, and naming it saves asking the system for it.
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    except OSError as error:
        if error.errno == errno.ENOTSOCK:
            return None
        raise
    try:
        name = borrowed.getsockname()
    finally:
        borrowed.detach()
    return name[:2] if isinstance(name, tuple) else None
