"""Three roles, and who has which: by the groups of the operating system.

A member of the station's own group may look: the same files and the same socket. The groups of `[access]` may do more.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """Each may do what the ones before may."""

    LOOK = 1
    OPERATE = 2
    MAINTAIN = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """The process at the other end of the socket, as the kernel names it."""

    user: str
    role: Role
    is_station: bool = False
    """The station's own user, or root: may ask on behalf of a person."""
    is_pages: bool = False
    """The user of the pages: may look, and all else on behalf of a person alone."""
    is_plant: bool = False
    """The user of the plant process: may look, and what `rights.refused_to_plant` lets it ask on behalf of a person."""

    @property
    def asks_for_others(self) -> bool:
        """Whether it may name a person, who then is the one that asks."""
        return self.is_station or self.is_pages or self.is_plant


@dataclass(frozen=True, slots=True)
class RoleGroups:
    """Names of groups whose members may do more than look."""

    operate: frozenset[str] = frozenset()
    maintain: frozenset[str] = frozenset()
    pages_user: str = ""
    """Name of the user of the pages; empty: they run as the station's own."""
    plant_user: str = ""
    """The same of the plant process."""
    plant_commands: frozenset[str] = frozenset()
    """What the plant process may ask on behalf of a person."""

    def caller(self, uid: int, gid: int) -> Caller:
        """Who that is and what he may do. The station's own user and root may everything."""
        user, groups = _account(uid, gid)
        if uid in (0, os.geteuid()):
            return Caller(user, Role.MAINTAIN, is_station=True)
        if self.pages_user and user == self.pages_user:
            return Caller(user, Role.LOOK, is_pages=True)
        if self.plant_user and user == self.plant_user:
            return Caller(user, Role.LOOK, is_plant=True)
        return Caller(user, self.role_of(groups))

    def role_of(self, groups: Collection[str]) -> Role:
        """The highest role of these groups; who reached the socket may look."""
        if not self.maintain.isdisjoint(groups):
            return Role.MAINTAIN
        return Role.LOOK if self.operate.isdisjoint(groups) else Role.OPERATE

    def of(self, role: Role) -> list[str]:
        """The groups whose members have this role, for a message."""
        return sorted(self.maintain if role is Role.MAINTAIN else self.operate | self.maintain)


def _account(uid: int, gid: int) -> tuple[str, set[str]]:
    """(name, names of groups) of a user. One without an account has the group of the process alone."""
    try:
        user = pwd.getpwuid(uid).pw_name
        numbers = os.getgrouplist(user, gid)
    except KeyError:
        user, numbers = f"uid {uid}", [gid]
    names = set()
    for number in numbers:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:  # a group without a name is in no list
            continue
    return user, names


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """(uid, gid) of the process at the other end of a Unix socket, as the kernel says."""
    _, uid, gid = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    return uid, gid
