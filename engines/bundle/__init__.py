"""An engine on disk: one folder of manifest, graphs, calibration and golden images; reading, writing, archives."""
