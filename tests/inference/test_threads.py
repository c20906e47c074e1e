"""A program that calls the library: one sentence uses one thread, and the program keeps its own settings."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

import nmt
from nmt.cores import BLAS_THREADS
from nmt.engine import InferenceNetwork, products
from tests.tiny_translator import save_tiny_model

PROGRAM = 2
"""Threads of the products of the program itself."""


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in ThreadpoolController().info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("threads", [None, 1, 4])
def test_a_sentence_is_translated_by_the_caller_with_single_threaded_products(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int | None
) -> None:
    save_tiny_model(tmp_path / "model.safetensors")
    seen: list[tuple[threading.Thread, set[int]]] = []
    encode = InferenceNetwork.encode

    def observed(*args: Any) -> Any:
        seen.append((threading.current_thread(), blas_threads()))
        return encode(*args)

    monkeypatch.setattr(InferenceNetwork, "encode", observed)
    monkeypatch.delenv(BLAS_THREADS, raising=False)
    with threadpool_limits(limits=PROGRAM, user_api="blas"):
        program = blas_threads()
        model = nmt.load(tmp_path / "model.safetensors", device="cpu", threads=threads)
        model.translate("the dog sees the red house .")
        assert blas_threads() == program
    assert seen
    assert all(thread is threading.current_thread() and pools == {1} for thread, pools in seen)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_help_a_sentence_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    save_tiny_model(tmp_path / "model.safetensors")
    line = "the dog sees the red house ."
    (expected,) = nmt.load(tmp_path / "model.safetensors", device="cpu", threads=1).translate([line])
    monkeypatch.setattr(products, "SHARE", 1)
    helped = threading.Event()
    multiply = products._multiply

    def observed(*args: Any) -> None:
        if threading.current_thread().name.startswith("nmt-helper"):
            helped.set()
        elif threads > 1:
            helped.wait(60)
        multiply(*args)

    monkeypatch.setattr(products, "_multiply", observed)
    found = nmt.load(tmp_path / "model.safetensors", device="cpu", threads=threads).translate(line)
    assert helped.is_set() == (threads > 1)
    assert found.text == expected.text
    assert found.hypotheses == expected.hypotheses
