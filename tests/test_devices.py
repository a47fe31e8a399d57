"""The device that a name means, and the machine as results name it."""

import pytest
import torch

from actormimic.devices import choose_device, machine_in_words


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        assert choose_device("auto") == torch.device("cpu")
        with pytest.raises(ValueError, match="there is no CUDA device; allowed: cpu, auto"):
            choose_device("cuda")


def test_the_machine_is_named_with_its_processors_and_torch():
    words = machine_in_words(torch.device("cpu"))
    assert words.endswith(f", torch {torch.__version__}")
    assert words.split(" x ")[0].isdecimal()
