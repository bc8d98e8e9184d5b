"""A graph that keeps weights in another file is refused wherever it hides them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from engines.bundle import graph_check
from engines.bundle.archive import export_archive
from engines.bundle.graph_check import MESSAGES, check_self_contained
from engines.bundle.manifest import InputSpec, MapSpec
from engines.bundle.reading import Bundle, FrameGraph, Graph, read_bundle
from engines.bundle.writing import write_bundle
from engines.detectors.backbones.base import BackboneError
from engines.detectors.backbones.onnx_file import OnnxBackbone
from engines.errors import BundleError, RuntimeFailure
from engines.runtimes.onnx import OnnxRuntime
from engines.store.store import EngineStore
from tests.bench.engines.small_engine import write_small_engine
from tests.engines.bundle.test_bundle_graphs import parity

Hide = Callable[[ModelProto, TensorProto], None]


@pytest.fixture
def plain(tmp_path: Path) -> Bundle:
    return read_bundle(write_small_engine(tmp_path / "plain", width=64, height=48))


def outside(location: str = "weights.bin") -> TensorProto:
    tensor = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def sparse(tensor: TensorProto, *, indices: bool = False) -> SparseTensorProto:
    return SparseTensorProto(**{"indices" if indices else "values": tensor}, dims=[8])


def in_subgraph(tensor: TensorProto, *, one_of_several: bool = False) -> AttributeProto:
    graph = GraphProto(name="branch", initializer=[tensor])
    return AttributeProto(graphs=[graph]) if one_of_several else AttributeProto(g=graph)


HIDDEN: dict[str, Hide] = {
    "initializer": lambda m, t: m.graph.initializer.append(t),
    "sparse initializer": lambda m, t: m.graph.sparse_initializer.append(sparse(t)),
    "indices of a sparse one": lambda m, t: m.graph.sparse_initializer.append(sparse(t, indices=True)),
    "attribute": lambda m, t: m.graph.node[0].attribute.append(AttributeProto(name="value", t=t)),
    "list of an attribute": lambda m, t: m.graph.node[0].attribute.append(AttributeProto(name="value", tensors=[t])),
    "sparse attribute": lambda m, t: m.graph.node[0].attribute.append(AttributeProto(sparse_tensor=sparse(t))),
    "sparse attributes": lambda m, t: m.graph.node[0].attribute.append(AttributeProto(sparse_tensors=[sparse(t)])),
    "subgraph": lambda m, t: m.graph.node[0].attribute.append(in_subgraph(t)),
    "subgraphs": lambda m, t: m.graph.node[0].attribute.append(in_subgraph(t, one_of_several=True)),
    "subgraph of a subgraph": lambda m, t: m.graph.node[0].attribute.append(
        AttributeProto(g=GraphProto(node=[NodeProto(attribute=[in_subgraph(t)])]))
    ),
    "function": lambda m, t: m.functions.append(FunctionProto(node=[NodeProto(attribute=[AttributeProto(t=t)])])),
    "default of a function": lambda m, t: m.functions.append(FunctionProto(attribute_proto=[AttributeProto(t=t)])),
    "training": lambda m, t: m.training_info.add().initialization.initializer.append(t),
    "training step": lambda m, t: m.training_info.add().algorithm.initializer.append(t),
}


@pytest.mark.parametrize("where", HIDDEN)
def test_weights_outside_are_refused_wherever_they_hide(plain: Bundle, where: str) -> None:
    model = onnx.load_from_string(plain.model)
    HIDDEN[where](model, TensorProto(name="inside", dims=[1], data_type=TensorProto.FLOAT, raw_data=bytes(4)))
    check_self_contained(model.SerializeToString(), "x")
    HIDDEN[where](model, outside())
    with pytest.raises(BundleError, match='x: tensor "hidden" has its values in another file'):
        check_self_contained(model.SerializeToString(), "x")


def test_every_way_to_a_tensor_is_known() -> None:
    """The table against the descriptors of the installed package: a field that leads to a tensor is not missing."""
    pending, reached = [ModelProto.DESCRIPTOR], {}
    while pending:
        message = pending.pop()
        reached[message.name] = {f.number: f.message_type for f in message.fields if f.message_type is not None}
        pending.extend(child for child in reached[message.name].values() if child.name not in reached)
    leads = {"TensorProto"}
    while more := {name for name, fields in reached.items() if any(c.name in leads for c in fields.values())} - leads:
        leads |= more
    expected = {
        name: {number: child.name for number, child in reached[name].items() if child.name in leads} for name in leads
    }
    assert {name: dict(fields) for name, fields in MESSAGES.items()} == expected
    for number, name in ((graph_check.NAME, "name"), (13, "external_data"), (14, "data_location")):
        assert TensorProto.DESCRIPTOR.fields_by_name[name].number == number


@pytest.mark.parametrize("graph", ["model", "variant", "frame"])
def test_every_graph_of_an_engine_is_looked_at_when_it_is_opened_and_imported(
    plain: Bundle, tmp_path: Path, graph: str
) -> None:
    model = onnx.load_from_string(plain.model)
    model.graph.initializer.append(outside("/etc/passwd"))
    evil = model.SerializeToString()
    write_bundle(
        tmp_path / "evil",
        draft=plain.manifest,
        model=evil if graph == "model" else plain.model,
        golden=plain.golden,
        variants={"fp16": Graph(evil, parity(plain))} if graph == "variant" else {},
        frame=FrameGraph(evil, width=64, height=48, grey=True) if graph == "frame" else None,
    )
    with pytest.raises(BundleError, match="in another file"):
        read_bundle(tmp_path / "evil")
    store = EngineStore(tmp_path / "store")
    kept = store.add(plain.path, why="good")
    store.activate(kept)
    with pytest.raises(BundleError, match="in another file"):
        store.add(tmp_path / "evil", why="")
    assert store.versions() == (kept,)
    assert store.active() == kept


def test_an_archive_with_weights_outside_is_refused(
    plain: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load_from_string(plain.model)
    model.graph.initializer.append(outside())
    write_bundle(tmp_path / "evil", draft=plain.manifest, model=model.SerializeToString(), golden=plain.golden)
    with monkeypatch.context() as blind:
        blind.setattr("engines.bundle.reading.check_self_contained", lambda *_: None)
        export_archive(tmp_path / "evil", tmp_path / "evil.tar")
    store = EngineStore(tmp_path / "store")
    with pytest.raises(BundleError, match="in another file"):
        store.import_archive(tmp_path / "evil.tar")
    assert store.versions() == ()


def test_the_runtime_is_a_second_barrier(plain: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the working directory, where ONNX Runtime looks by default, is not read either."""
    monkeypatch.chdir(tmp_path)
    model = onnx.load_from_string(plain.model)
    reference = next(tensor for tensor in model.graph.initializer if tensor.name == "reference")
    Path("weights.bin").write_bytes(reference.raw_data)
    reference.ClearField("raw_data")
    reference.data_location = TensorProto.EXTERNAL
    reference.external_data.add(key="location", value="weights.bin")
    with pytest.raises(RuntimeFailure, match="External data"):
        OnnxRuntime(model.SerializeToString(), InputSpec(width=64, height=48), MapSpec(width=8, height=6), threads=1)


