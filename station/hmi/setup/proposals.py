"""A change before it is saved: from an address or a form, or an older file that is to come back."""

from __future__ import annotations

from dataclasses import dataclass

from station.configuration.editing.proposal import Proposal, propose, propose_text, target_of
from station.configuration.editing.sets import as_sets
from station.configuration.load import LoadedConfiguration
from station.hmi.setup.changes import ZONES, Changes, Fields, WrongChange, changes_in
from station.hmi.setup.versions import Version, version_of
from station.hmi.site import Site

LONGEST = 32 * 1024
"""Letters of an address, and bytes of a file that is changed on the pages."""
RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be set, and the file as it would be."""

    proposal: Proposal
    changes: Changes
    """Empty for an older file."""
    restores: Version | None

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Of the address that means the same."""
        return as_sets(self.changes) if self.restores is None else [(RESTORE, self.restores.checksum)]

    @property
    def kind(self) -> str:
        """`configuration` or `recipe`: which file it is."""
        return "configuration" if self.proposal.path == self.proposal.before.path else "recipe"


def wanted_of(site: Site, active: LoadedConfiguration, fields: Fields) -> Wanted:
    """What these fields ask for. Raises WrongChange, ConfigurationError, RecordingError."""
    given = [(name, str(value)) for name, value in fields.multi_items()]
    if sum(len(name) + len(value) for name, value in given) > LONGEST:
        raise WrongChange(f"more than {LONGEST // 1024} kB at once: save in smaller steps")
    restored = dict(given).get(RESTORE, "")
    if restored:
        version = version_of(site, restored)
        if version is None:
            raise WrongChange(f'no settings on record have the checksum "{restored:.16}"')
        path = active.path if version.kind == "configuration" else target_of(active)
        is_of_recipe = active.recipe is not None and version.name == active.recipe.name
        if version.kind == "recipe" and not is_of_recipe:
            raise WrongChange(f'these settings are of the recipe "{version.name:.60}": select it first')
        return Wanted(propose_text(active, path, version.content), {}, version)
    changes = _as_written(changes_in(fields, active), active)
    return Wanted(propose(active, changes), changes, None)


def _as_written(changes: Changes, active: LoadedConfiguration) -> Changes:
    """No zones are an empty list where a recipe must say so, and no key elsewhere."""
    return {
        path: None if path[-1] == ZONES and value == [] and active.recipe is None else value
        for path, value in changes.items()
    }
