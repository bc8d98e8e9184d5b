"""The dossier of a training: what was done with every image and why, for people (HTML) and for tools (JSON).

dossier = collect(dataset, learned, run)            everything that is known, one strict tree
pictured(dossier)                                   the images that need a picture and an anomaly map
write_dossier(folder, dossier, images, maps)        dossier.json, dossier.html, removed.txt, pictures/, plots/
"""

from engines.training.dossier.collect import TrainingRun, collect
from engines.training.dossier.schema import Dossier
from engines.training.dossier.selection import pictured
from engines.training.dossier.write import write_dossier

__all__ = ["Dossier", "TrainingRun", "collect", "pictured", "write_dossier"]
