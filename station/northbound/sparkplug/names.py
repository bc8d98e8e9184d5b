"""The names of a station in a Sparkplug infrastructure, and the topics that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

from station.configuration.northbound.sections import check_topic_name

NAMESPACE = "spBv1.0"


@dataclass(frozen=True, slots=True)
class Names:
    """Who the station is. Group and node together are one station in the whole infrastructure."""

    group: str
    node: str
    device: str
    host: str = ""
    """The primary host that must be there before anything is sent; empty: none is waited for."""

    def __post_init__(self) -> None:
        """Raises ValueError for a name that no topic can hold."""
        for what in ("group", "node", "device"):
            check_topic_name(what, getattr(self, what))
        if self.host:
            check_topic_name("host", self.host)
        lowered = [name.lower() for name in (self.group, self.node, self.device)]
        if lowered[1] == lowered[2]:
            raise ValueError(f'node and device are both "{self.node}": give the line a name of its own')

    def of_node(self, kind: str) -> str:
        """`kind`: NBIRTH, NDATA, NDEATH, NCMD."""
        return f"{NAMESPACE}/{self.group}/{kind}/{self.node}"

    def of_device(self, kind: str) -> str:
        """`kind`: DBIRTH, DDATA, DDEATH, DCMD."""
        return f"{NAMESPACE}/{self.group}/{kind}/{self.node}/{self.device}"

    @property
    def state(self) -> str:
        """Where the primary host says whether it is there."""
        return f"{NAMESPACE}/STATE/{self.host}"
