"""The official inference code, from a checkout that BLENDGAN_OFFICIAL names, on a CPU.

    git clone https://github.com/onion-liu/BlendGAN ../BlendGAN
    export BLENDGAN_OFFICIAL=$PWD/../BlendGAN

Nothing of it is part of this project. Its files are run as they are: on a machine without a GPU it
takes its own CPU paths.
"""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

CHECKOUT = os.environ.get("BLENDGAN_OFFICIAL")


def code() -> SimpleNamespace:
    """Its classes: Generator, StyleEncoder and GradualStyleEncoder."""
    if not Path(CHECKOUT, "model_encoder.py").is_file():
        sys.exit(f"BLENDGAN_OFFICIAL is {CHECKOUT}, which has no model_encoder.py; see {__file__}")
    sys.path.insert(0, CHECKOUT)
    import model
    import model_encoder
    from psp_encoder import psp_encoders

    return SimpleNamespace(
        Generator=model.Generator,
        StyleEncoder=model_encoder.StyleEncoder,
        GradualStyleEncoder=psp_encoders.GradualStyleEncoder,
    )
