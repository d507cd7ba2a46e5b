"""StyleEncoder and PSPEncoder on small networks: what must hold at every size."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from blendgan_core.config import PSPConfig, StyleEncoderConfig
from blendgan_core.errors import CheckpointError
from blendgan_core.psp_encoder import PSPEncoder
from blendgan_core.style_encoder import (
    GramLinear,
    StyleEncoder,
    fold_gram_weight,
    gram_upper,
    load_pretrained_vgg_,
    stage_channels,
)

STYLE = StyleEncoderConfig(image_size=32, vgg_width=4, hidden_dim=24, predictor_layers=3, z_dim=16)
PSP = PSPConfig(
    image_size=64, channels=(8, 12, 16, 24), blocks=(1, 1, 2, 1), w_dim=20, num_layers=10
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def style_encoder(**changes) -> StyleEncoder:
    encoder = StyleEncoder(StyleEncoderConfig(**(vars(STYLE) | changes)))
    encoder.random_vgg_(seed=1)
    return encoder.eval()


def images(*sizes: int) -> torch.Tensor:
    return torch.rand(*sizes) * 2 - 1


def varied_images(count: int) -> torch.Tensor:
    """Noise of every contrast, so that Gram values differ between pictures as those of art do."""
    return images(count, 3, 32, 32) * torch.linspace(0.05, 1, count)[:, None, None, None]


def full_grams(encoder: StyleEncoder, pictures: torch.Tensor) -> torch.Tensor:
    """The official formulation: pool, VGG, whole Gram matrices over C*H*W, concatenated."""
    x = F.adaptive_avg_pool2d(pictures, encoder.config.image_size)
    grams = []
    convs = [layer for layer in encoder.vgg if isinstance(layer, nn.Conv2d)]
    for stage, num_convs in enumerate((2, 2, 4, 4, 4)):
        x = F.max_pool2d(x, 2) if stage else x
        for _ in range(num_convs):
            conv = convs.pop(0)
            x = F.relu(F.conv2d(x, conv.weight, conv.bias, padding=1))
        n, c, h, w = x.shape
        grams.append(torch.einsum("nchw,ndhw->ncd", x, x).reshape(n, -1) / (c * h * w))
    return torch.cat(grams, dim=1)


@torch.no_grad()
def test_upper_triangles_with_folded_weights_equal_full_gram_matrices():
    """The other implementation: full matrices through an equalised layer of their own size."""
    encoder = style_encoder(predictor_layers=1)
    num_full = sum(c * c for c in stage_channels(4))
    weight, bias = torch.randn(16, num_full), torch.randn(16)
    first = encoder.predictor[0]
    first.weight.copy_(fold_gram_weight(weight, vgg_width=4))
    first.bias.copy_(bias)
    pictures = images(3, 3, 45, 70)
    expected = F.linear(full_grams(encoder, pictures) / num_full**0.5, weight, bias)
    torch.testing.assert_close(encoder(pictures), expected, rtol=1e-4, atol=1e-5)


def test_official_size_counts():
    """FACTS: the paper's 610,304 Gram values have an upper triangle of 305,888."""
    with torch.device("meta"):
        encoder = StyleEncoder(StyleEncoderConfig())
    assert sum(c * c for c in stage_channels(64)) == 610304
    assert encoder.num_grams == 305888


@torch.no_grad()
def test_fresh_first_layer_is_the_folding_of_a_fresh_official_one():
    """The sum of two N(0, 1) weights has a deviation of sqrt 2; the diagonal keeps 1."""
    weight = GramLinear(vgg_width=4, out_features=4000, activate=True).weight
    folded = fold_gram_weight(torch.randn(4000, sum(c * c for c in stage_channels(4))), 4)
    torch.testing.assert_close(weight.std(dim=0), folded.std(dim=0), rtol=0, atol=0.12)
    assert abs(weight[:, 0].std() - 1) < 0.05 and abs(weight[:, 1].std() - 2**0.5) < 0.07


