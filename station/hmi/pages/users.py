"""People: who has an account and which roles, for admins; and what was done to accounts, for who may read that."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.access.accounts import PEOPLE_ROLES, AccountError
from station.access.tokens import TOKEN_RIGHTS
from station.hmi.guard import field
from station.hmi.rendering import page, person_of, site_of

NEWEST = 200
MAX_DIGITS = 6


def routes() -> list[Route]:
    """A change asks the password of the admin once more (`rights.STEP_UP`)."""
    return [
        Route("/users", users, name="users"),
        Route("/users/change", change, name="users-change", methods=["POST"]),
        Route("/audit", audit, name="audit"),
    ]


def users(request: Request) -> Response:
    """All of them."""
    return _shown(request)


def change(request: Request) -> Response:
    """One change of one person. A code is shown once, on the page that follows."""
    accounts, by, name = site_of(request).accounts, person_of(request).name, field(request, "name").strip()
    roles = [role for role in PEOPLE_ROLES if field(request, f"role-{role}")]
    code = secret = ""
    try:
        match field(request, "action"):
            case "token":
                rights = [right for right in TOKEN_RIGHTS if field(request, f"right-{right}")]
                days = field(request, "days")
                number = int(days) if days.isascii() and days.isdecimal() and len(days) < MAX_DIGITS else 0
                secret = site_of(request).tokens.make(name, rights, number, by, via="hmi")
            case "withdraw":
                site_of(request).tokens.withdraw(name, by, via="hmi")
            case "invite":
                code = accounts.invite(name, roles, by, via="hmi")
            case "code":
                code = accounts.renew_code(name, by, via="hmi")
            case "roles":
                accounts.set_roles(name, roles, by, via="hmi")
            case "lock":
                accounts.set_locked(name, by, locked=True, via="hmi")
            case "unlock":
                accounts.set_locked(name, by, locked=False, via="hmi")
            case other:
                raise AccountError(f"action {other!r:.40}: invite, code, roles, lock, unlock, token or withdraw")
    except AccountError as problem:
        return page(request, "error.html", status=400, title=str(problem), detail="")
    if code or secret:
        return _shown(request, code=code, new=name, secret=secret)
    return RedirectResponse(request.app.url_path_for("users"), 303)


def audit(request: Request) -> Response:
    """The newest rows, and whether the chain is whole."""
    accounts = site_of(request).accounts
    return page(request, "audit.html", deeds=accounts.deeds(NEWEST), verified=accounts.verified(), newest=NEWEST)


def _shown(request: Request, *, code: str = "", new: str = "", secret: str = "") -> Response:
    site = site_of(request)
    return page(
        request,
        "users.html",
        users=site.accounts.users(),
        roles=PEOPLE_ROLES,
        code=code,
        new=new,
        secret=secret,
        tokens=site.tokens.all(),
        token_rights=TOKEN_RIGHTS,
    )