def test_a_backbone_brings_its_weights_too(tmp_path: Path) -> None:
    model = ModelProto(graph=GraphProto(initializer=[outside()]))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BackboneError, match=r"net\.onnx: tensor .* in another file"):
        OnnxBackbone(tmp_path / "net.onnx")


def test_another_format_than_onnx_is_refused() -> None:
    with pytest.raises(BundleError, match="ONNX Runtime's own format"):
        check_self_contained(b"\x18\0\0\0ORTM" + bytes(50), "x")


def test_too_many_fields_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_check, "MAX_FIELDS", 100)
    check_self_contained(b"\x08\x08" * 100, "x")
    with pytest.raises(BundleError, match="more than 100 fields"):
        check_self_contained(b"\x08\x08" * 101, "x")


@given(st.binary(max_size=60))
def test_whatever_the_bytes_are(data: bytes) -> None:
    """Passed or refused, and nothing else."""
    with contextlib.suppress(BundleError):
        check_self_contained(data, "x")


@given(cut=st.integers(0, 10_000), at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_what_onnx_reads_with_weights_outside_is_never_passed(cut: int, at: int, byte: int) -> None:
    """Changed bytes: what the package `onnx` still reads as a tensor outside must be refused here."""
    model = ModelProto(graph=GraphProto(node=[NodeProto(attribute=[AttributeProto(t=outside())])]))
    data = bytearray(model.SerializeToString())
    data[at % len(data)] = byte
    del data[len(data) - cut % 4 :]
    try:
        read = onnx.load_from_string(bytes(data))
    except Exception:  # noqa: BLE001  no model any more
        return
    tensors = [attribute.t for node in read.graph.node for attribute in node.attribute]
    if any(tensor.data_location == TensorProto.EXTERNAL or tensor.external_data for tensor in tensors):
        with pytest.raises(BundleError):
            check_self_contained(bytes(data), "x")
