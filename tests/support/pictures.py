"""Is there something to see in a file?"""

import re
from pathlib import Path

from matplotlib.image import imread


def is_a_picture(file: Path) -> bool:
    """A PNG with dark on light in it, or an SVG with lines."""
    if file.suffix == ".svg":
        text = file.read_text(encoding="utf-8")
        return "<svg" in text and len(re.findall("<path", text)) > 10
    brightness = imread(file)[..., :3].mean(axis=2)
    return bool((brightness < 0.3).sum() > 500 and (brightness > 0.9).sum() > 500)
