"""Where the five landmarks of a synthetic portrait lie in its picture.

`portrait_head.place_head` bends picture coordinates into face coordinates; here that is inverted.
"""

import numpy as np
from numpy.typing import NDArray

from .portrait_attributes import PortraitAttributes
from .portrait_head import VIEW, Pose


def face_landmarks(attributes: PortraitAttributes) -> NDArray[np.float64]:
    """The five of `landmarks` in face coordinates (u, v): [5, 2]."""
    a = attributes
    return np.array(
        [
            (-a.eye_distance, a.eye_height),
            (a.eye_distance, a.eye_height),
            (a.nose_turn, a.eye_height + a.nose_length),
            (-a.mouth_half_width, a.mouth_corner),
            (a.mouth_half_width, a.mouth_corner),
        ]
    )


def landmarks(attributes: PortraitAttributes) -> NDArray[np.float64]:
    """Both eyes' middles, the tip of the nose and both corners of the mouth: [5, 2].

    Each is (x, y) in units of the picture's side, 0..1 from its upper left corner; left and right
    are as the viewer sees them. A pixel's middle is at (its number + 0.5) / the picture's side.
    """
    return picture_points(attributes, face_landmarks(attributes))


def picture_points(
    attributes: PortraitAttributes, points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Points [N, 2] of the face, (u, v), that lie well inside its outline -> [N, 2], (x, y)."""
    pose = Pose(attributes)
    u, v = np.asarray(points, np.float64).T
    body_x, body_y = u, v
    for _ in range(60):  # depth changes slowly inside the face: every round halves the error
        depth = pose.depth(body_x, body_y)
        body_x = u * pose.foreshortening + pose.turn_x * depth
        body_y = v + pose.turn_y * depth
    return np.stack(pose.to_picture(body_x, body_y), axis=1) / (2 * VIEW) + 0.5
