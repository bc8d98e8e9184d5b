"""Who may connect and what of a subscription has arrived: asyncua's services with what it leaves open closed.

asyncua checks no certificate of a channel, lets a session be taken over by anybody who guesses its number, gives a
method no caller, and lets the queue of a client overwrite events. All four are decided here.
"""

from __future__ import annotations

import asyncio
import contextvars
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.subscription_service import SubscriptionService

from drivers.opcua.certificates import CertificateError, look_at
from drivers.opcua.events import Event

MAX_CONNECTIONS, MAX_SUBSCRIPTIONS = 20, 60
MAX_QUEUE = 2000
"""Events that wait for a client that does not read; then the oldest go, and results come again by the cursor."""
MAX_UNACKNOWLEDGED = 200
MAX_LIFETIME_COUNT = 1200
MAX_NOTED = 1000
"""Acknowledgements that are kept in mind for a subscription."""
ACTIVATION_S = 10.0
_REFRESH = (3875, 12912)
"""ConditionRefresh and ConditionRefresh2."""
_REFRESH_START, _REFRESH_END = "0:2787", "0:2788"

SignIn = Callable[[str, str, str], tuple[str, ...] | None]
"""(name, password, address) -> roles; None: refused."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a method."""

    name: str
    """Of the person; empty: nobody has signed in."""
    roles: tuple[str, ...]
    address: str


@dataclass(slots=True)
class _Person(User):
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in."""

    folder: Path
    """Of the certificates."""
    allows_none: bool = False
    """Connections without signature and encryption."""
    allows_anonymous: bool = False
    sign_in: SignIn = field(default=lambda _name, _password, _address: None)
    refused: Callable[[str, str], None] = field(default=lambda _who, _why: None)
    """Gets who was turned away, and why."""


_calls: contextvars.ContextVar[Session] = contextvars.ContextVar("session")
_address: contextvars.ContextVar[str] = contextvars.ContextVar("address", default="")


def caller() -> Caller:
    """Of the method that runs now."""
    session = _calls.get()
    return Caller(session.user.name or "", getattr(session.user, "roles", ()), session.peer)


class _Users:
    """The user manager of asyncua."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None  # noqa: ARG002
    ) -> User | None:  # fmt: skip
        """Nobody is an admin: clients change no nodes."""
        if username is None:
            return User(UserRole.User, None) if self._door.allows_anonymous else None
        roles = self._door.sign_in(username, password or "", _address.get())
        if roles is None:
            self._door.refused(_address.get(), f"{username!r:.40}: wrong name or password, or locked")
            return None
        return _Person(UserRole.User, username, roles)


class Session(InternalSession):
    """Of one client."""

    def __init__(self, internal_server: Any, *rest: Any, **more: Any) -> None:
        super().__init__(internal_server, *rest, **more)
        self.application_uri = ""
        self._certificate: bytes | None = None
        if self.external:  # the number of asyncua counts up from 1000
            self.iserver.unregister_external_session(self)
            self.auth_token = ua.NodeId(secrets.token_bytes(32), 0, ua.NodeIdType.ByteString)
            self.iserver.register_external_session(self)

    @property
    def peer(self) -> str:
        """Address of the client."""
        return str(self.name[0]) if isinstance(self.name, tuple) else str(self.name)

    async def create_session(self, params: Any, sockname: Any = None) -> Any:
        """Raises ServiceError where the client may not come in."""
        self.application_uri = str(params.ClientDescription.ApplicationUri or "")
        policy = self.iserver.policy_of(self.name)
        door: Door = self.iserver.door
        if policy is None or isinstance(policy, SecurityPolicyNone):
            if not door.allows_none:
                self._refuse("BadSecurityModeRejected", "it neither signs nor encrypts")
        else:
            self._certificate = policy.peer_certificate
            if params.ClientCertificate != self._certificate:
                self._refuse("BadCertificateInvalid", "its session has another certificate than its channel")
            await self._check(door)
        return await super().create_session(params, sockname)

    async def _check(self, door: Door) -> None:
        try:
            refused = await asyncio.to_thread(look_at, self._certificate or b"", self.application_uri, door.folder)
        except CertificateError as problem:
            self._refuse("BadCertificateUntrusted", str(problem))
        else:
            if refused is not None:
                self._refuse(refused.status, refused.why)

    def activate_session(self, params: Any, peer_certificate: bytes | None) -> Any:
        """A session goes on over another channel only with the certificate with which it began."""
        if self._certificate is not None and peer_certificate != self._certificate:
            self._refuse("BadSecurityChecksFailed", "another certificate than the one with which the session began")
        if self._certificate is None and peer_certificate is not None:
            self._refuse("BadSecurityChecksFailed", "a session that began without a certificate")
        _address.set(self.peer)
        return super().activate_session(params, peer_certificate)

    async def call(self, params: Any) -> Any:
        _calls.set(self)
        return await super().call(params)

    def _refuse(self, status: str, why: str) -> None:
        self.iserver.door.refused(f"{self.application_uri[:200]} at {self.peer}", why)
        raise ServiceError(getattr(ua.StatusCodes, status))


