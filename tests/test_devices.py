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


@pytest.mark.filterwarnings("ignore:Please use the new API settings")  # of torch 2.9, to read it
@pytest.mark.parametrize("wanted", ["auto", "cuda", "cuda:0"])
def test_float32_is_float32_on_a_gpu(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    before = torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = True
        assert choose_device("cpu").type == "cpu"
        assert torch.backends.cudnn.allow_tf32
        assert choose_device(wanted).type == "cuda"
        assert not torch.backends.cudnn.allow_tf32
        if hasattr(torch.backends.cudnn, "conv"):  # torch 2.9 and later
            assert torch.backends.cudnn.conv.fp32_precision != "tf32"
        with torch.backends.cudnn.flags():  # reads every flag
            pass
    finally:
        torch.backends.cudnn.allow_tf32 = before


def test_the_machine_is_named_with_its_processors_and_torch():
    words = machine_in_words(torch.device("cpu"))
    assert words.endswith(f", torch {torch.__version__}")
    assert words.split(" x ")[0].isdecimal()
