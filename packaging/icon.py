"""Draw packaging/icon.png: many users, and the few that a definition selects. Needs Pillow, which nothing else here does.

pip install pillow && python packaging/icon.py
"""

from math import hypot
from pathlib import Path

from PIL import Image, ImageDraw

SIZE, SCALE = 512, 4
GROUND, OTHERS, RING, SELECTED = "#12344d", "#5f86a3", "#f2f6f9", "#ffb547"
CENTRE, RADIUS, DOT, STEP = (196, 196), 128, 25, 88


def draw() -> Image.Image:
    """Return the icon: drawn four times as large, then made smaller, which smooths the edges."""
    image = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE), "#00000000")
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, SIZE * SCALE - 1, SIZE * SCALE - 1), radius=104 * SCALE, fill=GROUND)
    for column in range(5):
        for row in range(5):
            x, y = 80 + STEP * column, 80 + STEP * row
            inside = hypot(x - CENTRE[0], y - CENTRE[1]) < RADIUS - DOT
            _circle(pen, (x, y), DOT, fill=SELECTED if inside else OTHERS)
    _circle(pen, CENTRE, RADIUS + 12, outline=RING, width=20 * SCALE)
    pen.line([(n * SCALE, n * SCALE) for n in (296, 432)], fill=RING, width=34 * SCALE)
    _circle(pen, (432, 432), 17, fill=RING)
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _circle(pen: ImageDraw.ImageDraw, centre: tuple[int, int], radius: int, **style: object) -> None:
    x, y = centre
    pen.ellipse([SCALE * n for n in (x - radius, y - radius, x + radius, y + radius)], **style)


if __name__ == "__main__":
    draw().save(Path(__file__).with_name("icon.png"), optimize=True)
