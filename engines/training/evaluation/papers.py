"""What the papers report, to be shown beside our figures.

Aqeel, Sharifi, Cristani, Setti, "Self-Supervised Iterative Refinement for Anomaly Detection in Industrial Quality
Control" (arXiv 2408.11561; VISAPP 2025): DifferNet, image AUROC at 0, 10, 20, 30, 40 and 50 % noise, three runs each.
"""

from __future__ import annotations

SOURCE = "Aqeel et al., arXiv 2408.11561 / VISAPP 2025, DifferNet"
NOISE_PERCENT = (0, 10, 20, 30, 40, 50)

IRP_AUROC: dict[str, tuple[float, ...]] = {
    "bottle": (0.9386, 0.9495, 0.9250, 0.9200, 0.9295, 0.9340),
    "capsule": (0.8592, 0.8498, 0.8288, 0.8102, 0.8012, 0.7872),
    "cable": (0.9288, 0.8368, 0.8560, 0.6756, 0.5716, 0.4604),
    "carpet": (0.8386, 0.7727, 0.7222, 0.6354, 0.5905, 0.6206),
    "leather": (0.9722, 0.9388, 0.9348, 0.9266, 0.9157, 0.8897),
    "metal_nut": (0.8880, 0.8688, 0.8480, 0.8464, 0.7792, 0.8096),
    "pill": (0.8888, 0.8580, 0.8558, 0.8016, 0.8096, 0.7816),
    "screw": (0.8938, 0.8680, 0.8524, 0.8234, 0.7988, 0.7436),
    "tile": (0.9723, 0.9674, 0.9649, 0.9656, 0.9598, 0.9481),
    "zipper": (0.9378, 0.8880, 0.8504, 0.8232, 0.8096, 0.7340),
    "ksdd2": (0.9403, 0.9238, 0.9024, 0.9109, 0.8923, 0.8967),
}
"""Data set -> IRP."""

MVTEC_MEAN_AUROC: dict[str, tuple[float, ...]] = {
    "none": (0.8931, 0.8455, 0.8235, 0.7797, 0.7331, 0.7171),
    "osr": (0.8960, 0.8674, 0.8327, 0.7916, 0.7684, 0.7338),
    "irp": (0.9118, 0.8797, 0.8638, 0.8228, 0.7965, 0.7708),
}
"""Refinement -> mean over the categories; the papers call "none" vanilla."""

IRP_REMOVED: dict[str, tuple[str, ...]] = {
    "ksdd2": ("11/0", "3/5", "3/7", "2/8", "4/12", "4/13"),
    "cable": ("6/0", "5/7", "5/9", "4/11", "3/12", "4/12"),
    "capsule": ("16/0", "11/6", "5/12", "4/14", "2/13", "5/13"),
    "metal_nut": ("14/0", "6/8", "5/11", "3/11", "2/9", "1/9"),
    "pill": ("17/0", "9/8", "5/11", "4/13", "5/12", "3/11"),
    "screw": ("15/0", "12/5", "6/9", "7/11", "6/10", "2/12"),
    "zipper": ("19/0", "10/5", "8/9", "5/11", "6/14", "5/13"),
}
"""Data set -> images removed by IRP, good/bad (table 2)."""


def paper_name(dataset: str) -> str:
    """The name under which the papers have this data set, if they do."""
    name = dataset.lower()
    return "ksdd2" if "ksdd2" in name or "kolektorsdd2" in name else name
