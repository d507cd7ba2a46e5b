"""Who is on a synthetic portrait: every attribute, and how it is drawn at random.

Sex, skin, age, hair and light are drawn evenly and independently of one another (only beards and
baldness follow sex, and grey hair follows age), so that no group is rare in what is trained on it.
"""

import colorsys
import math
from dataclasses import dataclass

import numpy as np

from . import portrait_kinds as kinds
from .portrait_kinds import EYE_COLOURS, HAIR_COLOURS, SKIN_TONES

Colour = tuple[float, float, float]  # RGB in 0..1


@dataclass(frozen=True, kw_only=True)
class PortraitAttributes:
    """One person, pose and light. Lengths are in half heads: the face is about 1.85 high."""

    # Person
    sex: float  # 0 feminine .. 1 masculine
    skin: float  # 0 light .. 1 dark
    age: float  # 0 young .. 1 old
    hair_colour: str
    hair_style: str
    hair_length: float  # 0 cropped .. 1.4 over the shoulders
    curl: float  # 0 straight .. 1 frizzy
    bald: bool
    beard: float  # 0 none .. 1 full
    moustache: bool
    glasses: bool
    eye_colour: str
    makeup: float  # 0..1, redness of the lips

    # Expression and pose, angles in radians
    smile: float  # -0.3 glum .. 1 broad
    mouth_open: float  # 0..1
    yaw: float
    pitch: float
    roll: float

    # Light and surroundings
    light_azimuth: float  # radians, positive from the right of the picture
    light_elevation: float  # 0 level .. 1 steep from above
    light_warmth: float  # -0.1 blue .. 0.1 orange
    ambient: float  # share of light without direction
    background: Colour
    background_second: Colour
    clothes: Colour
    seed: int  # of the fine textures

    # Shape of the head
    face_width: float
    face_height: float
    jaw: float  # 0 pointed .. 1 square
    eye_height: float
    eye_distance: float
    eye_width: float
    eye_opening: float
    eye_slant: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    nose_length: float
    nose_width: float
    nose_relief: float
    mouth_height: float
    mouth_width: float
    lip_thickness: float
    hairline: float
    hair_parting: float
    hair_volume: float
    flush: float  # redness of cheeks and nose

    # Placement, as an alignment by landmarks leaves it
    shift_x: float  # share of the picture's side
    shift_y: float
    zoom: float

    # What is worn, and what is behind
    frame: str  # of the glasses; "" without
    frame_colour: Colour
    hat: str  # "" without
    hat_colour: Colour
    tied: str  # how long hair is gathered; "" when it hangs. `hair_length` is of what hangs
    clothes_kind: str
    clothes_second: Colour  # of the shirt below, or of stripes
    scene: str
    undertone: float  # of the skin, -1 rosy .. 1 olive

    # Photography
    exposure: float  # stops
    contrast: float  # exponent about middle grey
    white_balance: float  # negative blue, positive orange
    green_tint: float
    saturation: float  # of the photo, 1 as it is
    haze: float  # light that veils the picture, 0..1
    backlight: float  # 0 none .. 1 a bright window behind
    blur: float  # deviation in thousandths of the picture's side
    grain: float  # deviation of noise

    @property
    def mouth_half_width(self) -> float:
        """From the middle of the mouth to its corner: smiling widens it."""
        return self.mouth_width * (1 + 0.3 * max(self.smile, 0))

    @property
    def mouth_corner(self) -> float:
        """v of the corners of the mouth: smiling lifts them."""
        return self.mouth_height - 0.057 * self.smile

    @property
    def nose_turn(self) -> float:
        """u of the nose's tip: it stands out of the face, so that yaw carries it along."""
        return 0.13 * math.sin(self.yaw)

    @property
    def skin_rgb(self) -> np.ndarray:
        """Skin colour [3], interpolated along a row of real tones."""
        place = self.skin * (len(SKIN_TONES) - 1)
        tone = [np.interp(place, range(len(SKIN_TONES)), SKIN_TONES[:, c]) for c in range(3)]
        olive = np.array([1 - 0.02 * self.undertone, 1 + 0.02 * self.undertone, 1.0])
        olive[2] = 1 - 0.035 * self.undertone
        return (np.array(tone) * olive).astype(np.float32)

    @property
    def hair_rgb(self) -> np.ndarray:
        """Hair colour [3]."""
        return np.array(colorsys.hsv_to_rgb(*HAIR_COLOURS[self.hair_colour]), dtype=np.float32)

    @property
    def iris_rgb(self) -> np.ndarray:
        """Eye colour [3]."""
        return np.array(colorsys.hsv_to_rgb(*EYE_COLOURS[self.eye_colour]), dtype=np.float32)


