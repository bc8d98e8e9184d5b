"""A refresh for another station: from images that it has sent, into a store of its own, beside its engine if known.

It is the refresh of `refresh.py`, with the limits of this computer's configuration for the comparison; the gate of the
station looks at the candidate again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engines.store.store import EngineStore
from engines.store.versions import ID_DIGITS, Version
from engines.teach_request import TeachRequest
from station.configuration.load import LoadedConfiguration
from station.jobs.engine_check import check_engine
from station.jobs.process import OnProgress, ignore_progress
from station.jobs.refresh import Refreshed, only_refresh, open_job, refresh
from station.jobs.refresh_selection import PartImage, select


def refresh_for(
    configuration: LoadedConfiguration,
    parts: Sequence[PartImage],
    folder: Path,
    request: TeachRequest,
    *,
    active: Version | None,
    notes: Sequence[str] = (),
    shown_command: Sequence[str] = (),
    on_progress: OnProgress = ignore_progress,
) -> tuple[EngineStore, Refreshed]:
    """The candidate, alone in a store below `folder` but for `active`, the engine that it is compared with.

    Raises JobError, RefreshError, EngineError.
    """
    product = (
        configuration.settings.recipe.name if configuration.engine_store is None else configuration.engine_store.name
    )
    store = EngineStore(folder / "store" / product, check=check_engine)
    if active is not None:
        store.activate(store.add(active.path, why="of the station"), why="of the station")
    with only_refresh(folder / "refresh") as lock:
        job = open_job(folder / "refresh", str(folder), lambda: select(parts))
        done = refresh(
            configuration, store, job, request, lock=lock, shown_command=shown_command, is_challenged=False,
            on_progress=on_progress,
        )  # fmt: skip
    return store, replace(done, notes=(*notes, *done.notes))


def version_with(store: Path, engine_id: str | None) -> Version | None:
    """The engine in the store of this computer that a station says it has; None: it is not here."""
    if not engine_id:
        return None
    versions = EngineStore(store).versions()
    return next((one for one in versions if one.id_start == engine_id[:ID_DIGITS]), None)