@torch.no_grad()
@pytest.mark.parametrize(("standardize", "tolerance"), [(False, 0.02), (True, 0.05)])
def test_half_precision_gives_the_style_of_full_precision(standardize, tolerance):
    """Sums over pixels pass 65504 here, and Gram values / 781 fall below what fp16 can hold.

    A logarithm enlarges the rounding of channels that hardly fire: 3% here, 0.6% on paintings.
    """
    encoder = style_encoder(image_size=64, standardize=standardize)
    encoder.vgg[0].weight *= 60
    pictures = varied_images(8)
    if standardize:
        encoder.fit_standardization_(encoder.raw_gram(pictures))
    reference = encoder(pictures)
    largest_sum = full_grams(encoder, pictures)[:, :16].max() * 4 * 64 * 64
    assert largest_sum > 65504  # 16: the first stage's 4 x 4 matrix
    half = encoder.half()(pictures.half())
    assert half.dtype == torch.float16
    assert (half.float() - reference).norm() < tolerance * reference.norm()


@torch.no_grad()
def test_autocast_leaves_the_gram_matrix_in_fp32():
    """bfloat16 products alone would be off by 2**-9; sums of them by as much."""
    encoder = style_encoder()
    features = torch.rand(1, 4, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = gram_upper(features)
        assert torch.isfinite(encoder(images(1, 3, 32, 32))).all()
    assert torch.equal(mixed, gram_upper(features))


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (7, 50), (301, 64)])
def test_styles_of_any_picture_size(size):
    encoder = style_encoder()
    assert encoder(images(2, 3, *size)).shape == (2, 16)
    assert encoder.raw_gram(images(2, 3, *size)).shape == (2, encoder.num_grams)


@torch.no_grad()
def test_a_style_does_not_depend_on_its_batch():
    encoder = style_encoder()
    pictures = images(5, 3, 32, 32)
    alone = torch.cat([encoder(picture[None]) for picture in pictures])
    torch.testing.assert_close(encoder(pictures), alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_standardised_features_have_mean_0_and_deviation_1():
    encoder = style_encoder(standardize=True)
    encoder.vgg[2].weight[0] = 0  # a dead channel: its Gram values are 0, so their deviation too
    encoder.vgg[2].bias[0] = 0
    pictures = varied_images(40)
    encoder.fit_standardization_(encoder.raw_gram(pictures))
    features = encoder.gram_features(pictures)
    deviation = features.std(dim=0, correction=0)
    loud = encoder.raw_gram(pictures).amin(dim=0) > 1e-5
    assert torch.isfinite(features).all()
    assert features.mean(dim=0).abs().max() < 1e-3
    assert loud.any() and (deviation[loud] - 1).abs().max() < 1e-3
    assert deviation[:4].max() == 0  # the products with channel 0


def test_statistics_travel_with_the_weights():
    encoder = style_encoder(standardize=True)
    encoder.fit_standardization_(torch.rand(8, encoder.num_grams))
    other = style_encoder(standardize=True)
    other.load_state_dict(encoder.state_dict())
    pictures = images(1, 3, 32, 32)
    assert torch.equal(other(pictures), encoder(pictures))
    assert "gram_mean" not in style_encoder().state_dict()


def test_only_the_predictor_learns():
    encoder = style_encoder()
    encoder(images(2, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in encoder.vgg.parameters())
    assert all(p.grad.abs().sum() > 0 for p in encoder.predictor.parameters())


def test_a_generators_gradient_reaches_the_picture():
    pictures = images(1, 3, 32, 32).requires_grad_()
    style_encoder()(pictures).sum().backward()
    assert torch.isfinite(pictures.grad).all() and pictures.grad.abs().sum() > 0


def test_random_vgg_depends_on_its_seed_alone():
    first, second = style_encoder(), style_encoder()
    assert torch.equal(first.vgg[34].weight, second.vgg[34].weight)
    second.random_vgg_(seed=2)
    assert not torch.equal(first.vgg[34].weight, second.vgg[34].weight)
    std = first.vgg[32].weight.std().item()
    assert std == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)  # He et al. 2015


def torchvision_weights() -> dict[str, torch.Tensor]:
    other = StyleEncoder(STYLE).vgg.state_dict()
    return {f"features.{key}": tensor for key, tensor in other.items()} | {
        "classifier.0.weight": torch.zeros(2, 2)
    }


def test_pretrained_vgg_from_a_file(tmp_path):
    weights = torchvision_weights()
    torch.save(weights, tmp_path / "vgg19.pth")
    encoder = style_encoder()
    load_pretrained_vgg_(encoder, tmp_path / "vgg19.pth")
    for key, tensor in encoder.vgg.state_dict().items():
        assert torch.equal(tensor, weights[f"features.{key}"])
    assert not encoder.vgg[0].weight.requires_grad


def test_pretrained_vgg_from_torchvision_only_on_its_name(monkeypatch):
    weights = torchvision_weights()
    models = SimpleNamespace(
        VGG19_Weights=SimpleNamespace(IMAGENET1K_V1="v1"),
        vgg19=lambda weights: SimpleNamespace(state_dict=lambda: torchvision_weights_of(weights)),
    )
    asked = []

    def torchvision_weights_of(name):
        asked.append(name)
        return weights

    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    encoder = style_encoder()
    assert not asked
    load_pretrained_vgg_(encoder, "torchvision")
    assert asked == ["v1"]
    assert torch.equal(encoder.vgg[0].bias, weights["features.0.bias"])


def test_wrong_vgg_files_are_named(tmp_path):
    encoder = style_encoder()
    with pytest.raises(CheckpointError, match="does not exist"):
        load_pretrained_vgg_(encoder, tmp_path / "absent.pth")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"resnet.pth is not a VGG-19.*conv1.weight"):
        load_pretrained_vgg_(encoder, tmp_path / "resnet.pth")


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (33, 90)])
def test_face_codes_of_any_picture_size(size):
    codes = PSPEncoder(PSP).eval()(images(2, 3, *size))
    assert codes.shape == (2, 10, 20) and torch.isfinite(codes).all()


