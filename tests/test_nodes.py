"""The nodes, run as ComfyUI runs them, on a 32-pixel model with random weights."""

import inspect
import json
import os
from pathlib import Path

import hub_server
import pytest
import torch
from hub_server import HubServer
from tiny_model import pictures, tiny_model

ADDRESS = "hf://ada/faces/tiny.safetensors"
SCHEMA = Path(__file__).parent / "node_schema.json"
NUM_LAYERS = 8  # of a 32-pixel model


def tensors(value) -> list[torch.Tensor]:
    """What travels along a wire, without what is not there, such as w_style."""
    return [field for field in vars(value).values() if field is not None]


def one_at_a_time(pack, monkeypatch):
    monkeypatch.setattr(pack.nodes.devices, "CHUNK_PIXELS", 1)


# what the page sees


def test_schema_equals_the_snapshot(nodes, models_folder, request):
    """The snapshot was written by the real ComfyUI; the stand-ins must answer the same."""
    found = {node_id: node.GET_NODE_INFO_V1() for node_id, node in nodes.items()}
    found = json.loads(json.dumps(found))  # tuples become lists
    if request.config.getoption("--write-node-schema"):
        assert os.environ.get("COMFYUI_PATH"), "only the real ComfyUI may write it"
        SCHEMA.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(SCHEMA.read_text())


def test_every_socket_and_widget_explains_itself(nodes):
    for node_id, node in nodes.items():
        info = node.GET_NODE_INFO_V1()
        assert info["category"] == "BlendGAN" and info["description"] and info["search_aliases"]
        assert all(info["output_tooltips"]), node_id
        for kind in info["input"].keys() - {"hidden"}:  # which ComfyUI adds to an output node
            for name, (_, options) in info["input"][kind].items():
                assert options.get("tooltip"), f"{node_id}.{name}"


def test_every_node_has_a_help_page(pack, nodes):
    docs = Path(pack.__file__).parent / pack.WEB_DIRECTORY / "docs"
    assert {page.stem for page in docs.glob("*.md")} == set(nodes)


# the loader


def test_loader_lists_the_starter_and_the_users_files(pack, nodes, models_folder):
    (models_folder / "sub").mkdir()
    for name in ("mine.safetensors", "blendgan.pt", "readme.txt", "sub/ffhq.pkl"):
        (models_folder / name).touch()
    (_, options) = nodes["BlendGANLoader"].GET_NODE_INFO_V1()["input"]["required"]["checkpoint"]
    assert options["options"] == [
        "starter (built in)",
        "blendgan.pt",
        "mine.safetensors",
        str(Path("sub/ffhq.pkl")),
    ]


