"""The dossier of a training: what was done with every image and why, for people (HTML) and for tools (JSON).

dossier = collect(dataset, learned, run)            everything that is known, one strict tree
pictured(dossier)                                   the images that need a picture and an anomaly map
write_dossier(folder, dossier, images, maps)        dossier.json, dossier.html, removed.txt, pictures/, plots/
"""