@torch.no_grad()
def test_a_face_code_does_not_depend_on_its_batch():
    encoder = PSPEncoder(PSP).eval()
    faces = images(3, 3, 64, 64)
    alone = torch.cat([encoder(face[None]) for face in faces])
    torch.testing.assert_close(encoder(faces), alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_face_codes_are_relative_to_latent_avg():
    encoder = PSPEncoder(PSP).eval()
    face = images(1, 3, 64, 64)
    codes = encoder(face)
    encoder.latent_avg += torch.arange(200.0).view(10, 20)
    expected = codes + torch.arange(200.0).view(1, 10, 20)
    torch.testing.assert_close(encoder(face), expected, rtol=0, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("lateral", "first"), [("lateral_middle", 3), ("lateral_fine", 7)])
def test_layers_read_their_level_of_the_pyramid(lateral, first):
    """pSp: layers 0-2 see the coarse map, 3-6 the middle one, from 7 on the fine one."""
    encoder = PSPEncoder(PSP).eval()
    face = images(1, 3, 64, 64)
    before = encoder(face)
    getattr(encoder, lateral).bias += 1
    changed = (encoder(face) != before).any(dim=2)[0].tolist()
    assert changed == [layer >= first for layer in range(10)]


def test_every_weight_of_the_psp_encoder_learns():
    encoder = PSPEncoder(PSP).train()
    encoder(images(4, 3, 64, 64)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().sum() > 0, name


def test_a_generator_of_few_layers_needs_no_fine_head():
    """A 16 px generator has six layers; the fine map serves those from 7 on."""
    encoder = PSPEncoder(PSPConfig(**(vars(PSP) | {"num_layers": 6}))).eval()
    assert encoder(images(1, 3, 64, 64)).shape == (1, 6, 20)


def test_impossible_picture_sizes_are_refused():
    with pytest.raises(ValueError, match="power of two"):
        PSPEncoder(PSPConfig(image_size=48))
