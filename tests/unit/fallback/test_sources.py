"""The URLs that are asked, literally."""

from __future__ import annotations

from dataclasses import replace

from fallback.manifest import IpfsRef, Manifest
from fallback.settings import Settings
from fallback.sources import IpfsGateway, in_order
from fallback.wanted import Wanted, ipfs_path

WHISPER = (
    "https://huggingface.co/onnx-community/whisper-base/resolve/1846881b6b3a3024392c1eea3ad983695bc23925/"
)
TTS = "https://huggingface.co/datasets/AnEntrypoint/sttttsmodels/resolve/main/tts/"
HUB = [
    WHISPER + "config.json",
    WHISPER + "generation_config.json",
    WHISPER + "preprocessor_config.json",
    WHISPER + "tokenizer.json",
    WHISPER + "tokenizer_config.json",
    WHISPER + "onnx/encoder_model.onnx",
    WHISPER + "onnx/decoder_model_merged.onnx",
    TTS + "mimi_encoder.onnx",
    TTS + "text_conditioner.onnx",
    TTS + "flow_lm_main_int8.onnx",
    TTS + "flow_lm_flow_int8.onnx",
    TTS + "mimi_decoder_int8.onnx",
    TTS + "tokenizer.model",
]


def test_the_thirteen_urls_at_huggingface() -> None:
    hub = in_order(Settings())[-1]
    requests = [hub.request(Wanted(model, file)) for model, file in Manifest.builtin().files()]
    assert [request.url for request in requests if request] == HUB


def test_the_thirteen_urls_at_a_gateway() -> None:
    """With the model's own folder in the path, which the original forgot."""
    gateway = IpfsGateway("https://dweb.link")
    urls = []
    for model, file in Manifest.builtin().files():
        published = replace(model, ipfs=IpfsRef("bafybeicid", path=model.dir))
        request = gateway.request(Wanted(published, file, ipfs_path(published, file)))
        assert request is not None
        urls.append(request.url)
    names = [url.removeprefix(WHISPER).removeprefix(TTS) for url in HUB]
    folders = ["onnx-community/whisper-base"] * 7 + ["tts"] * 6
    assert urls == [
        f"https://dweb.link/ipfs/bafybeicid/{folder}/{name}"
        for folder, name in zip(folders, names, strict=True)
    ]


def test_without_a_cid_a_gateway_is_not_asked() -> None:
    model = Manifest.builtin().models[0]
    assert IpfsGateway("https://dweb.link").request(Wanted(model, model.files[0])) is None


def test_the_preferred_layer_comes_first() -> None:
    layers = [source.layer for source in in_order(Settings(preferred_layer="huggingface"))]
    assert layers == ["huggingface", "ipfs", "ipfs", "ipfs", "ipfs"]


def test_peers_come_before_all_others_and_are_asked_by_digest() -> None:
    model = Manifest.builtin().models[0]
    file = model.files[0]
    settings = Settings(
        peers=("http://192.0.2.7:8484/gm", "https://dweb.link"),
        peer_token="secret",
        preferred_layer="huggingface",
    )
    first, second, *others = in_order(settings)
    assert (first.layer, first.name) == ("peer", "192.0.2.7:8484/gm")
    assert second.name == "dweb.link (peer)", "a gateway has that name"
    assert {source.layer for source in others} == {"ipfs", "huggingface"}
    request = first.request(Wanted(model, file))
    assert request is not None
    assert request.url == f"http://192.0.2.7:8484/gm/files/sha256/{file.sha256}"
    assert request.headers()["Range"] == "bytes=0-"
    assert "secret" not in repr(first) + repr(request)
    assert first.request(Wanted(model, replace(file, sha256=None))) is None
