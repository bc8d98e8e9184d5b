"""`station show`: one part as it can be seen. `station sheet`: many of them side by side."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

from station.commands.options import BadInput, add_json_option, complain, positive, print_json
from station.commands.records import finding
from station.commands.records.finding import Found, add_part_options, find
from station.commands.records.selecting import (
    Place,
    add_place_options,
    add_selection_options,
    in_batch,
    place_of,
    reporting,
    selection_of,
    station_of,
)
from station.labels.labels import read_labels
from station.records.schema import open_reader
from station.records.selection import newest_of
from station.reports import contact_sheet, part_picture
from station.reports.as_data import part_as_data, reasons_as_data
from station.reports.drawing import SUFFIXES
from station.reports.nearest_good import NearestGood
from station.reports.part_page import page
from station.reports.seen import Eyes, Seen
from station.terminal import console, one_line, say

PAGE_SUFFIX = ".html"
_FORMS = (*SUFFIXES, PAGE_SUFFIX)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `show` and `sheet`."""
    parser = commands.add_parser("show", help="show a part: pictures, heat map, regions, limits, reasons")
    add_part_options(parser)
    add_json_option(parser, "part, labels, views, others, drawn")
    parser.add_argument("--output", type=Path, metavar="FILE", help=f"as picture or page: {', '.join(_FORMS)}")
    add_place_options(parser)
    parser.set_defaults(run=reporting(show))

    parser = commands.add_parser("sheet", help="draw many parts side by side: the contact sheet of a selection")
    add_selection_options(parser)
    add_json_option(parser, "file, parts, without_picture")
    most = contact_sheet.MAX_CELLS
    parser.add_argument("--limit", type=positive, default=most, metavar="N", help=f"the newest; at most {most}")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help=", ".join(SUFFIXES))
    add_place_options(parser)
    parser.set_defaults(run=reporting(sheet))


def show(options: argparse.Namespace) -> int:
    """Writes what there is of the part; with `--output` its pictures, too."""
    if options.output is not None and options.output.suffix not in _FORMS:
        raise BadInput(f"--output {options.output}: the name must end in {', '.join(_FORMS)}")
    place = place_of(options)
    with closing(open_reader(place.records)) as connection:
        found = find(connection, options, place.calendar)
    looking = eyes(options, place)
    seen = looking.look(found.part)
    kept = read_labels(place.labels, found.part)
    labels = tuple(f"label: {one_line(one)}" for one in kept)
    if options.output is not None:
        write(options.output, seen, place, labels, looking)
    if options.json:
        print_json(
            {
                **part_as_json(seen, place),
                "labels": [one.as_json() for one in kept],
                "others": finding.as_json(found.others, place.calendar),
                "drawn": options.output,
            }
        )
    else:
        _print(found, seen, place, options, labels)
    return 0


def sheet(options: argparse.Namespace) -> int:
    """Draws the newest parts of the selection."""
    if options.output.suffix not in SUFFIXES:
        raise BadInput(f"--output {options.output}: the name must end in {' or '.join(SUFFIXES)}")
    if options.limit > contact_sheet.MAX_CELLS:
        raise BadInput(f"--limit {options.limit}: a sheet holds at most {contact_sheet.MAX_CELLS} parts")
    place = place_of(options)
    selection = selection_of(options, place.calendar)
    with closing(open_reader(place.records)) as connection:
        rows = newest_of(connection, in_batch(connection, options, selection), options.limit)
    looking = eyes(options, place)
    cells = [
        contact_sheet.cell_of(looking.look(row, most_px=contact_sheet.PHOTO_PX, worst_only=True), place.calendar)
        for row in reversed(rows)
    ]
    drawing = contact_sheet.draw(cells, f"{len(cells)} parts, the newest first")
    try:
        drawing.save(options.output)
    except OSError as problem:
        return complain(f"--output {options.output}: {problem.strerror}")
    without = sum(cell.view is None or cell.view.image is None for cell in cells)
    if options.json:
        print_json({"file": options.output, "parts": len(cells), "without_picture": without})
    else:
        say(f"{options.output}: {len(cells)} parts" + (f", {without} of them without a picture" if without else ""))
    return 0


def eyes(options: argparse.Namespace, place: Place) -> Eyes:
    """With the limits and engines of the configuration, where there is one."""
    return Eyes(place.records, station_of(options))


def part_as_json(seen: Seen, place: Place) -> dict[str, Any]:
    """What there is of a part and its views, for scripts."""
    part = part_as_data(seen.part, place.calendar, None)
    del part["label"], part["defect_class"]  # `labels` has all of them
    views = [
        {
            "camera": view.row.camera,
            "verdict": view.row.verdict,
            "score": view.row.score,
            "reject_score": view.row.reject_score,
            "reasons": reasons_as_data(view.row.reason_list),
            "regions": part_picture.regions_in_words(view),
            "limits": part_picture.limits_of(view),
            "image": None if view.row.image_path is None or view.image is None else place.records / view.row.image_path,
            "missing": list(dict.fromkeys(why for why in (view.why_no_image, view.why_no_heat) if why)),
        }
        for view in seen.views
    ]
    return {"part": part, "views": views}


def write(file: Path, seen: Seen, place: Place, labels: tuple[str, ...], looking: Eyes) -> None:
    """Raises BadInput when the file cannot be written."""
    try:
        if file.suffix == PAGE_SUFFIX:
            nearest = NearestGood(looking)
            compared = {view.row.camera: nearest.compare(seen.part, view.row.camera) for view in seen.views}
            file.write_text(page(seen, place.calendar, labels, compared), encoding="utf-8")
        else:
            part_picture.draw(seen, place.calendar, labels).save(file)
    except OSError as problem:
        raise BadInput(f"--output {file}: {problem.strerror}") from problem


def _print(found: Found, seen: Seen, place: Place, options: argparse.Namespace, labels: tuple[str, ...]) -> None:
    part = seen.part
    score = part_picture.score_in_words(part.score, part.reject_score)
    lines = [f"part {part.part_id}: {part.verdict}, {score}"]
    lines += [f"  {one_line(reason)}" for reason in part.reason_list]
    lines += [*labels, *part_picture.facts(seen, place.calendar), *finding.others_in_words(found, place.calendar)]
    for view in seen.views:
        row = view.row
        lines.append(
            f"camera {one_line(row.camera)}: {row.verdict}, {part_picture.score_in_words(row.score, row.reject_score)}"
        )
        lines += [f"  region {text}" for text in part_picture.regions_in_words(view)]
        lines += [f"  {text}" for text in part_picture.limits_of(view)]
        if row.image_path is not None and view.image is not None:
            lines.append(f"  image {place.records / one_line(row.image_path)}")
        lines += [f"  {why}" for why in dict.fromkeys((view.why_no_image, view.why_no_heat)) if why]
    if not seen.views:
        lines.append("no view of this part is on record")
    if options.output is None:
        lines.append("its pictures: --output part.png, or part.html")
    else:
        lines.append(f"drawn: {options.output}")
    console().print("\n".join(lines), soft_wrap=True)
