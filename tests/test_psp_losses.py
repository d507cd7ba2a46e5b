"""pSp's losses: LPIPS and identity against their published formulas, and how `trainer.psp` takes
the files that they need."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from psp_files import TINY_TRUNK, psp_config, write_psp_files
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

import blendgan_core
from blendgan_core.errors import BlendGANError
from blendgan_core.psp_encoder import PSPEncoder
from trainer import identity, perceptual, psp
from trainer.psp import PSPTrainingConfig, train_psp


def alexnet_state() -> dict[str, torch.Tensor]:
    """In torchvision's layout, the classifier included."""
    generator = torch.Generator().manual_seed(0)
    channels, sides = (3, 64, 192, 384, 256, 256), (11, 5, 3, 3, 3)
    shapes = zip((0, 3, 6, 8, 10), channels[1:], channels, sides, strict=False)
    state = {"classifier.1.weight": torch.zeros(2, 2)}
    for layer, outputs, inputs, side in shapes:
        weight = torch.randn(outputs, inputs, side, side, generator=generator)
        state[f"features.{layer}.weight"] = weight * (2 / (inputs * side * side)) ** 0.5
        state[f"features.{layer}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    return state


def linear_state() -> dict[str, torch.Tensor]:
    """In the lpips package's layout."""
    generator = torch.Generator().manual_seed(1)
    return {
        f"lin{tap}.model.1.weight": torch.rand(1, channels, 1, 1, generator=generator)
        for tap, channels in enumerate((64, 192, 384, 256, 256))
    }


def arcface_state() -> dict[str, torch.Tensor]:
    """In the layout of model_ir_se50.pth, thin: blocks numbered through, four stages."""
    generator = torch.Generator().manual_seed(2)
    state: dict[str, torch.Tensor] = {}

    def weight(name: str, *shape: int) -> None:
        fan_in = max(1, torch.Size(shape[1:]).numel())
        state[name] = torch.randn(shape, generator=generator) / fan_in**0.5

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "running_var"):
            state[f"{name}.{part}"] = 0.5 + torch.rand(channels, generator=generator)
        for part in ("bias", "running_mean"):
            state[f"{name}.{part}"] = 0.1 * torch.randn(channels, generator=generator)
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    weight("input_layer.0.weight", 4, 3, 3, 3)
    norm("input_layer.1", 4)
    state["input_layer.2.weight"] = torch.rand(4, generator=generator)
    for block, (inputs, outputs, _) in enumerate(ARCFACE_BLOCKS):
        res = f"body.{block}.res_layer"
        norm(f"{res}.0", inputs)
        weight(f"{res}.1.weight", outputs, inputs, 3, 3)
        state[f"{res}.2.weight"] = torch.rand(outputs, generator=generator)
        weight(f"{res}.3.weight", outputs, outputs, 3, 3)
        norm(f"{res}.4", outputs)
        weight(f"{res}.5.fc1.weight", 1, outputs, 1, 1)
        weight(f"{res}.5.fc2.weight", outputs, 1, 1, 1)
        if inputs != outputs:
            weight(f"body.{block}.shortcut_layer.0.weight", outputs, inputs, 1, 1)
            norm(f"body.{block}.shortcut_layer.1", outputs)
    norm("output_layer.0", 8)
    weight("output_layer.3.weight", 512, 8 * 7 * 7)
    state["output_layer.3.bias"] = torch.randn(512, generator=generator)
    norm("output_layer.4", 512)
    return state


ARCFACE_BLOCKS = ((4, 4, 2), (4, 4, 2), (4, 4, 1), (4, 8, 2), (8, 8, 2))  # in, out, stride


