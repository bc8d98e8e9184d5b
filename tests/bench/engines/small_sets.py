"""Small data sets in every layout, of rendered parts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.bench.engines.pictures import SIZE_PX, ring

SCRATCH = ((SIZE_PX // 3, SIZE_PX // 4), (SIZE_PX // 2, SIZE_PX // 2))


def mask(*, defective: bool = True, value: int = 255) -> NDArray[np.uint8]:
    """Where `ring(scratch=True)` has its scratch."""
    drawn = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    if defective:
        cv2.line(drawn, *SCRATCH, value, 4)
    return drawn


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def mvtec(folder: Path, *, train: int = 24, good: int = 6, scratched: int = 8, dented: int = 0) -> Path:
    """train/good, test/good, test/scratch with masks, test/dent without."""
    for seed in range(train):
        write(folder / "train" / "good" / f"{seed:03}.png", ring(seed))
    for seed in range(good):
        write(folder / "test" / "good" / f"{seed:03}.png", ring(1000 + seed))
    for seed in range(scratched):
        write(folder / "test" / "scratch" / f"{seed:03}.png", ring(2000 + seed, scratch=True))
        write(folder / "ground_truth" / "scratch" / f"{seed:03}_mask.png", mask())
    for seed in range(dented):
        write(folder / "test" / "dent" / f"{seed:03}.png", ring(3000 + seed, scratch=True))
    return folder


def ksdd2(folder: Path) -> Path:
    """Training part with defective images of its own."""
    for part, good, defective in (("train", 4, 2), ("test", 3, 2)):
        for seed in range(good + defective):
            stem = str(20000 + seed)
            write(folder / part / f"{stem}.png", ring(seed, scratch=seed >= good))
            write(folder / part / f"{stem}_GT.png", mask(defective=seed >= good))
    return folder


def kolektor(folder: Path) -> Path:
    """Ten items of two images; the second image of every fifth item is defective."""
    for item in range(1, 11):
        for part in range(2):
            bad = part == 1 and item % 5 == 0
            write(folder / f"kos{item:02}" / f"Part{part}.jpg", ring(10 * item + part, scratch=bad, colour=False))
            write(folder / f"kos{item:02}" / f"Part{part}_label.bmp", mask(defective=bad))
    return folder


def visa(root: Path, category: str = "candle", *, split_file: bool = True) -> Path:
    """A category of VisA with or without the one-class split beside it; masks hold small class numbers."""
    folder = root / category
    for seed in range(12):
        write(folder / "Data" / "Images" / "Normal" / f"{seed:04}.JPG", ring(seed))
    annotations = ["image,label,mask"]
    for seed in range(3):
        write(folder / "Data" / "Images" / "Anomaly" / f"{seed:03}.JPG", ring(500 + seed, scratch=True))
        write(folder / "Data" / "Masks" / "Anomaly" / f"{seed:03}.png", mask(value=1))
        annotations.append(f'{category}/Data/Images/Anomaly/{seed:03}.JPG,"hole,other",x')
    (folder / "image_anno.csv").write_text("\n".join(annotations) + "\n")
    if split_file:
        rows = ["object,split,label,image,mask"]
        for seed in range(12):
            part = "test" if seed in (3, 7) else "train"
            rows.append(f"{category},{part},normal,{category}/Data/Images/Normal/{seed:04}.JPG,")
        (root / "split_csv").mkdir(exist_ok=True)
        (root / "split_csv" / "1cls.csv").write_text("\n".join(rows) + "\n")
    return folder
