"""The server in a thread of its own; every method here may be called by another thread.

values, events ──► set, say, deliver ──┐                ┌──► call: a method that a client has called
                                       ▼                │
                                 event loop of asyncua, one thread
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from asyncua import Server, ua

from drivers.opcua.building import Nodes, variant_type
from drivers.opcua.certificates import own
from drivers.opcua.events import Event, Origin
from drivers.opcua.facts import NAMESPACE
from drivers.opcua.instance import SYSTEM, Instance, Plain
from drivers.opcua.sessions import Caller, Door, SecuredServer, Session, caller, refresh_methods
from drivers.opcua.vision_data import Structure, signature_of

START_S, CALL_S, STOP_S = 60.0, 5.0, 5.0
OWN_NAMESPACE = "urn:edge-inspection-station:vision"
POLICIES = {
    "Basic256Sha256": "Basic256Sha256_SignAndEncrypt",
    "Aes128_Sha256_RsaOaep": "Aes128Sha256RsaOaep_SignAndEncrypt",
    "Aes256_Sha256_RsaPss": "Aes256Sha256RsaPss_SignAndEncrypt",
}
"""By the name in the configuration. None of them only signs: results are nobody else's business."""


class ServerError(Exception):
    """The server does not start, or does not reply; the message says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a call. `values`: of the outputs, in their order."""

    values: tuple[Any, ...] = ()
    status: str = ""
    """Name of a bad status code; empty: good."""


Call = Callable[[str, Mapping[str, Any], Caller], Reply]
"""(name of the method, its arguments by name, who calls) -> reply; on a thread of its own."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server is set up."""

    host: str
    port: int
    name: str
    """Of the station."""
    version: str
    application_uri: str
    hosts: tuple[str, ...]
    """Names and addresses that stand in the station's certificate."""
    folder: Path
    """Of the certificates."""
    policies: tuple[str, ...]
    commands: frozenset[str]
    plain: tuple[Plain, ...]
    structures: tuple[Structure, ...]
    readable: frozenset[str] = frozenset()
    """Methods that only read."""


@dataclass(frozen=True, slots=True)
class Said:
    """An event, before the server has made it one of asyncua."""

    kind: str
    """Name of a type of the specification."""
    path: str
    """Of its source."""
    message: str
    severity: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    """By path; a value is (data type of the facts, Python value)."""
    at: datetime | None = None
    condition: str = ""
    retain: bool = False


@dataclass(slots=True)
class Delivery:
    """Events on their way: which messages of which subscriptions have them."""

    waiting: dict[int, tuple[int, int]]
    """By subscription: the first number that may have them, and the last one; 0: not sent yet."""
    primary: frozenset[int]
    """Subscriptions whose word counts."""
    done: bool = False


