"""Draws what `trm solve --watch` prints as an animated SVG.

    trm solve puzzle.txt --watch --backend rten --tries 0 | python xtask/python/watch_svg.py docs/images/watch.svg

One frame a step and one for the verdict; cells that a step has changed are set off. CSS animation, no script: it plays
wherever an SVG is shown as a picture.
"""

import html
import re
import sys

SECONDS_A_FRAME = 1.1
LAST_FRAMES = 3  # The answer stays three times as long.
LINE, CHARACTER, MARGIN = 20, 9.6, 16
INK, PAPER, FAINT, CHANGED, GOOD = "#dee2e6", "#212529", "#868e96", "#74c0fc", "#8ce99a"


def frames(text):
    """The blocks of the output, each a list of lines."""
    return [block.split("\n") for block in re.split(r"\n\n+", text.strip("\n"))]


def tspans(line, before, colour):
    """A line with the characters that were others a frame before in another colour."""
    parts = []
    for index, character in enumerate(line):
        was = before[index] if before is not None and index < len(before) else character
        shade = CHANGED if character != was and not character.isspace() else colour
        if parts and parts[-1][0] == shade:
            parts[-1][1] += character
        else:
            parts.append([shade, character])
    return "".join(f'<tspan fill="{shade}">{html.escape(text)}</tspan>' for shade, text in parts)


def main():
    blocks = frames(sys.stdin.read())
    count = len(blocks)
    total = (count - 1 + LAST_FRAMES) * SECONDS_A_FRAME
    rows = max(len(block) for block in blocks)
    columns = max(len(line) for block in blocks for line in block)
    width, height = columns * CHARACTER + 2 * MARGIN, rows * LINE + 2 * MARGIN
    styles, groups = [], []
    for number, block in enumerate(blocks):
        start = number * SECONDS_A_FRAME / total * 100
        end = 100 if number == count - 1 else (number + 1) * SECONDS_A_FRAME / total * 100
        styles.append(
            f"@keyframes f{number}{{0%,{max(start - 0.01, 0):.2f}%{{opacity:{int(number == 0)}}}"
            f"{start:.2f}%,{end - 0.01:.2f}%{{opacity:1}}{end:.2f}%,100%{{opacity:{int(number == count - 1)}}}}}"
            f".f{number}{{animation:f{number} {total:.1f}s step-end infinite}}"
        )
        lines = []
        for row, line in enumerate(block):
            earlier = blocks[number - 1] if number else None
            before = earlier[row] if earlier is not None and 0 < row < len(earlier) else None
            colour = FAINT if row == 0 else GOOD if line.startswith("verified") else INK
            lines.append(f'<text x="{MARGIN}" y="{MARGIN + (row + 0.8) * LINE:.0f}">{tspans(line, before, colour)}</text>')
        # Who shows no animation shows the answer.
        hidden = "" if number == count - 1 else ' opacity="0"'
        groups.append(f'<g class="f{number}"{hidden}>' + "".join(lines) + "</g>")
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
        f"<title>trm solve --watch: the answer is refined step by step</title><style>text{{font:16px monospace;white-space:pre}}"
        f"{''.join(styles)}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>{"".join(groups)}</svg>\n'
    )
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(svg)


main()
