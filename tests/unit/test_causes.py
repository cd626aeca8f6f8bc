from __future__ import annotations

import pytest
import torch

from advtasks.causes import is_out_of_memory, said


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(28, "No space left on device", "a.png"), "No space left on device"),
        (OSError("no archive"), "no archive"),
        (RuntimeError("\n  first line  \nsecond"), "first line"),
        (RuntimeError("Error(s) in A:\n\tsize mismatch\n\tanother"), "Error(s) in A: size mismatch"),
        (RuntimeError("nothing:"), "nothing:"),
        (RuntimeError(), "RuntimeError"),
        (ValueError("x" * 300), "x" * 200),
    ],
)
def test_what_an_error_said_is_one_line(error: Exception, text: str) -> None:
    assert said(error) == text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 12"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 12 bytes."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("a file named out of memory.png"), False),
    ],
)
def test_memory_that_ran_out_is_known_by_its_words(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