def straightforward_embedding(state: dict[str, torch.Tensor], images: torch.Tensor):
    """IR-SE as its authors describe it, straight from the file's tensors; images: 256 px."""

    def norm(x, name):
        parts = (state[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts)

    def body(x):
        x = F.prelu(norm(F.conv2d(x, state["input_layer.0.weight"], padding=1), "input_layer.1"),
                    state["input_layer.2.weight"])  # fmt: skip
        for block, (inputs, outputs, stride) in enumerate(ARCFACE_BLOCKS):
            shortcut, res = f"body.{block}.shortcut_layer", f"body.{block}.res_layer"
            if inputs == outputs:
                short = F.max_pool2d(x, 1, stride)
            else:
                short = norm(F.conv2d(x, state[f"{shortcut}.0.weight"], stride=stride),
                             f"{shortcut}.1")  # fmt: skip
            x = F.conv2d(norm(x, f"{res}.0"), state[f"{res}.1.weight"], padding=1)
            x = F.prelu(x, state[f"{res}.2.weight"])
            x = norm(F.conv2d(x, state[f"{res}.3.weight"], stride=stride, padding=1), f"{res}.4")
            gate = F.relu(F.conv2d(F.adaptive_avg_pool2d(x, 1), state[f"{res}.5.fc1.weight"]))
            x = x * torch.sigmoid(F.conv2d(gate, state[f"{res}.5.fc2.weight"])) + short
        return x

    faces = F.adaptive_avg_pool2d(images[:, :, 35:223, 32:220], 112)
    x = norm(body(faces), "output_layer.0").flatten(1)
    x = F.linear(x, state["output_layer.3.weight"], state["output_layer.3.bias"])
    x = norm(x, "output_layer.4")
    return x / x.norm(dim=1, keepdim=True)


def straightforward_lpips(images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The formula of Zhang et al. as the lpips package writes it -> one distance a pair."""
    alexnet, linear = alexnet_state(), linear_state()

    def maps(x):
        mean = torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None]
        deviation = torch.tensor([0.458, 0.448, 0.450])[None, :, None, None]
        x = (x - mean) / deviation
        for layer, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
            if layer in (3, 6):
                x = F.max_pool2d(x, 3, 2)
            weight, bias = alexnet[f"features.{layer}.weight"], alexnet[f"features.{layer}.bias"]
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            yield x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)

    total = torch.zeros(len(images))
    for tap, (a, b) in enumerate(zip(maps(images), maps(target), strict=True)):
        total += F.conv2d((a - b) ** 2, linear[f"lin{tap}.model.1.weight"]).mean(dim=(1, 2, 3))
    return total


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Weights in their published layouts, a generator, and faces."""
    root = tmp_path_factory.mktemp("files")
    torch.save(alexnet_state(), root / "alexnet.pth")
    torch.save(linear_state(), root / "alex.pth")
    torch.save(arcface_state(), root / "ir.pth")
    write_psp_files(root)
    return {file.stem: file for file in root.iterdir()} | {"root": root}


@pytest.fixture(autouse=True)
def tiny_trunk(monkeypatch):
    """IR-SE50 has 44 million weights; the same network with thin stages tells as much."""
    monkeypatch.setattr(identity, "IR_SE50", TINY_TRUNK)
    monkeypatch.setattr(psp, "IR_SE50", TINY_TRUNK)


def all_files(files: dict[str, Path]) -> dict:
    return {
        "lpips": files["alex"],
        "alexnet": str(files["alexnet"]),
        "identity": files["ir"],
        "trunk": files["ir"],
    }


def pictures(seed: int, size: int = 256) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, size, size, generator=generator) * 2 - 1


def test_lpips_is_the_published_formula(files):
    lpips = perceptual.load_lpips(files["alex"], str(files["alexnet"]))
    images, target = pictures(0), pictures(1)
    expected = straightforward_lpips(images, target).mean()
    assert expected > 0.05
    torch.testing.assert_close(lpips(images, target), expected, rtol=1e-5, atol=0)
    assert lpips(images, images) == 0


def test_lpips_compares_at_256_pixels(files):
    lpips = perceptual.load_lpips(files["alex"], str(files["alexnet"]))
    large = [pictures(seed, 512) for seed in (0, 1)]
    small = [F.avg_pool2d(images, 2) for images in large]
    torch.testing.assert_close(lpips(*large), lpips(*small))


def test_lpips_has_a_gradient_where_all_features_are_zero(files):
    """There the length, a root, has an infinite slope."""
    lpips = perceptual.load_lpips(files["alex"], str(files["alexnet"]))
    for layer in lpips.features:
        if isinstance(layer, nn.Conv2d):
            layer.bias.fill_(-100)
    images = pictures(0).requires_grad_()
    (gradient,) = torch.autograd.grad(lpips(images, pictures(1)), images)
    assert gradient.isfinite().all()


def test_the_embedding_is_that_of_the_published_network(files):
    network = identity.load_face_recognition(files["ir"])
    expected = straightforward_embedding(arcface_state(), pictures(0))
    assert expected.shape == (2, 512) and (expected[0] - expected[1]).norm() > 1e-3
    torch.testing.assert_close(network(pictures(0)), expected, rtol=1e-4, atol=1e-6)


def test_identity_loss_is_one_minus_the_cosine(files):
    network = identity.load_face_recognition(files["ir"])
    images, target = pictures(0), pictures(1)
    first, second = (straightforward_embedding(arcface_state(), each) for each in (images, target))
    loss = identity.identity_loss(network, images, target)
    torch.testing.assert_close(loss, 1 - F.cosine_similarity(first, second).mean())
    torch.testing.assert_close(identity.identity_loss(network, images, images), torch.tensor(0.0))


def test_safetensors_and_files_without_counters_are_read(files, tmp_path):
    state = {k: v for k, v in arcface_state().items() if "num_batches" not in k}
    save_file(state, tmp_path / "ir.safetensors")
    network = identity.load_face_recognition(tmp_path / "ir.safetensors")
    expected = identity.load_face_recognition(files["ir"])(pictures(0))
    assert torch.equal(network(pictures(0)), expected)


def test_the_trunk_starts_from_the_file(files):
    encoder = PSPEncoder(replace(TINY_TRUNK, image_size=32, w_dim=8, num_layers=8))
    heads = {key: value.clone() for key, value in encoder.heads.state_dict().items()}
    identity.load_trunk_(encoder, files["ir"])
    state = arcface_state()
    second_of_second_stage = encoder.stages[1][1].residual[3].weight
    assert torch.equal(second_of_second_stage, state["body.2.res_layer.3.weight"])
    assert torch.equal(encoder.input_layer[0].weight, state["input_layer.0.weight"])
    assert all(torch.equal(heads[key], value) for key, value in encoder.heads.state_dict().items())


def test_a_training_learns_with_all_files_and_leaves_them_alone(files, tmp_path, monkeypatch):
    """They judge in eval mode, stay as they are, and are in no saved state."""
    monkeypatch.setattr(perceptual, "SIZE", 64)  # much faster; what it compares has only 32 pixels
    config = psp_config(
        files["root"], tmp_path, steps=10, save_every=10, lr=0.003, **all_files(files)
    )
    totals, given = [], []

    def listen(criteria, *rest):
        losses = reconstruction_losses(criteria, *rest)
        assert set(losses) == {"l2", "lpips", "identity", "deviation"}
        totals.append(sum(losses.values()).item())
        given.append(criteria)
        return losses

    reconstruction_losses = psp.reconstruction_losses
    monkeypatch.setattr(psp, "reconstruction_losses", listen)
    final = train_psp(config)
    assert sum(totals[-3:]) < 0.97 * sum(totals[:3])
    fresh = psp.load_criteria(config, torch.device("cpu")).networks()
    for name, network in given[-1].networks().items():
        assert not any(module.training for module in network.modules())
        assert not any(weight.requires_grad for weight in network.parameters())
        assert fresh[name].state_dict().keys() == network.state_dict().keys()
        for key, value in fresh[name].state_dict().items():
            assert torch.equal(network.state_dict()[key], value), key
    state = torch.load(tmp_path / "state" / "latest.pt", weights_only=True)
    assert set(state) == {"encoder", "optimizer", "step", "latest"}
    model = blendgan_core.load(final)
    assert len(state["optimizer"]["state"]) == len(list(model.psp_encoder.parameters()))
    assert model.provenance["psp"].endswith("L2, LPIPS and identity")


CONTRADICTIONS = {
    "LPIPS without AlexNet": ({"lpips": "alex"}, "--lpips needs --alexnet"),
    "AlexNet without LPIPS": ({"alexnet": "torchvision"}, "--alexnet needs --lpips"),
    "a weight without its network": (
        {"identity_weight": 0.5},
        "--identity-weight is 0.5, but there is no --identity",
    ),
    "a network without its weight": (
        {"identity": "ir", "identity_weight": 0.0},
        "--identity has no effect when --identity-weight is 0",
    ),
    "a weight without its likeness": (
        {"likeness_weight": 0.5},
        "--likeness-weight is 0.5, but there is no --likeness",
    ),
    "a weight without its art": (
        {"style_weight": 0.5},
        "--style-weight is 0.5, but there is no --art",
    ),
    "a missing likeness": (
        {"likeness": Path("gone")},
        "--likeness gone is no file .* trainer.likeness",
    ),
    "LPIPS without its weight": (
        {"lpips": "alex", "alexnet": "torchvision", "perceptual_weight": 0.0},
        "--lpips has no effect when --perceptual-weight is 0",
    ),
    "another trunk": (
        {"trunk": "ir", "channels": (4, 4, 4, 8)},
        "--trunk brings IR-SE50, with --channels 4 4 8 8 .* but they are 4 4 4 8 and 1 2 1 1",
    ),
    "a negative weight": ({"latent_weight": -1.0}, "--latent-weight is -1.0, expected 0 or more"),
    "a missing LPIPS": (
        {"lpips": "gone.pth", "alexnet": "torchvision"},
        "--lpips gone.pth is no file that exists; expected LPIPS's linear weights",
    ),
    "a missing AlexNet": ({"lpips": "alex", "alexnet": "gone"}, "--alexnet gone is no file"),
    "a missing identity": ({"identity": "gone"}, "--identity gone is no file .* ArcFace's IR-SE50"),
    "a missing trunk": ({"trunk": "gone"}, "--trunk gone is no file"),
    "a missing generator": ({"generator": "gone"}, "--generator gone is no file"),
    "missing faces": ({"natural": (Path("gone"),)}, "--natural gone does not exist"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_flags_are_refused_before_anything_is_loaded(files, tmp_path, monkeypatch, name):
    changes, message = CONTRADICTIONS[name]
    paths = {
        key: Path(files.get(value, value)) if key in ("lpips", "identity", "trunk", "generator")
        else value
        for key, value in changes.items()
    }  # fmt: skip

    def loaded(*args):
        raise AssertionError("something was loaded")

    for loader in ("load_stylizer", "load_lpips", "load_face_recognition", "load_trunk_"):
        monkeypatch.setattr(psp, loader, loaded)
    with pytest.raises(BlendGANError, match=message):
        train_psp(psp_config(files["root"], tmp_path / "run", **paths))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            {"lpips": "ir"},
            "--lpips .*ir.pth is not LPIPS's linear weights .*: 'lin0.model.1.weight' is missing; "
            "found .* tensors.* Give --lpips that file",
        ),
        ({"alexnet": "alex"}, "--alexnet .*alex.pth is not torchvision's alexnet weights"),
        (
            {"identity": "alexnet"},
            "--identity .*alexnet.pth is not ArcFace's IR-SE50.*'input_layer.0.weight' is missing",
        ),
        ({"trunk": "alexnet"}, "--trunk .*alexnet.pth is not ArcFace's IR-SE50"),
        ({"identity": "base"}, "--identity .*base.safetensors is not ArcFace's IR-SE50"),
        ({"identity": "0"}, "--identity: .*0.png is cut off, damaged or not a checkpoint"),
    ],
)
def test_wrong_files_are_named_with_their_flag(files, tmp_path, flags, message):
    names = files | {"0": files["natural"] / "0.png"}
    given = {key: names[value] for key, value in flags.items()}
    if "alexnet" in given:
        given["alexnet"] = str(given["alexnet"])
    with pytest.raises(BlendGANError, match=message):
        train_psp(psp_config(files["root"], tmp_path / "run", **(all_files(files) | given)))
    assert not (tmp_path / "run").exists()


def test_the_defaults_are_those_of_psp():
    """Its command for faces, --l2_lambda=1 --lpips_lambda=0.8 --id_lambda=0.1."""
    config = PSPTrainingConfig(generator=Path("a"), natural=(), out=Path("b"))
    assert (config.perceptual_weight, config.identity_weight) == (0.8, 0.1)
    assert (config.batch, config.lr, config.image_size) == (8, 0.0001, 256)
    assert (config.channels, config.blocks) == ((64, 128, 256, 512), (3, 4, 14, 3))
