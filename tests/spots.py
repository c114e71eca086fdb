"""Bright spots on an even sky, and a detector that finds them."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass
class Found:
    boxes: np.ndarray
    scores: np.ndarray


class SpotFinder:
    """Finds connected spots much brighter than the sky; the score is their area over 400 pixels."""

    def __init__(self, level=150):
        self.level, self.shapes, self.calls = level, [], 0

    def detect(self, images):
        self.calls += 1
        self.shapes.append(images.shape)
        return [self._one(image) for image in images]

    def _one(self, image):
        bright = (image.max(axis=2) > self.level).astype(np.uint8)
        stats = cv2.connectedComponentsWithStats(bright)[2][1:]
        x, y, width, height, area = stats.T
        boxes = np.stack([x, y, x + width, y + height], axis=1).astype(np.float32)
        return Found(boxes, np.minimum(area / 400, 1).astype(np.float32))


def sky(height, width, spots, sky_level=30):
    image = np.full((height, width, 3), sky_level, np.uint8)
    for x, y, side in spots:
        image[y : y + side, x : x + side] = 220
    return image
