"""Finding parts: where they lie, what the model sees of them, where its map comes back to, and what is no part."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.bundle.location_spec import SEARCH_PX, BlobLocation, TemplateLocation
from engines.bundle.manifest import InputSpec
from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from engines.engine import open_engine
from engines.errors import BundleError, EngineError, PartNotLocated
from engines.location.location import Location
from engines.location.pose import Pose, turned_placement
from engines.preprocess import prepare
from tests.bench.engines.loose_parts import Lie, random_lie, screw, texture
from tests.bench.engines.small_engine import write_located_engine, write_small_engine

SCREW = BlobLocation(contrast=40, min_area_share=0.01, max_area_share=0.2, turn=True, head="shape")
LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))

lies = st.builds(
    Lie, x=st.floats(0.4, 0.6), y=st.floats(0.4, 0.6), angle_deg=st.floats(-180, 180), size=st.floats(0.8, 1.2)
)


def angle_between(a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180)


def located(location: Location, image: np.ndarray) -> Pose:
    pose = location.locate(image)
    assert pose is not None
    return pose


@given(lie=lies, seed=st.integers(0, 1000), colour=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_screw_is_found_wherever_it_lies_and_its_head_goes_left(lie: Lie, seed: int, colour: bool) -> None:
    pose = located(Location(SCREW), screw(lie, seed=seed, colour=colour))
    assert angle_between(pose.angle_deg, lie.angle_deg) < 1.5
    length = 2 * 0.3 * 320 * lie.size
    assert abs(pose.x - lie.x * 320) < 0.03 * length
    assert abs(pose.y - lie.y * 320) < 0.03 * length
    assert pose.width == pytest.approx(length * 1.1, rel=0.06)
    assert pose.height == pytest.approx(length * (0.3 + 0.1), rel=0.12)


@given(lie=lies)
@settings(max_examples=25, deadline=None)
def test_the_model_sees_every_screw_alike(lie: Lie) -> None:
    spec, location = InputSpec(width=160, height=64), Location(SCREW)
    reference = prepare(screw(Lie(), noise=0.0), spec, location).pixels
    seen = prepare(screw(lie, noise=0.0), spec, location).pixels
    assert np.abs(reference.astype(int) - seen).mean() < 8  # turned the other way round it is above 15
    flipped = np.abs(reference.astype(int) - seen[::-1, ::-1]).mean()
    assert flipped > 1.5 * np.abs(reference.astype(int) - seen).mean()


@given(lie=lies, width=st.integers(300, 500), height=st.integers(300, 500))
@settings(max_examples=25, deadline=None)
def test_a_spot_on_the_part_comes_back_where_it_was(lie: Lie, width: int, height: int) -> None:
    """The grey of 8 px cells is the map: bright where the spot is, and nothing outside of what the model saw."""
    plain = screw(lie, width=width, height=height, noise=0.0)
    spotted = screw(lie, width=width, height=height, noise=0.0, spot=True)
    spec, location = InputSpec(width=256, height=96), Location(SCREW)
    fitted = prepare(spotted, spec, location)
    difference = np.abs(fitted.pixels.astype(np.float32) - prepare(plain, spec, location).pixels).mean(axis=2)
    cells = difference.reshape(12, 8, 32, 8).mean(axis=(1, 3)).astype(np.float32)
    frame_map = fitted.frame_map(cells)
    rows, columns = frame_map.shape
    assert columns / rows == pytest.approx(width / height, rel=0.05)
    row, column = np.unravel_index(frame_map.argmax(), frame_map.shape)
    truth = np.argwhere(np.abs(spotted.astype(int) - plain).mean(axis=2) > 60).mean(axis=0)  # (y, x)
    cell_px = 8 * max(1.0, 0.66 * min(width, height) * lie.size / 256)
    assert abs((row + 0.5) / rows * height - truth[0]) < 1.5 * cell_px
    assert abs((column + 0.5) / columns * width - truth[1]) < 1.5 * cell_px
    assert frame_map[0, 0] == cells.min()


def test_large_frames_are_averaged_not_thinned() -> None:
    """A fine checkerboard must become grey; picking single pixels of it would give black or white."""
    board = (np.indices((1024, 1024)).sum(axis=0) % 2 * 255).astype(np.uint8)
    placement = turned_placement(board, Pose(512, 512, 960, 960, 0.0), InputSpec(width=96, height=96))
    assert np.abs(placement.warp(board).astype(int) - 127).max() <= 1


def test_an_upright_pose_is_the_plain_crop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 100, 3), np.uint8)
    placement = turned_placement(image, Pose(50, 60, 64, 32), InputSpec(width=64, height=32))
    assert (placement.warp(image) == image[44:76, 18:82]).all()
    placement = turned_placement(image, Pose(50, 60, 64, 32, 180.0), InputSpec(width=64, height=32))
    assert np.abs(placement.warp(image).astype(int) - image[44:76, 18:82][::-1, ::-1]).max() <= 1


def test_a_peak_survives_the_way_back() -> None:
    cells = np.zeros((10, 20), np.float32)
    cells[4, 7] = 1.0
    for angle in range(0, 180, 7):
        pose = Pose(300.3, 250.7, 200, 100, float(angle))
        placement = turned_placement(np.zeros((480, 640), np.uint8), pose, InputSpec(width=320, height=160))
        assert placement.cut(cells).max() > 0.6


two_screws = np.minimum(screw(Lie(x=0.3, size=0.6, angle_deg=90)), screw(Lie(x=0.7, size=0.6, angle_deg=90)))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.full((200, 200), 180, np.uint8), "nothing differs from the background by more than 40 grey levels"),
        (screw(Lie(size=0.2)), r"covers 0\.\d+% of the image, a part covers 1.00% to 20.00%"),
        (screw(Lie(x=0.12)), "reaches over the edge"),
        (two_screws, "2 things of similar size"),
        (texture(0), "things of similar size|background is not even"),
        (np.zeros((8, 8), np.uint8), "8x8 px, at least 16x16"),
    ],
)
def test_what_is_not_one_whole_part_is_not_located(image: np.ndarray, reason: str) -> None:
    with pytest.raises(PartNotLocated, match=reason):
        Location(SCREW).locate(image)


def test_an_edge_of_many_specks_is_no_even_background() -> None:
    """Each speck is too small to be a part and the part itself is found: only the edge says that something is wrong."""
    image = np.full((160, 200), 180, np.uint8)
    image[60:100, 60:140] = 60
    assert located(Location(SCREW), image).width > 79
    rows, columns = np.indices(image.shape)
    border = (rows < 10) | (rows >= 150) | (columns < 10) | (columns >= 190)
    image[border & (np.random.default_rng(0).random(image.shape) < 0.2)] = 60
    with pytest.raises(PartNotLocated, match=r"[12][0-9]% of the image's edge differ from the background"):
        located(Location(SCREW), image)


@pytest.mark.parametrize(
    ("head", "seed", "expected"),
    [
        ("shape", 0, (368.84088246385176, 233.16523608069787, 312.785973002634, 114.9102079565, -165.2022392212)),
        ("brightness", 1, (353.5585480348913, 288.1797651738062, 341.9128937621167, 126.1534157497, 51.8873143881)),
    ],
)
def test_an_engine_taught_before_finds_its_parts_as_ever(
    head: str, seed: int, expected: tuple[float, float, float, float, float]
) -> None:
    """The numbers are what the version before the later keys found; its spec had none of them, nor had its hash."""
    spec = SCREW.model_copy(update={"head": head})
    pose = located(Location(spec), screw(random_lie(seed), seed=seed, width=700, height=500, colour=seed == 0))
    assert (pose.x, pose.y, pose.width, pose.height, pose.angle_deg) == pytest.approx(expected, abs=1e-6)
    assert set(SCREW.model_dump()) == {
        "method", "contrast", "min_area_share", "max_area_share", "turn", "head", "margin",
    }  # fmt: skip
    assert Location(SCREW).content_id == "59d9c1f4c8a6f7590f7e1069aeab8c69f76d37d1741d59630cc938e7199ca774"


def test_later_keys_are_written_when_they_are_set() -> None:
    spec = SCREW.model_copy(update={"cue": "edges", "box": (-2.0, -1.0, 2.0, 1.0)})
    assert spec.model_dump()["cue"] == "edges"
    assert "side" not in spec.model_dump()
    assert BlobLocation.model_validate_json(spec.model_dump_json()) == spec


def test_a_taught_box_holds_still_and_grows_for_what_sticks_out() -> None:
    spec = SCREW.model_copy(update={"box": (-2.0, -3.0, 2.5, 3.0), "turn": False, "head": "none"})
    image = np.full((200, 300), 180, np.uint8)
    image[80:120, 100:200] = 60
    plain = located(Location(spec), image)
    image[99:101, 200:204] = 60  # a flicker of the outline, inside of the margin
    flicker = located(Location(spec), image)
    assert abs(flicker.x - plain.x) < 0.5
    assert abs(flicker.width - plain.width) < 1
    assert located(Location(SCREW.model_copy(update={"turn": False, "head": "none"})), image).width > plain.width - 100
    image[98:102, 200:270] = 60  # a burr
    burr = located(Location(spec), image)
    assert burr.corners()[:, 0].max() >= 270


def test_a_soft_shadow_and_a_step_of_light_are_no_edges() -> None:
    """Shadow as deep as half of the part: by its grey it is part, by its edges it is not."""
    shape = np.zeros((240, 320), np.float32)
    shape[100:140, 90:230] = 1
    shade = cv2.GaussianBlur(np.roll(shape, (12, 12), axis=(0, 1)), (0, 0), 9)
    image = np.where(shape > 0, 70, 190 - 80 * shade).astype(np.uint8)
    by_grey = SCREW.model_copy(update={"contrast": 30.0})
    by_edges = SCREW.model_copy(update={"contrast": 8.0, "cue": "edges"})
    margin = 0.1 * 140
    assert located(Location(by_grey), image).height > 40 + margin + 8
    assert located(Location(by_edges), image).height == pytest.approx(40 + margin, abs=3)
    assert located(Location(by_edges), image).width == pytest.approx(140 + margin, abs=4)
    with pytest.raises(PartNotLocated, match=r"reaches over the edge|size stand out|covers"):
        located(Location(by_edges), image[:, 150:])  # cut in two by the edge of the image


def test_darker_parts_have_no_bright_glare() -> None:
    image = np.full((240, 320), 150, np.uint8)
    image[100:140, 90:230] = 60
    image[20:60, 20:110] = 230
    with pytest.raises(PartNotLocated, match="2 things of similar size"):
        located(Location(SCREW), image)
    pose = located(Location(SCREW.model_copy(update={"side": "darker"})), image)
    assert (pose.x, pose.y) == pytest.approx((160, 120), abs=2)
    with pytest.raises(PartNotLocated, match="nothing differs"):
        located(Location(SCREW.model_copy(update={"side": "brighter"})), np.minimum(image, 150))


def test_an_uneven_background_is_followed() -> None:
    rng = np.random.default_rng(3)
    rough = cv2.GaussianBlur(rng.normal(0, 1, (240, 320)).astype(np.float32), (0, 0), 25)
    image = (130 + 16 * rough / rough.std()).astype(np.float32)
    image[100:140, 90:230] -= 60
    frame = np.clip(image, 0, 255).astype(np.uint8)
    pose = located(Location(SCREW.model_copy(update={"ground": "local", "contrast": 30.0})), frame)
    assert (pose.x, pose.y) == pytest.approx((160, 120), abs=4)


def test_a_second_thing_is_allowed_as_taught() -> None:
    image = np.full((240, 320), 180, np.uint8)
    image[100:140, 90:230] = 60
    image[20:40, 20:80] = 60  # a fifth of the part
    assert located(Location(SCREW), image).width > 140
    with pytest.raises(PartNotLocated, match="2 things"):
        located(Location(SCREW.model_copy(update={"max_other_share": 0.1})), image)


def test_a_cable_at_the_edge_does_not_bend_the_background() -> None:
    image = screw(Lie(angle_deg=30))
    image[:20, 0:6] = 20
    assert angle_between(located(Location(SCREW), image).angle_deg, 30) < 1.5


def test_the_brighter_end_goes_left() -> None:
    spec = SCREW.model_copy(update={"head": "brightness"})
    for angle in (20.0, -160.0):
        image = np.full((300, 300), 230, np.uint8)
        ends = np.array([[60.0, 0.0], [-60.0, 0.0]]) @ cv2.getRotationMatrix2D((0, 0), -angle, 1.0)[:, :2].T + 150
        points = [tuple(int(value) for value in end) for end in (ends[0], (150.0, 150.0), ends[1])]
        cv2.line(image, points[0], points[2], 60, 30)
        cv2.line(image, points[1], points[2], 120, 30)
        assert angle_between(located(Location(spec), image).angle_deg, angle) < 2


def taught_template(angle_deg: float = 0.0) -> Location:
    picture = cv2.resize(texture(3, size=256), (128, 128), interpolation=cv2.INTER_AREA)[24:104, 32:96]
    spec = TemplateLocation(search_width=128, search_height=128, min_correlation=0.7, max_angle_deg=angle_deg)
    return Location(spec, pictures={"template": np.ascontiguousarray(picture)})


@given(right=st.integers(-25, 25), down=st.integers(-25, 25))
@settings(max_examples=25, deadline=None)
def test_a_shifted_picture_is_found_to_a_pixel(right: int, down: int) -> None:
    shifted = np.roll(texture(3, size=256), (down, right), axis=(0, 1))
    pose = located(taught_template(), shifted)
    assert abs(pose.x - (128 + right)) < 1
    assert abs(pose.y - (128 + down)) < 1
    assert (pose.width, pose.height) == (128, 160)


@pytest.mark.parametrize("angle_deg", [-9.0, -4.0, 0.0, 2.0, 10.0])
def test_a_turned_picture_is_found(angle_deg: float) -> None:
    image = texture(3, size=256)
    turned = cv2.warpAffine(image, cv2.getRotationMatrix2D((127.5, 127.5), -angle_deg, 1.0), (256, 256), borderMode=4)
    pose = located(taught_template(12.0), np.asarray(turned, np.uint8))
    assert angle_between(pose.angle_deg, angle_deg) < 1.2
    assert abs(pose.x - 128) < 2
    assert abs(pose.y - 128) < 2


def test_another_picture_is_not_located() -> None:
    with pytest.raises(PartNotLocated, match=r"at least 0\.70 is needed"):
        taught_template().locate(texture(4))
    with pytest.raises(PartNotLocated):
        taught_template().locate(np.zeros((256, 256), np.uint8))


def test_pictures_must_fit_the_location() -> None:
    with pytest.raises(EngineError, match=r"needs the pictures \['template'\]"):
        Location(TemplateLocation(search_width=64, search_height=64, min_correlation=0.5))
    with pytest.raises(EngineError, match="uniform"):
        Location(
            TemplateLocation(search_width=64, search_height=64, min_correlation=0.5),
            pictures={"template": np.full((32, 32), 7, np.uint8)},
        )


def test_ignored_regions_show_the_same_always_and_never_reach_the_map() -> None:
    spec = InputSpec(width=64, height=32)
    fill = np.full((32, 64, 3), 90, np.uint8)
    location = Location(ignore=(LEFT_HALF,), pictures={"fill": fill})
    image = np.full((32, 64), 10, np.uint8)
    before = image.copy()
    fitted = prepare(image, spec, location)
    assert (fitted.pixels[:, :31] == 90).all()
    assert (fitted.pixels[:, 33:] == 10).all()
    assert (image == before).all()
    cells = np.arange(32, dtype=np.float32).reshape(4, 8)[:, ::-1].copy()  # hottest at the left
    frame_map = fitted.frame_map(cells)
    assert (frame_map[:, :4] == cells.min()).all()
    assert (frame_map[:, 4:] == cells[:, 4:]).all()


def test_ignored_regions_move_with_the_part() -> None:
    """The head's half is ignored: however the screw lies, no head is seen."""
    spec = InputSpec(width=160, height=64)
    fill = np.full((64, 160, 3), 250, np.uint8)
    location = Location(SCREW, ignore=(LEFT_HALF,), pictures={"fill": fill})
    for seed in range(5):
        seen = prepare(screw(random_lie(seed), seed=seed), spec, location).pixels
        assert (seen[8:56, 4:76] == 250).all()
        assert seen[32, 120].mean() < 150  # the shaft