def test_a_users_extra_folder_lists_checkpoints_only(pack, tmp_path, monkeypatch):
    """extra_model_paths.yaml is read before the pack, and leaves an empty set of extensions."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "blendgan", ([str(tmp_path)], set()))
    (tmp_path / "extra.safetensors").touch()
    (tmp_path / "notes.txt").touch()
    pack.nodes.checkpoints.register_folder()
    listed = pack.nodes.checkpoints.list_checkpoints()
    assert "extra.safetensors" in listed and "notes.txt" not in listed


def test_loader_loads_and_notices_a_new_file(pack, core, nodes, run, models_folder):
    path = models_folder / "mine.safetensors"
    core.save(tiny_model(pack.blendgan_core), path)
    (model,) = run("BlendGANLoader", checkpoint="mine.safetensors")
    (face,) = run("FaceLatent", model=model, seed=1, batch_size=2, truncation=0.75)
    assert face.w_face.shape == (2, NUM_LAYERS, 16)

    before = nodes["BlendGANLoader"].fingerprint_inputs("mine.safetensors")
    assert nodes["BlendGANLoader"].fingerprint_inputs("mine.safetensors") == before
    core.save(tiny_model(pack.blendgan_core, w_dim=24), path)
    assert nodes["BlendGANLoader"].fingerprint_inputs("mine.safetensors") != before


@pytest.fixture
def hub(core, tmp_path, monkeypatch):
    """A hub on this machine with one checkpoint."""
    path = core.save(tiny_model(core), tmp_path / "tiny.safetensors", {"seed": 3})
    with HubServer() as server:
        server.add("ada/faces", "tiny.safetensors", path.read_bytes())
        hub_server.use_hub(monkeypatch, server.url, tmp_path / "home")
        yield server
    hub_server.forget_huggingface_hub()


def shows_progress() -> bool:
    """Whether this huggingface_hub lets others see how far it is; 0.20 does not."""
    from huggingface_hub import hf_hub_download

    return "tqdm_class" in inspect.signature(hf_hub_download).parameters


def test_an_address_on_the_hub_wins_over_the_list(hub, run, monkeypatch):
    import comfy.utils

    bars = []

    class Bar(comfy.utils.ProgressBar):
        def __init__(self, total):
            super().__init__(total)
            bars.append(self)

    monkeypatch.setattr(comfy.utils, "ProgressBar", Bar)
    for address in (ADDRESS, f" {ADDRESS}\n"):  # as pasted
        (model,) = run("BlendGANLoader", checkpoint="starter (built in)", address=address)
        assert model.blendgan.provenance == {"seed": 3}
    # the second time it is in the cache
    assert [bar.current for bar in bars] == [100 if shows_progress() else 0, 0]
    (model,) = run("BlendGANLoader", checkpoint="starter (built in)", address=" ")
    assert model.blendgan.resolution == 64


def test_cancel_ends_a_download(hub, run, monkeypatch):
    import comfy.utils
    from comfy import model_management

    if not shows_progress():
        pytest.skip("this huggingface_hub cannot be interrupted by its progress")

    def cancelled(*_):
        raise model_management.InterruptProcessingException()

    monkeypatch.setattr(comfy.utils.ProgressBar, "update", cancelled)
    with pytest.raises(model_management.InterruptProcessingException):
        run("BlendGANLoader", checkpoint="starter (built in)", address=ADDRESS)


def test_a_fingerprint_asks_no_hub(hub, nodes):
    def fingerprint(address):
        return nodes["BlendGANLoader"].fingerprint_inputs("gone.safetensors", address)

    assert fingerprint(ADDRESS) == fingerprint(ADDRESS) != fingerprint(ADDRESS + "x")
    assert not hub.requests


@pytest.mark.parametrize("address", ["mine.safetensors", "/etc/passwd", "hf://ada"])
def test_only_an_address_passes_for_one(core, run, address):
    with pytest.raises(core.CheckpointError, match="expected hf://owner/repo"):
        run("BlendGANLoader", checkpoint="starter (built in)", address=address)


@pytest.mark.parametrize("name", ["gone.safetensors", "../outside.safetensors"])
def test_a_missing_checkpoint_names_the_folders_searched(core, run, models_folder, name):
    (models_folder.parent / "outside.safetensors").touch()
    with pytest.raises(core.CheckpointError) as error:
        run("BlendGANLoader", checkpoint=name)
    assert name in str(error.value) and str(models_folder) in str(error.value)


def test_a_missing_part_is_named(pack, core, run):
    generator_only = pack.nodes.devices.ManagedModel(
        tiny_model(pack.blendgan_core, parts=["generator"])
    )
    with pytest.raises(core.CheckpointError, match="style encoder.*holds only: generator"):
        run("StyleEncode", model=generator_only, image=pictures())
    encoder_only = pack.nodes.devices.ManagedModel(
        tiny_model(pack.blendgan_core, parts=["psp_encoder"])
    )
    with pytest.raises(core.CheckpointError, match="needs a generator"):
        run("FaceLatent", model=encoder_only, seed=0, batch_size=1, truncation=1.0)


def test_parts_may_live_on_different_devices(pack, run):
    """On a small GPU the parts take turns; the absent ones here are on "meta", without values."""
    model = pack.nodes.devices.ManagedModel(tiny_model(pack.blendgan_core))
    model.blendgan.generator.to("meta")
    model.blendgan.psp_encoder.to("meta")
    (style,) = run("StyleEncode", model=model, image=pictures())
    assert style.z_style.device.type == "cpu" and style.z_style.isfinite().all()


# pictures in


def test_alpha_shows_white(pack):
    """By hand: black at alpha 0, .25, 1 over white is 1, .75, 0, which is 1, .5, -1 in the core."""
    image = torch.zeros(1, 1, 3, 4)
    image[0, 0, :, 3] = torch.tensor([0.0, 0.25, 1.0])
    expected = torch.tensor([1.0, 0.5, -1.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    torch.testing.assert_close(pack.nodes.images.from_image(image), expected)


@pytest.mark.parametrize("node_id", ["StyleEncode", "PSPInvert"])
def test_encoders_take_any_image(run, model, node_id):
    image = pictures(2)
    (plain,) = run(node_id, model=model, image=image)
    codes = tensors(plain)[0]
    opaque = torch.cat([image, torch.ones_like(image[..., :1])], dim=-1)
    half = image.half()
    grey = image[..., :1]
    for same, other in [(image, opaque), (half.float(), half), (grey.expand(-1, -1, -1, 3), grey)]:
        (expected,) = run(node_id, model=model, image=same)
        (found,) = run(node_id, model=model, image=other)
        for a, b in zip(tensors(expected), tensors(found), strict=True):
            assert b.dtype == torch.float32
            torch.testing.assert_close(a, b)
    assert len(codes) == 2 and not torch.allclose(codes[0], codes[1])


@pytest.mark.parametrize("node_id", ["StyleEncode", "PSPInvert"])
def test_chunks_change_nothing(pack, run, model, node_id, monkeypatch):
    (whole,) = run(node_id, model=model, image=pictures(3))
    one_at_a_time(pack, monkeypatch)
    (chunked,) = run(node_id, model=model, image=pictures(3))
    for a, b in zip(tensors(whole), tensors(chunked), strict=True):
        torch.testing.assert_close(a, b)


def test_inversion_takes_the_centre_square(run, model):
    image = pictures(1, height=40, width=60)
    (wide,) = run("PSPInvert", model=model, image=image)
    (square,) = run("PSPInvert", model=model, image=image[:, :, 10:50])
    torch.testing.assert_close(wide.w_face, square.w_face)


# codes


@pytest.mark.parametrize("node_id", ["FaceLatent", "StyleLatent"])
def test_seeds_count_up(run, model, node_id):
    """Item i of a batch is what its own seed gives alone; after the largest seed comes 0."""
    more = {"truncation": 0.75} if node_id == "FaceLatent" else {}
    last = 2**64 - 1
    (batch,) = run(node_id, model=model, seed=last, batch_size=3, **more)
    for item, seed in enumerate([last, 0, 1]):
        (single,) = run(node_id, model=model, seed=seed, batch_size=1, **more)
        for a, b in zip(tensors(batch), tensors(single), strict=True):
            torch.testing.assert_close(a[item], b[0])


@pytest.mark.parametrize(
    ("faces", "styles", "result"), [(3, 1, 3), (1, 3, 3), (3, 3, 3), (1, 1, 1)]
)
def test_one_serves_all(run, model, faces, styles, result):
    (face,) = run("FaceLatent", model=model, seed=0, batch_size=faces, truncation=1.0)
    (style,) = run("StyleLatent", model=model, seed=9, batch_size=styles)
    (blended,) = run("WBMBlend", model=model, face=face, style=style, indicator=2, theta=1.0)
    stylised, natural = run("BlendGANGenerate", model=model, blended=blended, noise="fixed", seed=0)
    assert stylised.shape == natural.shape == (result, 32, 32, 3)


def test_other_counts_do_not_pair_up(core, run, model):
    (face,) = run("FaceLatent", model=model, seed=0, batch_size=3, truncation=1.0)
    (style,) = run("StyleLatent", model=model, seed=9, batch_size=2)
    with pytest.raises(core.BlendGANError, match="3 faces and 2 styles"):
        run("WBMBlend", model=model, face=face, style=style, indicator=2, theta=1.0)


def blend(run, model, indicator=2, batch_size=1):
    (face,) = run("FaceLatent", model=model, seed=0, batch_size=batch_size, truncation=1.0)
    (style,) = run("StyleLatent", model=model, seed=9, batch_size=1)
    (blended,) = run(
        "WBMBlend", model=model, face=face, style=style, indicator=indicator, theta=1.0
    )
    return blended


def test_an_indicator_above_the_layers_names_them(core, run, model):
    with pytest.raises(core.BlendGANError, match=r"indicator 9 is outside 0\.\.8"):
        blend(run, model, indicator=9)


def test_codes_of_another_model_are_refused(core, run, model, wide_model):
    (face,) = run("FaceLatent", model=model, seed=0, batch_size=1, truncation=1.0)
    (style,) = run("StyleLatent", model=model, seed=0, batch_size=1)
    (wide_face,) = run("FaceLatent", model=wide_model, seed=0, batch_size=1, truncation=1.0)
    (wide_style,) = run("StyleLatent", model=wide_model, seed=0, batch_size=1)
    with pytest.raises(core.BlendGANError, match="face code"):
        run("WBMBlend", model=model, face=wide_face, style=style, indicator=2, theta=1.0)
    with pytest.raises(core.BlendGANError, match="style code"):
        run("WBMBlend", model=model, face=face, style=wide_style, indicator=2, theta=1.0)
    with pytest.raises(core.BlendGANError, match="blended faces have 8 layers of 24 values"):
        blended = blend(run, wide_model)
        run("BlendGANGenerate", model=model, blended=blended, noise="fixed", seed=0)


# pictures out


def test_the_pair(run, model):
    """At indicator L the stylised picture is the natural one; below it they differ."""
    same = blend(run, model, indicator=NUM_LAYERS)
    stylised, natural = run("BlendGANGenerate", model=model, blended=same, noise="fixed", seed=0)
    assert torch.equal(stylised, natural)
    changed, natural_again = run(
        "BlendGANGenerate", model=model, blended=blend(run, model), noise="fixed", seed=0
    )
    assert torch.equal(natural, natural_again) and not torch.allclose(changed, natural)
    for image in (changed, natural):
        assert image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1


def test_values_outside_the_range_are_clamped(pack):
    """By hand: -3, -1, 0, 3 in the core are 0, 0, 0.5, 1 in an IMAGE."""
    images = torch.tensor([-3.0, -1.0, 0.0, 3.0]).view(1, 1, 1, 4).expand(1, 3, 1, 4)
    image = pack.nodes.images.to_image(images)
    expected = torch.tensor([0.0, 0.0, 0.5, 1.0]).view(1, 1, 4, 1).expand(1, 1, 4, 3)
    torch.testing.assert_close(image, expected)


def test_results_have_the_type_that_comfyui_asks_for(run, model, monkeypatch):
    """--fp16-intermediates makes IMAGE half precision; codes stay as they are."""
    from comfy import model_management

    monkeypatch.setattr(model_management, "intermediate_dtype", lambda: torch.float16)
    blended = blend(run, model)
    assert blended.w.dtype == torch.float32
    for image in run("BlendGANGenerate", model=model, blended=blended, noise="fixed", seed=0):
        assert image.dtype == torch.float16
    example, _ = run("BlendGANExample", picture="photo: astronaut")
    (face,) = run("PSPInvert", model=model, image=example)
    assert example.dtype == torch.float16 and face.w_face.dtype == torch.float32


def test_noise_follows_its_seed(pack, run, model, monkeypatch):
    blended = blend(run, model, batch_size=3)

    def generate(noise, seed):
        return run("BlendGANGenerate", model=model, blended=blended, noise=noise, seed=seed)[0]

    assert torch.equal(generate("fixed", 1), generate("fixed", 2))
    assert torch.equal(generate("seeded", 1), generate("seeded", 1))
    assert not torch.allclose(generate("seeded", 1), generate("seeded", 2))
    whole = generate("seeded", 1)
    one_at_a_time(pack, monkeypatch)
    torch.testing.assert_close(generate("seeded", 1), whole)


def test_cancel_takes_effect_between_chunks(pack, run, model, monkeypatch):
    from comfy import model_management

    one_at_a_time(pack, monkeypatch)
    blended = blend(run, model, batch_size=2)
    model_management.interrupt_current_processing()
    with pytest.raises(model_management.InterruptProcessingException):
        run("BlendGANGenerate", model=model, blended=blended, noise="fixed", seed=0)
    run("BlendGANGenerate", model=model, blended=blended, noise="fixed", seed=0)
