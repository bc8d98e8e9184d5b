"""`station user`: who has an account on the pages, for the first one and for who has lost password or admin."""

from __future__ import annotations

import argparse
import getpass
from typing import TYPE_CHECKING

from station.commands.options import add_config_option, add_json_option, complain, positive, reporting, show
from station.configuration.load import ConfigurationError, load_station
from station.reports.shifts import Calendar, calendar_of
from station.terminal import one_line, say

if TYPE_CHECKING:
    from station.access.accounts import Accounts, User
    from station.access.tokens import Tokens

VIA = "shell"
_JSON = {
    "list": "a list of name, roles, state",
    "add": "name, code",
    "code": "name, code",
    "verify": "rows, head, broken",
    "token": "name, token",
    "tokens": "a list of name, rights, made_by, ends, used",
    "withdraw": "name",
    **dict.fromkeys(("roles", "lock", "unlock"), "name, roles, state"),
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `user`."""
    parser = commands.add_parser(
        "user", help="who has an account on the pages, and which programs have a token"
    )  # fmt: skip
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (
        ("list", "everybody with roles and state"),
        ("add", "a new person; prints the one-time code for the first password"),
        ("roles", "give other roles; ends the logins"),
        ("lock", "keep out"),
        ("unlock", "let in again, also after too many wrong tries"),
        ("code", "a new one-time code: the password is void then"),
        ("token", "let a program ask the API; prints its token, once"),
        ("tokens", "programs that may ask the API, until when, and when they last did"),
        ("withdraw", "a token opens nothing any more"),
        ("verify", "check that the trail of what was done to accounts is whole"),
    ):
        action = actions.add_parser(name, help=text)
        if name == "verify":
            action.add_argument("--anchor", default="", metavar="HASH", help="a last hash that was written down")
        elif name not in ("list", "tokens"):
            action.add_argument("name", metavar="NAME")
        if name in ("add", "roles"):
            action.add_argument("--role", required=True, metavar="R[,R]",
                                help="viewer, operator, quality, integrator, maintenance, admin")  # fmt: skip
        if name == "token":
            action.add_argument(
                "--may", default="read", metavar="R[,R]", help="read, label, audit; default: %(default)s"
            )
            action.add_argument(
                "--days", type=positive, default=365, metavar="N", help="until it ends; default: %(default)s"
            )
        add_config_option(action)
        add_json_option(action, _JSON[name])
        action.set_defaults(run=reporting(run, ConfigurationError))


def run(options: argparse.Namespace) -> int:
    """One action. Exit code 1: the trail was changed."""
    station = load_station(options.config)
    try:
        from station.access.accounts import AccountError  # noqa: PLC0415  argon2 is of the extra hmi
        from station.access.tokens import Tokens  # noqa: PLC0415
        from station.hmi.app import accounts_of, own_dir_of  # noqa: PLC0415
    except ImportError as problem:
        return complain(f"accounts need more packages ({problem}); pip install 'edge-inspection-station[hmi]'")
    try:
        if options.action in ("token", "tokens", "withdraw"):
            return _of_programs(Tokens(own_dir_of(station)), options, calendar_of(station.settings.station))
        return _done(accounts_of(station), options)
    except AccountError as problem:
        return complain(problem)


def _done(accounts: Accounts, options: argparse.Namespace) -> int:
    by = getpass.getuser()
    roles = [role.strip() for role in getattr(options, "role", "").split(",")]
    match options.action:
        case "list":
            people = accounts.users()
            lines = [f"{one_line(user.name)}: {', '.join(user.roles)}; {user.state}" for user in people]
            show(options, [_as_json(user) for user in people], *(lines or ["nobody has an account yet"]))
        case "add":
            code = accounts.invite(options.name, roles, by, via=VIA)
            said = f"{options.name} chooses a password on the page /welcome with the code {code}, within seven days"
            show(options, {"name": options.name, "code": code}, said)
        case "code":
            code = accounts.renew_code(options.name, by, via=VIA)
            said = f"{options.name} chooses a new password on the page /welcome with the code {code}, within seven days"
            show(options, {"name": options.name, "code": code}, said)
        case "roles":
            accounts.set_roles(options.name, roles, by, via=VIA)
            show(options, _as_json(_user(accounts, options.name)))
        case "verify":
            verified = accounts.verified(options.anchor)
            whole = f"{verified.rows} rows are whole, the last hash is {verified.head}"
            show(options, {"rows": verified.rows, "head": verified.head, "broken": verified.broken or None}, whole)
            if verified.broken:
                say(f"changed: {verified.broken}", error=True)
                return 1
        case locking:
            accounts.set_locked(options.name, by, locked=locking == "lock", via=VIA)
            show(options, _as_json(_user(accounts, options.name)))
    return 0


def _of_programs(tokens: Tokens, options: argparse.Namespace, calendar: Calendar) -> int:
    by = getpass.getuser()
    match options.action:
        case "token":
            rights = [right.strip() for right in options.may.split(",")]
            secret = tokens.make(options.name, rights, options.days, by, via=VIA)
            said = f"{options.name} sends with each request: Authorization: Bearer {secret}"
            show(options, {"name": options.name, "token": secret}, said)
        case "tokens":
            found = tokens.all()
            ends = {one.name: calendar.iso(one.ends_at) for one in found}
            data = [
                {
                    "name": one.name,
                    "rights": list(one.rights),
                    "made_by": one.made_by,
                    "ends": ends[one.name],
                    "used": None if one.used_at is None else calendar.iso(one.used_at),
                }
                for one in found
            ]
            lines = [f"{one_line(one.name)}: {', '.join(one.rights)}; until {ends[one.name]}" for one in found]
            show(options, data, *(lines or ["no program may ask the API yet"]))
        case _:
            tokens.withdraw(options.name, by, via=VIA)
            show(options, {"name": options.name})
    return 0


def _user(accounts: Accounts, name: str) -> User:
    return next(user for user in accounts.users() if user.name.casefold() == name.casefold())


def _as_json(user: User) -> dict[str, object]:
    return {"name": user.name, "roles": list(user.roles), "state": user.state}
