"""Write the files of bad cases from the code: `python -m tests.bad_cases.write [NAME …]`, all without a name.

Read what changed before you commit it.
"""

import sys

from tests.bad_cases.running import CASES, GENERATED, files
from tests.cases.running import names, project


def main(wanted: list[str]) -> None:
    with project() as connection:
        for name in wanted or names(CASES):
            found = files(name, connection)
            for file in GENERATED:
                path = CASES / name / file
                if file in found:
                    path.write_text(found[file], encoding="utf-8", newline="\n")
                else:
                    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
