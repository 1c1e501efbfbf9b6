"""Print how many of the mistakes lead right: `python -m tests.mistakes [-v] [id …]`; with `-v` also the answers that do not."""

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.mistakes.running import BEFORE, LANGUAGES, Figure, mistakes, opened


def main(arguments: list[str]) -> None:
    """Send all of them, or those named."""
    named = [argument for argument in arguments if argument != "-v"]
    total: dict[str, int] = defaultdict(int)
    wrong: dict[str, list[str]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as root, opened(Path(root)) as shop:
        for mistake in mistakes():
            if named and mistake.id not in named:
                continue
            total[mistake.subject] += 1
            faults = [fault for language in LANGUAGES for fault in shop.faults(mistake, language)]
            if faults:
                wrong[mistake.subject].append(mistake.id)
            if faults and "-v" in arguments:
                print("\n".join([f"== {mistake.id}: {mistake.meant}", mistake.sends, *faults, ""]))
    for subject, number in total.items():
        print(f"{subject}: {Figure(number - len(wrong[subject]), number)}")
        for mistake_id in wrong[subject]:
            print(f"    {mistake_id}")
    every = sum(total.values())
    print(f"all: {Figure(every - sum(map(len, wrong.values())), every)} (when the list was written: {BEFORE})")


main(sys.argv[1:])
