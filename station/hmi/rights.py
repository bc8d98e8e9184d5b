"""Who may do what on the pages: role to rights, and the right that each route needs. The one table.

A route without an entry in `ROUTES` does not start (`app.build`). The daemon checks again what it is asked to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum


class Right(Enum):
    """What a person may do."""

    EVERYBODY = "everybody"
    """Without a login."""
    SIGNED_IN = "signed in"
    LIVE = "live"
    LOOK = "look"
    """Parts and reports."""
    OPERATE = "operate"
    """Acknowledge, on and off line, recipe, challenge test."""
    REVIEW = "review"
    """Label parts, mark regions, take one's own back."""
    OVERRULE = "overrule"
    """Others' labels, classes of defects, quarantine, signing a report."""
    SETUP_LOOK = "look at set-up"
    SETUP_TRY = "try out set-up"
    """Draw, see the difference and what it would have changed, take a test picture: nothing is changed for the line."""
    SETUP = "set up"
    ENGINES_LOOK = "look at engines"
    ENGINES_CHECK = "verify and compare engines"
    ENGINES_ACTIVATE = "activate engines"
    CLEAR = "clear faults"
    MAINTAIN = "maintain"
    """Reset a challenge test, teach, refresh."""
    API_READ = "a token that may read"
    """Of programs; no role has it."""
    API_LABEL = "a token that may label"
    API_AUDIT = "a token that may read the audit trail"
    USERS = "users"
    AUDIT = "read the audit trail"


_LOOKING = {Right.EVERYBODY, Right.SIGNED_IN, Right.LIVE, Right.LOOK}
_AT_THE_LINE = {*_LOOKING, Right.OPERATE, Right.CLEAR}

ROLES: Mapping[str, frozenset[Right]] = {
    "viewer": frozenset({Right.EVERYBODY, Right.SIGNED_IN, Right.LIVE}),
    "operator": frozenset({*_AT_THE_LINE, Right.REVIEW}),
    "quality": frozenset(
        {
            *_LOOKING,
            Right.OPERATE,
            Right.REVIEW,
            Right.OVERRULE,
            Right.SETUP_LOOK,
            Right.ENGINES_LOOK,
            Right.AUDIT,
        }
    ),
    "integrator": frozenset(
        {
            *_AT_THE_LINE,
            Right.REVIEW,
            Right.SETUP_LOOK,
            Right.SETUP_TRY,
            Right.SETUP,
            Right.ENGINES_LOOK,
            Right.ENGINES_CHECK,
            Right.AUDIT,
        }
    ),
    "maintenance": frozenset(
        {
            *_AT_THE_LINE,
            Right.SETUP_LOOK,
            Right.ENGINES_LOOK,
            Right.ENGINES_CHECK,
            Right.ENGINES_ACTIVATE,
            Right.MAINTAIN,
            Right.AUDIT,
        }
    ),
    "admin": frozenset({*_LOOKING, Right.USERS, Right.AUDIT}),
}
"""By the name of the role; a person may have several."""

