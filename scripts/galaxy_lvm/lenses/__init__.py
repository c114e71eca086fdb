"""Search for strong lenses in new images: reading, tiles, detections on the sky."""
