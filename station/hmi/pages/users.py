"""People: who has an account and which roles, for admins; and what was done to accounts, for who may read that."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.access.accounts import PEOPLE_ROLES, AccountError
from station.hmi.guard import field
from station.hmi.rendering import page, person_of, site_of

NEWEST = 200


def routes() -> list[Route]:
    """A change asks the password of the admin once more (`rights.STEP_UP`)."""
    return [
        Route("/users", users, name="users"),
        Route("/users/change", change, name="users-change", methods=["POST"]),
        Route("/audit", audit, name="audit"),
    ]


def users(request: Request) -> Response:
    """All of them."""
    return page(request, "users.html", users=site_of(request).accounts.users(), roles=PEOPLE_ROLES, code="", new="")


def change(request: Request) -> Response:
    """One change of one person. A code is shown once, on the page that follows."""
    accounts, by, name = site_of(request).accounts, person_of(request).name, field(request, "name").strip()
    roles = [role for role in PEOPLE_ROLES if field(request, f"role-{role}")]
    code = ""
    try:
        match field(request, "action"):
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
                raise AccountError(f"action {other!r:.40}: invite, code, roles, lock or unlock")
    except AccountError as problem:
        return page(request, "error.html", status=400, title=str(problem), detail="")
    if code:
        return page(request, "users.html", users=accounts.users(), roles=PEOPLE_ROLES, code=code, new=name)
    return RedirectResponse(request.app.url_path_for("users"), 303)


def audit(request: Request) -> Response:
    """The newest rows, and whether the chain is whole."""
    accounts = site_of(request).accounts
    return page(request, "audit.html", deeds=accounts.deeds(NEWEST), verified=accounts.verified(), newest=NEWEST)
