"""HTTP sessions that connect to public addresses only, whatever names, redirects and name servers say."""

from __future__ import annotations

import ipaddress
import socket
import threading

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from transforms.reasons import PhotoError, RejectReason

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_sessions = threading.local()


def http_session(allow_private_hosts: bool) -> requests.Session:
    """Returns this thread's session; it keeps connections open for the next photo.

    Proxies and passwords of the environment are not used: the addresses come from feeds, not from the operator.

    Args:
      allow_private_hosts: whether to connect to loopback, private and link-local addresses as well.
    """
    name = "any" if allow_private_hosts else "public"
    session = getattr(_sessions, name, None)
    if session is None:
        session = requests.Session()
        session.trust_env = False
        session.headers.update(
            {"User-Agent": "packshot", "Accept": "image/*, */*;q=0.5", "Accept-Encoding": "identity"}
        )
        if not allow_private_hosts:
            adapter = _PublicAdapter()
            session.mount("http://", adapter)
            session.mount("https://", adapter)
        setattr(_sessions, name, session)
    return session


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also where it wraps an IPv4 address in an IPv6 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast


def _public_addresses(host: str, port: int) -> list[str]:
    """Resolves a host name and insists that all of its addresses are public.

    Raises:
      PhotoError: one is not, or the name is unknown.
      socket.gaierror: the name cannot be resolved at the moment.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise
        raise PhotoError(RejectReason.FETCH_FAILED, f"the host {host!r} is unknown") from error
    except UnicodeError as error:
        raise PhotoError(RejectReason.FETCH_FAILED, f"the host name {host!r} is invalid") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(is_public(address) for address in addresses):
        detail = (
            f"the host {host!r} is not on the public internet; "
            f"set --allow_private_hosts to fetch from this machine and its network"
        )
        raise PhotoError(RejectReason.FETCH_FAILED, detail)
    return addresses


class _PublicHTTPConnection(HTTPConnection):
    """Connects to the very address that was checked: a second look-up of the name might give another."""

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            addresses = _public_addresses(name, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        try:
            for address in addresses:
                self._dns_host = address
                try:
                    return super()._new_conn()
                except NewConnectionError:
                    if address == addresses[-1]:
                        raise
        finally:
            self._dns_host = name  # the certificate is for the name
        raise AssertionError("a resolved name has at least one address")


class _PublicHTTPSConnection(_PublicHTTPConnection, HTTPSConnection):
    pass


class _PublicHTTPPool(HTTPConnectionPool):
    ConnectionCls = _PublicHTTPConnection


class _PublicHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPSConnection


class _PublicAdapter(HTTPAdapter):
    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PublicHTTPPool, "https": _PublicHTTPSPool}
