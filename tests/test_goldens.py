"""Our networks against the official inference code, in fp32 on a CPU (see goldens/README.md).

Official-layout dictionaries of the drawn weights go through the conversion of official files. Every
relative error is printed, also without `-s`.
"""

import pytest
import torch
from golden_weights import draw, relative_error, vectors
from torch import Tensor
from torch.nn import functional as F

from blendgan_core import upstream
from blendgan_core.checkpoint import build
from blendgan_core.generator import Generator

TOLERANCE = 1e-4


@pytest.fixture
def check(capsys):
    """Compare with a golden output, and print the error whatever pytest captures."""

    def compare(name: str, found: Tensor, expected: Tensor) -> None:
        assert found.shape == expected.shape, name
        error = relative_error(found, expected)
        with capsys.disabled():
            print(f"\n  golden {name:32} relative error {error:.1e}", end="")
        assert error <= TOLERANCE, f"{name}: relative error {error:.1e}"

    return compare


@pytest.fixture(scope="module")
def generator() -> Generator:
    latent_avg = vectors("generator_discriminators")["in/latent_avg"]
    official = {"g_ema": draw("generator"), "latent_avg": latent_avg}
    generator = build(upstream.from_official(official), "the golden weights").generator
    config = generator.config
    assert (config.resolution, config.num_layers, config.mapping_layers) == (64, 10, 8)
    return generator


@torch.no_grad()
def test_mapping_networks(generator, check):
    golden = vectors("generator_discriminators")
    check("w_face", generator.map_face(golden["in/z_face"])[:, 0], golden["w_face"])
    check("w_style", generator.map_style(golden["in/z_style"])[:, 0], golden["w_style"])


@torch.no_grad()
@pytest.mark.parametrize(("name", "truncation"), [("natural", 1.0), ("natural_trunc0.75", 0.75)])
def test_natural_faces(generator, check, name, truncation):
    golden = vectors("generator_discriminators")
    w_face = generator.map_face(golden["in/z_face"], truncation)
    images = generator.synthesis(w_face, generator.synthesis.fixed_noise())
    check(name, images, golden[name])


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "indicator"), [("None", 0), ("0", 0), ("3", 3), ("6", 6), ("10", 10)]
)
def test_styled_faces(generator, check, name, indicator):
    """The official add_weight_index None keeps no layer for the face: our indicator 0."""
    golden = vectors("generator_discriminators")
    w_face = generator.map_face(golden["in/z_face"], truncation=0.75)
    w = generator.blending(w_face, generator.map_style(golden["in/z_style"]), indicator)
    images = generator.synthesis(w, generator.synthesis.fixed_noise())
    check(f"styled_i{name}", images, golden[f"styled_i{name}"])


@torch.no_grad()
def test_styled_inversion_codes(generator, check):
    golden = vectors("generator_discriminators")
    w_style = generator.map_style(golden["in/z_style"])
    w = generator.blending(golden["in/w_plus"], w_style, indicator=6)
    images = generator.synthesis(w, generator.synthesis.fixed_noise())
    check("styled_wplus_i6", images, golden["styled_wplus_i6"])


@torch.no_grad()
@pytest.mark.parametrize(("name", "indicator"), [("iNone", 0), ("i4", 4)])
def test_blend_weights(generator, check, name, indicator):
    golden = vectors("generator_discriminators")[f"blend_weight_style_{name}"]
    check(f"blend_weight_style_{name}", generator.blending.share(indicator), golden.flatten())


@torch.no_grad()
def test_discriminator(check):
    golden = vectors("generator_discriminators")
    network = upstream.discriminator(draw("discriminator"), "face")
    check("d_face", network(golden["in/images"]), golden["d_face"])


@torch.no_grad()
def test_projection_discriminator(check):
    golden = vectors("generator_discriminators")
    network = upstream.discriminator(draw("projection_discriminator"), "style_latent")
    logits = network(golden["in/images"], golden["in/z_style4"])
    check("d_style_latent", logits, golden["d_style_latent"])


def encoder_images() -> Tensor:
    """[2, 3, 320, 320], kept in the golden file at a quarter of the size."""
    return F.interpolate(vectors("encoders")["in/image320_small"], scale_factor=4, mode="nearest")


@torch.no_grad()
def test_psp_encoder(check):
    """With a latent_avg that is not 0, to see that it is added: the golden is without it."""
    latent_avg = torch.linspace(-1, 1, 10 * 512).view(10, 512)
    keys = {f"encoder.{key}": tensor for key, tensor in draw("psp_encoder").items()}
    contents = upstream.from_official({"state_dict": keys, "latent_avg": latent_avg})
    assert list(contents.configs) == ["psp_encoder"]
    codes = build(contents, "the golden weights").psp_encoder(encoder_images())
    check("psp_codes", codes - latent_avg, vectors("encoders")["psp_codes_no_avg"])


@torch.no_grad()
def test_style_encoder(check):
    """Needs about 2.5 GB for a moment: the official weights and the folded ones."""
    golden = vectors("encoders")
    keys = {f"embedder.{key}": tensor for key, tensor in draw("style_encoder").items()}
    contents = upstream.from_official({"g_ema": keys})
    del keys
    encoder = build(contents, "the golden weights").style_encoder
    upper = encoder.raw_gram(encoder_images())
    full = torch.cat([mirrored(upper, encoder.config.vgg_width, n) for n in range(5)], dim=1)
    check("gram_head", full[:, :256], golden["gram_head"])
    check("gram_tail", full[:, -256:], golden["gram_tail"])
    check("gram_norm", full.norm(dim=1), golden["gram_norm"])
    check("gram_mean", full.mean(dim=1), golden["gram_mean"])
    check("z_style", encoder.predictor(upper), golden["z_style"])


def mirrored(upper: Tensor, vgg_width: int, stage: int) -> Tensor:
    """One stage's whole Gram matrix from the concatenated upper triangles: [N, G] -> [N, C*C]."""
    channels = [factor * vgg_width for factor in (1, 2, 4, 8, 8)]
    starts = [sum(c * (c + 1) // 2 for c in channels[:n]) for n in range(6)]
    c = channels[stage]
    matrix = upper.new_zeros(len(upper), c, c)
    row, column = torch.triu_indices(c, c)
    matrix[:, row, column] = matrix[:, column, row] = upper[:, starts[stage] : starts[stage + 1]]
    return matrix.flatten(1)
