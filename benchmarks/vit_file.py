"""A backbone file from a vision transformer that somebody exported with a head: its tokens, without the head.

    python benchmarks/vit_file.py IN.onnx OUT.onnx --outputs NAME[,NAME...]

NAME: values inside the graph that hold tokens (n, tokens, channels), from early to late. OUT takes float32 RGB 0..255
of any height and width, as `engines/detectors/backbones/onnx_file.py` wants it; the normalisation of ImageNet is put in
front; its outputs are called tokens0, tokens1. For `station evaluate --backbone OUT.onnx`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.utils import Extractor

MEAN = 255 * np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1)
DEVIATION = 255 * np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 3, 1, 1)


def tokens_only(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The part of the graph that gives `names`, with the normalisation in front.

    Raises:
        ValueError: the graph has several inputs, or not all of these values.
    """
    if len(model.graph.input) != 1:
        raise ValueError(f"{len(model.graph.input)} inputs: allowed is a graph with one")
    made = {output for node in model.graph.node for output in node.output}
    if missing := [name for name in names if name not in made]:
        raise ValueError(f"the graph has no {', '.join(missing)}; take outputs of its nodes")
    before = model.graph.input[0].name
    for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim, ("n", 3, "height", "width"), strict=True):
        axis.Clear()
        if isinstance(size, str):
            axis.dim_param = size
        else:
            axis.dim_value = size
    del model.graph.value_info[:]
    outputs = [f"tokens{number}" for number in range(len(names))]  # a tap's name has neither dots nor slashes
    for name, output in zip(names, outputs, strict=True):
        model.graph.node.append(helper.make_node("Identity", [name], [output]))
        model.graph.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["n", "tokens", None]))
    cut = Extractor(model).extract_model([before], outputs)
    cut.graph.input[0].name = "image"
    constants = {"mean_of_images": MEAN, "deviation_of_images": DEVIATION}
    cut.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    cut.graph.node.insert(0, helper.make_node("Sub", ["image", "mean_of_images"], ["centred_image"]))
    cut.graph.node.insert(1, helper.make_node("Div", ["centred_image", "deviation_of_images"], [before]))
    return cut


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="IN.onnx")
    parser.add_argument("target", type=Path, metavar="OUT.onnx")
    parser.add_argument("--outputs", required=True, type=lambda text: text.split(","))
    options = parser.parse_args()
    try:
        cut = tokens_only(onnx.load(options.source), options.outputs)
    except ValueError as error:
        parser.error(str(error))
    onnx.checker.check_model(cut)
    onnx.save(cut, options.target)


if __name__ == "__main__":
    main()