class Subscriptions(SubscriptionService):
    """Keeps in mind which messages clients have acknowledged, and which conditions stand."""

    def __init__(self, aspace: Any, iserver: Any) -> None:
        super().__init__(aspace, iserver)
        self.acknowledged: dict[int, set[int]] = {}
        """Numbers of messages, by subscription."""
        self.standing: dict[str, Event] = {}
        """Conditions with Retain, by path."""

    async def create_subscription(self, *values: Any, **more: Any) -> Any:
        result = await super().create_subscription(*values, **more)
        self.acknowledged = {number: acks for number, acks in self.acknowledged.items() if number in self.subscriptions}
        self.acknowledged[result.SubscriptionId] = set()
        return result

    async def create_monitored_items(self, params: Any) -> Any:
        """The queue of events is the server's to choose: one of a client would overwrite what it has not read."""
        for item in params.ItemsToCreate:
            if item.ItemToMonitor.AttributeId == ua.AttributeIds.EventNotifier:
                item.RequestedParameters.QueueSize = 0
        return await super().create_monitored_items(params)

    def publish(self, acks: Any) -> Any:
        for ack in acks:
            noted = self.acknowledged.setdefault(ack.SubscriptionId, set())
            noted.add(ack.SequenceNumber)
            if len(noted) > MAX_NOTED:  # of values that changed, with which nobody waits
                noted.remove(min(noted))
        return super().publish(acks)

    def hearing(self, chain: Sequence[Any]) -> list[tuple[Session, Any]]:
        """Sessions and their subscriptions to events of these nodes."""
        sessions = {one.session_id: one for one in self.iserver.sessions if one.is_activated()}
        found = []
        for one in self.subscriptions.values():
            heard = one.monitored_item_srv._monitored_events  # noqa: SLF001  asyncua has no other way to it
            if one.session_id in sessions and any(node in heard for node in chain):
                found.append((sessions[one.session_id], one))
        return found

    async def raise_event(self, event: Event, chain: Sequence[Any], only: Any = None) -> None:
        """To every monitored item of these nodes. `only`: of one subscription."""
        for one in [only] if only is not None else list(self.subscriptions.values()):
            for node in chain:
                event.emitting_node = node
                await one.monitored_item_srv.trigger_event(event)


class SecuredServer(InternalServer):
    """asyncua's server with sessions and subscriptions of ours."""

    def __init__(self, door: Door) -> None:
        super().__init__(user_manager=_Users(door))
        self.door = door
        self.subscription_service = Subscriptions(self.aspace, self)
        self.isession.subscription_service = self.subscription_service
        self.bind_condition_methods = False
        self.max_connections, self.max_subscriptions = MAX_CONNECTIONS, MAX_SUBSCRIPTIONS
        self.max_monitored_item_queue_size = MAX_QUEUE
        self.max_unacked_messages_per_subscription = MAX_UNACKNOWLEDGED
        self.max_lifetime_count = MAX_LIFETIME_COUNT
        self.max_pending_activation_seconds = ACTIVATION_S
        self.allow_remote_admin = False
        self.supported_tokens = (
            (ua.UserNameIdentityToken, ua.AnonymousIdentityToken)
            if door.allows_anonymous
            else (ua.UserNameIdentityToken,)
        )
        self.clients: Callable[[], Sequence[Any]] = tuple
        """The connections of the socket server."""

    @property
    def sessions(self) -> Sequence[Session]:
        return tuple(self._external_sessions.values())

    def policy_of(self, peer: Any) -> Any:
        """The security policy of the channel of a client; None: it has gone."""
        for client in self.clients():
            if client.processor is not None and client.processor.name == peer:
                return client.processor._connection.security_policy  # noqa: SLF001  asyncua has no other way to it
        return None

    def create_session(self, name: Any, user: Any = None, external: bool = False) -> Session:
        found = User(UserRole.Anonymous) if user is None else user
        return Session(self, self.aspace, self.subscription_service, name, user=found, external=external)

    def register_server(self, server: Any, conf: Any = None) -> None:  # noqa: ARG002
        """It is no directory of others."""
        raise ServiceError(ua.StatusCodes.BadServiceUnsupported)


def refresh_methods(server: SecuredServer, start: Callable[[str], Event], chain: Mapping[str, Sequence[Any]]) -> None:
    """ConditionRefresh: a client asks for the conditions that stand. `chain`: by path of the source of a condition."""

    async def refresh(_parent: Any, subscription: Any, *_item: Any) -> Any:
        service: Subscriptions = server.subscription_service
        found = service.subscriptions.get(subscription.Value)
        if found is None or found.session_id != _calls.get().session_id:
            return ua.StatusCode(ua.StatusCodes.BadSubscriptionIdInvalid)
        around = chain[""]
        await service.raise_event(start(_REFRESH_START), around, found)
        for event in list(service.standing.values()):
            await service.raise_event(event, chain.get(event.origin.path, around), found)
        await service.raise_event(start(_REFRESH_END), around, found)
        return ua.StatusCode()

    for number in _REFRESH:
        server.isession.add_method_callback(ua.NodeId(number), refresh)