def test_an_engine_brings_its_location(tmp_path: Path) -> None:
    path = write_located_engine(tmp_path / "engine", screw(Lie(), noise=0.0), SCREW)
    assert read_bundle(path).manifest.location == SCREW
    with open_engine(path, threads=1) as engine:
        for seed in range(5):
            lie = random_lie(seed)
            good = engine.score(screw(lie, seed=seed))
            bad = engine.score(screw(lie, seed=seed, spot=True))
            assert good.image_score < engine.calibration.reject_score < bad.image_score
        with pytest.raises(PartNotLocated, match="nothing differs"):
            engine.score(np.full((320, 320, 3), 180, np.uint8))


def test_pictures_of_an_engine_are_hashed_and_complete(tmp_path: Path) -> None:
    plain = read_bundle(write_small_engine(tmp_path / "plain", width=64, height=48))
    manifest = plain.manifest.model_copy(update={"ignore": (LEFT_HALF,)})
    fill = np.full((48, 64, 3), 64, np.uint8)
    with pytest.raises(BundleError, match=r"needs the pictures \['fill'\]"):
        write_bundle(tmp_path / "without", draft=manifest, model=plain.model, golden=plain.golden)
    with pytest.raises(BundleError, match=r"needs the pictures \[\], the manifest names \['fill'\]"):
        write_bundle(
            tmp_path / "without", draft=plain.manifest, model=plain.model, golden=plain.golden, pictures={"fill": fill}
        )
    assert not (tmp_path / "without").exists()
    path = tmp_path / "engine"
    write_bundle(path, draft=manifest, model=plain.model, golden=plain.golden, pictures={"fill": fill})
    image = np.full((48, 64, 3), 64, np.uint8)
    image[8:16, 8:16] = 220  # in the ignored half
    with open_engine(path, threads=1) as engine:
        assert engine.score(image).image_score == 0.0
        assert engine.score(image[:, ::-1].copy()).image_score > engine.calibration.reject_score
    picture = path / "location" / "fill.png"
    picture.write_bytes(picture.read_bytes()[:-20] + bytes(20))
    with pytest.raises(BundleError, match=r"location/fill.png: sha256"):
        read_bundle(path)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    plain = read_bundle(write_small_engine(tmp_path / "plain", width=64, height=48))
    manifest = plain.manifest.model_copy(update={"ignore": (LEFT_HALF,)})
    pictures = {"fill": np.zeros((40, 64, 3), np.uint8)}
    path = tmp_path / "engine"
    write_bundle(path, draft=manifest, model=plain.model, golden=plain.golden, pictures=pictures)  # type: ignore[arg-type]
    with pytest.raises(BundleError, match=r"fill.png: size \(64, 40\), the model takes \(64, 48\)"):
        read_bundle(path)
    manifest = plain.manifest.model_copy(update={"location": taught_template().spec})
    template = np.zeros((10, SEARCH_PX + 1), np.uint8)
    path = tmp_path / "template"
    write_bundle(path, draft=manifest, model=plain.model, golden=plain.golden, pictures={"template": template})
    with pytest.raises(BundleError, match=r"template.png: size \(257, 10\), at most 256 px are allowed"):
        read_bundle(path)