def draw_attributes(rng: np.random.Generator) -> PortraitAttributes:
    """Draw one person. The result holds plain Python numbers only, fit for JSON."""

    def uniform(low: float, high: float) -> float:
        return round(float(rng.uniform(low, high)), 4)

    def normal(mean: float, deviation: float) -> float:
        # Cut at 2 deviations: beyond, features collide.
        draw = np.clip(rng.standard_normal(), -2, 2)
        return round(float(mean + deviation * draw), 4)

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    def choose(names: tuple[str, ...]) -> str:
        return names[int(rng.integers(len(names)))]

    def colour(saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
        rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
        return tuple(round(float(channel), 4) for channel in rgb)

    sex, skin, age = uniform(0, 1), uniform(0, 1), uniform(0, 1)
    masculine = sex > 0.5
    natural_colours = tuple(name for name in HAIR_COLOURS if name != "grey")
    grey = chance(0.6 if age > 0.75 else 0.03)
    smile = uniform(-0.1, 1.0)
    glasses = chance(0.28)
    bald = chance(0.22 if masculine else 0)
    tied = choose(kinds.TIED) if sex < 0.55 and chance(0.16) else ""
    hair_length = round(float(np.clip(1.35 * (1 - sex) + normal(0, 0.35), 0, 1.4)), 4)
    hair_length = uniform(0, 0.25) if tied else hair_length
    sombre = chance(0.35)  # clothes without colour
    return PortraitAttributes(
        sex=sex,
        skin=skin,
        age=age,
        hair_colour="grey" if grey else choose(natural_colours),
        hair_style=choose(kinds.HAIR_STYLES),
        hair_length=hair_length,
        curl=uniform(0, 1),
        bald=bald,
        beard=uniform(0.3, 1) if chance(0.4 if masculine else 0) else 0.0,
        moustache=chance(0.35 if masculine else 0),
        glasses=glasses,
        eye_colour=choose(tuple(EYE_COLOURS)),
        makeup=round(uniform(0, 1) * (1 - sex), 4),
        smile=smile,
        mouth_open=uniform(0.3, 1) if chance(0.15 + 0.65 * max(smile, 0)) else 0.0,
        yaw=uniform(-0.6, 0.6),
        pitch=normal(0, 0.09),
        roll=normal(0, 0.045),
        light_azimuth=uniform(-1.1, 1.1),
        light_elevation=uniform(0.15, 0.8),
        light_warmth=uniform(-0.08, 0.1),
        ambient=uniform(0.25, 0.75),
        background=colour((0.05, 0.65), (0.15, 0.95)),
        background_second=colour((0.0, 0.35), (0.2, 0.9)),
        clothes=colour((0, 0.15), (0.05, 0.3)) if sombre else colour((0.1, 0.8), (0.1, 0.9)),
        seed=int(rng.integers(2**31)),
        face_width=normal(0.62 + 0.03 * sex, 0.025),
        face_height=normal(0.93, 0.03),
        jaw=normal(0.72 + 0.25 * sex, 0.05),
        eye_height=normal(-0.05, 0.012),
        eye_distance=normal(0.27, 0.012),
        eye_width=normal(0.132 - 0.008 * sex, 0.009),
        eye_opening=normal(0.060 - 0.008 * sex, 0.006),
        eye_slant=normal(0.03 * (1 - sex), 0.05),
        brow_height=normal(0.155 - 0.025 * sex, 0.014),
        brow_thickness=normal(0.022 + 0.014 * sex, 0.005),
        brow_arch=normal(0.03, 0.018),
        nose_length=normal(0.36, 0.025),
        nose_width=normal(0.105 + 0.022 * skin + 0.012 * sex, 0.010),
        nose_relief=normal(0.28 + 0.06 * sex, 0.04),
        mouth_height=normal(0.585, 0.015),
        mouth_width=normal(0.222 + 0.02 * sex, 0.016),
        lip_thickness=normal(0.062 - 0.014 * sex + 0.02 * skin, 0.008),
        hairline=normal(-0.57 - 0.05 * sex, 0.045),
        hair_parting=normal(0, 0.25),
        hair_volume=uniform(0.10, 0.16),
        flush=uniform(0.5, 1),
        shift_x=normal(0, 0.01),
        shift_y=normal(0, 0.012),
        zoom=normal(1.03, 0.035),
        frame=choose(
            ("thin", "thick", "round", "half", "thin", "thick", "round", "half", kinds.FRAMES[-1])
        )
        if glasses
        else "",
        frame_colour=colour((0.1, 0.7), (0.05, 0.22))
        if chance(0.75)
        else colour((0.2, 0.8), (0.3, 0.7)),
        hat=choose(kinds.HATS) if (bald or hair_length > 0.25) and chance(0.13) else "",
        hat_colour=colour((0.1, 0.8), (0.1, 0.85)),
        tied=tied,
        clothes_kind=choose(kinds.CLOTHES[:-1] if masculine else kinds.CLOTHES),
        clothes_second=colour((0, 0.3), (0.7, 0.95))
        if chance(0.7)
        else colour((0.2, 0.7), (0.1, 0.8)),
        scene=kinds.SCENES[0] if chance(0.35) else choose(kinds.SCENES[1:]),
        undertone=uniform(-1, 1),
        exposure=uniform(*kinds.EXPOSURES[int(rng.integers(8))]),
        contrast=normal(1.05, 0.13),
        white_balance=normal(0, 0.07),
        green_tint=normal(0, 0.02),
        saturation=normal(0.95, 0.13),
        haze=uniform(0.02, 0.22) if chance(0.2) else 0.0,
        backlight=uniform(0.3, 1) if chance(0.15) else 0.0,
        blur=uniform(2, 6) if chance(0.15) else 0.0,
        grain=uniform(0.01, 0.03) if chance(0.2) else 0.0,
    )
