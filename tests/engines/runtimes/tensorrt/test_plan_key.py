"""Keys of plans: equal exactly when everything that a plan depends on is equal."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from engines.runtimes.tensorrt.plan_key import KEY_DIGITS, PlanKey, Profile, plan_key
from engines.runtimes.tensorrt.probe import Gpu

GPU = Gpu("NVIDIA H100 80GB HBM3", (9, 0), 80 << 30, False, 13020, 1, "0000:01:00.0")
KEY = plan_key("ab" * 32, "fp16", "11.4.0.106", GPU)

texts = st.text(max_size=20)
profiles = st.builds(Profile, *[st.integers(1, 1024)] * 3)
keys = st.builds(
    PlanKey,
    onnx_sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    precision=st.sampled_from(["fp16", "fp32", "int8-backbone"]),
    tensorrt_version=texts,
    compute_capability=texts,
    gpu_name=texts,
    driver=texts,
    profile=profiles,
    flags=st.lists(texts, max_size=3).map(tuple),
)


def test_what_a_key_is_made_of() -> None:
    assert dataclasses.asdict(KEY) == {
        "onnx_sha256": "ab" * 32,
        "precision": "fp16",
        "tensorrt_version": "11.4.0.106",
        "compute_capability": "9.0",
        "gpu_name": "NVIDIA H100 80GB HBM3",
        "driver": "13.2",
        "profile": {"min_batch": 1, "opt_batch": 1, "max_batch": 8},
        "flags": ("strongly_typed", "no_tf32"),
    }


@given(keys, keys)
def test_equal_keys_have_equal_names_and_others_do_not(one: PlanKey, other: PlanKey) -> None:
    assert (one == other) == (one.digest == other.digest) == (not one.differences(other))
    assert one.name == one.digest[:KEY_DIGITS]


@given(keys, keys, st.sampled_from([field.name for field in dataclasses.fields(PlanKey)]))
def test_every_field_counts(one: PlanKey, other: PlanKey, field: str) -> None:
    changed = dataclasses.replace(one, **{field: getattr(other, field)})
    differs = getattr(one, field) != getattr(other, field)
    assert (changed.digest != one.digest) == differs
    assert len(one.differences(changed)) == differs


@given(keys)
def test_a_key_survives_being_written(key: PlanKey) -> None:
    adapter = TypeAdapter(PlanKey)
    assert adapter.validate_json(adapter.dump_json(key)) == key


@pytest.mark.system
def test_the_name_is_the_same_in_another_process() -> None:
    code = "from tests.engines.runtimes.tensorrt.test_plan_key import KEY\nprint(KEY.name)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert found.stdout.strip() == KEY.name


def test_differences_are_named_in_words() -> None:
    orin = Gpu("Orin", (8, 7), 8 << 30, True, 12060, 1, "")
    other = dataclasses.replace(plan_key("cd" * 32, "fp16", "10.3.0", orin), profile=Profile(1, 4, 4), flags=())
    assert other.differences(KEY) == [
        "graph cdcdcdcdcdcd, here abababababab",
        "TensorRT 10.3.0, here 11.4.0.106",
        "compute capability 8.7, here 9.0",
        "GPU Orin, here NVIDIA H100 80GB HBM3",
        "driver for CUDA 12.6, here 13.2",
        "profile 1 to 4 images, tuned for 4, here 1 to 8 images, tuned for 1",
        "flags none, here strongly_typed+no_tf32",
    ]


@pytest.mark.parametrize(
    "changes", [{"onnx_sha256": "ab"}, {"precision": "fp8"}, {"gpu_name": 5}, {"profile": {"min_batch": 0}}, {"x": 1}]
)
def test_what_is_no_key_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(PlanKey).validate_python({**dataclasses.asdict(KEY), **changes})