ROUTES: Mapping[str, Right] = {
    "home": Right.EVERYBODY,
    "static": Right.EVERYBODY,
    "appearance": Right.EVERYBODY,
    "state": Right.LIVE,
    "live": Right.LIVE,
    "login": Right.EVERYBODY,
    "welcome": Right.EVERYBODY,
    "account": Right.SIGNED_IN,
    "logout": Right.SIGNED_IN,
    "parts": Right.LOOK,
    "parts-csv": Right.LOOK,
    "part": Right.LOOK,
    "part-picture": Right.LOOK,
    "part-label": Right.REVIEW,
    "part-evidence": Right.LOOK,
    "part-quarantine": Right.OVERRULE,
    "reports": Right.LOOK,
    "reports-one": Right.LOOK,
    "reports-file": Right.LOOK,
    "reports-make": Right.LOOK,
    "work-state": Right.LOOK,
    "work-stop": Right.LOOK,
    "api-status": Right.API_READ,
    "api-health": Right.API_READ,
    "api-parts": Right.API_READ,
    "api-part": Right.API_READ,
    "api-image": Right.API_READ,
    "api-label": Right.API_LABEL,
    "api-audit": Right.API_AUDIT,
    **dict.fromkeys(
        (
            "api-part-by-id",
            "api-map",
            "api-trace",
            "api-evidence",
            "api-dispositions",
            "api-shifts",
            "api-events",
            "api-challenges",
            "api-recipes",
            "api-cameras",
            "api-report-file",
        ),
        Right.API_READ,
    ),
    "api-counts": Right.API_READ,
    "api-batches": Right.API_READ,
    "api-batch": Right.API_READ,
    "api-metrics-of": Right.API_READ,
    "api-engines": Right.API_READ,
    "api-reports": Right.API_READ,
    "api-report": Right.API_READ,
    "api-metrics": Right.API_READ,
    "api-openapi": Right.EVERYBODY,
    "api-healthz": Right.EVERYBODY,
    "api-readyz": Right.EVERYBODY,
    "maintenance": Right.OPERATE,
    "maintenance-health": Right.ENGINES_LOOK,
    "maintenance-challenge": Right.OPERATE,
    "maintenance-challenge-start": Right.OPERATE,
    "maintenance-challenge-confirm": Right.OPERATE,
    "maintenance-challenge-reset": Right.MAINTAIN,
    "maintenance-engines": Right.ENGINES_LOOK,
    "maintenance-state": Right.ENGINES_LOOK,
    "maintenance-engine": Right.ENGINES_LOOK,
    "maintenance-picture": Right.ENGINES_LOOK,
    "maintenance-compare": Right.ENGINES_LOOK,
    "maintenance-compare-start": Right.ENGINES_CHECK,
    "maintenance-verify": Right.ENGINES_CHECK,
    "maintenance-activate": Right.ENGINES_ACTIVATE,
    "maintenance-rollback": Right.ENGINES_ACTIVATE,
    "maintenance-shadow": Right.MAINTAIN,
    "maintenance-shadow-off": Right.MAINTAIN,
    "maintenance-teach": Right.MAINTAIN,
    "maintenance-teach-start": Right.MAINTAIN,
    "maintenance-collect": Right.MAINTAIN,
    "maintenance-refresh": Right.MAINTAIN,
    "maintenance-refresh-stop": Right.MAINTAIN,
    "maintenance-kinds": Right.MAINTAIN,
    "maintenance-part-picture": Right.ENGINES_LOOK,
    "maintenance-collected-picture": Right.MAINTAIN,
    "maintenance-again": Right.MAINTAIN,
    "process": Right.ENGINES_LOOK,
    "virtual": Right.ENGINES_LOOK,
    "virtual-start": Right.MAINTAIN,
    "trends": Right.ENGINES_LOOK,
    "trends-read": Right.ENGINES_LOOK,
    "agreement": Right.LOOK,
    "agreement-plan": Right.OVERRULE,
    "agreement-study": Right.LOOK,
    "agreement-run": Right.OPERATE,
    "agreement-rate": Right.REVIEW,
    "agreement-said": Right.REVIEW,
    "agreement-picture": Right.REVIEW,
    "agreement-file": Right.LOOK,
    "second": Right.ENGINES_LOOK,
    "second-confirm": Right.ENGINES_LOOK,
    "second-withdraw": Right.ENGINES_LOOK,
    "users": Right.USERS,
    "users-change": Right.USERS,
    "audit": Right.AUDIT,
    "review": Right.REVIEW,
    "review-picture": Right.REVIEW,
    "review-decide": Right.REVIEW,
    "review-undo": Right.REVIEW,
    "review-later": Right.REVIEW,
    "review-keep": Right.REVIEW,
    "recipes": Right.OPERATE,
    "recipes-select": Right.OPERATE,
    "live-socket": Right.LIVE,
    "live-part": Right.LIVE,
    "live-batch": Right.LOOK,
    "live-batch-begin": Right.OPERATE,
    "live-batch-end": Right.OPERATE,
    "live-seen": Right.OPERATE,
    "live-online": Right.OPERATE,
    "live-offline": Right.OPERATE,
    "live-clear": Right.CLEAR,
    "setup": Right.SETUP_LOOK,
    "setup-picture": Right.SETUP_LOOK,
    "setup-zones": Right.SETUP_LOOK,
    "setup-limits": Right.SETUP_LOOK,
    "setup-settings": Right.SETUP_LOOK,
    "setup-version": Right.SETUP_LOOK,
    "setup-plc": Right.SETUP_LOOK,
    "setup-points": Right.SETUP_LOOK,
    "setup-challenge": Right.SETUP_LOOK,
    "setup-trigger": Right.SETUP_TRY,
    "setup-difference": Right.SETUP_TRY,
    "setup-what-if": Right.SETUP_TRY,
    "setup-what-if-start": Right.SETUP_TRY,
    "setup-thumbnail": Right.SETUP_TRY,
    "setup-save": Right.SETUP,
}
"""By the name of the route."""

OF_PROGRAMS: Mapping[Right, str] = {
    Right.API_READ: "read",
    Right.API_LABEL: "label",
    Right.API_AUDIT: "audit",
}
"""Opened by a token with this right, never by the login of a page."""

STEP_UP = frozenset({Right.USERS, Right.ENGINES_ACTIVATE, Right.SETUP})
"""What changes something with these rights asks the password once more: the form has a field `proof`."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks."""

    name: str
    """Empty: nobody has signed in."""
    roles: tuple[str, ...] = ()
    open_live: bool = False
    """Live is there without a login."""

    @property
    def is_signed_in(self) -> bool:
        return bool(self.name)

    @property
    def rights(self) -> Collection[Right]:
        """Of all roles together."""
        if not self.is_signed_in:
            return {Right.EVERYBODY, *([Right.LIVE] if self.open_live else [])}
        return frozenset().union(*(ROLES.get(role, frozenset()) for role in self.roles))

    def may(self, right: Right) -> bool:
        """Whether one of the roles has this right."""
        return right in self.rights