class VisionServer:
    """Owns the loop and the address space."""

    def __init__(self, settings: Settings, door: Door, call: Call) -> None:
        self._settings = settings
        self._call = call
        self._door = door
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="opcua-server", daemon=True)
        self._internal = SecuredServer(door)
        self._server = Server(iserver=self._internal)
        self._nodes = Nodes(self._internal, 0, 0)
        self._instance: Instance | None = None

    # ---- its life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listens. Raises ServerError, CertificateError."""
        settings = self._settings
        logging.getLogger("asyncua").setLevel(
            logging.CRITICAL
        )  # a line for each client that is refused; `Door` has ours
        certificate, key = own(settings.folder, settings.application_uri, settings.hosts)
        self._thread.start()
        try:
            self._run(self._started(certificate, key), START_S)
        except OSError as problem:
            self.stop()
            where = f"{settings.host}:{settings.port}"
            raise ServerError(f"[opcua]: {where}: {problem.strerror or problem}") from problem

    @property
    def port(self) -> int:
        """On which it listens, also where any was asked for."""
        return int(self._server.bserver.port)

    def stop(self) -> None:
        """Says goodbye to the clients."""
        if self._thread.is_alive():
            try:
                self._run(self._stopped(), STOP_S)
            except ServerError as problem:
                logging.getLogger(__name__).warning("%s", problem)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _started(self, certificate: Path, key: Path) -> None:
        settings, server = self._settings, self._server
        server.name, server.product_uri = settings.name, "urn:edge-inspection-station"
        server.manufacturer_name, server.application_type = "edge-inspection-station", ua.ApplicationType.Server
        server._application_uri = settings.application_uri  # noqa: SLF001  `init` writes it where it belongs
        await server.init()
        await server.set_build_info(
            server.product_uri, server.manufacturer_name, "edge-inspection-station", settings.version, "",
            datetime.now(timezone.utc),
        )  # fmt: skip
        server.set_endpoint(f"opc.tcp://{_in_url(settings.host)}:{settings.port}")
        server.socket_address = (settings.host, settings.port)
        policies = [getattr(ua.SecurityPolicyType, POLICIES[one]) for one in settings.policies]
        if self._door.allows_none:
            policies.append(ua.SecurityPolicyType.NoSecurity)
        server.set_security_policy(policies)
        await server.load_certificate(certificate)
        await server.load_private_key(key, format="pem")
        vision = await server.register_namespace(NAMESPACE)
        mine = await server.register_namespace(OWN_NAMESPACE)
        self._nodes = Nodes(self._internal, vision, mine)
        self._nodes.build_types()
        executable = settings.commands | settings.readable
        self._instance = instance = Instance(self._nodes, settings.name, executable)
        instance.build(settings.plain, settings.structures)
        for path, name in instance.methods.items():
            self._internal.isession.add_method_callback(self._nodes.own_id(path), self._called(name))
        chain = {"": self._chain(SYSTEM)}
        refresh_methods(self._internal, self._refreshing, chain)
        await server.start()
        self._internal.clients = lambda: server.bserver.clients if server.bserver is not None else ()

    async def _stopped(self) -> None:
        if self._server.bserver is not None:
            await self._server.stop()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:  # of sessions and subscriptions, which asyncua leaves
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    # ---- values and events ---------------------------------------------------------------------------------------

    def set(self, values: Mapping[str, Any], status: str = "Good") -> None:
        """Values by path; None: there is none now. `status`: name of the status code. Raises ServerError."""
        self._run(self._set(values, status), CALL_S)

    def say(self, events: Sequence[Said]) -> None:
        """Raises events, and keeps the conditions among them that stand. Raises ServerError."""
        self._run(self._say(events), CALL_S)

    def deliver(self, events: Sequence[Said], primary: str) -> Delivery | None:
        """Raises events that must arrive; None: nobody hears. `primary`: the application that counts; empty: any."""
        found: Delivery | None = self._run(self._deliver(events, primary), CALL_S)
        return found

    def arrived(self, delivery: Delivery) -> bool | None:
        """Whether they have arrived; None: who heard them is gone. Raises ServerError."""
        found: bool | None = self._run(self._arrived(delivery), CALL_S)
        return found

    def hearers(self, primary: str = "") -> int:
        """Clients that hear results now."""
        return int(self._run(self._hearers(primary), CALL_S))

    def structure(self, name: str, **fields: Any) -> Any:
        """A value of a structure of the specification or of the station."""
        return self._nodes.structures[name](**fields)

    def text(self, text: str) -> Any:
        """A text without a language."""
        return ua.LocalizedText(text)

    def node_id(self, fact: str) -> Any:
        """Of a node of the types, for values that point at one."""
        return self._nodes.id_of(fact)

    def variant(self, data_type: str, value: Any) -> Any:
        return ua.Variant(value, variant_type(data_type))

    # ---- on the loop ---------------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, Any], timeout_s: float) -> Any:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise ServerError(f"the OPC UA server did not reply within {timeout_s:g} s") from None

    async def _set(self, values: Mapping[str, Any], code: str) -> None:
        assert self._instance is not None
        now = datetime.now(timezone.utc)
        status = ua.StatusCode(getattr(ua.StatusCodes, code))
        for path, value in values.items():
            kind = variant_type(self._instance.kinds[path])
            variant = ua.Variant(None, ua.VariantType.Null) if value is None else ua.Variant(value, kind)
            data = ua.DataValue(variant, status, now, now)
            # Not by asyncua's own way, which refuses to take a value back.
            attribute = self._internal.aspace[self._nodes.own_id(path)].attributes[ua.AttributeIds.Value]
            attribute.value = data
            for number, changed in list(attribute.datachange_callbacks.items()):
                await changed(number, data)

    async def _say(self, events: Sequence[Said]) -> None:
        for event in events:
            made = self._made(event)
            if event.condition:
                standing = self._internal.subscription_service.standing
                standing.pop(event.condition, None)
                if event.retain:
                    standing[event.condition] = made
            await self._internal.subscription_service.raise_event(made, self._chain(event.path))

    async def _deliver(self, events: Sequence[Said], primary: str) -> Delivery | None:
        service = self._internal.subscription_service
        hearing = service.hearing(self._chain(SYSTEM))
        counts = _counting(hearing, primary)
        if not counts:
            return None
        waiting = {one.data.SubscriptionId: (one._notification_seq, 0) for _, one in hearing}  # noqa: SLF001
        for event in events:
            await service.raise_event(self._made(event), self._chain(event.path))
        return Delivery(waiting, counts)

    async def _arrived(self, delivery: Delivery) -> bool | None:
        service = self._internal.subscription_service
        there = False
        for number in delivery.primary:
            subscription = service.subscriptions.get(number)
            if subscription is None:
                continue
            there = True
            first, last = delivery.waiting[number]
            if not last and not subscription._triggered_events:  # noqa: SLF001
                last = subscription._notification_seq - 1  # noqa: SLF001  all that waited went out by this message
                delivery.waiting[number] = (first, last)
            acknowledged = service.acknowledged.get(number, set())
            if last and all(one in acknowledged for one in range(first, last + 1)):
                acknowledged -= {one for one in acknowledged if one < first}
                return True
        return False if there else None

    async def _hearers(self, primary: str) -> int:
        return len(_counting(self._internal.subscription_service.hearing(self._chain(SYSTEM)), primary))

    def _made(self, said: Said) -> Event:
        fields = {path: ua.Variant(value, variant_type(kind)) for path, (kind, value) in said.fields.items()}
        origin = Origin(said.path, (SYSTEM,), said.path.rsplit("/", 1)[-1])
        return Event(
            self._nodes, said.kind, origin, fields, message=said.message, severity=said.severity, at=said.at,
            condition=said.condition, retain=said.retain,
        )  # fmt: skip

    def _refreshing(self, kind: str) -> Event:
        return Event(self._nodes, kind, Origin(SYSTEM, (), SYSTEM), {}, message="", severity=1)

    def _chain(self, path: str) -> list[Any]:
        """The node, the system above it, the server."""
        nodes = [self._nodes.own_id(path)] if path != SYSTEM else []
        return [*nodes, self._nodes.own_id(SYSTEM), ua.NodeId(ua.ObjectIds.Server)]

    def _called(self, name: str) -> Callable[..., Any]:
        inputs, outputs = signature_of(name)
        may = name in self._settings.commands or name in self._settings.readable

        async def called(_parent: Any, *values: Any) -> Any:
            result = ua.CallMethodResult()
            if not may:
                result.StatusCode = ua.StatusCode(ua.StatusCodes.BadNotExecutable)
                return result
            if len(values) != len(inputs):
                missing = len(values) < len(inputs)
                code = ua.StatusCodes.BadArgumentsMissing if missing else ua.StatusCodes.BadTooManyArguments
                result.StatusCode = ua.StatusCode(code)
                return result
            given = {one.name: value.Value for one, value in zip(inputs, values, strict=True)}
            reply = await asyncio.to_thread(self._call, name, given, caller())
            if reply.status:
                result.StatusCode = ua.StatusCode(getattr(ua.StatusCodes, reply.status))
                return result
            result.OutputArguments = [
                ua.Variant(value, variant_type(one.type)) for one, value in zip(outputs, reply.values, strict=True)
            ]
            return result

        return called


def _counting(hearing: Sequence[tuple[Session, Any]], primary: str) -> frozenset[int]:
    return frozenset(
        subscription.data.SubscriptionId
        for session, subscription in hearing
        if not primary or session.application_uri == primary
    )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


__all__ = ["Delivery", "Reply", "Said", "ServerError", "Settings", "VisionServer"]
