"""Whether two pictures show the same face: ArcFace's IR-SE50 (Deng et al. 2019), as pSp uses it."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blendgan_core.config import PSPConfig
from blendgan_core.layers import average_pool
from blendgan_core.psp_encoder import PSPEncoder
from blendgan_core.upstream_keys import psp_rules

from .weight_files import fill_, read_weights

IR_SE50 = PSPConfig(w_dim=1, num_layers=1)  # of an encoder that is built for its trunk alone
SIZE = 256  # pixels of the picture that is cropped
ROWS, COLUMNS = slice(35, 223), slice(32, 220)  # the face in an FFHQ crop of that size
FACE_SIZE = 112  # pixels of the face that the network sees
EMBEDDING = 512
DROPOUT = 0.4  # without effect here, but it counts in the file's numbering
EXPECTED = "ArcFace's IR-SE50, model_ir_se50.pth as pSp publishes it"


class FaceRecognition(nn.Module):
    """An aligned face to a vector that tells who it is.

    Frozen; fresh weights are noise until `load_face_recognition` fills them.
    """

    def __init__(self, sizes: PSPConfig):
        """sizes: of an encoder with the same trunk."""
        super().__init__()
        encoder = PSPEncoder(sizes)
        self.input_layer, self.stages = encoder.input_layer, encoder.stages
        last = sizes.channels[-1]
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(last),
            nn.Dropout(DROPOUT),
            nn.Flatten(),
            nn.Linear(last * (FACE_SIZE // 16) ** 2, EMBEDDING),
            nn.BatchNorm1d(EMBEDDING),
        )
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """images: [N, 3, H, W] RGB in [-1, 1], aligned as FFHQ's -> [N, 512] of length 1."""
        faces = average_pool(images, SIZE)[:, :, ROWS, COLUMNS]
        x = self.input_layer(average_pool(faces, FACE_SIZE))
        for stage in self.stages:
            x = stage(x)
        return F.normalize(self.output_layer(x))


def identity_loss(network: FaceRecognition, images: Tensor, target: Tensor) -> Tensor:
    """1 - cosine of the pictures' embeddings (pSp). images, target: [N, 3, H, W] -> scalar."""
    with torch.no_grad():
        wanted = network(target)
    return 1 - (network(images) * wanted).sum(dim=1).mean()


def load_face_recognition(path: Path) -> FaceRecognition:
    """The network of --identity; CheckpointError if the file holds something else."""
    network = FaceRecognition(IR_SE50)
    state = read_weights("--identity", path)
    fill_(network, state, psp_rules(IR_SE50), "--identity", path, EXPECTED)
    return network


def load_trunk_(encoder: PSPEncoder, path: Path) -> None:
    """Fill the trunk of an encoder of IR-SE50's sizes with that of the file of --trunk."""
    trunk = nn.ModuleDict({"input_layer": encoder.input_layer, "stages": encoder.stages})
    state = read_weights("--trunk", path)
    fill_(trunk, state, psp_rules(encoder.config), "--trunk", path, EXPECTED)
