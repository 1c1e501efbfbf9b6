"""Write the files of cases from the code: `python -m tests.cases.write [NAME …]`, all of them without a name.

Read what changed before you commit it: these files are the evidence that the code does what qp.md says.
"""

import sys

from tests.cases.running import CASES, definition, names, project, run


def main(wanted: list[str]) -> None:
    with project() as connection:
        for name in wanted or names():
            for file, text in run(definition(name), connection).files().items():
                (CASES / name / file).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
